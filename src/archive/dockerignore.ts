/**
 * The rules of a `.dockerignore` file, matched as moby's patternmatcher does: later rules win, `!` takes back, a rule for
 * a directory counts for all below it.
 */
export class IgnoreRules {
  readonly #rules: { matches: RegExp; isException: boolean }[];
  /** Some rule begins with `!`: an ignored directory may have entries that are not. */
  readonly hasExceptions: boolean;

  constructor(patterns: readonly string[]) {
    this.#rules = patterns.map((pattern) => {
      const isException = pattern.startsWith('!');
      return { matches: ignorePattern(isException ? pattern.slice(1) : pattern), isException };
    });
    this.hasExceptions = this.#rules.some((rule) => rule.isException);
  }

  /** @param path relative to the context, with slashes and none at its ends */
  ignores(path: string): boolean {
    let ignored = false;
    for (const { matches, isException } of this.#rules) {
      if (ignored !== isException) continue;
      if (matches.test(path)) ignored = !isException;
    }
    return ignored;
  }

  get isEmpty(): boolean {
    return this.#rules.length === 0;
  }
}

/** Reads a `.dockerignore` file: one pattern a line, `#` comments, cleaned of `./`, `..` and slashes at the ends. */
export function parseIgnoreFile(text: string): string[] {
  const patterns: string[] = [];
  for (const line of text.replace(/^\ufeff/, '').split('\n')) {
    if (line.startsWith('#')) continue;
    let pattern = line.trim();
    if (pattern === '') continue;
    const isException = pattern.startsWith('!');
    if (isException) pattern = pattern.slice(1).trim();
    if (pattern !== '') {
      const cleaned = cleanPattern(pattern);
      if (cleaned === '') continue;
      pattern = cleaned;
    }
    patterns.push(isException ? `!${pattern}` : pattern);
  }
  return patterns;
}

/** As Go's filepath.Clean of an absolute path, without its first slash. */
function cleanPattern(pattern: string): string {
  const parts: string[] = [];
  for (const part of pattern.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') parts.pop();
    else parts.push(part);
  }
  return parts.join('/');
}

/** True for a path that the pattern names, and for all below it. */
function ignorePattern(pattern: string): RegExp {
  return new RegExp(`^${globSource(pattern)}(?:/|$)`, 's');
}

/**
 * A pattern of `.dockerignore`, `COPY` and `--exclude` as the source of a regular expression: `*` and `?` stay within a
 * name, `**` crosses directories, `[…]` is a class, a backslash escapes. Runs of `*` become one, so that matching stays
 * polynomial.
 */
export function globSource(pattern: string): string {
  let source = '';
  for (let at = 0; at < pattern.length; at += 1) {
    const character = pattern.charAt(at);
    if (character === '*') {
      let stars = 1;
      while (pattern.charAt(at + 1) === '*') {
        stars += 1;
        at += 1;
      }
      if (stars === 1) source += '[^/]*';
      else if (pattern.charAt(at + 1) === '/') {
        at += 1;
        source += '(?:.*/)?';
      } else source += '.*';
    } else if (character === '?') source += '[^/]';
    else if (character === '[') {
      const close = pattern.indexOf(']', at + 2);
      if (close === -1) {
        source += '\\[';
        continue;
      }
      const body = pattern.slice(at + 1, close).replace(/[\\[\]]/g, '\\$&');
      source += body.startsWith('^') || body.startsWith('!') ? `[^${body.slice(1)}]` : `[${body}]`;
      at = close;
    } else if (character === '\\' && at + 1 < pattern.length) {
      at += 1;
      source += escapeText(pattern.charAt(at));
    } else source += escapeText(character);
  }
  return source;
}

function escapeText(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
