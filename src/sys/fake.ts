import { SyscallError } from '../errors/index.ts';
import type { Syscall } from './syscall.ts';

export interface RecordedCall {
  name: keyof Syscall;
  args: unknown[];
}

export interface RecordingSyscall extends Syscall {
  readonly calls: RecordedCall[];
}

type Results = { [K in keyof Syscall]?: (...args: Parameters<Syscall[K]>) => ReturnType<Syscall[K]> };

/**
 * A Syscall that records its calls and changes nothing, for unit tests without privileges. Calls without a result succeed;
 * of those that must answer something, `inNetworkNamespace` runs its body, `openInRoot`, `socket`, `pidfdOpen` and
 * `copyDescriptor` fail with ENOSYS unless `results` says what they answer.
 * @example const sys = recordingSyscall({ unmount: () => { throw new SyscallError('umount2', 'EBUSY'); } });
 */
export function recordingSyscall(results: Results = {}): RecordingSyscall {
  const calls: RecordedCall[] = [];
  const refuse = (name: string) => (): never => {
    throw new SyscallError(name, 'ENOSYS', undefined, 'not given to recordingSyscall()');
  };
  const done = (): void => {};
  const all: Syscall = {
    mount: done,
    unmount: done,
    mountOverlay: done,
    createNetworkNamespace: done,
    removeNetworkNamespace: done,
    inNetworkNamespace: (_path, body) => body(),
    socket: refuse('socket'),
    bind: (_fd, _address, port) => port,
    connect: () => {},
    close: done,
    lchown: done,
    mknod: done,
    lutimes: done,
    lsetxattr: done,
    lgetxattr: () => undefined,
    llistxattr: () => [],
    flistxattr: () => [],
    openInRoot: refuse('openat2'),
    statfs: () => ({ type: 0xef53, blockSize: 4096, blocks: 1_000_000n, bavail: 500_000n }),
    tryLock: () => true,
    syncfs: done,
    umask: () => 0o22,
    kill: done,
    pidfdOpen: refuse('pidfd_open'),
    pidfdSendSignal: done,
    copyDescriptor: refuse('pidfd_getfd'),
    setWindowSize: done,
    bytesQueued: () => 0,
    getrlimit: () => ({ soft: 1024n, hard: 4096n }),
    ...(results as Partial<Syscall>),
  };
  const recording = Object.fromEntries(
    Object.entries(all).map(([name, answer]) => [
      name,
      (...args: unknown[]): unknown => {
        calls.push({ name: name as keyof Syscall, args });
        return (answer as (...args: unknown[]) => unknown)(...args);
      },
    ]),
  ) as unknown as Syscall;
  return Object.assign(recording, { calls });
}
