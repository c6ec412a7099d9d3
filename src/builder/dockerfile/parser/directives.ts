import { dockerfileError } from '../errors.ts';

export interface Directives {
  escape: '\\' | '`';
  syntax: string | undefined;
  check: string;
}

/**
 * Reads a parser directive (`# escape=`) if this line is one. They stand at the top of the file, before anything else.
 * @returns whether the next line can be one, too
 */
export function readDirective(line: string, into: Directives, seen: Set<string>): boolean {
  const comment = line.trim();
  const equals = comment.indexOf('=');
  if (!comment.startsWith('#') || equals === -1) return false;
  const key = comment.slice(1, equals).trim();
  const value = comment.slice(equals + 1).trim();
  if (!/^[a-zA-Z][a-zA-Z0-9]*$/.test(key) || value === '') return false;
  const name = key.toLowerCase();
  // An unknown one is a comment like others, and ends the directives as a comment does.
  if (!['escape', 'syntax', 'check'].includes(name)) return false;
  if (seen.has(name)) {
    throw dockerfileError(`only one ${name} parser directive can be used`);
  }
  seen.add(name);
  if (name === 'syntax') into.syntax = value;
  if (name === 'check') into.check = value;
  if (name !== 'escape') return true;
  if (value !== '\\' && value !== '`') {
    throw dockerfileError(`invalid escape token '${value}' does not match \` or \\`);
  }
  into.escape = value;
  return true;
}
