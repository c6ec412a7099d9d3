/** A token of a Go template, with the offset of its first character. */
export interface Token {
  kind:
    | 'text'
    | 'open'
    | 'close'
    | 'field'
    | 'variable'
    | 'identifier'
    | 'string'
    | 'number'
    | 'char'
    | 'dot'
    | 'pipe'
    | 'lparen'
    | 'rparen'
    | 'comma'
    | 'declare'
    | 'assign'
    | 'space'
    | 'eof';
  text: string;
  at: number;
}

/** The template cannot be parsed; the message carries the line as Go's parser does. */
export class TemplateSyntaxError extends Error {}

/** Says where: `template: NAME:LINE: message`. */
export function syntaxError(source: string, at: number, message: string): TemplateSyntaxError {
  const line = source.slice(0, at).split('\n').length;
  return new TemplateSyntaxError(`template: :${line}: ${message}`);
}

const word = /[A-Za-z_0-9\u0080-\uffff]+/y;

function match(pattern: RegExp, source: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(source)?.[0] ?? '';
}

/** Splits a template into text and the tokens of its actions; applies the trim markers `{{-` and `-}}`. */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let trimNext = false;
  while (at < source.length) {
    let open = source.indexOf('{{', at);
    if (open < 0) open = source.length;
    let text = source.slice(at, open);
    if (trimNext) text = text.trimStart();
    const trimBefore = /^\{\{-[ \t\r\n]/.test(source.slice(open, open + 4));
    if (trimBefore) text = text.trimEnd();
    if (text !== '') tokens.push({ kind: 'text', text, at });
    trimNext = false;
    if (open >= source.length) break;
    at = open + (trimBefore ? 3 : 2);
    const comment = /^[ \t\r\n]*\/\*/.exec(source.slice(at));
    if (comment !== null && (trimBefore || comment[0] === '/*')) {
      const end = source.indexOf('*/', at);
      if (end < 0) throw syntaxError(source, at, 'unclosed comment');
      const close = /^(?:[ \t\r\n]+-)?\}\}/.exec(source.slice(end + 2));
      if (close === null) throw syntaxError(source, end, 'comment ends before closing delimiter');
      trimNext = close[0].length > 2;
      at = end + 2 + close[0].length;
      continue;
    }
    tokens.push({ kind: 'open', text: '{{', at: open });
    [at, trimNext] = tokenizeAction(source, at, tokens);
  }
  tokens.push({ kind: 'eof', text: '', at: source.length });
  return tokens;
}

function tokenizeAction(source: string, from: number, tokens: Token[]): [number, boolean] {
  let at = from;
  let depth = 0;
  const push = (kind: Token['kind'], length: number): void => {
    tokens.push({ kind, text: source.slice(at, at + length), at });
    at += length;
  };
  for (;;) {
    const c = source[at];
    if (c === undefined) throw syntaxError(source, at, 'unclosed action');
    const trim = /^[ \t\r\n]+-\}\}/.exec(source.slice(at, at + 64));
    if (trim !== null || source.startsWith('}}', at)) {
      if (depth > 0) throw syntaxError(source, at, 'unclosed left paren');
      const length = trim?.[0].length ?? 2;
      push('close', length);
      return [at, trim !== null];
    }
    if (/\s/.test(c)) push('space', match(/\s+?(?=\s-\}\}|\S|$)/y, source, at).length || 1);
    else if (c === '"') {
      const text = match(/"(?:[^"\\\n]|\\.)*"/y, source, at);
      if (text === '') throw syntaxError(source, at, 'unterminated quoted string');
      push('string', text.length);
    } else if (c === '`') {
      const end = source.indexOf('`', at + 1);
      if (end < 0) throw syntaxError(source, at, 'unterminated raw quoted string');
      push('string', end + 1 - at);
    } else if (c === "'") {
      const text = match(/'(?:[^'\\\n]|\\.)+'/y, source, at);
      if (text === '') throw syntaxError(source, at, 'unterminated character constant');
      push('char', text.length);
    } else if (c === '|') push('pipe', 1);
    else if (c === ',') push('comma', 1);
    else if (c === '=') push('assign', 1);
    else if (source.startsWith(':=', at)) push('declare', 2);
    else if (c === '(') {
      depth++;
      push('lparen', 1);
    } else if (c === ')') {
      if (depth-- === 0) throw syntaxError(source, at, 'unexpected right paren');
      push('rparen', 1);
    } else if (c === '$') push('variable', 1 + match(word, source, at + 1).length);
    else if (/[0-9+-]/.test(c) || (c === '.' && /[0-9]/.test(source[at + 1] ?? ''))) {
      const text = match(
        /[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|[0-9_]*\.?[0-9_]*(?:[eE][+-]?[0-9]+)?)/y,
        source,
        at,
      );
      if (!/[0-9]/.test(text))
        throw syntaxError(
          source,
          at,
          `bad number syntax: ${JSON.stringify(text + (source[at + text.length] ?? ''))}`,
        );
      push('number', text.length);
    } else if (c === '.') {
      const length = match(word, source, at + 1).length;
      push(length === 0 ? 'dot' : 'field', 1 + length);
    } else {
      const text = match(word, source, at);
      if (text === '')
        throw syntaxError(
          source,
          at,
          `unexpected bad character U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')} '${c}' in command`,
        );
      push('identifier', text.length);
    }
  }
}
