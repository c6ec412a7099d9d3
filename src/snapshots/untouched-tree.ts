import { rmdirSync, unlinkSync } from 'node:fs';

/** overlayfs's own directory in the one that it is given. */
const inner = ['work', 'work'].join('/');

/** What a snapshot consists of, and the kernel's own below `work`, children first; `upper` is first of all. */
const parts: readonly [name: string, remove: (path: string) => void][] = [
  ['upper', rmdirSync],
  ['merged', rmdirSync],
  [`${inner}/incompat/volatile/dirty`, unlinkSync],
  [`${inner}/incompat/volatile`, rmdirSync],
  [`${inner}/incompat`, rmdirSync],
  [inner, rmdirSync],
  ['work', rmdirSync],
  ['parent', unlinkSync],
];

/**
 * Deletes the tree of a snapshot that nobody wrote to, which most are: without looking what is there.
 * @returns false when there is more, some of which may be gone
 */
export function removeUntouched(directory: string): boolean {
  try {
    for (let at = 0; at < parts.length; at++) {
      const [name, remove] = parts[at] as (typeof parts)[number];
      if (!tryRemove(`${directory}/${name}`, remove) && name.endsWith('dirty')) at += 2;
    }
    return tryRemove(directory, rmdirSync);
  } catch {
    return false;
  }
}

/** @returns false when it was not there @throws when it cannot be removed */
function tryRemove(path: string, remove: (path: string) => void): boolean {
  try {
    remove(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
