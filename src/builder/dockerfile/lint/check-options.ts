import { EngineError } from '../../../errors/index.ts';
import type { LintRule } from './rules.ts';

/** `# check=skip=A,B;error=true`: which rules count, and whether a violation ends the build. */
export interface CheckOptions {
  skip: 'all' | ReadonlySet<string>;
  experimental: 'all' | ReadonlySet<string>;
  isError: boolean;
}

const truths: Readonly<Record<string, boolean>> = {
  '1': true,
  t: true,
  true: true,
  '0': false,
  f: false,
  false: false,
};

/** @throws {EngineError} `invalid-parameter` */
export function parseCheckOptions(text: string): CheckOptions {
  const options: CheckOptions = { skip: new Set(), experimental: new Set(), isError: false };
  if (text.trim() === '') return options;
  for (const part of text.trim().split(';')) {
    const equals = part.indexOf('=');
    if (equals === -1) throw invalid(`invalid check option ${JSON.stringify(part)}`);
    const name = part.slice(0, equals).trim();
    const value = part.slice(equals + 1).trim();
    if (name === 'skip' || name === 'experimental') {
      options[name] = value === 'all' ? 'all' : new Set(value.split(',').map((item) => item.trim()));
    } else if (name === 'error') {
      const truth = truths[value.toLowerCase()];
      if (truth === undefined) {
        throw invalid(
          `failed to parse check option ${JSON.stringify(part)}: strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`,
        );
      }
      options.isError = truth;
    } else throw invalid(`invalid check option ${JSON.stringify(name)}`);
  }
  return options;
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', `failed to parse check options: ${message}`);
}

/** The options with what a comment right above an instruction says for it alone: `# check=skip=A`. */
export function withComments(options: CheckOptions, comments: readonly string[]): CheckOptions {
  for (const comment of comments) {
    const value = /^check\s*=\s*(\S+)/i.exec(comment)?.[1];
    if (value === undefined) continue;
    try {
      const own = parseCheckOptions(value);
      return {
        skip: union(options.skip, own.skip),
        experimental: union(options.experimental, own.experimental),
        isError: options.isError,
      };
    } catch {
      return options;
    }
  }
  return options;
}

function union(a: CheckOptions['skip'], b: CheckOptions['skip']): CheckOptions['skip'] {
  return a === 'all' || b === 'all' ? 'all' : new Set([...a, ...b]);
}

export function isChecked(options: CheckOptions, { name, isExperimental }: LintRule): boolean {
  const { skip, experimental } = options;
  if (isExperimental) return experimental === 'all' || experimental.has(name);
  return skip !== 'all' && !skip.has(name);
}
