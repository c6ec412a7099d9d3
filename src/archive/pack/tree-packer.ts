import { closeSync, constants, fstatSync, lstatSync, openSync, read, readSync, type Stats } from 'node:fs';
import { promisify } from 'node:util';
import type { Syscall } from '../../sys/index.ts';
import { TAR_END, encodeHeader, tarPadding, type TarMember } from '../tar/writer.ts';
import { baseOf, parentOf, readNames, toHostPath } from '../unpack/names.ts';
import { isWhiteout } from '../unpack/tree-writer.ts';
import { isOpaque } from './lower-view.ts';
import { memberOf } from './member.ts';

const readAsync = promisify(read);

/** The archive is written into pieces of this size, which are handed on as they are. */
const PIECE_BYTES = 256 * 1024;
/** Content up to this is read at once; more is read on the thread pool, so that a slow disk stalls nobody. */
const SMALL_FILE_BYTES = 64 * 1024;
const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** NONBLOCK: a fifo put there meanwhile must not make open(2) wait. */
const OPEN_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export interface PackOptions {
  /** Name of the directory itself in the archive (`etc`, `.`, `/`); '' (default) leaves out its own entry. */
  name?: string;
  /** Overlay whiteouts and opaque directories are written as `.wh.` names. */
  whiteouts?: boolean;
  /** What is mounted inside the tree: relative path to host path. */
  mounts?: ReadonlyMap<string, string>;
}

interface Frame {
  fd: number;
  /** Relative to the tree. */
  relative: string;
  names: string[];
  /** Those that are regular files as the directory says. */
  files: ReadonlySet<string>;
  next: number;
}

/** A file of which more is to be read than at once. */
interface OpenFile {
  fd: number;
  sizeBytes: number;
}

/**
 * Writes trees and single files as tar members. Directories are entered by descriptor and never through a symlink, so
 * that a container that runs meanwhile cannot lead the packer out of its tree; what vanishes meanwhile is left out.
 */
export class TreePacker {
  readonly #syscall: Syscall;
  readonly #options: PackOptions;
  /** First name of each hard-linked file. */
  readonly #links = new Map<string, string>();
  /** Full pieces of the archive, not handed on yet. */
  #full: Buffer[] = [];
  /** The piece that is written to, and how much of it is. */
  #piece = Buffer.alloc(0);
  #bytes = 0;

  constructor(syscall: Syscall, options: PackOptions = {}) {
    this.#syscall = syscall;
    this.#options = options;
  }

