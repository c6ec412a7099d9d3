/**
 * The kernel seam: every system call the engine makes goes through this contract, so that rooms above can be tested
 * with a recording fake. Calls are synchronous (an FFI call costs under a microsecond) and throw SyscallError.
 * Nothing here may be used for calls that can block for long; waiting is `DescriptorWatcher`'s work.
 */
export interface Syscall {
  /** mount(2). `source` and `type` may be null; `flags` is an OR of `mountFlags`. */
  mount(source: string | null, target: string, type: string | null, flags: number, data: string | null): void;
  /** umount2(2); `flags` from `unmountFlags`. */
  unmount(target: string, flags?: number): void;
  /** A mount of an overlay by the new mount API where the kernel has it (no limit on lowerdirs), else mount(2). */
  mountOverlay(options: OverlayMount): void;

  /**
   * Makes a new network namespace with `lo` up and binds it at `path` (the file is created). The calling thread is
   * back in its own namespace when this returns or throws; on failure nothing is left at `path`.
   */
  createNetworkNamespace(path: string): void;
  /** Unbinds and deletes the file; no error when it is gone already. */
  removeNetworkNamespace(path: string): void;
  /** Runs a synchronous function with the thread inside the network namespace bound at `path`. */
  inNetworkNamespace<T>(path: string, body: () => T): T;

  /** socket(2): a descriptor with CLOEXEC and NONBLOCK set. */
  socket(domain: number, type: number, protocol: number): number;
  /** bind(2) to an IPv4 or IPv6 address, the latter for IPv6 alone; port 0 for one that the kernel chooses. @returns the port */
  bind(fd: number, address: string, port: number, options?: BindOptions): number;
  /** connect(2), begun: whoever uses the socket learns how it ends. @throws {SyscallError} when it cannot even begin */
  connect(fd: number, address: string, port: number): void;
  close(fd: number): void;

  lchown(path: string, uid: number, gid: number): void;
  mknod(path: string, mode: number, major: number, minor: number): void;
  /** utimensat(2) with AT_SYMLINK_NOFOLLOW. Times in nanoseconds since the epoch. */
  lutimes(path: string, atimeNs: bigint, mtimeNs: bigint): void;
  lsetxattr(path: string, name: string, value: Uint8Array): void;
  /** Undefined when the attribute is not there. */
  lgetxattr(path: string, name: string): Buffer | undefined;
  llistxattr(path: string): string[];
  /** The same for an open file, which spares looking up its name. */
  flistxattr(fd: number): string[];
  /** openat2(2) below `root` with RESOLVE_IN_ROOT: links and `..` cannot leave it. Returns a descriptor (CLOEXEC). */
  openInRoot(root: string, path: string, flags: number, mode?: number): number;
  statfs(path: string): { type: number; blockSize: number; blocks: bigint; bavail: bigint };
  /** flock(2) LOCK_EX|LOCK_NB; false when another process holds it. */
  tryLock(fd: number): boolean;
  syncfs(fd: number): void;
  umask(mask: number): number;

  /** kill(2). */
  kill(pid: number, signal: number): void;
  /** pidfd_open(2); throws ESRCH when there is no such process. */
  pidfdOpen(pid: number): number;
  pidfdSendSignal(pidfd: number, signal: number): void;
  /** pidfd_getfd(2): a descriptor (CLOEXEC) of what another process has open, file status flags shared with it. */
  copyDescriptor(pid: number, fd: number): number;
  /** ioctl(TIOCSWINSZ) on a pseudo terminal. */
  setWindowSize(fd: number, rows: number, columns: number): void;
  /** ioctl(FIONREAD): bytes in a pipe that its reader has not taken yet. */
  bytesQueued(fd: number): number;
  /** Hard and soft limit of this process, e.g. for RLIMIT_NOFILE. */
  getrlimit(resource: number): { soft: bigint; hard: bigint };
}

export interface BindOptions {
  /** SO_REUSEADDR: of TCP, also while connections of whoever had the port before are being forgotten. */
  reusesAddress?: boolean;
}

export interface OverlayMount {
  target: string;
  /** Top layer first, as in the kernel's lowerdir. */
  lowerDirs: readonly string[];
  upperDir?: string;
  workDir?: string;
  readOnly?: boolean;
  /** Nothing is synced, not at unmount either (Linux 5.10): for trees that nobody wants after a crash. */
  isVolatile?: boolean;
}

export const mountFlags = {
  readOnly: 1,
  nosuid: 2,
  nodev: 4,
  noexec: 8,
  remount: 32,
  noatime: 1024,
  bind: 4096,
  move: 8192,
  recursive: 16384,
  unbindable: 1 << 17,
  private: 1 << 18,
  slave: 1 << 19,
  shared: 1 << 20,
  relatime: 1 << 21,
} as const;

export const unmountFlags = { force: 1, detach: 2, noFollow: 8 } as const;
