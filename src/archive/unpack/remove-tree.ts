import { closeSync, constants, openSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import type { HostPath } from './names.ts';

const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Removes a file or a directory with all that is in it. Directories are entered by descriptor and never through a
 * symlink, so that another process swapping names meanwhile cannot lead it elsewhere.
 */
export function removeTree(path: HostPath, keep?: (relative: string) => boolean, relative = ''): void {
  let fd: number;
  try {
    fd = openSync(path, OPEN_DIRECTORY);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    if (code !== 'ENOTDIR' && code !== 'ELOOP' && code !== 'ENXIO') throw error;
    unlinkSync(path);
    return;
  }
  try {
    emptyDirectory(fd, keep, relative);
  } finally {
    closeSync(fd);
  }
  if (keep?.(relative) !== true) rmdirSync(path);
}

/** Removes what is in an open directory, but for what `keep` says to leave (whose own content is still looked at). */
export function emptyDirectory(fd: number, keep?: (relative: string) => boolean, relative = ''): void {
  const directory = `/proc/self/fd/${fd}`;
  for (const entry of readdirSync(directory, { withFileTypes: true, encoding: 'buffer' })) {
    const name = entry.name;
    const child = Buffer.concat([Buffer.from(`${directory}/`), name]);
    const childRelative = relative === '' ? name.toString() : `${relative}/${name.toString()}`;
    if (entry.isDirectory()) removeTree(child, keep, childRelative);
    else if (keep?.(childRelative) !== true) unlinkSync(child);
  }
}
