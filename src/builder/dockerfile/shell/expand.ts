import { EngineError, errorMessage } from '../../../errors/index.ts';
import { patternAt, removePrefix, removeSuffix, replacePattern } from './pattern.ts';

export interface ExpandOptions {
  escape: '\\' | '`';
  variables: ReadonlyMap<string, string>;
  /** Quotes stay in the result (heredocs, RUN). */
  keepQuotes?: boolean;
}

/**
 * Expands one word of a Dockerfile: quotes and escapes removed, `$name` and `${name}` with the modifiers `:-` `-` `:+` `+`
 * `:?` `?` `#` `##` `%` `%%` `/` `//` replaced. Nothing is expanded in single quotes.
 * @throws {EngineError} `invalid-parameter`
 */
export function expandWord(word: string, options: ExpandOptions): string {
  return expandWords(word, options, false).join('');
}

/** As expandWord(), but what an unquoted variable brought in is split at blanks. */
export function expandToWords(word: string, options: ExpandOptions): string[] {
  return expandWords(word, options, true);
}

function expandWords(word: string, options: ExpandOptions, splits: boolean): string[] {
  try {
    return new Expansion(word, options, splits).run();
  } catch (error) {
    throw new EngineError(
      'invalid-parameter',
      `failed to process ${JSON.stringify(word)}: ${errorMessage(error)}`,
      { cause: error },
    );
  }
}

/** Each level reads its operand again. */
const MAX_DEPTH = 50;

class Expansion {
  readonly #text: string;
  readonly #options: ExpandOptions;
  readonly #splits: boolean;
  readonly #depth: number;
  #at = 0;
  #words: string[] = [];
  #word = '';
  #isWord = false;

  constructor(text: string, options: ExpandOptions, splits: boolean, depth = 0) {
    if (depth > MAX_DEPTH) throw new Error('substitutions are nested too deeply');
    this.#depth = depth;
    this.#text = text;
    this.#options = options;
    this.#splits = splits;
  }

  run(): string[] {
    while (this.#at < this.#text.length) this.#step();
    if (this.#isWord) this.#words.push(this.#word);
    return this.#words;
  }

  #step(): void {
    const character = this.#text.charAt(this.#at);
    if (character === "'") this.#singleQuoted();
    else if (character === '"') this.#doubleQuoted();
    else if (character === '$') this.#unquotedVariable();
    else if (character === this.#options.escape) this.#escaped();
    else if (this.#splits && /\s/.test(character)) {
      this.#at += 1;
      this.#endWord();
    } else {
      this.#at += 1;
      this.#add(character);
    }
  }

  #add(text: string): void {
    this.#word += text;
    this.#isWord = true;
  }

  #endWord(): void {
    if (this.#isWord) this.#words.push(this.#word);
    this.#word = '';
    this.#isWord = false;
  }

  #escaped(): void {
    const next = this.#text.charAt(this.#at + 1);
    if (this.#options.keepQuotes === true) this.#add(this.#options.escape);
    this.#at += 2;
    // At the end of the word it stands for itself.
    this.#add(next === '' ? (this.#options.keepQuotes === true ? '' : this.#options.escape) : next);
  }

  #unquotedVariable(): void {
    const value = this.#variable();
    if (!this.#splits) {
      this.#add(value);
      return;
    }
    const [first = '', ...others] = value.split(/\s+/);
    if (first !== '') this.#add(first);
    for (const piece of others) {
      this.#endWord();
      if (piece !== '') this.#add(piece);
    }
  }

