/**
 * Lines of tab-separated cells laid out in columns, by the rules of Go's text/tabwriter: a column is a run of
 * consecutive lines that all have a tab-terminated cell there; the text behind the last tab belongs to no column.
 */
export function tabulate(text: string, minWidth = 10, padding = 3): string {
  const lines = text.split('\n').map((line) => line.split('\t'));
  const widths: number[][] = lines.map(() => []);
  const layout = (from: number, to: number, column: number): void => {
    let line = from;
    while (line < to) {
      if ((lines[line]?.length ?? 0) - 1 <= column) {
        line++;
        continue;
      }
      const start = line;
      let width = minWidth;
      while (line < to && (lines[line]?.length ?? 0) - 1 > column) {
        width = Math.max(width, displayLength(lines[line]?.[column] ?? '') + padding);
        line++;
      }
      for (let i = start; i < line; i++) (widths[i] as number[])[column] = width;
      layout(start, line, column + 1);
    }
  };
  layout(0, lines.length, 0);
  return lines
    .map((cells, row) =>
      cells
        .map((cell, column) => {
          const width = widths[row]?.[column];
          return column === cells.length - 1 || width === undefined
            ? cell
            : cell + ' '.repeat(width - displayLength(cell));
        })
        .join(''),
    )
    .join('\n');
}

export function displayLength(text: string): number {
  let length = 0;
  for (const _ of text) length++;
  return length;
}
