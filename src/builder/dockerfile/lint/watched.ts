import { expandWord } from '../shell/expand.ts';

/** A word after expansion, and the variables that it asked for. */
export interface WatchedExpansion {
  /** Undefined when it cannot be expanded. */
  text: string | undefined;
  used: Set<string>;
  missing: Set<string>;
}

/** Expands a word and notes what it asked for. */
export function expandWatched(
  word: string,
  escape: '\\' | '`',
  variables: ReadonlyMap<string, string>,
): WatchedExpansion {
  const used = new Set<string>();
  const missing = new Set<string>();
  class Watched extends Map<string, string> {
    override get(name: string): string | undefined {
      const value = variables.get(name);
      (value === undefined ? missing : used).add(name);
      return value;
    }
  }
  try {
    return { text: expandWord(word, { escape, variables: new Watched() }), used, missing };
  } catch {
    // The build says what is wrong with it.
    return { text: undefined, used, missing };
  }
}
