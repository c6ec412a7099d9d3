import { closeSync, constants, statfsSync } from 'node:fs';
import { mountFlags, type BindOptions, type OverlayMount, type Syscall } from '../syscall.ts';
import { parseIp } from '../netlink/ip-address.ts';
import { check, cString, errno, libc, open, syscallError, syscallNumber } from './libc.ts';
import { NetworkNamespaces } from './network-namespace.ts';
import { withFittingOptions } from './overlay.ts';

const AF_INET = 2;
const AF_INET6 = 10;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const O_PATH = 0o10000000;
const SOCK_CLOEXEC_NONBLOCK = 0x80000 | 0x800;
const LOCK_EX_NB = 2 | 4;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_IN_ROOT = 0x10;
const TIOCSWINSZ = 0x5414;
const FIONREAD = 0x541b;
const EAGAIN = 11;
const EINPROGRESS = 115;
const ERANGE = 34;
const ENODATA = 61;
const EOPNOTSUPP = 95;

type Text = string | null;

const mount = libc<(source: Text, target: string, type: Text, flags: number, data: Text) => number>(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
);
const umount2 = libc<(target: string, flags: number) => number>('int umount2(const char *target, int flags)');
const socket = libc<(domain: number, type: number, protocol: number) => number>(
  'int socket(int domain, int type, int protocol)',
);
const bind = libc<(fd: number, address: Buffer, length: number) => number>(
  'int bind(int fd, void *address, unsigned int length)',
);
const connect = libc<(fd: number, address: Buffer, length: number) => number>(
  'int connect(int fd, void *address, unsigned int length)',
);
const setsockopt = libc<(fd: number, level: number, name: number, value: Buffer, length: number) => number>(
  'int setsockopt(int fd, int level, int name, void *value, unsigned int length)',
);
const getsockname = libc<(fd: number, address: Buffer, length: Buffer) => number>(
  'int getsockname(int fd, void *address, void *length)',
);
const lchown = libc<(path: string, uid: number, gid: number) => number>(
  'int lchown(const char *path, unsigned int uid, unsigned int gid)',
);
const mknodat = libc<(number: number, at: number, path: string, mode: number, device: number) => number>(
  'long syscall(long number, long at, const char *path, unsigned long mode, unsigned long device)',
);
const utimensat = libc<(at: number, path: string, times: Buffer, flags: number) => number>(
  'int utimensat(int at, const char *path, void *times, int flags)',
);
const lsetxattr = libc<
  (path: string, name: string, value: Uint8Array, size: number, flags: number) => number
>('int lsetxattr(const char *path, const char *name, void *value, size_t size, int flags)');
const lgetxattr = libc<(path: string, name: string, value: Buffer | null, size: number) => number>(
  'long lgetxattr(const char *path, const char *name, void *value, size_t size)',
);
const llistxattr = libc<(path: string, list: Buffer | null, size: number) => number>(
  'long llistxattr(const char *path, void *list, size_t size)',
);
const flistxattr = libc<(fd: number, list: Buffer | null, size: number) => number>(
  'long flistxattr(int fd, void *list, size_t size)',
);
const openat2 = libc<(number: number, at: number, path: string, how: Buffer, size: number) => number>(
  'long syscall(long number, long at, const char *path, void *how, unsigned long size)',
);
const flock = libc<(fd: number, operation: number) => number>('int flock(int fd, int operation)');
const syncfs = libc<(fd: number) => number>('int syncfs(int fd)');
const kill = libc<(pid: number, signal: number) => number>('int kill(int pid, int signal)');
const pidfdOpen = libc<(number: number, pid: number, flags: number) => number>(
  'long syscall(long number, long pid, long flags)',
);
const pidfdSendSignal = libc<
  (number: number, pidfd: number, signal: number, info: null, flags: number) => number
>('long syscall(long number, long pidfd, long signal, void *info, long flags)');
const pidfdGetfd = libc<(number: number, pidfd: number, fd: number, flags: number) => number>(
  'long syscall(long number, long pidfd, long fd, unsigned long flags)',
);
const ioctl = libc<(fd: number, request: number, argument: Buffer) => number>(
  'int ioctl(int fd, unsigned long request, void *argument)',
);
const getrlimit = libc<(resource: number, limit: Buffer) => number>(
  'int getrlimit(int resource, void *limit)',
);

/** A list of C strings. */
function names(list: Buffer | undefined): string[] {
  return list === undefined || list.length === 0 ? [] : list.toString('utf8', 0, list.length - 1).split('\0');
}

