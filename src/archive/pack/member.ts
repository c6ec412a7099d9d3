import { readlinkSync, type Stats } from 'node:fs';
import type { Syscall } from '../../sys/index.ts';
import { decodeName } from '../tar/header.ts';
import type { TarMember } from '../tar/writer.ts';
import { toHostPath } from '../unpack/names.ts';

/**
 * Extended attributes that belong to a file wherever it lies. Labels and hashes of one machine (security.selinux, ima,
 * evm) and what overlayfs writes for itself are left out.
 */
const portable = /^(?:user\.(?!overlay\.)|trusted\.(?!overlay\.)|security\.capability$|system\.posix_acl_)/;

/** The tar type of a file; undefined for a socket, which tar cannot hold. */
export function memberType(stat: Stats): TarMember['type'] | undefined {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isCharacterDevice()) return 'char-device';
  if (stat.isBlockDevice()) return 'block-device';
  return stat.isFIFO() ? 'fifo' : undefined;
}

/**
 * The header of a file as it lies there; times in whole seconds, as Docker writes them.
 * @param fd of the file, when it is open
 */
export function memberOf(
  syscall: Syscall,
  path: string,
  name: string,
  stat: Stats,
  fd?: number,
): TarMember | undefined {
  const type = memberType(stat);
  if (type === undefined) return undefined;
  const device = type === 'char-device' || type === 'block-device';
  return {
    path: name,
    type,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    sizeBytes: type === 'file' ? stat.size : 0,
    mtimeSeconds: Math.floor(stat.mtimeMs / 1000),
    linkPath: type === 'symlink' ? readLink(path) : '',
    deviceMajor: device ? major(stat.rdev) : 0,
    deviceMinor: device ? minor(stat.rdev) : 0,
    xattrs: readXattrs(syscall, path, fd),
  };
}

function readLink(path: string): string {
  const target = readlinkSync(toHostPath(path), 'buffer');
  return decodeName(target, 0, target.length);
}

function readXattrs(syscall: Syscall, path: string, fd: number | undefined): Map<string, Buffer> | null {
  let xattrs: Map<string, Buffer> | null = null;
  // The system calls take text.
  if (!path.isWellFormed()) return null;
  for (const name of fd === undefined ? syscall.llistxattr(path) : syscall.flistxattr(fd)) {
    if (!portable.test(name)) continue;
    const value = syscall.lgetxattr(path, name);
    if (value === undefined) continue;
    xattrs ??= new Map();
    xattrs.set(name, name === 'security.capability' ? withoutRootId(value) : value);
  }
  return xattrs;
}

/**
 * Capabilities of revision 3 belong to one user namespace, that of this machine. As Docker does, they are written in
 * revision 2, which every machine understands (linux/capability.h: the revision is the fourth byte).
 */
function withoutRootId(value: Buffer): Buffer {
  if (value[3] !== 3) return value;
  const plain = Buffer.from(value.subarray(0, 20));
  plain[3] = 2;
  return plain;
}

/** As glibc's gnu_dev_major, for numbers below 2^32. */
function major(device: number): number {
  return (device >>> 8) & 0xfff;
}

function minor(device: number): number {
  return (device & 0xff) | ((device >>> 12) & 0xfff00);
}
