import { hostPath, type HostPath } from './names.ts';

/**
 * Where a tree is written or read: gives each name of the tree a path on the host. Relative paths are real ones, without
 * symlinks in their parents.
 */
export interface Location {
  /** Path of an entry, whose last component must not be followed; '' is the tree itself. */
  entry(relative: string): HostPath;
  /** True when something is mounted there, so that it can be written to but not replaced. */
  isMount(relative: string): boolean;
  /** A directory was removed: what is kept of it and of what was in it is stale. */
  forget(relative: string): void;
}

/** A directory that nobody else writes to meanwhile: plain paths are safe. */
export function ownedLocation(root: string): Location {
  return { entry: (relative) => hostPath(root, relative), isMount: () => false, forget: () => {} };
}
