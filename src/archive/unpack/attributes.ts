import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  futimesSync,
  lchownSync,
  lutimesSync,
  openSync,
  type Stats,
} from 'node:fs';
import { isEngineError } from '../../errors/index.ts';
import type { Syscall } from '../../sys/index.ts';
import { badArchive, type TarHeader } from '../tar/header.ts';
import type { HostPath } from './names.ts';

const O_PATH = 0o10000000;

/** Attributes by which overlayfs steers itself: an archive must not be able to set them. */
const steering = /^(?:trusted|user)\.overlay\./;

/** Owner to give to everything, instead of what the archive says. */
export interface Owner {
  uid: number;
  gid: number;
}

/** Sets owner, mode, extended attributes and times of what was just created, in the order in which none undoes another. */
export class AttributeWriter {
  #syscall: Syscall;
  #owner: Owner | undefined;
  readonly #shared: boolean;
  readonly #uid = process.geteuid?.() ?? 0;
  readonly #gid = process.getegid?.() ?? 0;
  /** Attributes that the file system cannot store, by name; told to the caller, not an error, as in Docker. */
  readonly unsupported = new Set<string>();

  /** @param options `shared`: others may exchange entries meanwhile, as a container that runs */
  constructor(syscall: Syscall, options: { owner: Owner | undefined; shared: boolean }) {
    this.#syscall = syscall;
    this.#owner = options.owner;
    this.#shared = options.shared;
  }

  /**
   * An open file whose content is written (a write clears set-uid bits and capabilities). `createdMode` is what open(2)
   * made of the mode, -1 when unsure, e.g. where a default ACL or a set-gid directory above may have had a part.
   */
  file(fd: number, path: HostPath, header: TarHeader, createdMode: number): void {
    const uid = this.#owner?.uid ?? header.uid;
    const gid = this.#owner?.gid ?? header.gid;
    const chown = uid !== this.#uid || gid !== this.#gid || createdMode === -1;
    if (chown) fchownSync(fd, uid, gid);
    if (createdMode !== header.mode) fchmodSync(fd, header.mode);
    if (header.xattrs !== null) this.#xattrs(path, header.xattrs);
    if (header.mtimeNanos === 0) futimesSync(fd, header.mtimeSeconds, header.mtimeSeconds);
    else this.#times(path, header);
  }

  /** A directory, device, fifo or symlink, by its name. */
  node(path: HostPath, header: TarHeader): void {
    lchownSync(path, this.#owner?.uid ?? header.uid, this.#owner?.gid ?? header.gid);
    // The mode of a symlink means nothing, and chmod(2) would follow it.
    if (header.type !== 'symlink') this.#chmod(path, header.mode);
    if (header.xattrs !== null) this.#xattrs(path, header.xattrs);
    this.#times(path, header);
  }

  /** A further name of a file. What the header says no other than the file has is left: a chown(2) takes capabilities. */
  link(path: HostPath, header: TarHeader, stat: Stats): void {
    const uid = this.#owner?.uid ?? header.uid;
    const gid = this.#owner?.gid ?? header.gid;
    const chown = uid !== stat.uid || gid !== stat.gid;
    if (chown) lchownSync(path, uid, gid);
    if (chown || header.mode !== (stat.mode & 0o7777)) this.#chmod(path, header.mode);
    if (header.xattrs !== null) this.#xattrs(path, header.xattrs);
    this.#times(path, header);
  }

  /** Never through a link that was put there since (CVE-2021-41089). */
  #chmod(path: HostPath, mode: number): void {
    if (!this.#shared) {
      chmodSync(path, mode);
      return;
    }
    const fd = openSync(path, O_PATH | constants.O_NOFOLLOW);
    try {
      if (fstatSync(fd).isSymbolicLink()) throw badArchive('it was exchanged for a symbolic link meanwhile');
      chmodSync(`/proc/self/fd/${fd}`, mode);
    } finally {
      closeSync(fd);
    }
  }

  #times(path: HostPath, header: TarHeader): void {
    if (header.mtimeNanos === 0 || typeof path !== 'string') {
      lutimesSync(path, header.mtimeSeconds, header.mtimeSeconds);
      return;
    }
    // A double cannot hold nanoseconds of today.
    const time = BigInt(header.mtimeSeconds) * 1_000_000_000n + BigInt(header.mtimeNanos);
    this.#syscall.lutimes(path, time, time);
  }

  #xattrs(path: HostPath, xattrs: ReadonlyMap<string, Buffer>): void {
    for (const [name, value] of xattrs) {
      if (steering.test(name)) continue;
      if (typeof path !== 'string') throw badArchive('extended attributes on a name that is not UTF-8');
      try {
        this.#syscall.lsetxattr(path, name, value);
      } catch (error) {
        if (!isEngineError(error) || !['EOPNOTSUPP', 'ENOTSUP', 'EPERM'].includes(error.code)) throw error;
        this.unsupported.add(name);
      }
    }
  }
}
