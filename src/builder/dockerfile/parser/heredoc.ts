/** `<<EOF`, `<<-EOF`, `<<"EOF"`. */
export interface HeredocStart {
  name: string;
  /** File descriptor in front of it, '' for none. */
  descriptor: string;
  /** `<<-`: leading tabs go. */
  chomp: boolean;
  /** False when the name is quoted: nothing in the content is expanded. */
  expand: boolean;
}

export interface Heredoc extends HeredocStart {
  content: string;
}

/** The heredocs that an instruction begins, in order. They are words of their own: `<<EOF` in quotes is none. */
export function heredocsOf(line: string): HeredocStart[] {
  const found: HeredocStart[] = [];
  for (const word of shellWords(line)) {
    const start = heredocOf(word);
    if (start !== undefined) found.push(start);
  }
  return found;
}

/** Undefined for a word that is no heredoc. */
export function heredocOf(word: string): HeredocStart | undefined {
  const [, descriptor = '', dash = '', quoted = ''] = /^(\d*)<<(-?)([^<]+)$/.exec(word) ?? [];
  if (quoted === '') return undefined;
  const name = quoted.replace(/["'\\]/g, '');
  if (name === '' || /\s/.test(name)) return undefined;
  return { name, descriptor, chomp: dash !== '', expand: name === quoted };
}

/** Words as a shell splits them, quotes kept. `;`, `|`, `&`, `(` and `)` end a word that began a heredoc. */
function shellWords(line: string): string[] {
  const words: string[] = [];
  let word = '';
  let quote = '';
  for (let at = 0; at < line.length; at += 1) {
    const character = line.charAt(at);
    if (character === '\\' && quote !== "'") {
      word += character + line.charAt(at + 1);
      at += 1;
    } else if (quote === '' && (/\s/.test(character) || ';|&()'.includes(character))) {
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