/** The kernel itself, through the C library. */
export class LinuxSyscall implements Syscall {
  readonly #scratch = Buffer.allocUnsafeSlow(4096);
  readonly #networkNamespaces = new NetworkNamespaces();

  mount(
    source: string | null,
    target: string,
    type: string | null,
    flags: number,
    data: string | null,
  ): void {
    for (const text of [source, target, type, data]) if (text !== null) cString(text, 'mount');
    check(mount(source, target, type, flags, data), 'mount', target);
  }

  unmount(target: string, flags = 0): void {
    check(umount2(cString(target, 'umount2'), flags), 'umount2', target);
  }

  mountOverlay(options: OverlayMount): void {
    const flags = options.readOnly === true ? mountFlags.readOnly : 0;
    withFittingOptions(options, (data) => this.mount('overlay', options.target, 'overlay', flags, data));
  }

  createNetworkNamespace(path: string): void {
    this.#networkNamespaces.create(path);
  }

  removeNetworkNamespace(path: string): void {
    this.#networkNamespaces.remove(path);
  }

  inNetworkNamespace<T>(path: string, body: () => T): T {
    return this.#networkNamespaces.run(path, body);
  }

  socket(domain: number, type: number, protocol: number): number {
    return check(socket(domain, type | SOCK_CLOEXEC_NONBLOCK, protocol), 'socket');
  }

