import {
  closeSync,
  constants,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  symlinkSync,
  unlinkSync,
  writeSync,
  type Stats,
} from 'node:fs';
import { EngineError } from '../../errors/index.ts';
import type { Syscall } from '../../sys/index.ts';
import { badArchive, pathBytes, type TarHeader } from '../tar/header.ts';
import type { TarHandler } from '../tar/parser.ts';
import { AttributeWriter, type Owner } from './attributes.ts';
import { ContentDigest, type KnownFile } from './content-digest.ts';
import { impliedHeader } from './implied-header.ts';
import type { Location } from './location.ts';
import { memberError } from './member-error.ts';
import { baseOf, cleanMemberPath, joinRelative, parentOf, type HostPath } from './names.ts';
import { ownCopy } from './own-copy.ts';
import { Parents } from './parents.ts';
import { emptyDirectory, removeTree } from './remove-tree.ts';

const WHITEOUT_PREFIX = '.wh.';
const WHITEOUT_META = '.wh..wh.';
const OPAQUE = '.wh..wh..opq';
const OPAQUE_XATTR = 'trusted.overlay.opaque';
const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;
const S_IFIFO = 0o010000;
const CREATE_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

export interface TreeWriterOptions {
  /**
   * What `.wh.` names mean. `overlay`: kept, as overlayfs has them; `merged`: deletions of what the directory held
   * before; `plain`: nothing, they are names like others (docker cp).
   */
  form: 'overlay' | 'merged' | 'plain';
  /** Real path in the location that members are relative to, '' for its root. */
  base?: string;
  /**
   * Directories of the layers below, top first: directories that the archive uses but does not list get owner and mode
   * from there.
   */
  lowerDirectories?: readonly string[];
  /** Owner of everything, instead of what the archive says. */
  owner?: Owner;
  /** The location was made to be filled by this archive, and nothing is in it yet; so it is for the `overlay` form. */
  isNew?: boolean;
  /** A directory is never replaced by something else, nor the other way round. */
  noOverwriteDirNonDir?: boolean;
  maxEntries?: number;
  /** Gets the sha256 of what is in regular files, in hex, by real path; what is not in it has to be read. */
  digests?: Map<string, string>;
}

/**
 * Writes the members of a tar below a directory. Synchronous. Whatever names and links say, nothing outside the location
 * is touched.
 */
export class TreeWriter implements TarHandler {
  readonly #location: Location;
  readonly #options: TreeWriterOptions;
  readonly #base: string;
  readonly #syscall: Syscall;
  readonly #attributes: AttributeWriter;
  readonly #parents: Parents;
  readonly #umask = process.umask();
  /** In a new directory owner and mode of a new file are what open(2) was told; elsewhere they may be inherited. */
  readonly #inherits: boolean;
  /** Directories by real path, whose attributes are set last, when nothing is written to them any more. */
  readonly #directories = new Map<string, TarHeader>();
  /** What this archive made, by real path; whiteouts of the merged form leave it alone. */
  readonly #made = new Set<string>();
  /** Names of files that others have, too, by real path. */
  readonly #reused = new Set<string>();
  #file:
    | {
        fd: number;
        path: HostPath;
        header: TarHeader;
        createdMode: number;
        content: ContentDigest | undefined;
      }
    | undefined;
  /** Members so far. */
  entries = 0;
  #counted = 0;
  /**
   * Content of regular files, holes included, and targets of symlinks: Docker's size of a layer. Undefined when something
   * was replaced.
   */
  sizeBytes: number | undefined = 0;

