import { existsSync, lstatSync, rmdirSync, unlinkSync } from 'node:fs';
import { parentOf } from '../../archive/index.ts';
import { realPathIn } from './real-path.ts';

/**
 * Names that the runtime will make in the root file system to mount on: real paths, deepest first. They are no part of
 * what a step made.
 */
export function stubsFor(root: string, destinations: readonly string[]): string[] {
  const stubs = new Set<string>();
  for (const destination of destinations) {
    for (let path = realPathIn(root, destination); path !== ''; path = parentOf(path)) {
      if (existsSync(`${root}/${path}`)) break;
      stubs.add(path);
    }
  }
  return [...stubs].sort((a, b) => b.length - a.length);
}

/** Removes those that are still as empty as they were made. */
export function removeStubs(root: string, stubs: readonly string[]): void {
  for (const path of stubs) {
    // The step may have put a link in the place of a parent.
    if (realPathIn(root, path, false) !== path) continue;
    const stat = lstatSync(`${root}/${path}`, { throwIfNoEntry: false });
    try {
      if (stat?.isDirectory() === true) rmdirSync(`${root}/${path}`);
      else if (stat?.isFile() === true && stat.size === 0) unlinkSync(`${root}/${path}`);
    } catch (error) {
      // The step put something there: it stays.
      if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
    }
  }
}
