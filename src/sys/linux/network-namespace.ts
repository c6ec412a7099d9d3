import { closeSync, unlinkSync } from 'node:fs';
import { EngineError } from '../../errors/index.ts';
import { check, cString, libc, open } from './libc.ts';

const CLONE_NEWNET = 0x4000_0000;
const MS_BIND = 4096;
const MNT_DETACH = 2;
const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 2 | 0x80000;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;

const unshare = libc<(flags: number) => number>('int unshare(int flags)');
const setns = libc<(fd: number, type: number) => number>('int setns(int fd, int type)');
const mount = libc<(source: string, target: string, type: null, flags: number, data: null) => number>(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
);
const umount2 = libc<(target: string, flags: number) => number>('int umount2(const char *target, int flags)');
const socket = libc<(domain: number, type: number, protocol: number) => number>(
  'int socket(int domain, int type, int protocol)',
);
const ioctl = libc<(fd: number, request: number, argument: Buffer) => number>(
  'int ioctl(int fd, unsigned long request, void *argument)',
);

const ownNamespace = '/proc/thread-self/ns/net';

/**
 * Switches the calling thread between network namespaces. The namespace that the thread started in is held open, so
 * that there is always a way back; a thread that could not go back would put everything after it into the wrong place.
 */
export class NetworkNamespaces {
  #current: number | undefined;

  create(path: string): void {
    closeSync(open(path, 'wx', 0o444));
    try {
      this.#away(
        () => check(unshare(CLONE_NEWNET), 'unshare'),
        () => {
          bringLoopbackUp();
          check(mount(ownNamespace, cString(path, 'mount'), null, MS_BIND, null), 'mount', path);
        },
      );
    } catch (error) {
      unlinkSync(path);
      throw error;
    }
  }

  remove(path: string): void {
    // EINVAL: not a mount point (any more); ENOENT: not there.
    const result = umount2(cString(path, 'umount2'), MNT_DETACH);
    if (result < 0) {
      try {
        check(result, 'umount2', path);
      } catch (error) {
        const code = (error as EngineError).code;
        if (code === 'ENOENT') return;
        if (code !== 'EINVAL') throw error;
      }
    }
    try {
      unlinkSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  run<T>(path: string, body: () => T): T {
    const fd = open(path, 'r');
    try {
      return this.#away(() => check(setns(fd, CLONE_NEWNET), 'setns', path), body, fd);
    } finally {
      closeSync(fd);
    }
  }

  #away<T>(leave: () => void, body: () => T, inside?: number): T {
    const back = (this.#current ??= open(ownNamespace, 'r'));
    leave();
    let result: T;
    try {
      // A nested call must come back to where this body is, not to the thread's first namespace.
      this.#current = inside ?? open(ownNamespace, 'r');
      result = body();
    } finally {
      if (inside === undefined && this.#current !== back && this.#current !== undefined)
        closeSync(this.#current);
      this.#current = back;
      check(setns(back, CLONE_NEWNET), 'setns', ownNamespace);
    }
    if (result instanceof Promise) {
      throw new EngineError('internal', 'Cannot run in a network namespace: the function is asynchronous');
    }
    return result;
  }
}

/** `lo` of the namespace that the thread is in, by two ioctls (netdevice(7)). */
function bringLoopbackUp(): void {
  const fd = check(socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0), 'socket');
  try {
    const request = Buffer.alloc(64);
    request.write('lo', 0);
    check(ioctl(fd, SIOCGIFFLAGS, request), 'ioctl', 'lo');
    request.writeInt16LE(request.readInt16LE(16) | IFF_UP, 16);
    check(ioctl(fd, SIOCSIFFLAGS, request), 'ioctl', 'lo');
  } finally {
    closeSync(fd);
  }
}
