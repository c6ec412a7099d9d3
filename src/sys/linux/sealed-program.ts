import { closeSync, existsSync, readFileSync, statSync, writeSync } from 'node:fs';
import { libc } from './libc.ts';

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_EXEC = 16;
const F_ADD_SEALS = 1033;
/** F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_WRITE: what OCI runtimes look for, no more and no less. */
const ALL_SEALS = 0xf;
/** A program that is larger is not worth the memory. */
const SIZE_MAX_BYTES = 4 * 1024 * 1024;

const memfdCreate = libc<(name: string, flags: number) => number>(
  'int memfd_create(const char *name, unsigned int flags)',
);
const fcntl = libc<(fd: number, command: number, argument: number) => number>(
  'int fcntl(int fd, int command, int argument)',
);

interface Copy {
  /** Undefined when this machine does not let us have one. */
  fd: number | undefined;
  identity: string;
}

const copies = new Map<string, Copy>();

/**
 * The path of a copy of the program in sealed memory, or the program's own path where there cannot be one. An OCI runtime
 * protects its executable from the container (CVE-2019-5736): it makes itself a copy that nobody can write to and executes
 * that, at every start. Executed from such a copy already it goes on at once, which saves a mount, an unmount and an
 * execve with all its dynamic linking: 2 ms of processor time. The path is good while this process lives; a program that
 * was replaced is copied again.
 */
export function sealedProgram(path: string): string {
  const identity = identityOf(path);
  let copy = copies.get(path);
  if (copy === undefined || copy.identity !== identity) {
    if (copy?.fd !== undefined) closeSync(copy.fd);
    copy = { fd: identity === undefined ? undefined : seal(path), identity: identity ?? '' };
    copies.set(path, copy);
  }
  return copy.fd === undefined ? path : `/proc/${process.pid}/fd/${copy.fd}`;
}

function identityOf(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined || stat.size > SIZE_MAX_BYTES
    ? undefined
    : `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeMs}`;
}

function seal(path: string): number | undefined {
  // There the label of the file decides what the program may do.
  if (existsSync('/sys/fs/selinux/enforce')) return undefined;
  const content = readFileSync(path);
  // A script would be given a path that its interpreter may not be able to open.
  if (content.subarray(0, 4).toString('latin1') !== '\x7fELF') return undefined;
  const name = path.slice(path.lastIndexOf('/') + 1);
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  let fd = memfdCreate(name, flags | MFD_EXEC);
  // Before Linux 6.3, which lets an administrator forbid executables of this kind.
  if (fd < 0) fd = memfdCreate(name, flags);
  if (fd < 0) return undefined;
  try {
    for (let at = 0; at < content.length;) at += writeSync(fd, content, at);
    if (fcntl(fd, F_ADD_SEALS, ALL_SEALS) === 0) return fd;
  } catch {
    // No memory for it: the program itself will do.
  }
  closeSync(fd);
  return undefined;
}