  constructor(location: Location, options: TreeWriterOptions, syscall: Syscall) {
    this.#location = location;
    this.#options = options;
    this.#base = options.base ?? '';
    this.#syscall = syscall;
    this.#attributes = new AttributeWriter(syscall, {
      owner: options.owner,
      shared: options.form === 'plain',
    });
    this.#parents = new Parents(location, {
      onImplied: (relative) => this.#implied(relative),
      onObstacle: (relative) => this.#replaceWhiteout(relative),
    });
    const isNew = options.form === 'overlay' || options.isNew === true;
    this.#inherits = !isNew || (lstatSync(location.entry('')).mode & 0o2000) !== 0;
    const below = options.lowerDirectories?.[0];
    if (options.form === 'overlay' && below !== undefined)
      this.#directories.set('', impliedHeader(lstatSync(below)));
  }

  /** Names of extended attributes that could not be stored here. */
  get unsupportedXattrs(): string[] {
    return [...this.#attributes.unsupported];
  }

  entry(header: TarHeader): void {
    this.entries += 1;
    this.#count();
    try {
      this.#entry(header);
    } catch (error) {
      throw memberError(error, header.path);
    }
  }

  /** Directories that the archive does not list count, too: one member can have thousands of them. */
  #count(): void {
    this.#counted += 1;
    if (this.#counted > (this.#options.maxEntries ?? Infinity)) throw badArchive('it has too many members');
  }

  #entry(header: TarHeader): void {
    const named = cleanMemberPath(header.path);
    if (named === '') {
      // docker cp leaves the directory that it copies into as it is.
      if (header.type === 'directory' && this.#options.form !== 'plain')
        this.#directories.set(this.#base, header);
      return;
    }
    const base = baseOf(named);
    if (this.#options.form !== 'plain') {
      // Bookkeeping of aufs, in old images.
      if (named.startsWith(WHITEOUT_META) && named !== OPAQUE) return;
      if (base.startsWith(WHITEOUT_PREFIX)) {
        this.#whiteoutMember(parentOf(named), base);
        return;
      }
      // overlayfs reads such a device as a whiteout, so it is one whoever reads the layer.
      if (header.type === 'char-device' && header.deviceMajor === 0 && header.deviceMinor === 0) {
        this.#whiteout(this.#parents.resolve(joinRelative(this.#base, parentOf(named))), base);
        return;
      }
    }
    this.#member(header, this.#place(named));
  }

  /** The real path of a member. */
  #place(named: string): string {
    return joinRelative(this.#parents.resolve(joinRelative(this.#base, parentOf(named))), baseOf(named));
  }

  /**
   * A regular file with the content and the attributes of another one: gets a name for that.
   * @returns false when it cannot have one, and has to be written
   */
  reuse(header: TarHeader, known: KnownFile): boolean {
    const relative = this.#place(cleanMemberPath(header.path));
    const path = this.#location.entry(relative);
    try {
      this.#make(relative, path, false, () => linkSync(known.path, path));
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (['ENOENT', 'EXDEV', 'EMLINK', 'EPERM'].includes(code)) return false;
      throw memberError(error, header.path);
    }
    this.entries += 1;
    this.#count();
    this.#reused.add(relative);
    this.#grow(header.sizeBytes);
    this.#options.digests?.set(relative, known.sha256);
    return true;
  }

  data(chunk: Buffer, position: number): void {
    const file = this.#file;
    if (file === undefined) return;
    const explicit = file.header.sparse !== null;
    file.content?.update(chunk);
    for (let at = 0; at < chunk.length;) {
      try {
        at += writeSync(file.fd, chunk, at, chunk.length - at, explicit ? position + at : null);
      } catch (error) {
        throw memberError(error, file.header.path);
      }
    }
  }

  end(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    file.content?.end();
    try {
      this.#attributes.file(file.fd, file.path, file.header, file.createdMode);
    } catch (error) {
      throw memberError(error, file.header.path);
    } finally {
      closeSync(file.fd);
    }
  }

  /** Sets what directories look like; call once, after the last member. */
  finish(): void {
    for (const [relative, header] of [...this.#directories].toReversed()) {
      try {
        this.#attributes.node(this.#location.entry(relative), header);
      } catch (error) {
        throw memberError(error, relative);
      }
    }
  }

  /** Closes the file that was being written when something failed. */
  abort(): void {
    if (this.#file !== undefined) closeSync(this.#file.fd);
    this.#file = undefined;
  }

  #member(header: TarHeader, relative: string): void {
    const path = this.#location.entry(relative);
    switch (header.type) {
      case 'file':
        this.#regularFile(header, relative, path);
        break;
      case 'directory':
        this.#directory(header, relative, path);
        break;
      case 'symlink': {
        const target = header.linkPath.isWellFormed() ? header.linkPath : pathBytes(header.linkPath);
        if (target.length === 0) throw badArchive(`the symbolic link ${header.path} has no target`);
        this.#make(relative, path, false, () => symlinkSync(target, path));
        this.#grow(Buffer.byteLength(target));
        this.#attributes.node(path, header);
        break;
      }
      case 'hardlink':
        this.#hardLink(header, relative);
        break;
      case 'char-device':
      case 'block-device':
      case 'fifo':
        this.#device(header, relative, path);
        break;
      default: {
        const flag = JSON.stringify(header.typeFlag);
        throw badArchive(`the member ${header.path} has the unknown type ${flag}`);
      }
    }
    if (this.#options.form === 'merged') this.#made.add(relative);
  }

  #grow(bytes: number): void {
    if (this.sizeBytes !== undefined) this.sizeBytes += bytes;
  }

  #regularFile(header: TarHeader, relative: string, path: HostPath): void {
    const mode = header.mode & 0o777;
    const fd = this.#make(relative, path, false, () => openSync(path, CREATE_FILE, mode));
    const { digests } = this.#options;
    const content =
      digests === undefined || header.sparse !== null
        ? undefined
        : new ContentDigest(header.sizeBytes, (digest) => digests.set(relative, digest));
    this.#file = { fd, path, header, createdMode: this.#inherits ? -1 : mode & ~this.#umask, content };
    this.#grow(header.sizeBytes);
    if (header.sparse !== null) ftruncateSync(fd, header.sizeBytes);
  }

  #directory(header: TarHeader, relative: string, path: HostPath): void {
    this.#make(relative, path, true, () => mkdirSync(path, 0o700));
    this.#parents.add(relative);
    // Last one wins, in the place of the last one.
    this.#directories.delete(relative);
    this.#directories.set(relative, header);
  }

  #hardLink(header: TarHeader, relative: string): void {
    const target = cleanMemberPath(header.linkPath);
    const parent = this.#parents.find(joinRelative(this.#base, parentOf(target)));
    const real = parent === undefined || target === '' ? undefined : joinRelative(parent, baseOf(target));
    const from = real === undefined ? undefined : this.#location.entry(real);
    let stat = from === undefined ? undefined : lstatSync(from, { throwIfNoEntry: false });
    if (from === undefined || stat === undefined || isWhiteout(stat)) {
      throw badArchive(`the hard link ${header.path} leads to ${header.linkPath}, which is not there`);
    }
    if (stat.isDirectory()) throw badArchive(`the hard link ${header.path} leads to a directory`);
    // Its attributes may be changed below, and must not be for those others.
    if (this.#reused.delete(real ?? '')) stat = ownCopy(from, stat);
    // Only now: the way to the target may have taken the place of what the location had open.
    const path = this.#location.entry(relative);
    const here = lstatSync(path, { throwIfNoEntry: false });
    const isThere = here !== undefined && here.ino === stat.ino && here.dev === stat.dev;
    if (!isThere) this.#make(relative, path, false, () => linkSync(from, path));
    // As Docker does: what the last name's header says is what the file looks like.
    if (!stat.isSymbolicLink()) this.#attributes.link(path, header, stat);
  }

  #device(header: TarHeader, relative: string, path: HostPath): void {
    if (typeof path !== 'string') throw badArchive('a device with a name that is not UTF-8');
    const kind = header.type === 'fifo' ? S_IFIFO : header.type === 'char-device' ? S_IFCHR : S_IFBLK;
    if (
      header.deviceMajor > 0xfff ||
      header.deviceMinor > 0xfffff ||
      header.deviceMajor < 0 ||
      header.deviceMinor < 0
    ) {
      throw badArchive(`the device ${header.path} has a number that is too large`);
    }
    this.#make(relative, path, false, () =>
      this.#syscall.mknod(path, kind | (header.mode & 0o777), header.deviceMajor, header.deviceMinor),
    );
    this.#attributes.node(path, header);
  }

  /** Makes an entry; what is there already is removed first, unless both are directories. */
  #make<T>(relative: string, path: HostPath, isDirectory: boolean, create: () => T): T | undefined;
  #make(relative: string, path: HostPath, isDirectory: false, create: () => number): number;
  #make<T>(relative: string, path: HostPath, isDirectory: boolean, create: () => T): T | undefined {
    try {
      return create();
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'EEXIST') throw error;
    }
    const here = lstatSync(path);
    if (isDirectory && here.isDirectory()) return undefined;
    if (this.#options.noOverwriteDirNonDir === true && here.isDirectory() !== isDirectory) {
      const [existing, wanted] = isDirectory
        ? ['non-directory', 'directory']
        : ['directory', 'non-directory'];
      throw new EngineError(
        'invalid-parameter',
        `cannot overwrite ${existing} "/${relative}" with ${wanted} "/${this.#base}"`,
      );
    }
    if (this.#location.isMount(relative)) {
      throw new EngineError('internal', `unlinkat /${relative}: device or resource busy`, { code: 'EBUSY' });
    }
    this.#remove(relative, path, here);
    const made = create();
    if (isDirectory && this.#options.form === 'overlay' && isWhiteout(here)) this.#setOpaque(path);
    return made;
  }

  #remove(relative: string, path: HostPath, here: Stats): void {
    this.sizeBytes = undefined;
    // Of what was below it, too. Rare enough to begin anew.
    this.#options.digests?.clear();
    if (!here.isDirectory()) {
      unlinkSync(path);
      if (here.isSymbolicLink()) this.#parents.forget();
      return;
    }
    removeTree(path);
    this.#parents.forget();
    this.#location.forget(relative);
    for (const known of this.#directories.keys()) {
      if (known === relative || known.startsWith(`${relative}/`)) this.#directories.delete(known);
    }
  }

  #whiteoutMember(parent: string, base: string): void {
    const directory = this.#parents.resolve(joinRelative(this.#base, parent));
    if (base.startsWith(WHITEOUT_META)) {
      if (base === OPAQUE) this.#opaque(directory);
      return;
    }
    const name = base.slice(WHITEOUT_PREFIX.length);
    if (name === '' || name === '.' || name === '..') throw badArchive(`bad whiteout ${base}`);
    this.#whiteout(directory, name);
  }

  /** Hides what the layers below have under this name; what this layer has stays, whichever came first. */
  #whiteout(directory: string, name: string): void {
    const relative = joinRelative(directory, name);
    const path = this.#location.entry(relative);
    const here = lstatSync(path, { throwIfNoEntry: false });
    if (this.#options.form === 'merged') {
      if (here !== undefined) this.#removeOlder(relative, path, here);
      return;
    }
    if (here === undefined) {
      if (typeof path !== 'string') throw badArchive('a whiteout of a name that is not UTF-8');
      this.#syscall.mknod(path, S_IFCHR, 0, 0);
    } else if (here.isDirectory()) {
      this.#setOpaque(path);
    }
  }

  #opaque(directory: string): void {
    const path = this.#location.entry(directory);
    if (this.#options.form === 'overlay') {
      this.#setOpaque(path);
      return;
    }
    const fd = openSync(path, OPEN_DIRECTORY);
    try {
      emptyDirectory(fd, (relative) => this.#isMade(joinRelative(directory, relative)));
    } finally {
      closeSync(fd);
    }
    this.#parents.forget();
  }

  #removeOlder(relative: string, path: HostPath, here: Stats): void {
    if (here.isDirectory()) {
      removeTree(path, (below) => this.#isMade(joinRelative(relative, below)));
      this.#parents.forget();
    } else if (!this.#made.has(relative)) {
      this.#remove(relative, path, here);
    }
  }

  #isMade(relative: string): boolean {
    return this.#made.has(relative);
  }

  /** A parent that an earlier whiteout of this layer hides below: the layer starts it anew. */
  #replaceWhiteout(relative: string): boolean {
    if (this.#options.form !== 'overlay') return false;
    const path = this.#location.entry(relative);
    if (!isWhiteout(lstatSync(path))) return false;
    unlinkSync(path);
    mkdirSync(path, 0o755);
    this.#setOpaque(path);
    this.#parents.add(relative);
    this.#directories.set(relative, impliedHeader());
    return true;
  }

  #setOpaque(path: HostPath): void {
    if (typeof path !== 'string') throw badArchive('an opaque directory with a name that is not UTF-8');
    this.#syscall.lsetxattr(path, OPAQUE_XATTR, Buffer.from('y'));
  }

  /** A parent that the archive does not list looks as the layers below have it, else as mkdir -p makes it. */
  #implied(relative: string): void {
    this.#count();
    if (this.#options.form === 'merged') this.#made.add(relative);
    for (const lower of this.#options.lowerDirectories ?? []) {
      const stat = lstatSync(`${lower}/${relative}`, { throwIfNoEntry: false });
      if (stat === undefined) continue;
      if (stat.isDirectory()) {
        this.#directories.set(relative, impliedHeader(stat));
        return;
      }
      break;
    }
    this.#directories.set(relative, impliedHeader());
  }
}

/** The 0/0 character device by which overlayfs hides a name. */
export function isWhiteout(stat: Stats): boolean {
  return stat.isCharacterDevice() && stat.rdev === 0;
}