  /** The directory and all that is in it, names sorted. */
  async *tree(directory: string): AsyncGenerator<Buffer, void, void> {
    const stack: Frame[] = [openFrame(directory, '', constants.O_RDONLY | constants.O_DIRECTORY)];
    try {
      const name = this.#options.name ?? '';
      if (stack[0] !== undefined) this.#addMounts(stack[0]);
      if (name !== '')
        yield* this.entry(directoryPath(stack[0]?.fd ?? -1), name, lstatSync(`${directory}/.`));
      if (this.#options.whiteouts === true && isOpaque(this.#syscall, directory))
        this.#whiteout(join(name, OPAQUE));
      for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
        const child = frame.names[frame.next];
        frame.next += 1;
        if (child === undefined) {
          stack.pop();
          closeSync(frame.fd);
          continue;
        }
        const relative = join(frame.relative, child);
        const mounted = this.#options.mounts?.get(relative);
        const path = mounted ?? `/proc/self/fd/${frame.fd}/${child}`;
        if (mounted === undefined && frame.files.has(child)) {
          const large = this.#file(path, join(name, relative));
          if (large !== undefined) yield* this.#content(large);
          else if (this.#full.length > 0) yield* this.#take();
          continue;
        }
        const stat = lstatSync(toHostPath(path), { throwIfNoEntry: false });
        if (stat === undefined) continue;
        const memberName = join(name, relative);
        if (this.#options.whiteouts === true && isWhiteout(stat)) {
          this.#whiteout(join(join(name, frame.relative), `.wh.${child}`));
          continue;
        }
        yield* this.entry(path, memberName, stat);
        if (!stat.isDirectory()) continue;
        if (this.#options.whiteouts === true && isOpaque(this.#syscall, path))
          this.#whiteout(join(memberName, OPAQUE));
        const below = tryOpenFrame(path, relative);
        if (below === undefined) continue;
        this.#addMounts(below);
        stack.push(below);
      }
    } finally {
      for (const frame of stack) closeSync(frame.fd);
    }
  }

  /** What is mounted where the tree has no name yet, in a container that never ran. */
  #addMounts(frame: Frame): void {
    for (const relative of this.#options.mounts?.keys() ?? []) {
      if (parentOf(relative) !== frame.relative || frame.names.includes(baseOf(relative))) continue;
      frame.names.push(baseOf(relative));
      frame.names.sort();
    }
  }

  /** One file, without what is in it when it is a directory. Its header, and its content if it is a regular file. */
  async *entry(path: string, name: string, stat: Stats): AsyncGenerator<Buffer, void, void> {
    if (stat.isFile()) {
      const large = this.#file(path, name);
      if (large !== undefined) yield* this.#content(large);
      else if (this.#full.length > 0) yield* this.#take();
      return;
    }
    const member = memberOf(this.#syscall, path, name, stat);
    if (member !== undefined) this.#add(encodeHeader(member));
    if (this.#full.length > 0) yield* this.#take();
  }

  /** The mark that a name of the layers below is gone. */
  deletion(name: string): void {
    const slash = name.lastIndexOf('/') + 1;
    this.#whiteout(`${name.slice(0, slash)}.wh.${name.slice(slash)}`);
  }

  /** What is left, with the end mark. */
  *end(): Generator<Buffer, void, void> {
    this.#add(TAR_END);
    yield* this.#take();
    if (this.#bytes > 0) yield this.#piece.subarray(0, this.#bytes);
    this.#bytes = 0;
    this.#piece = this.#piece.subarray(0, 0);
  }

  /** The header, and the content of a small file. Of a large one the content is left to the caller. */
  #file(path: string, name: string): OpenFile | undefined {
    let fd: number;
    try {
      fd = openSync(toHostPath(path), OPEN_FILE);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENXIO') return undefined;
      throw error;
    }
    let isLarge = false;
    try {
      const stat = fstatSync(fd);
      const member = stat.isFile() ? memberOf(this.#syscall, path, name, stat, fd) : undefined;
      if (member === undefined) return undefined;
      if (stat.nlink > 1) {
        const inode = `${stat.dev}:${stat.ino}`;
        const first = this.#links.get(inode);
        if (first !== undefined) {
          this.#add(encodeHeader({ ...member, type: 'hardlink', sizeBytes: 0, linkPath: first }));
          return undefined;
        }
        this.#links.set(inode, name);
      }
      this.#add(encodeHeader(member));
      isLarge = stat.size > SMALL_FILE_BYTES;
      if (isLarge) return { fd, sizeBytes: stat.size };
      this.#smallContent(fd, stat.size);
      return undefined;
    } finally {
      if (!isLarge) closeSync(fd);
    }
  }

  /** Exactly `size` bytes: a file that shrinks is filled up with zeros, one that grows is cut. */
  #smallContent(fd: number, size: number): void {
    const buffer = this.#room(size + tarPadding(size).length);
    let at = 0;
    while (at < size) {
      const length = readSync(fd, buffer, at, size - at, null);
      if (length === 0) break;
      at += length;
    }
    buffer.fill(0, at);
  }

  /** As #smallContent(); closes the file. */
  async *#content({ fd, sizeBytes }: OpenFile): AsyncGenerator<Buffer, void, void> {
    try {
      let left = sizeBytes;
      while (left > 0) {
        const space = this.#piece.length - this.#bytes;
        const buffer = this.#room(Math.min(left, space < SMALL_FILE_BYTES ? PIECE_BYTES : space));
        const { bytesRead } = await readAsync(fd, buffer, 0, buffer.length, null);
        if (bytesRead === 0) buffer.fill(0);
        else this.#bytes -= buffer.length - bytesRead;
        left -= bytesRead === 0 ? buffer.length : bytesRead;
        if (this.#full.length > 0) yield* this.#take();
      }
    } finally {
      closeSync(fd);
    }
    this.#add(tarPadding(sizeBytes));
  }

  /** The next bytes of the archive, to be written to. */
  #room(bytes: number): Buffer {
    if (this.#bytes + bytes > this.#piece.length) {
      if (this.#bytes > 0) this.#full.push(this.#piece.subarray(0, this.#bytes));
      this.#piece = Buffer.allocUnsafeSlow(Math.max(bytes, PIECE_BYTES));
      this.#bytes = 0;
    }
    this.#bytes += bytes;
    return this.#piece.subarray(this.#bytes - bytes, this.#bytes);
  }

  #whiteout(name: string): void {
    const member: TarMember = { path: name, type: 'file', mode: 0, sizeBytes: 0 };
    this.#add(encodeHeader(member));
  }

  #add(part: Buffer): void {
    part.copy(this.#room(part.length));
  }

  /** Hands full pieces on. */
  *#take(): Generator<Buffer, void, void> {
    const full = this.#full;
    this.#full = [];
    yield* full;
  }
}

const OPAQUE = '.wh..wh..opq';

function join(parent: string, name: string): string {
  if (parent === '' || name === '') return parent + name;
  return parent.endsWith('/') ? parent + name : `${parent}/${name}`;
}

function directoryPath(fd: number): string {
  return `/proc/self/fd/${fd}/.`;
}

function openFrame(path: string, relative: string, flags: number): Frame {
  const fd = openSync(toHostPath(path), flags);
  try {
    const files = new Set<string>();
    const names = readNames(`/proc/self/fd/${fd}`, (name) => files.add(name)).sort();
    return { fd, relative, names, files, next: 0 };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function tryOpenFrame(path: string, relative: string): Frame | undefined {
  try {
    return openFrame(path, relative, OPEN_DIRECTORY);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return undefined;
    throw error;
  }
}