  bind(fd: number, address: string, port: number, options: BindOptions = {}): number {
    const name = socketName(address, port);
    // Otherwise `::` would take the port of IPv4, too.
    if (name.readUInt16LE(0) === AF_INET6)
      check(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, Buffer.of(1, 0, 0, 0), 4), 'setsockopt');
    if (options.reusesAddress === true)
      check(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, Buffer.of(1, 0, 0, 0), 4), 'setsockopt');
    check(bind(fd, name, name.length), 'bind', `${address}:${port}`);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(name.length, 0);
    check(getsockname(fd, name, length), 'getsockname');
    return name.readUInt16BE(2);
  }

  connect(fd: number, address: string, port: number): void {
    const name = socketName(address, port);
    if (connect(fd, name, name.length) === 0 || errno() === EINPROGRESS) return;
    throw syscallError('connect', errno(), `${address}:${port}`);
  }

  close(fd: number): void {
    // Node's own, so that it notices when one of its descriptors is closed under it.
    closeSync(fd);
  }

  lchown(path: string, uid: number, gid: number): void {
    check(lchown(cString(path, 'lchown'), uid, gid), 'lchown', path);
  }

  mknod(path: string, mode: number, major: number, minor: number): void {
    const device = ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
    check(mknodat(syscallNumber.mknodat, AT_FDCWD, cString(path, 'mknod'), mode, device), 'mknod', path);
  }

  lutimes(path: string, atimeNs: bigint, mtimeNs: bigint): void {
    const times = Buffer.alloc(32);
    for (const [at, time] of [atimeNs, mtimeNs].entries()) {
      // The nanoseconds must be 0-999999999, also before 1970.
      const nanos = ((time % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
      times.writeBigInt64LE((time - nanos) / 1_000_000_000n, at * 16);
      times.writeBigInt64LE(nanos, at * 16 + 8);
    }
    check(utimensat(AT_FDCWD, cString(path, 'utimensat'), times, AT_SYMLINK_NOFOLLOW), 'utimensat', path);
  }

  lsetxattr(path: string, name: string, value: Uint8Array): void {
    cString(name, 'lsetxattr');
    check(lsetxattr(cString(path, 'lsetxattr'), name, value, value.byteLength, 0), 'lsetxattr', path);
  }

  lgetxattr(path: string, name: string): Buffer | undefined {
    cString(path, 'lgetxattr');
    cString(name, 'lgetxattr');
    return this.#sized('lgetxattr', path, (buffer, size) => lgetxattr(path, name, buffer, size));
  }

  llistxattr(path: string): string[] {
    cString(path, 'llistxattr');
    return names(this.#sized('llistxattr', path, (buffer, size) => llistxattr(path, buffer, size)));
  }

  flistxattr(fd: number): string[] {
    return names(this.#sized('flistxattr', String(fd), (buffer, size) => flistxattr(fd, buffer, size)));
  }

  /** Calls with a buffer, and again with a larger one while the kernel says that it is too small. */
  #sized(
    syscall: string,
    path: string,
    call: (buffer: Buffer | null, size: number) => number,
  ): Buffer | undefined {
    // Most answers are short or empty, and asked for by the ten thousand.
    let buffer = this.#scratch;
    for (let size = buffer.length; ; buffer = Buffer.allocUnsafe(size)) {
      const length = Number(call(buffer, size));
      if (length >= 0) return Buffer.from(buffer.subarray(0, length));
      const number = errno();
      if (number === ENODATA || number === EOPNOTSUPP) return undefined;
      if (number !== ERANGE) throw syscallError(syscall, number, path);
      size = Math.max(Number(call(null, 0)), size * 2);
    }
  }

  openInRoot(root: string, path: string, flags: number, mode = 0): number {
    const rootFd = open(root, O_PATH | constants.O_DIRECTORY);
    try {
      const how = Buffer.alloc(24);
      how.writeBigUInt64LE(BigInt(flags | 0o2000000), 0);
      how.writeBigUInt64LE(BigInt(mode), 8);
      how.writeBigUInt64LE(BigInt(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), 16);
      cString(path, 'openat2');
      // EAGAIN: something was renamed meanwhile and the kernel could not be sure.
      for (let attempt = 0; ; attempt++) {
        const fd = Number(openat2(syscallNumber.openat2, rootFd, path, how, how.length));
        if (fd >= 0) return fd;
        const number = errno();
        if (number !== EAGAIN || attempt === 31) throw syscallError('openat2', number, path);
      }
    } finally {
      closeSync(rootFd);
    }
  }

  statfs(path: string): { type: number; blockSize: number; blocks: bigint; bavail: bigint } {
    try {
      const { type, bsize, blocks, bavail } = statfsSync(path, { bigint: true });
      return { type: Number(type), blockSize: Number(bsize), blocks, bavail };
    } catch (error) {
      throw syscallError('statfs', -((error as NodeJS.ErrnoException).errno ?? 0), path);
    }
  }

  tryLock(fd: number): boolean {
    if (flock(fd, LOCK_EX_NB) === 0) return true;
    const number = errno();
    if (number === EAGAIN) return false;
    throw syscallError('flock', number);
  }

  syncfs(fd: number): void {
    check(syncfs(fd), 'syncfs');
  }

  umask(mask: number): number {
    return process.umask(mask);
  }

  kill(pid: number, signal: number): void {
    check(kill(pid, signal), 'kill', String(pid));
  }

  pidfdOpen(pid: number): number {
    return check(Number(pidfdOpen(syscallNumber.pidfdOpen, pid, 0)), 'pidfd_open', String(pid));
  }

  pidfdSendSignal(pidfd: number, signal: number): void {
    const result = pidfdSendSignal(syscallNumber.pidfdSendSignal, pidfd, signal, null, 0);
    check(Number(result), 'pidfd_send_signal', String(pidfd));
  }

  copyDescriptor(pid: number, fd: number): number {
    const pidfd = this.pidfdOpen(pid);
    try {
      const copy = pidfdGetfd(syscallNumber.pidfdGetfd, pidfd, fd, 0);
      return check(Number(copy), 'pidfd_getfd', `${fd} of ${pid}`);
    } finally {
      closeSync(pidfd);
    }
  }

  setWindowSize(fd: number, rows: number, columns: number): void {
    const size = Buffer.alloc(64);
    size.writeUInt16LE(rows, 0);
    size.writeUInt16LE(columns, 2);
    check(ioctl(fd, TIOCSWINSZ, size), 'ioctl');
  }

  bytesQueued(fd: number): number {
    const count = Buffer.alloc(64);
    check(ioctl(fd, FIONREAD, count), 'ioctl');
    return count.readInt32LE(0);
  }

  getrlimit(resource: number): { soft: bigint; hard: bigint } {
    const limit = Buffer.alloc(16);
    check(getrlimit(resource, limit), 'getrlimit');
    return { soft: limit.readBigUInt64LE(0), hard: limit.readBigUInt64LE(8) };
  }
}

/** struct sockaddr_in or sockaddr_in6: family, then port and address in network byte order. */
function socketName(address: string, port: number): Buffer {
  const { family, bytes } = parseIp(address);
  const name = Buffer.alloc(family === 4 ? 16 : 28);
  name.writeUInt16LE(family === 4 ? AF_INET : AF_INET6, 0);
  name.writeUInt16BE(port, 2);
  name.set(bytes, family === 4 ? 4 : 8);
  return name;
}
