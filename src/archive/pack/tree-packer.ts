import { closeSync, constants, fstatSync, lstatSync, openSync, read, readSync, type Stats } from 'node:fs';
import { promisify } from 'node:util';
import type { Syscall } from '../../sys/index.ts';
import { TAR_END, encodeHeader, tarPadding, type TarMember } from '../tar/writer.ts';
import { baseOf, parentOf, readNames, toHostPath } from '../unpack/names.ts';
import { isWhiteout } from '../unpack/tree-writer.ts';
import { isOpaque } from './lower-view.ts';
import { memberOf } from './member.ts';

const readAsync = promisify(read);

/** Bytes collected before they are handed on. */
const CHUNK_BYTES = 128 * 1024;
/** Content up to this is read at once; more is read on the thread pool, so that a slow disk stalls nobody. */
const SMALL_FILE_BYTES = 64 * 1024;
const READ_BYTES = 256 * 1024;
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
  #parts: Buffer[] = [];
  #free = Buffer.alloc(0);
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
          else if (this.#bytes >= CHUNK_BYTES) yield this.#take();
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
      else if (this.#bytes >= CHUNK_BYTES) yield this.#take();
      return;
    }
    const member = memberOf(this.#syscall, path, name, stat);
    if (member !== undefined) this.#add(encodeHeader(member));
    if (this.#bytes >= CHUNK_BYTES) yield this.#take();
  }

  /** The mark that a name of the layers below is gone. */
  deletion(name: string): void {
    const slash = name.lastIndexOf('/') + 1;
    this.#whiteout(`${name.slice(0, slash)}.wh.${name.slice(slash)}`);
  }

  /** What is left, with the end mark. */
  end(): Buffer {
    this.#add(TAR_END);
    return this.#take();
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
      const member = stat.isFile() ? memberOf(this.#syscall, path, name, stat) : undefined;
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
    const padded = size + tarPadding(size).length;
    const buffer = this.#room(padded);
    let at = 0;
    while (at < size) {
      const length = readSync(fd, buffer, at, size - at, null);
      if (length === 0) break;
      at += length;
    }
    buffer.fill(0, at);
    this.#add(buffer);
  }

  /** As #smallContent(); closes the file. */
  async *#content({ fd, sizeBytes }: OpenFile): AsyncGenerator<Buffer, void, void> {
    try {
      let left = sizeBytes;
      while (left > 0) {
        const buffer = Buffer.allocUnsafe(Math.min(left, READ_BYTES));
        const { bytesRead } = await readAsync(fd, buffer, 0, buffer.length, null);
        if (bytesRead === 0) break;
        this.#add(buffer.subarray(0, bytesRead));
        left -= bytesRead;
        if (this.#bytes >= CHUNK_BYTES) yield this.#take();
      }
      for (; left > 0; left -= Math.min(left, READ_BYTES)) {
        this.#add(Buffer.alloc(Math.min(left, READ_BYTES)));
        yield this.#take();
      }
    } finally {
      closeSync(fd);
    }
    this.#add(tarPadding(sizeBytes));
  }

  /** Memory for the content of small files, taken from a larger piece. */
  #room(bytes: number): Buffer {
    if (bytes > this.#free.length) this.#free = Buffer.allocUnsafeSlow(2 * CHUNK_BYTES);
    const room = this.#free.subarray(0, bytes);
    this.#free = this.#free.subarray(bytes);
    return room;
  }

  #whiteout(name: string): void {
    const member: TarMember = { path: name, type: 'file', mode: 0, sizeBytes: 0 };
    this.#add(encodeHeader(member));
  }

  #add(part: Buffer): void {
    if (part.length === 0) return;
    this.#parts.push(part);
    this.#bytes += part.length;
  }

  #take(): Buffer {
    const chunk = this.#parts.length === 1 ? (this.#parts[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#bytes = 0;
    return chunk;
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
