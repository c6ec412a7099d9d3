type Token =
  | { kind: 'char'; char: string }
  /** `?` */
  | { kind: 'one' }
  /** `*`: within a name. */
  | { kind: 'name' }
  /** `**`: anything. */
  | { kind: 'any' }
  /** `[…]` */
  | { kind: 'class'; negated: boolean; ranges: [from: string, to: string][] }
  /** `**` with a slash: this and the next token may be left out together. */
  | { kind: 'maybe' }
  /** Anything up to and with a slash. */
  | { kind: 'directories' };

/**
 * A pattern of `.dockerignore`, `COPY` and `--exclude`: `*` and `?` stay within a name, `**` crosses directories, `[…]` is
 * a class, a backslash escapes. Matching takes time in the length of pattern times text, whatever the pattern is: they
 * come from contexts that nobody vouches for.
 */
export class Glob {
  readonly #tokens: readonly Token[];

  constructor(pattern: string) {
    this.#tokens = tokensOf(pattern);
  }

  matches(text: string): boolean {
    return this.#run(text, false);
  }

  /** True also for what lies below a directory that matches. */
  matchesOrHolds(path: string): boolean {
    return this.#run(path, true);
  }

  #run(text: string, below: boolean): boolean {
    const end = this.#tokens.length;
    let states = this.#settle(new Set([0]));
    for (let at = 0; at < text.length; at += 1) {
      const char = text.charAt(at);
      if (below && char === '/' && at > 0 && states.has(end)) return true;
      const next = new Set<number>();
      for (const state of states) this.#step(state, char, next);
      if (next.size === 0) return false;
      states = this.#settle(next);
    }
    return states.has(end);
  }

  #step(state: number, char: string, next: Set<number>): void {
    const token = this.#tokens[state];
    switch (token?.kind) {
      case 'char':
        if (token.char === char) next.add(state + 1);
        break;
      case 'one':
        if (char !== '/') next.add(state + 1);
        break;
      case 'name':
        if (char !== '/') next.add(state);
        break;
      case 'any':
        next.add(state);
        break;
      case 'class':
        if (char !== '/' && token.ranges.some(([from, to]) => from <= char && char <= to) !== token.negated) {
          next.add(state + 1);
        }
        break;
      case 'directories':
        next.add(state);
        if (char === '/') next.add(state + 1);
        break;
      case 'maybe':
      case undefined:
        break;
    }
  }

  /** Adds the states that are reached without a character. Sets are walked while they grow. */
  #settle(states: Set<number>): Set<number> {
    for (const state of states) {
      const kind = this.#tokens[state]?.kind;
      if (kind === 'name' || kind === 'any' || kind === 'maybe') states.add(state + 1);
      if (kind === 'maybe') states.add(state + 2);
    }
    return states;
  }
}

function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < pattern.length; at += 1) {
    const char = pattern.charAt(at);
    if (char === '*') {
      let stars = 1;
      for (; pattern.charAt(at + 1) === '*'; at += 1) stars += 1;
      if (stars === 1) tokens.push({ kind: 'name' });
      else if (pattern.charAt(at + 1) === '/') {
        at += 1;
        tokens.push({ kind: 'maybe' }, { kind: 'directories' });
      } else tokens.push({ kind: 'any' });
    } else if (char === '?') tokens.push({ kind: 'one' });
    else if (char === '[') {
      const close = pattern.indexOf(']', at + 2);
      if (close === -1) {
        tokens.push({ kind: 'char', char });
        continue;
      }
      tokens.push(classOf(pattern.slice(at + 1, close)));
      at = close;
    } else if (char === '\\' && at + 1 < pattern.length) {
      at += 1;
      tokens.push({ kind: 'char', char: pattern.charAt(at) });
    } else tokens.push({ kind: 'char', char });
  }
  return tokens;
}

function classOf(body: string): Token {
  const negated = body.startsWith('^') || body.startsWith('!');
  const chars = negated ? body.slice(1) : body;
  const ranges: [string, string][] = [];
  for (let at = 0; at < chars.length; at += 1) {
    if (chars.charAt(at) === '\\' && at + 1 < chars.length) at += 1;
    const from = chars.charAt(at);
    if (chars.charAt(at + 1) === '-' && at + 2 < chars.length) {
      at += 2;
      ranges.push([from, chars.charAt(at)]);
    } else ranges.push([from, from]);
  }
  return { kind: 'class', negated, ranges };
}
