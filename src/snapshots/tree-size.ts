import { lstatSync } from 'node:fs';
import { readNames, toHostPath } from '../archive/index.ts';

/** Names looked at before the event loop gets a turn. */
const TURN = 2000;

/** Bytes of what is in a tree as Docker counts them: the sizes of all but directories, a hard-linked file once. */
export async function treeSizeBytes(root: string): Promise<number> {
  const linked = new Set<string>();
  const pending = [root];
  let total = 0;
  let looked = 0;
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    let names: string[];
    try {
      names = readNames(directory);
    } catch (error) {
      // A running container removes what it likes.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw error;
    }
    for (const name of names) {
      const path = `${directory}/${name}`;
      const stat = lstatSync(toHostPath(path), { throwIfNoEntry: false });
      looked += 1;
      if (stat === undefined) continue;
      if (stat.isDirectory()) {
        pending.push(path);
        continue;
      }
      if (stat.nlink > 1) {
        const inode = `${stat.dev}:${stat.ino}`;
        if (linked.has(inode)) continue;
        linked.add(inode);
      }
      total += stat.size;
    }
    if (looked > TURN) {
      looked = 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  return total;
}
