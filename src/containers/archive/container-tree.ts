import {
  closeSync,
  constants,
  lstatSync,
  openSync,
  readlinkSync,
  realpathSync,
  type BigIntStats,
} from 'node:fs';
import {
  baseOf,
  joinRelative,
  parentOf,
  toHostPath,
  type HostPath,
  type Location,
} from '../../archive/index.ts';
import { EngineError, isEngineError } from '../../errors/index.ts';
import type { MountPoint } from '../../spec/index.ts';
import type { Syscall } from '../../sys/index.ts';

const O_PATH = 0o10000000;
const OPEN_PARENT = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** As the kernel's limit. */
const MAX_LINKS = 40;
/** Directories kept open, so that the members of one are written without resolving it each time. */
const MAX_OPEN = 32;

/** What the archive functions need to know of a container. */
export interface ContainerView {
  /** As the user named it, for messages. */
  nameOrId: string;
  /** Where the root file system is mounted on the host. */
  rootPath: string;
  /** Volumes and binds; tmpfs mounts exist only inside the container and are not seen. */
  mounts: readonly MountPoint[];
  readonlyRoot: boolean;
}

/**
 * A container's files by their paths in the container, seen from the host while the container may be running and
 * swapping names. Each directory is opened by openat2(2) with RESOLVE_IN_ROOT, below the root file system or below the
 * source of the volume it lies in, and its entries are reached through that descriptor: no symlink leads out.
 */
export class ContainerTree implements Location, Disposable {
  readonly #syscall: Syscall;
  readonly #view: ContainerView;
  /** Longest destination first; relative, without slashes at the ends. */
  readonly #mounts: { destination: string; source: string; writable: boolean }[] = [];
  readonly #open = new Map<string, number>();

  constructor(syscall: Syscall, view: ContainerView) {
    this.#syscall = syscall;
    this.#view = view;
    const seen = view.mounts.filter((mount) => mount.Type !== 'tmpfs' && mount.Source !== '');
    for (const mount of seen.toSorted((a, b) => a.Destination.length - b.Destination.length)) {
      // A destination may lead through symlinks of the image (/var/run/x), and through mounts above it.
      const destination = this.follow(mount.Destination, true);
      this.#mounts.push({ destination, source: mount.Source, writable: mount.RW });
      this.#mounts.sort((a, b) => b.destination.length - a.destination.length);
    }
    this.forget('');
  }

  [Symbol.dispose](): void {
    this.forget('');
  }

  forget(relative: string): void {
    for (const [directory, fd] of this.#open) {
      if (!contains(relative, directory)) continue;
      closeSync(fd);
      this.#open.delete(directory);
    }
  }

  entry(relative: string): HostPath {
    return toHostPath(this.entryText(relative));
  }

  /** As entry(), in the form of names in archives. */
  entryText(relative: string): string {
    const mount = this.#mounts.find(({ destination }) => destination === relative);
    if (mount !== undefined) return realpathSync(mount.source);
    if (relative === '') return `/proc/self/fd/${this.#directory('')}/.`;
    return `/proc/self/fd/${this.#directory(parentOf(relative))}/${baseOf(relative)}`;
  }

  isMount(relative: string): boolean {
    return this.#mounts.some(({ destination }) => destination === relative);
  }

  /** Whether files below this real path can be written: undefined when it lies on the root file system. */
  mountAt(relative: string): { writable: boolean } | undefined {
    return this.#mounts.find(({ destination }) => contains(destination, relative));
  }

  /** Mounts below a real path, by their path relative to it, for a reader of the whole tree. */
  mountsBelow(relative: string): Map<string, string> {
    const below = new Map<string, string>();
    for (const { destination, source } of this.#mounts) {
      if (destination === relative || !contains(relative, destination)) continue;
      below.set(relative === '' ? destination : destination.slice(relative.length + 1), realpathSync(source));
    }
    return below;
  }

  stat(relative: string): BigIntStats | undefined {
    try {
      return lstatSync(this.entry(relative), { bigint: true, throwIfNoEntry: false });
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** Whether a path that does not exist cannot, since what it is to lie in is no directory. */
  isBelowFile(relative: string): boolean {
    for (let above = parentOf(relative); above !== ''; above = parentOf(above)) {
      const stat = this.stat(above);
      if (stat !== undefined) return !stat.isDirectory();
    }
    return false;
  }

  /** A descriptor path of a real directory, under which it can be walked. */
  directoryPath(relative: string): string {
    return `/proc/self/fd/${this.#directory(relative)}`;
  }

  /**
   * The real path of a path in the container, symlinks followed in the container's scope; parts that do not exist are
   * kept as they are. Without `last` a symlink in the last component is left alone.
   * @throws {EngineError} `invalid-parameter` for a loop of symlinks.
   */
  follow(path: string, last: boolean): string {
    const parts = path.split('/').filter((part) => part !== '' && part !== '.');
    let real = '';
    let links = 0;
    while (parts.length > 0) {
      const part = parts.shift() ?? '';
      if (part === '..') {
        real = parentOf(real);
        continue;
      }
      const next = joinRelative(real, part);
      if (parts.length === 0 && !last) return next;
      const target = this.#linkTarget(next);
      if (target === undefined) {
        real = next;
        continue;
      }
      links += 1;
      if (links > MAX_LINKS) {
        throw new EngineError('invalid-parameter', `too many levels of symbolic links: ${path}`, {
          code: 'ELOOP',
        });
      }
      parts.unshift(...target.split('/').filter((piece) => piece !== '' && piece !== '.'));
      if (target.startsWith('/')) real = '';
    }
    return real;
  }

  #linkTarget(relative: string): string | undefined {
    if (this.isMount(relative)) return undefined;
    try {
      const path = this.entry(relative);
      if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return undefined;
      return readlinkSync(path);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  #directory(relative: string): number {
    const known = this.#open.get(relative);
    if (known !== undefined) {
      // Least recently used first.
      this.#open.delete(relative);
      this.#open.set(relative, known);
      return known;
    }
    const mount = this.#mounts.find(({ destination }) => contains(destination, relative));
    const root = mount?.source ?? this.#view.rootPath;
    const rest = mount === undefined ? relative : relative.slice(mount.destination.length).replace(/^\//, '');
    const fd =
      rest === ''
        ? openSync(root, O_PATH | constants.O_DIRECTORY)
        : this.#syscall.openInRoot(root, rest, OPEN_PARENT);
    this.#open.set(relative, fd);
    const [oldest] = this.#open;
    if (this.#open.size > MAX_OPEN && oldest !== undefined) {
      this.#open.delete(oldest[0]);
      closeSync(oldest[1]);
    }
    return fd;
  }
}

function contains(directory: string, relative: string): boolean {
  return directory === '' || relative === directory || relative.startsWith(`${directory}/`);
}

/** The errors that say that a path does not exist. */
export function isMissing(error: unknown): boolean {
  const code = isEngineError(error) ? error.code : (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
