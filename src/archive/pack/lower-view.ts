import { lstatSync, type Stats } from 'node:fs';
import type { Syscall } from '../../sys/index.ts';
import { readNames, toHostPath } from '../unpack/names.ts';
import { isWhiteout } from '../unpack/tree-writer.ts';

/** One name as the layers below show it. */
export interface LowerEntry {
  /** Of the topmost layer that has it. */
  path: string;
  stat: Stats;
  /** For a directory: what its content is merged from, top first. */
  directories: readonly string[];
}

/** True for a directory that hides what the layers below it have. Needs the privilege to see trusted attributes. */
export function isOpaque(syscall: Syscall, path: string): boolean {
  return path.isWellFormed() && syscall.lgetxattr(path, 'trusted.overlay.opaque')?.toString('latin1') === 'y';
}

/** What `name` is in the merge of these directories (top first), as overlayfs would show it. */
export function lookupLower(
  syscall: Syscall,
  directories: readonly string[],
  name: string,
): LowerEntry | undefined {
  let found: { path: string; stat: Stats } | undefined;
  const merged: string[] = [];
  for (const directory of directories) {
    const path = `${directory}/${name}`;
    const stat = lstatSync(toHostPath(path), { throwIfNoEntry: false });
    if (stat === undefined) continue;
    if (isWhiteout(stat)) break;
    if (!stat.isDirectory()) {
      // A file below a directory of the same name is hidden by it.
      found ??= { path, stat };
      break;
    }
    found ??= { path, stat };
    merged.push(path);
    if (isOpaque(syscall, path)) break;
  }
  return found === undefined ? undefined : { ...found, directories: merged };
}

/** Names in the merge of these directories, unsorted. */
export function listLower(syscall: Syscall, directories: readonly string[]): string[] {
  const seen = new Set<string>();
  const names: string[] = [];
  for (const directory of directories) {
    for (const name of readNames(directory)) {
      if (seen.has(name)) continue;
      seen.add(name);
      if (lookupLower(syscall, directories, name) !== undefined) names.push(name);
    }
  }
  return names;
}
