import { hostPath, baseOf, parentOf, type HostPath } from './names.ts';

/**
 * Where a tree is written: gives each directory of the tree a path under which its entries can be named. Relative paths
 * are real ones, without symlinks.
 */
export interface Location {
  directory(relative: string): string;
  /** True when something is mounted there, so that it can be written to but not replaced. */
  isMount(relative: string): boolean;
  close(): void;
}

/** A directory that nobody else writes to meanwhile: plain paths are safe. */
export function ownedLocation(root: string): Location {
  return {
    directory: (relative) => (relative === '' ? root : `${root}/${relative}`),
    isMount: () => false,
    close: () => {},
  };
}

/** The path of an entry, named below its real parent. */
export function entryPath(location: Location, relative: string): HostPath {
  if (relative === '') return location.directory('');
  return hostPath(location.directory(parentOf(relative)), baseOf(relative));
}
