import { lstatSync, type Stats } from 'node:fs';
import type { Syscall } from '../../sys/index.ts';
import { readNames, toHostPath } from '../unpack/names.ts';
import { isWhiteout } from '../unpack/tree-writer.ts';
import { isOpaque, listLower, lookupLower, type LowerEntry } from './lower-view.ts';

export interface TreeChange {
  /** Absolute in the container. */
  path: string;
  kind: 'modified' | 'added' | 'deleted';
}

export interface ChangesOptions {
  /**
   * The upper directory is the whole tree, not an overlay's upper directory: what is not in it is deleted.
   */
  complete?: boolean;
}

/** Names looked at before the event loop gets a turn. */
const TURN = 2000;

/**
 * What a writable tree changed against the directories below it (top first), as `docker diff` tells it: additions one by
 * one, deletions by their top, changed content or attributes, and the directories in which something changed. Sorted by
 * path. Copied up but unchanged files do not appear.
 */
export async function treeChanges(
  syscall: Syscall,
  upper: string,
  lowerDirectories: readonly string[],
  options: ChangesOptions = {},
): Promise<TreeChange[]> {
  const changes: TreeChange[] = [];
  const pending: { directory: string; path: string; lower: readonly string[] }[] = [
    { directory: upper, path: '', lower: lowerDirectories },
  ];
  const changed = new Set<string>();
  let looked = 0;
  const report = (path: string, kind: TreeChange['kind']): void => {
    changes.push({ path, kind });
    changed.add(path);
  };
  for (let job = pending.pop(); job !== undefined; job = pending.pop()) {
    const { directory, path, lower } = job;
    const hides = options.complete === true || isOpaque(syscall, directory);
    const names = readNames(directory);
    const present = new Set(names);
    for (const name of names) {
      looked += 1;
      const childPath = `${path}/${name}`;
      const child = `${directory}/${name}`;
      const stat = lstatSync(toHostPath(child), { throwIfNoEntry: false });
      // A running container removes what it likes.
      if (stat === undefined) continue;
      const below = lower.length === 0 ? undefined : lookupLower(syscall, lower, name);
      if (options.complete !== true && isWhiteout(stat)) {
        if (below !== undefined) report(childPath, 'deleted');
        continue;
      }
      if (below === undefined) report(childPath, 'added');
      else if (differs(syscall, child, stat, below)) report(childPath, 'modified');
      if (stat.isDirectory()) {
        pending.push({ directory: child, path: childPath, lower: below?.directories ?? [] });
      }
    }
    if (hides && lower.length > 0) {
      for (const name of listLower(syscall, lower))
        if (!present.has(name)) report(`${path}/${name}`, 'deleted');
    }
    if (looked > TURN) {
      looked = 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  const direct = changes.map((change) => change.path);
  for (const path of direct) {
    // A directory in which something changed is shown as modified itself.
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const parent = path.slice(0, end);
      if (changed.has(parent)) break;
      report(parent, 'modified');
    }
  }
  return changes.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Docker's comparison: mode, owner, device number and capabilities; of what is no directory, size and time too. */
function differs(syscall: Syscall, path: string, stat: Stats, below: LowerEntry): boolean {
  const old = below.stat;
  if (stat.mode !== old.mode || stat.uid !== old.uid || stat.gid !== old.gid || stat.rdev !== old.rdev)
    return true;
  if (!stat.isDirectory() && (stat.size !== old.size || stat.mtimeMs !== old.mtimeMs)) return true;
  if (!stat.isFile() || !path.isWellFormed()) return false;
  const capability = syscall.lgetxattr(path, 'security.capability');
  const oldCapability = syscall.lgetxattr(below.path, 'security.capability');
  return !(capability ?? Buffer.alloc(0)).equals(oldCapability ?? Buffer.alloc(0));
}
