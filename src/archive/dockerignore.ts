import { Glob } from './glob.ts';

/**
 * The rules of a `.dockerignore` file, matched as moby's patternmatcher does: later rules win, `!` takes back, a rule for
 * a directory counts for all below it.
 */
export class IgnoreRules {
  readonly #rules: { glob: Glob; isException: boolean }[];
  /** Some rule begins with `!`: an ignored directory may have entries that are not. */
  readonly hasExceptions: boolean;

  constructor(patterns: readonly string[]) {
    this.#rules = patterns.map((pattern) => {
      const isException = pattern.startsWith('!');
      return { glob: new Glob(isException ? pattern.slice(1) : pattern), isException };
    });
    this.hasExceptions = this.#rules.some((rule) => rule.isException);
  }

  /** @param path relative to the context, with slashes and none at its ends */
  ignores(path: string): boolean {
    let ignored = false;
    for (const { glob, isException } of this.#rules) {
      if (ignored !== isException) continue;
      if (glob.matchesOrHolds(path)) ignored = !isException;
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
