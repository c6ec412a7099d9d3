import { closeSync, constants, fstatSync, mkdirSync, openSync, readlinkSync } from 'node:fs';
import { readRegularText } from '../../sys/index.ts';

/** O_PATH of open(2), which node:fs does not name. */
const openPath = 0o10000000;
const maxLinks = 40;

/**
 * Walks `path` with `root` as the root directory, the way chroot(2) would, but without trusting it: each component is
 * opened relative to the descriptor of the one before and never followed, links are read and walked by us, `..` ends
 * at the root. So a container that swaps directories for links while we look cannot lead us out.
 * The caller closes the descriptor it gets (O_PATH: reopen it through /proc/self/fd to read).
 * @throws Node's ENOENT, ENOTDIR, ELOOP.
 */
export function openPathInRoot(
  root: string,
  path: string,
  options: { makeDirectories?: boolean } = {},
): number {
  const walked = [openSync(root, openPath | constants.O_DIRECTORY)];
  try {
    const ahead = components(path).reverse();
    for (let links = 0; ;) {
      const name = ahead.pop();
      if (name === undefined) return walked.pop() as number;
      if (name === '..') {
        if (walked.length > 1) closeSync(walked.pop() as number);
        continue;
      }
      const child = openChild(walked.at(-1) as number, name, options.makeDirectories === true);
      const stat = fstatSync(child);
      if (!stat.isSymbolicLink()) {
        walked.push(child);
        if (ahead.length > 0 && !stat.isDirectory()) throw failure('ENOTDIR', path);
        continue;
      }
      // readlinkat(fd, "") of an O_PATH descriptor is out of Node's reach, the name beside its parent is not.
      closeSync(child);
      if (++links > maxLinks) throw failure('ELOOP', path);
      const target = readlinkSync(`/proc/self/fd/${walked.at(-1)}/${name}`);
      if (target.startsWith('/')) for (const fd of walked.splice(1)) closeSync(fd);
      ahead.push(...components(target).reverse());
    }
  } finally {
    for (const fd of walked) closeSync(fd);
  }
}

function components(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

function openChild(directory: number, name: string, make: boolean): number {
  const path = `/proc/self/fd/${directory}/${name}`;
  try {
    return openSync(path, openPath | constants.O_NOFOLLOW);
  } catch (error) {
    if (!make || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  mkdirSync(path, 0o755);
  return openSync(path, openPath | constants.O_NOFOLLOW);
}

function failure(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

/** The text of a regular file in `root`, or undefined when there is none. @throws {EngineError} as readRegularText() */
export function readTextInRoot(root: string, path: string): string | undefined {
  let fd: number;
  try {
    fd = openPathInRoot(root, path);
  } catch {
    return undefined;
  }
  try {
    return readRegularText(fd);
  } finally {
    closeSync(fd);
  }
}

/** mkdir -p in `root`, owner root, mode 0755. @throws Node's ENOTDIR when something else is there. */
export function makeDirectoriesInRoot(root: string, path: string): void {
  const fd = openPathInRoot(root, path, { makeDirectories: true });
  try {
    if (!fstatSync(fd).isDirectory()) throw failure('ENOTDIR', path);
  } finally {
    closeSync(fd);
  }
}
