/** Lines of a Dockerfile, from 1, both included. */
export interface LineRange {
  line: number;
  endLine: number;
}

const locations = new WeakMap<Error, LineRange>();

/** Notes where in the Dockerfile an error comes from, unless something closer to it has done so already. */
export function locate(error: unknown, range: LineRange): void {
  if (error instanceof Error && range.line > 0 && !locations.has(error)) {
    locations.set(error, { line: range.line, endLine: range.endLine });
  }
}

/** Where an error comes from, or one that caused it. */
export function locationOf(error: unknown): LineRange | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const found = locations.get(cause);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Lines shown in front of and behind what an error is about; a longer instruction gets fewer. */
const AROUND_ONE_LINE = 2;
const AROUND_SEVERAL_LINES = 1;

/**
 * The lines of a file that an error is about, marked with `>>>`, between some of those around it.
 * @returns '' for a range that is not in the file
 */
export function sourceExcerpt(name: string, text: string, { line, endLine }: LineRange): string {
  const lines = text.split('\n');
  if (line < 1 || line > lines.length) return '';
  const last = Math.min(Math.max(line, endLine), lines.length);
  const around = last === line ? AROUND_ONE_LINE : AROUND_SEVERAL_LINES;
  const from = Math.max(1, line - around);
  const to = Math.min(lines.length, last + around);
  const shown: string[] = [];
  for (let number = from; number <= to; number += 1) {
    const mark = number >= line && number <= last ? '>>>' : '   ';
    shown.push(` ${String(number).padStart(3)} | ${mark} ${lines[number - 1]?.replace(/\r$/, '') ?? ''}`);
  }
  const rule = '-'.repeat(20);
  return `${name}:${line}\n${rule}\n${shown.join('\n')}\n${rule}\n`;
}
