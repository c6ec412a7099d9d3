import { readdirSync } from 'node:fs';
import { badArchive, decodeName, pathBytes } from '../tar/header.ts';

/** Any component that is empty, `.` or `..`. */
const unclean = /(?:^|\/)\.{0,2}(?:\/|$)/;

/** The kernel's limit, in bytes. */
const PATH_MAX = 4096;

/** A path for node:fs: bytes when a name in it is not UTF-8. */
export type HostPath = string | Buffer;

/**
 * The path of a member relative to the directory, cleaned lexically: '' for the directory itself. Leading slashes are
 * dropped, as tar does.
 * @throws {EngineError} `invalid-parameter` for a name that leads outside, or that no system call takes.
 */
export function cleanMemberPath(path: string): string {
  // Before any of its parents is made.
  if (path.length > PATH_MAX) throw badArchive(`the name ${path.slice(0, 200)}… is too long`);
  let start = path.startsWith('./') ? 2 : 0;
  let end = path.length;
  while (start < end && path.charCodeAt(start) === 0x2f) start += 1;
  while (end > start && path.charCodeAt(end - 1) === 0x2f) end -= 1;
  const trimmed = start === 0 && end === path.length ? path : path.slice(start, end);
  if (trimmed === '' || !unclean.test(trimmed)) return trimmed;
  const parts: string[] = [];
  for (const part of trimmed.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) throw badArchive(`the name ${path} leads outside the directory`);
  }
  return parts.join('/');
}

/** A path for node:fs: names that `decodeName` made of bytes that are not UTF-8 become those bytes again. */
export function toHostPath(path: string): HostPath {
  return path.isWellFormed() ? path : pathBytes(path);
}

/** Joins a directory's path and a name for node:fs. */
export function hostPath(directory: string, name: string): HostPath {
  return toHostPath(name === '' ? directory : `${directory}/${name}`);
}

/**
 * The names in a directory, unsorted; those that are not UTF-8 as `decodeName` has them.
 * @param onFile told of those with a UTF-8 name that the directory says to be regular files; others may be such too.
 */
export function readNames(directory: string, onFile?: (name: string) => void): string[] {
  const path = toHostPath(directory);
  const entries = onFile === undefined ? [] : readdirSync(path, { withFileTypes: true });
  const names = onFile === undefined ? readdirSync(path) : entries.map(({ name }) => name);
  if (names.some((name) => name.includes('\ufffd')))
    return readdirSync(path, 'buffer').map((name) => decodeName(name, 0, name.length));
  for (const entry of entries) if (entry.isFile()) onFile?.(entry.name);
  return names;
}

export function joinRelative(parent: string, name: string): string {
  return parent === '' ? name : name === '' ? parent : `${parent}/${name}`;
}

/** The part before the last slash, '' when there is none. */
export function parentOf(relative: string): string {
  const slash = relative.lastIndexOf('/');
  return slash === -1 ? '' : relative.slice(0, slash);
}

/** The part after the last slash. */
export function baseOf(relative: string): string {
  return relative.slice(relative.lastIndexOf('/') + 1);
}
