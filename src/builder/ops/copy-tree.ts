import { closeSync, linkSync, lstatSync, openSync, readSync, readlinkSync, type Stats } from 'node:fs';
import {
  TreeWriter,
  ownedLocation,
  parentOf,
  plainHeader,
  toHostPath,
  type IgnoreRules,
  type Owner,
  type TarHeader,
} from '../../archive/index.ts';
import { EngineError } from '../../errors/index.ts';
import type { Syscall } from '../../sys/index.ts';
import type { SourceFiles } from '../context/source-files.ts';
import { realPathIn } from './real-path.ts';
import { walkSource, type CopySource } from './copy-sources.ts';

/** Bytes copied before the event loop gets a turn. */
const TURN_BYTES = 8 * 1024 * 1024;

/**
 * Writes sources into a root file system that nobody else writes to; links in it are followed as if it were the root, so
 * that nothing outside is touched.
 */
export class TreeCopier {
  readonly #writer: TreeWriter;
  readonly #syscall: Syscall;
  readonly #signal: AbortSignal;
  readonly #chmod: ((mode: number, isDirectory: boolean) => number) | undefined;
  readonly #root: string;
  readonly #linkable: SourceFiles | undefined;
  readonly #hasHardLinks: boolean;
  /** Directories that are what their path says, without links above them. */
  readonly #real = new Set<string>();
  readonly #owner: Owner | undefined;
  /** Parents that are seen to. */
  readonly #known = new Set<string>();
  readonly #links = new Map<string, string>();
  readonly #buffer = Buffer.allocUnsafeSlow(256 * 1024);
  #sinceTurn = 0;

