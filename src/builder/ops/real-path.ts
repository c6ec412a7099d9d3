import { lstatSync, readlinkSync } from 'node:fs';
import { EngineError } from '../../errors/index.ts';

/** As the kernel's limit. */
const MAX_LINKS = 40;

/**
 * The real path of a path in a tree, symlinks followed as if the tree were the root; parts that do not exist are kept as
 * they are. For trees that nobody else changes meanwhile. Relative, without slashes at its ends; '' for the root.
 * @param last false: a symlink in the last place is left alone
 * @throws {EngineError} `invalid-parameter` for a loop of symlinks
 */
export function realPathIn(root: string, path: string, last = true): string {
  const parts = splitPath(path);
  const real: string[] = [];
  let links = 0;
  while (parts.length > 0) {
    const part = parts.shift() ?? '';
    if (part === '..') {
      real.pop();
      continue;
    }
    const next = [...real, part].join('/');
    const target = parts.length === 0 && !last ? undefined : linkTarget(`${root}/${next}`);
    if (target === undefined) {
      real.push(part);
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) {
      throw new EngineError('invalid-parameter', `too many levels of symbolic links: ${path}`);
    }
    parts.unshift(...splitPath(target));
    if (target.startsWith('/')) real.length = 0;
  }
  return real.join('/');
}

function splitPath(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function linkTarget(path: string): string | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
      ? readlinkSync(path)
      : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
    throw error;
  }
}
