import type { Flag } from './flags.ts';

/** The `Options:` block: names in one column, their meaning wrapped beside it, sorted by name. */
export function flagUsages(flags: readonly Flag[], width: number): string {
  const rows = flags
    .filter((flag) => !flag.hidden)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((flag) => {
      const name = flag.short ? `  -${flag.short}, --${flag.name}` : `      --${flag.name}`;
      const usage =
        flag.shownDefault === undefined ? flag.usage : `${flag.usage} (default ${flag.shownDefault})`;
      return { left: flag.typeName === '' ? name : `${name} ${flag.typeName}`, usage };
    });
  const column = Math.max(0, ...rows.map((row) => row.left.length)) + 3;
  return rows.map(({ left, usage }) => left.padEnd(column) + wrap(usage, column, width - 1)).join('\n');
}

/** Greedy wrapping that lets a last short word run a little over, as pflag does. */
function wrap(text: string, indent: number, width: number): string {
  const slop = 5;
  const room = width - indent - slop;
  if (room < 24 - slop) return text;
  const lines: string[] = [];
  for (const paragraph of text.split('\n')) {
    let rest = paragraph;
    while (rest.length > room + slop) {
      const space = rest.lastIndexOf(' ', room - 1);
      if (space <= 0) break;
      lines.push(rest.slice(0, space));
      rest = rest.slice(space + 1);
    }
    lines.push(rest);
  }
  return lines.join(`\n${' '.repeat(indent)}`);
}
