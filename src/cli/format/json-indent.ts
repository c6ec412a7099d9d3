/** Indents JSON text without parsing it, so that every number and escape stays as it was written. */
export function indentJson(text: string, unit = '    '): string {
  let result = '';
  let depth = 0;
  let at = 0;
  const newline = (): string => `\n${unit.repeat(depth)}`;
  while (at < text.length) {
    const c = text[at] as string;
    switch (c) {
      case '"': {
        let end = at + 1;
        while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
        result += text.slice(at, end + 1);
        at = end;
        break;
      }
      case '{':
      case '[': {
        const next = /\S/.exec(text.slice(at + 1, at + 64))?.[0];
        if (next === '}' || next === ']') {
          result += c + next;
          at = text.indexOf(next, at + 1);
          break;
        }
        depth++;
        result += c + newline();
        break;
      }
      case '}':
      case ']':
        depth--;
        result += newline() + c;
        break;
      case ',':
        result += c + newline();
        break;
      case ':':
        result += ': ';
        break;
      case ' ':
      case '\n':
      case '\t':
      case '\r':
        break;
      default:
        result += c;
    }
    at++;
  }
  return result;
}
