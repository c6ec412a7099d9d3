/** A shell pattern (`*`, `?`, escapes) as pieces; matching is done by hand, so that no pattern can take exponential time. */
export type Pattern = readonly (string | typeof any | typeof anyOne)[];

const any = Symbol('*');
const anyOne = Symbol('?');

export function patternAt(text: string): Pattern {
  const pieces: (string | typeof any | typeof anyOne)[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === '*') {
      if (pieces.at(-1) !== any) pieces.push(any);
    } else if (character === '?') pieces.push(anyOne);
    else if (character === '\\' && at + 1 < text.length) {
      at += 1;
      pieces.push(text.charAt(at));
    } else pieces.push(character);
  }
  return pieces;
}

/**
 * Ends of all matches of the pattern that begin at `from`, ascending: a run over states, linear in text times pattern.
 */
function matchEnds(text: string, from: number, pattern: Pattern): number[] {
  const ends: number[] = [];
  let states = closure(new Set([0]), pattern);
  if (states.has(pattern.length)) ends.push(from);
  for (let at = from; at < text.length && states.size > 0; at += 1) {
    const next = new Set<number>();
    for (const state of states) {
      const piece = pattern[state];
      if (piece === any) next.add(state);
      else if (piece !== undefined && (piece === anyOne || piece === text.charAt(at))) next.add(state + 1);
    }
    states = closure(next, pattern);
    if (states.has(pattern.length)) ends.push(at + 1);
  }
  return ends;
}

/** A `*` can stand for nothing. */
function closure(states: Set<number>, pattern: Pattern): Set<number> {
  for (const state of states) if (pattern[state] === any) states.add(state + 1);
  return states;
}

/** `${name#pattern}`, and `##` when greedy. */
export function removePrefix(text: string, pattern: Pattern, greedy: boolean): string {
  const ends = matchEnds(text, 0, pattern);
  const end = greedy ? ends.at(-1) : ends[0];
  return end === undefined ? text : text.slice(end);
}

/** `${name%pattern}`, and `%%` when greedy. */
export function removeSuffix(text: string, pattern: Pattern, greedy: boolean): string {
  const kept = removePrefix(reverse(text), pattern.toReversed(), greedy);
  return reverse(kept);
}

/** `${name/pattern/replacement}`, and `//` for all; the longest match counts. */
export function replacePattern(text: string, pattern: string, replacement: string, all: boolean): string {
  const pieces = patternAt(pattern);
  if (pieces.length === 0) return text;
  let result = '';
  let at = 0;
  while (at < text.length) {
    const end = matchEnds(text, at, pieces).at(-1);
    if (end === undefined || end === at) {
      result += text.charAt(at);
      at += 1;
      continue;
    }
    result += replacement;
    at = end;
    if (!all) break;
  }
  return result + text.slice(at);
}

/** By code units: halves of a pair that are swapped here are swapped back. */
function reverse(text: string): string {
  return text.split('').toReversed().join('');
}
