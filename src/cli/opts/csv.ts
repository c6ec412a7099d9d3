/** One record of comma-separated values with Go's encoding/csv quoting rules. */
export function parseCsv(text: string): string[] {
  if (text === '') throw new Error('EOF');
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text[at] === '"') {
      let field = '';
      let i = at + 1;
      for (;;) {
        const quote = text.indexOf('"', i);
        if (quote < 0)
          throw new Error(
            `parse error on line 1, column ${text.length + 1}: extraneous or missing " in quoted-field`,
          );
        field += text.slice(i, quote);
        if (text[quote + 1] === '"') {
          field += '"';
          i = quote + 2;
          continue;
        }
        if (quote + 1 < text.length && text[quote + 1] !== ',') {
          throw new Error(
            `parse error on line 1, column ${quote + 2}: extraneous or missing " in quoted-field`,
          );
        }
        fields.push(field);
        if (quote + 1 >= text.length) return fields;
        at = quote + 2;
        break;
      }
      continue;
    }
    const comma = text.indexOf(',', at);
    const field = comma < 0 ? text.slice(at) : text.slice(at, comma);
    const stray = field.indexOf('"');
    if (stray >= 0)
      throw new Error(`parse error on line 1, column ${at + stray + 1}: bare " in non-quoted-field`);
    fields.push(field);
    if (comma < 0) return fields;
    at = comma + 1;
  }
}

/** Splits at the first separator; without one the second part is undefined. */
export function cut(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** `a=b` strings as a record; without `=` the value is ''. */
export function keyValues(values: readonly string[]): Record<string, string> {
  const record: Record<string, string> = {};
  for (const value of values) {
    const [key, rest] = cut(value, '=');
    record[key] = rest ?? '';
  }
  return record;
}