  #singleQuoted(): void {
    const end = this.#text.indexOf("'", this.#at + 1);
    if (end === -1) throw new Error('unexpected end of statement while looking for matching single-quote');
    const inside = this.#text.slice(this.#at + 1, end);
    this.#add(this.#options.keepQuotes === true ? `'${inside}'` : inside);
    this.#at = end + 1;
  }

  #doubleQuoted(): void {
    const { escape, keepQuotes } = this.#options;
    this.#add(keepQuotes === true ? '"' : '');
    this.#at += 1;
    for (;;) {
      const character = this.#text.charAt(this.#at);
      if (character === '')
        throw new Error('unexpected end of statement while looking for matching double-quote');
      if (character === '"') break;
      if (character === '$') {
        this.#add(this.#variable());
        continue;
      }
      if (character === escape) {
        const next = this.#text.charAt(this.#at + 1);
        if (next === '')
          throw new Error('unexpected end of statement while looking for matching double-quote');
        const special = next === '"' || next === '$' || next === escape;
        this.#add(special && keepQuotes !== true ? next : character + next);
        this.#at += 2;
        continue;
      }
      this.#add(character);
      this.#at += 1;
    }
    this.#add(keepQuotes === true ? '"' : '');
    this.#at += 1;
  }

  /** At a `$`: reads the reference and gives its value. */
  #variable(): string {
    this.#at += 1;
    if (this.#text.charAt(this.#at) === '{') return this.#braced();
    const [name] = /^(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]|[@*#?$!-])/.exec(
      this.#text.slice(this.#at, this.#at + 256),
    ) ?? [''];
    if (name === '') return '$';
    const whole = /^[A-Za-z_]/.test(name) ? this.#name() : name;
    if (whole === name && !/^[A-Za-z_]/.test(name)) this.#at += name.length;
    return this.#options.variables.get(whole) ?? '';
  }

  #name(): string {
    const start = this.#at;
    while (/[A-Za-z0-9_]/.test(this.#text.charAt(this.#at))) this.#at += 1;
    return this.#text.slice(start, this.#at);
  }

  #braced(): string {
    const start = this.#at - 1;
    this.#at += 1;
    const first = this.#text.charAt(this.#at);
    if (first === '}' || first === ':') {
      throw new Error('syntax error: bad substitution');
    }
    const name = /[A-Za-z_]/.test(first) ? this.#name() : first;
    if (name === first && !/[A-Za-z_]/.test(first)) this.#at += 1;
    const value = this.#options.variables.get(name);
    const operator = this.#text.charAt(this.#at);
    if (operator === '}') {
      this.#at += 1;
      return value ?? '';
    }
    if (operator === '') throw new Error("syntax error: missing '}'");
    this.#at += 1;
    switch (operator) {
      case ':': {
        const kind = this.#text.charAt(this.#at);
        this.#at += 1;
        return this.#conditional(name, value === '' ? undefined : value, value, kind, `:${kind}`, start);
      }
      case '-':
      case '+':
      case '?':
        return this.#conditional(name, value, value, operator, operator, start);
      case '#':
      case '%': {
        const greedy = this.#text.charAt(this.#at) === operator;
        if (greedy) this.#at += 1;
        const pattern = patternAt(this.#upToBrace());
        const text = value ?? '';
        return operator === '#' ? removePrefix(text, pattern, greedy) : removeSuffix(text, pattern, greedy);
      }
      case '/': {
        const all = this.#text.charAt(this.#at) === '/';
        if (all) this.#at += 1;
        const body = this.#upToBrace(true);
        const slash = separator(body);
        const pattern = this.#expandOperand(slash === -1 ? body : body.slice(0, slash), true);
        const replacement = slash === -1 ? '' : this.#expandOperand(body.slice(slash + 1), false);
        return replacePattern(value ?? '', pattern, replacement, all);
      }
      default:
        throw new Error(
          `unsupported modifier (${operator}) in substitution: ${this.#text.slice(start, start + 64)}`,
        );
    }
  }

  #conditional(
    name: string,
    meaningful: string | undefined,
    value: string | undefined,
    kind: string,
    operator: string,
    start: number,
  ): string {
    if (!['-', '+', '?'].includes(kind)) {
      throw new Error(
        `unsupported modifier (${operator}) in substitution: ${this.#text.slice(start, start + 64)}`,
      );
    }
    const operand = this.#upToBrace();
    if (kind === '-') return meaningful === undefined ? operand : (value ?? '');
    if (kind === '+') return meaningful === undefined ? '' : operand;
    if (meaningful !== undefined) return value ?? '';
    const why = operator === ':?' ? 'not allowed to be empty' : 'not allowed to be unset';
    throw new Error(`${name}: ${operand === '' ? why : operand}`);
  }

  /** The operand behind an operator, expanded; leaves the position behind the brace that closes it. */
  #upToBrace(raw = false): string {
    const start = this.#at;
    let depth = 1;
    for (; this.#at < this.#text.length; this.#at += 1) {
      const character = this.#text.charAt(this.#at);
      if (character === this.#options.escape) this.#at += 1;
      else if (character === '$' && this.#text.charAt(this.#at + 1) === '{') depth += 1;
      else if (character === '}' && --depth === 0) break;
    }
    if (this.#at >= this.#text.length) throw new Error("syntax error: missing '}'");
    const operand = this.#text.slice(start, this.#at);
    this.#at += 1;
    return raw ? operand : this.#expandOperand(operand, false);
  }

  #expandOperand(operand: string, keepEscapes: boolean): string {
    if (!/["'$\\`]/.test(operand)) return operand;
    const options = keepEscapes ? { ...this.#options, keepQuotes: true } : this.#options;
    return new Expansion(operand, options, false, this.#depth + 1).run().join('');
  }
}

/** The slash between pattern and replacement: the first that is not escaped. */
function separator(body: string): number {
  for (let at = 0; at < body.length; at += 1) {
    if (body.charAt(at) === '\\') at += 1;
    else if (body.charAt(at) === '/') return at;
  }
  return -1;
}
