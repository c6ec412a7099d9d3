import { dockerfileError } from '../errors.ts';

export interface Directives {
  escape: '\\' | '`';
  syntax: string | undefined;
}

/**
 * Reads a parser directive (`# escape=`) if this line is one. They stand at the top of the file, before anything else.
 * @returns whether the next line can be one, too
 */
export function readDirective(line: string, into: Directives, seen: Set<string>): boolean {
  const [, key = '', value = ''] = /^\s*#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/.exec(line) ?? [];
  if (key === '') return false;
  const name = key.toLowerCase();
  // An unknown one is a comment like others, and ends the directives as a comment does.
  if (!['escape', 'syntax', 'check'].includes(name)) return false;
  if (seen.has(name)) {
    throw dockerfileError(`only one ${name} parser directive can be used`);
  }
  seen.add(name);
  if (name === 'syntax') into.syntax = value;
  if (name !== 'escape') return true;
  if (value !== '\\' && value !== '`') {
    throw dockerfileError(`invalid escape token '${value}' does not match \` or \\`);
  }
  into.escape = value;
  return true;
}
