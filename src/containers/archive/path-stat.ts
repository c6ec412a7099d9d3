import type { BigIntStats } from 'node:fs';
import { EngineError } from '../../errors/index.ts';
import type { PathStat } from '../containers.ts';
import type { ContainerTree, ContainerView } from './container-tree.ts';

/** A path as a request names it, resolved in a container. */
export interface ResolvedPath {
  /** Real path in the container, relative; the last component is not followed. */
  relative: string;
  /** What the entries of an archive of it are called: the last component as named, `.` or `/`. */
  name: string;
  stat: BigIntStats;
}

/**
 * Resolves a path as docker cp does: symlinks in the parents are followed inside the container, one at the end only when
 * a slash or `/.` follows it.
 * @throws {EngineError} `not-found` "Could not find the file x in container y"; `internal` "lstat x: not a directory".
 */
export function resolvePath(tree: ContainerTree, view: ContainerView, path: string): ResolvedPath {
  const cleaned = cleanPath(path);
  const asDirectory = /(?:^|\/)\.?$/.test(path);
  const relative = tree.follow(cleaned, asDirectory);
  const stat = tree.stat(relative);
  if (stat === undefined) {
    throw tree.isBelowFile(relative) ? notDirectory(cleaned) : fileNotFound(path, view);
  }
  if (asDirectory && !stat.isDirectory()) throw notDirectory(`${cleaned}/`);
  const endsInDot = path === '.' || path.endsWith('/.');
  const name = endsInDot ? '.' : cleaned === '/' ? '/' : cleaned.slice(cleaned.lastIndexOf('/') + 1);
  return { relative, name, stat };
}

/** Docker's PathStat, with the target of a symlink as an absolute path in the container. */
export function pathStat(tree: ContainerTree, path: string, resolved: ResolvedPath): PathStat {
  const { name, stat } = resolved;
  const isLink = stat.isSymbolicLink();
  return {
    name,
    sizeBytes: Number(stat.size),
    mode: goFileMode(stat),
    mtime: timeText(stat.mtimeNs),
    linkTarget: isLink ? `/${tree.follow(cleanPath(path), true)}` : '',
  };
}

/** Absolute, cleaned lexically: `..` above the root stays there. */
export function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

function notDirectory(path: string): EngineError {
  return new EngineError('internal', `lstat ${path}: not a directory`, { code: 'ENOTDIR' });
}

export function fileNotFound(path: string, view: ContainerView): EngineError {
  return new EngineError('not-found', `Could not find the file ${path} in container ${view.nameOrId}`);
}

/** The bits of Go's os.FileMode, which Docker's clients decode. */
export function goFileMode(stat: BigIntStats): number {
  const mode = Number(stat.mode);
  let bits = mode & 0o777;
  if (stat.isDirectory()) bits += 2 ** 31;
  if (stat.isSymbolicLink()) bits += 2 ** 27;
  if (stat.isBlockDevice() || stat.isCharacterDevice()) bits += 2 ** 26;
  if (stat.isFIFO()) bits += 2 ** 25;
  if (stat.isSocket()) bits += 2 ** 24;
  if (mode & 0o4000) bits += 2 ** 23;
  if (mode & 0o2000) bits += 2 ** 22;
  if (stat.isCharacterDevice()) bits += 2 ** 21;
  if (mode & 0o1000) bits += 2 ** 20;
  return bits;
}

/** RFC 3339 with as many digits of the fraction as there are. */
function timeText(nanoseconds: bigint): string {
  const nanos = ((nanoseconds % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  const seconds = (nanoseconds - nanos) / 1_000_000_000n;
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  const fraction = nanos === 0n ? '' : `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}`;
  return `${whole}${fraction}Z`;
}
