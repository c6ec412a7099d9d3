import { closeSync, constants, openSync, rmdirSync, unlinkSync } from 'node:fs';
import { hostPath, joinRelative, readNames, type HostPath } from './names.ts';

const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Says by its path below the tree's root whether an entry must stay. */
type Keep = (relative: string) => boolean;

/**
 * Removes a file or a directory with all that is in it, but for what `keep` says to leave, and the directories that hold
 * such. Directories are entered by descriptor and never through a symlink, so that another process swapping names
 * meanwhile cannot lead it elsewhere.
 * @returns whether nothing is left.
 */
export function removeTree(path: HostPath, keep?: Keep, relative = ''): boolean {
  let fd: number;
  try {
    fd = openSync(path, OPEN_DIRECTORY);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return true;
    if (code !== 'ENOTDIR' && code !== 'ELOOP' && code !== 'ENXIO') throw error;
    if (keep?.(relative) === true) return false;
    unlinkSync(path);
    return true;
  }
  let empty: boolean;
  try {
    empty = emptyDirectory(fd, keep, relative);
  } finally {
    closeSync(fd);
  }
  if (!empty || keep?.(relative) === true) return false;
  rmdirSync(path);
  return true;
}

/** Removes what is in an open directory, as removeTree(). */
export function emptyDirectory(fd: number, keep?: Keep, relative = ''): boolean {
  const directory = `/proc/self/fd/${fd}`;
  let empty = true;
  for (const name of readNames(directory)) {
    const child = joinRelative(relative, name);
    if (!removeTree(hostPath(directory, name), keep, child)) empty = false;
  }
  return empty;
}
