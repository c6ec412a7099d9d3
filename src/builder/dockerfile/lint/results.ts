import type { BuildContext } from '../../context/build-context.ts';
import type { TraceRange, TraceWarning } from '../../progress/trace.ts';
import type { LineRange } from '../location.ts';
import type { LintWarning } from './lint.ts';

/** A place in one of the sources, in BuildKit's JSON. */
export interface SourceLocation {
  sourceIndex?: number;
  ranges?: TraceRange[];
}

/** What `--check` answers, in BuildKit's JSON (`LintResults`). `data` of the sources is base64. */
export interface LintResults {
  warnings: {
    ruleName: string;
    description?: string;
    url?: string;
    detail?: string;
    location?: SourceLocation;
  }[];
  sources: { filename: string; language: string; data: string }[];
  buildError?: { message: string; location: SourceLocation };
}

type Source = Pick<BuildContext, 'dockerfile' | 'dockerfileName'>;

/** One range for each line, as BuildKit has them. */
export function rangesOf({ line, endLine }: LineRange): TraceRange[] {
  return Array.from({ length: Math.max(1, endLine - line + 1) }, (_, index) => ({
    start: { line: line + index },
    end: { line: line + index },
  }));
}

export function lintResults(
  source: Source,
  warnings: readonly LintWarning[],
  failure?: { message: string; range: LineRange | undefined },
): LintResults {
  const place = (range: LineRange): SourceLocation => ({ ranges: rangesOf(range) });
  return {
    warnings: warnings.map(({ rule, message, range }) => ({
      ruleName: rule.name,
      description: rule.description,
      ...(rule.url === '' ? {} : { url: rule.url }),
      detail: message,
      location: place(range),
    })),
    sources: [
      {
        filename: source.dockerfileName,
        language: 'Dockerfile',
        data: Buffer.from(source.dockerfile).toString('base64'),
      },
    ],
    ...(failure === undefined
      ? {}
      : {
          buildError: {
            message: failure.message,
            location: failure.range === undefined ? {} : place(failure.range),
          },
        }),
  };
}

/** The warning as progress tells it. */
export function traceWarning(
  source: Source,
  { rule, message, range }: LintWarning,
): Omit<TraceWarning, 'vertex'> {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return {
    level: 1,
    short: base64(`${rule.name}: ${message} (line ${range.line})`),
    detail: [base64(rule.description)],
    ...(rule.url === '' ? {} : { url: rule.url }),
    sourceInfo: { filename: source.dockerfileName, data: base64(source.dockerfile), language: 'Dockerfile' },
    range: rangesOf(range),
  };
}
