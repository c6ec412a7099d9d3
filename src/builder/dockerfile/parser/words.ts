/**
 * Splits at blanks outside of quotes and escapes, which stay in the words: arguments of ENV, LABEL and ARG.
 */
export function splitWords(text: string, escape: string): string[] {
  const words: string[] = [];
  let word = '';
  let quote = '';
  let isWord = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (quote === '' && /\s/.test(character)) {
      if (isWord) words.push(word);
      word = '';
      isWord = false;
      continue;
    }
    isWord = true;
    if (character === escape && quote !== "'") {
      // At the very end it is just dropped.
      if (at + 1 >= text.length) break;
      word += character + text.charAt(at + 1);
      at += 1;
      continue;
    }
    if (quote === '' && (character === '"' || character === "'")) quote = character;
    else if (character === quote) quote = '';
    word += character;
  }
  if (isWord) words.push(word);
  return words;
}

/**
 * The JSON form of an instruction's arguments; undefined for what is no JSON array, which is the shell form then.
 * @throws {Error} for an array of other things than strings
 */
export function jsonWords(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  if (!value.every((item) => typeof item === 'string')) {
    throw new Error('when using JSON array syntax, arrays must be comprised of strings only');
  }
  return value as string[];
}