  constructor(options: {
    /** Where to write. */
    root: string;
    /** Layers below, top first, when `root` is a new layer's own directory; undefined for a whole tree. */
    lowerDirectories?: readonly string[];
    /** Of everything; undefined: as at the source. */
    owner: Owner | undefined;
    chmod: ((mode: number, isDirectory: boolean) => number) | undefined;
    /**
     * The sources are ours, as they must become, and nobody writes to them: their files may be linked instead of copied, each
     * to one name; see SourceFiles.places.
     */
    linkable?: SourceFiles;
    /** Two names among the sources may be one file; else a file has other names elsewhere alone. */
    hasHardLinks?: boolean;
    syscall: Syscall;
    signal: AbortSignal;
  }) {
    this.#root = options.root;
    this.#linkable = options.linkable;
    this.#hasHardLinks = options.hasHardLinks !== false;
    this.#syscall = options.syscall;
    this.#signal = options.signal;
    this.#chmod = options.chmod;
    this.#owner = options.owner;
    const { lowerDirectories } = options;
    // The owner is in each header, since the writer would give it to directories of the layers below, too.
    this.#writer = new TreeWriter(
      ownedLocation(options.root),
      lowerDirectories === undefined ? { form: 'plain' } : { form: 'overlay', lowerDirectories },
      options.syscall,
    );
  }

  /** A source and all below it. @param target its new path, relative */
  async source(source: CopySource, target: string, exclude: IgnoreRules): Promise<void> {
    for (const { path, relative, stat } of walkSource(source, exclude)) {
      const name = [target, relative].filter((part) => part !== '').join('/');
      if (stat.isSocket()) continue;
      this.#entry(path, name, stat);
      if (this.#sinceTurn > TURN_BYTES) {
        this.#sinceTurn = 0;
        await new Promise((resolve) => setImmediate(resolve));
        this.#signal.throwIfAborted();
      }
    }
  }

  /** A file whose content is in memory. */
  text(target: string, content: Buffer, mode = 0o644): void {
    const header = this.#header(target, {
      type: 'file',
      mode: this.#chmod?.(mode, false) ?? mode,
      sizeBytes: content.length,
    });
    this.#writer.entry(header);
    if (content.length > 0) this.#writer.data(content, 0);
    this.#writer.end();
  }

  /**
   * Makes the directories above a target that are not in the files below.
   * @throws {EngineError} when something else is there
   */
  parents(view: string, target: string): void {
    const names = parentOf(target).split('/');
    for (let count = 1; count <= names.length; count += 1) {
      const path = names.slice(0, count).join('/');
      if (path === '' || this.#known.has(path)) continue;
      this.#known.add(path);
      // From the top down, so that no link is followed.
      const stat = lstatSync(`${view}/${path}`, { throwIfNoEntry: false });
      if (stat?.isDirectory() === true) continue;
      if (stat !== undefined) throw new EngineError('internal', `cannot copy to non-directory: /${path}`);
      for (let below = count; below <= names.length; below += 1) {
        const made = names.slice(0, below).join('/');
        this.#known.add(made);
        this.directory(made);
      }
      return;
    }
  }

  /** A directory that must be there. */
  directory(target: string, mode = 0o755): void {
    this.#writer.entry(this.#header(target, { type: 'directory', mode }));
    this.#writer.end();
  }

  finish(): void {
    this.#writer.finish();
  }

  abort(): void {
    this.#writer.abort();
  }

  #entry(path: string, name: string, stat: Stats): void {
    this.#sinceTurn += 4096 + stat.size;
    const isOne = stat.isFile() && (stat.nlink === 1 || !this.#hasHardLinks);
    if (isOne && this.#link(path, name, stat)) return;
    const isDirectory = stat.isDirectory();
    const mode = stat.mode & 0o7777;
    const common: Partial<TarHeader> = {
      mode: stat.isSymbolicLink() ? mode : (this.#chmod?.(mode, isDirectory) ?? mode),
      uid: stat.uid,
      gid: stat.gid,
      mtimeSeconds: Math.floor(stat.mtimeMs / 1000),
      mtimeNanos: Math.floor((stat.mtimeMs % 1000) * 1e6),
      xattrs: this.#xattrs(path, stat),
    };
    if (isDirectory) {
      this.#writer.entry(this.#header(name, { ...common, type: 'directory' }));
      this.#writer.end();
      return;
    }
    // What is written now may be a link that leads elsewhere.
    if (!stat.isFile()) this.#real.clear();
    if (stat.nlink > 1 && this.#hasHardLinks) {
      const inode = `${stat.dev}:${stat.ino}`;
      const first = this.#links.get(inode);
      if (first !== undefined) {
        this.#writer.entry(this.#header(name, { ...common, type: 'hardlink', linkPath: first }));
        this.#writer.end();
        return;
      }
      this.#links.set(inode, name);
    }
    if (stat.isFile()) {
      this.#writer.entry(this.#header(name, { ...common, type: 'file', sizeBytes: stat.size }));
      this.#content(path, stat.size);
      this.#writer.end();
      return;
    }
    const type = stat.isSymbolicLink()
      ? 'symlink'
      : stat.isFIFO()
        ? 'fifo'
        : stat.isCharacterDevice()
          ? 'char-device'
          : 'block-device';
    const device = type === 'char-device' || type === 'block-device';
    this.#writer.entry(
      this.#header(name, {
        ...common,
        type,
        linkPath: type === 'symlink' ? readlinkSync(toHostPath(path)) : '',
        deviceMajor: device ? (stat.rdev >>> 8) & 0xfff : 0,
        deviceMinor: device ? (stat.rdev & 0xff) | ((stat.rdev >>> 12) & 0xfff00) : 0,
      }),
    );
    this.#writer.end();
  }

  /** @returns false when it has to be copied */
  #link(path: string, name: string, { ino }: Stats): boolean {
    const files = this.#linkable;
    if (files === undefined || (files.places.get(ino) ?? name) !== name) return false;
    const parent = parentOf(name);
    if (!this.#real.has(parent)) {
      if (realPathIn(this.#root, parent) !== parent) return false;
      this.#real.add(parent);
    }
    try {
      linkSync(toHostPath(path), toHostPath(`${this.#root}/${name}`));
      files.places.set(ino, name);
      files.linked.add(path);
      return true;
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (['EEXIST', 'ENOENT', 'ENOTDIR', 'EXDEV', 'EMLINK', 'EPERM'].includes(code)) return false;
      throw error;
    }
  }

  #content(path: string, sizeBytes: number): void {
    const fd = openSync(toHostPath(path), 'r');
    try {
      for (let at = 0; at < sizeBytes;) {
        const wanted = Math.min(this.#buffer.length, sizeBytes - at);
        const length = readSync(fd, this.#buffer, 0, wanted, null);
        if (length === 0)
          throw new EngineError('internal', `Cannot copy ${path}: it became shorter meanwhile`);
        this.#writer.data(this.#buffer.subarray(0, length), at);
        at += length;
      }
    } finally {
      closeSync(fd);
    }
  }

  #xattrs(path: string, stat: Stats): Map<string, Buffer> | null {
    if (stat.isSymbolicLink() || !path.isWellFormed()) return null;
    const names = this.#syscall
      .llistxattr(path)
      .filter((name) => name === 'security.capability' || /^user\.(?!overlay\.)/.test(name));
    if (names.length === 0) return null;
    const xattrs = new Map<string, Buffer>();
    for (const name of names) {
      const value = this.#syscall.lgetxattr(path, name);
      if (value !== undefined) xattrs.set(name, value);
    }
    return xattrs;
  }

  #header(path: string, rest: Partial<TarHeader>): TarHeader {
    return plainHeader({ path, ...rest, ...this.#owner });
  }
}
