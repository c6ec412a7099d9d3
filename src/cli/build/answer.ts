import type { Cli } from '../cli.ts';
import { StatusError } from '../errors.ts';
import { tabulate } from '../format/tabwriter.ts';

/** `--call`. */
export interface Call {
  method: 'check' | 'outline' | 'targets';
  isJson: boolean;
}

/** @returns undefined to build @throws {Error} with docker's texts */
export function parseCall(value: string): Call | undefined {
  const [method = '', ...options] = value.split(',');
  let isJson = false;
  for (const option of options) {
    const [name, given] = option.split('=');
    if (name === 'format' && (given === 'json' || given === 'text')) isJson = given === 'json';
    else if (name !== 'ignorestatus') throw new Error(`invalid value for call: ${value}`);
  }
  if (method === '' || method === 'build') return undefined;
  const known = method === 'lint' ? 'check' : method;
  if (known === 'check' || known === 'outline' || known === 'targets') return { method: known, isJson };
  throw new Error(`unknown call method ${JSON.stringify(method)}`);
}

interface Range {
  start: { line: number };
  end: { line: number };
}

interface Place {
  ranges?: Range[];
}

interface LintResults {
  warnings: { ruleName: string; url?: string; detail?: string; location?: Place }[];
  sources: { filename: string; data: string }[];
  buildError?: { message: string; location: Place };
}

interface Outline {
  name?: string;
  description?: string;
  args?: { name: string; value?: string; description?: string }[];
  secrets?: { name: string; required?: boolean }[];
  ssh?: { name: string; required?: boolean }[];
}

interface TargetList {
  targets: { name?: string; default?: boolean; description?: string }[];
}

/** Shows an answer. @throws {StatusError} after a check that found something */
export function showAnswer(cli: Cli, call: Call, answer: unknown): void {
  if (call.isJson) cli.out(`${JSON.stringify(answer, null, 2)}\n`);
  if (call.method === 'check') showLint(cli, answer as LintResults, call.isJson);
  else if (call.isJson) return;
  else if (call.method === 'outline') showOutline(cli, answer as Outline);
  else {
    const { targets } = answer as TargetList;
    const rows = targets.map(({ name = '', default: isDefault = false, description = '' }) => [
      [name, ...(isDefault ? ['(default)'] : [])].filter((part) => part !== '').join(' '),
      description,
    ]);
    cli.out(alignColumns([['TARGET', 'DESCRIPTION'], ...rows], 1));
  }
}

function showLint(cli: Cli, { warnings, sources, buildError }: LintResults, isJson: boolean): void {
  const [source] = sources;
  const count = warnings.length;
  if (!isJson) {
    if (count > 0) {
      cli.out(`Check complete, ${count === 1 ? '1 warning has' : `${count} warnings have`} been found!\n`);
    }
    for (const { ruleName, url, detail = '', location } of warnings) {
      cli.out(`\nWARNING: ${ruleName}${url === undefined ? '' : ` - ${url}`}\n${detail}\n`);
      cli.out(excerpt(source, location));
    }
    if (count === 0 && buildError === undefined) cli.out('Check complete, no warnings found.\n');
  }
  if (buildError !== undefined) {
    const gap = count > 0 && !isJson ? '\n' : '';
    throw new StatusError(
      1,
      `${gap}ERROR: ${buildError.message}\n${excerpt(source, buildError.location)}`.trimEnd(),
    );
  }
  if (count > 0) throw new StatusError(1);
}

/** The lines that something is about, marked, between some of those around them. */
function excerpt(source: LintResults['sources'][number] | undefined, place: Place | undefined): string {
  const ranges = place?.ranges ?? [];
  const [first] = ranges;
  if (source === undefined || first === undefined) return '';
  const lines = Buffer.from(source.data, 'base64').toString('utf8').split('\n');
  const start = first.start.line;
  const end = Math.min(ranges.at(-1)?.end.line ?? start, lines.length);
  const around = start === end ? 2 : 1;
  const [from, to] = [Math.max(1, start - around), Math.min(lines.length, end + around)];
  const shown = Array.from({ length: to - from + 1 }, (_, index) => {
    const number = from + index;
    const mark = number >= start && number <= end ? '>>>' : '   ';
    return ` ${String(number).padStart(3)} | ${mark} ${lines[number - 1] ?? ''}\n`;
  });
  const rule = `${'-'.repeat(20)}\n`;
  return `${source.filename}:${start}\n${rule}${shown.join('')}${rule}`;
}

function showOutline(
  cli: Cli,
  { name = '', description = '', args = [], secrets = [], ssh = [] }: Outline,
): void {
  if (name !== '' || description !== '') {
    const rows = [
      ['TARGET:', name || '(default)'],
      ...(description === '' ? [] : [['DESCRIPTION:', description]]),
    ];
    cli.out(`${alignColumns(rows, 1)}\n`);
  }
  if (args.length > 0) {
    const rows = args.map((arg) => [arg.name, arg.value ?? '', arg.description ?? '']);
    cli.out(`${alignColumns([['BUILD ARG', 'VALUE', 'DESCRIPTION'], ...rows], 3)}\n`);
  }
  for (const [title, items] of [
    ['SECRET', secrets],
    ['SSH', ssh],
  ] as const) {
    if (items.length === 0) continue;
    const rows = items.map((item) => [item.name, item.required === true ? 'true' : '']);
    cli.out(`${alignColumns([[title, 'REQUIRED'], ...rows], 3)}\n`);
  }
}

/** Rows with their columns one below the other. */
function alignColumns(rows: readonly (readonly string[])[], gap: number): string {
  return tabulate(`${rows.map((row) => row.join('\t')).join('\n')}\n`, 0, gap);
}
