import { lstatSync, mkdirSync, readlinkSync } from 'node:fs';
import { badArchive } from '../tar/header.ts';
import type { Location } from './location.ts';
import { joinRelative, parentOf } from './names.ts';

/** As the kernel's limit. */
const MAX_LINKS = 40;

/** What to do when a parent is missing or is something that can be replaced. */
export interface ParentHooks {
  /** A directory was made that the archive did not list. */
  onImplied(relative: string): void;
  /** Something that is no directory is in the way; true when it was replaced by one. */
  onObstacle(relative: string): boolean;
}

/**
 * Resolves the parents of members inside a tree: symlinks are followed as if the tree were the root, so that neither
 * absolute links nor `..` leave it; missing parents are made. What was found to be a directory is remembered until
 * something is removed.
 */
export class Parents {
  #location: Location;
  #hooks: ParentHooks;
  /** From a directory as members name it to the real one. */
  #known = new Map<string, string>([['', '']]);

  constructor(location: Location, hooks: ParentHooks) {
    this.#location = location;
    this.#hooks = hooks;
  }

  /** The real path of a cleaned path of a directory, which is made when it is missing. */
  resolve(directory: string): string {
    const known = this.#known.get(directory);
    if (known !== undefined) return known;
    const real = this.#walk('', directory, true, { links: 0 });
    if (real === undefined) throw badArchive(`${directory} cannot be made`);
    this.#known.set(directory, real);
    return real;
  }

  /** As resolve(), but undefined for a directory that is not there. */
  find(directory: string): string | undefined {
    return this.#known.get(directory) ?? this.#walk('', directory, false, { links: 0 });
  }

  /** A directory was made at a real path. */
  add(relative: string): void {
    this.#known.set(relative, relative);
  }

  /** A directory or a symlink was removed: what is known may be wrong. */
  forget(): void {
    this.#known.clear();
    this.#known.set('', '');
  }

  #walk(from: string, path: string, create: boolean, budget: { links: number }): string | undefined {
    let real = from;
    for (const part of path.split('/')) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        real = parentOf(real);
        continue;
      }
      const next = this.#step(joinRelative(real, part), create, budget);
      if (next === undefined) return undefined;
      real = next;
    }
    return real;
  }

  #step(next: string, create: boolean, budget: { links: number }): string | undefined {
    const known = this.#known.get(next);
    if (known !== undefined) return known;
    const path = this.#location.entry(next);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) {
      if (!create) return undefined;
      mkdirSync(path, 0o755);
      this.add(next);
      this.#hooks.onImplied(next);
      return next;
    }
    if (stat.isDirectory()) {
      this.add(next);
      return next;
    }
    if (stat.isSymbolicLink()) {
      budget.links += 1;
      if (budget.links > MAX_LINKS) throw badArchive(`too many symbolic links at ${next}`);
      const target = readlinkSync(path);
      return this.#walk(target.startsWith('/') ? '' : parentOf(next), target, create, budget);
    }
    if (create && this.#hooks.onObstacle(next)) return next;
    if (!create) return undefined;
    throw badArchive(`${next} is the parent of a member but not a directory`);
  }
}
