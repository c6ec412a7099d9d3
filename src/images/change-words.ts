import { errorMessage } from '../errors/index.ts';

/** Splits at blanks that are neither quoted nor escaped; quotes and escapes stay in the words. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word = '';
  let quote = '';
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === '\\' && quote !== "'" && at + 1 < text.length) {
      word += character + text.charAt(at + 1);
      at += 1;
    } else if (quote === '' && /\s/.test(character)) {
      if (word !== '') words.push(word);
      word = '';
    } else {
      if (quote === '' && (character === '"' || character === "'")) quote = character;
      else if (character === quote) quote = '';
      word += character;
    }
  }
  if (word !== '') words.push(word);
  return words;
}

/**
 * Removes quotes and escapes and puts in variables, as in a Dockerfile: `$name`, `${name}`, `${name:-else}`,
 * `${name:+then}`; nothing is expanded in single quotes.
 * @throws {Error} for a quote or brace that is not closed
 */
export function expandWord(word: string, variables: ReadonlyMap<string, string>): string {
  try {
    return expand(word, variables);
  } catch (error) {
    throw new Error(`failed to process ${JSON.stringify(word)}: ${errorMessage(error)}`, { cause: error });
  }
}

function expand(word: string, variables: ReadonlyMap<string, string>): string {
  let result = '';
  let quote = '';
  for (let at = 0; at < word.length; at += 1) {
    const character = word.charAt(at);
    const next = word.charAt(at + 1);
    if (character === quote) {
      quote = '';
    } else if (quote === '' && (character === '"' || character === "'")) {
      quote = character;
    } else if (character === '\\' && quote !== "'") {
      if (quote === '' || '"$\\'.includes(next)) result += next;
      else result += character + next;
      at += 1;
    } else if (character === '$' && quote !== "'") {
      const variable = readVariable(word, at, variables);
      result += variable.text;
      at = variable.end - 1;
    } else {
      result += character;
    }
  }
  if (quote !== '')
    throw new Error('unexpected end of statement while looking for matching ' + quoteName(quote));
  return result;
}

function quoteName(quote: string): string {
  return quote === '"' ? 'double-quote' : 'single-quote';
}

function readVariable(
  word: string,
  at: number,
  variables: ReadonlyMap<string, string>,
): { text: string; end: number } {
  const plain = /^\$([A-Za-z_][A-Za-z0-9_]*|[0-9@*#])/.exec(word.slice(at));
  if (plain?.[1] !== undefined) {
    return { text: variables.get(plain[1]) ?? '', end: at + plain[0].length };
  }
  if (word.charAt(at + 1) !== '{') return { text: '$', end: at + 1 };
  const close = closingBrace(word, at + 2);
  const body = word.slice(at + 2, close);
  const match = /^([A-Za-z_][A-Za-z0-9_]*)(?::([-+?])([^]*))?$/.exec(body);
  if (match === null) throw new Error(`unsupported modifier in substitution: \${${body}}`);
  const [, name = '', operator, operand = ''] = match;
  const value = variables.get(name) ?? '';
  const text = () => expand(operand, variables);
  if (operator === '-') return { text: value === '' ? text() : value, end: close + 1 };
  if (operator === '+') return { text: value === '' ? '' : text(), end: close + 1 };
  if (operator === '?' && value === '') throw new Error(`${name}: ${text() || 'not allowed to be empty'}`);
  return { text: value, end: close + 1 };
}

function closingBrace(word: string, from: number): number {
  let depth = 1;
  for (let at = from; at < word.length; at += 1) {
    if (word.charAt(at) === '\\') at += 1;
    else if (word.startsWith('${', at)) depth += 1;
    else if (word.charAt(at) === '}' && --depth === 0) return at;
  }
  throw new Error('syntax error: missing "}"');
}
