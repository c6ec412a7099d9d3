import { closeSync } from 'node:fs';
import { EngineError } from '../../errors/index.ts';
import type { ExitStatus, ProcessSpawner, SpawnedProcess, SpawnOptions } from '../process.ts';
import { check, errno, libc, syscallError, syscallNumber } from './libc.ts';
import { posixSpawn } from './posix-spawn.ts';
import { ReadinessWatch } from './readiness.ts';

const O_CLOEXEC = 0o2000000;
const WNOHANG = 1;
const EAGAIN = 11;
const EINTR = 4;
const ESRCH = 3;
const outputBytesMax = 1024 * 1024;

const pipe2 = libc<(fds: Buffer, flags: number) => number>('int pipe2(void *fds, int flags)');
const waitpid = libc<(pid: number, status: Buffer, options: number) => number>(
  'int waitpid(int pid, void *status, int options)',
);
const pidfdOpen = libc<(number: number, pid: number, flags: number) => number>(
  'long syscall(long number, long pid, long flags)',
);
const kill = libc<(pid: number, signal: number) => number>('int kill(int pid, int signal)');
const read = libc<(fd: number, buffer: Buffer, length: number) => number>(
  'long read(int fd, void *buffer, size_t length)',
);
const write = libc<(fd: number, buffer: Uint8Array, length: number) => number>(
  'long write(int fd, void *buffer, size_t length)',
);

/** Children by posix_spawn(3), their ends by pidfds in the engine's event loop. */
export class LinuxProcesses implements ProcessSpawner {
  readonly #waiting = new Set<ReadinessWatch>();
  #isClosed = false;

  spawn(options: SpawnOptions): SpawnedProcess {
    const pid = posixSpawn(options);
    // The child cannot be gone: until it is waited for, it is at least a zombie.
    const pidfd = check(Number(pidfdOpen(syscallNumber.pidfdOpen, pid, 0)), 'pidfd_open', String(pid));
    let isReaped = false;
    const exited = new Promise<ExitStatus>((resolve) => {
      const watch = new ReadinessWatch(pidfd, {
        readable: () => {
          const status = reap(pid);
          if (status === undefined) return;
          isReaped = true;
          this.#forget(watch);
          closeSync(pidfd);
          resolve(status);
        },
      });
      this.#wait(watch);
    });
    return {
      pid,
      exited,
      kill: (signal) => {
        // After reaping, the number may belong to someone else.
        if (!isReaped) check(kill(pid, signal), 'kill', String(pid));
      },
    };
  }

  async run(
    options: Omit<SpawnOptions, 'fds'> & { stdin?: string | Uint8Array; signal?: AbortSignal },
  ): Promise<ExitStatus & { stdout: string; stderr: string }> {
    options.signal?.throwIfAborted();
    const [outRead, outWrite] = this.pipe();
    const [errRead, errWrite] = this.pipe();
    const input = options.stdin === undefined ? undefined : this.pipe();
    let child: SpawnedProcess;
    try {
      child = this.spawn({ ...options, fds: { 0: input?.[0] ?? 'null', 1: outWrite, 2: errWrite } });
    } catch (error) {
      for (const fd of [outRead, errRead, ...(input === undefined ? [] : [input[1]])]) closeSync(fd);
      throw error;
    } finally {
      for (const fd of [outWrite, errWrite, ...(input === undefined ? [] : [input[0]])]) closeSync(fd);
    }
    const stdout = new Collector(outRead);
    const stderr = new Collector(errRead);
    const writer = input === undefined ? undefined : new Feeder(input[1], options.stdin ?? '');
    const onAbort = (): void => child.kill(9);
    options.signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const status = await child.exited;
      options.signal?.throwIfAborted();
      // A grandchild may hold the pipes open for ever: what is there now is what the child itself wrote.
      return { ...status, stdout: stdout.finish(), stderr: stderr.finish() };
    } finally {
      options.signal?.removeEventListener('abort', onAbort);
      writer?.close();
      stdout.close();
      stderr.close();
    }
  }

  pipe(): [number, number] {
    const fds = Buffer.alloc(128);
    check(pipe2(fds, O_CLOEXEC), 'pipe2');
    return [fds.readInt32LE(0), fds.readInt32LE(4)];
  }

  waitForExit(pid: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    const pidfd = Number(pidfdOpen(syscallNumber.pidfdOpen, pid, 0));
    if (pidfd < 0) {
      const number = errno();
      return number === ESRCH ? Promise.resolve() : Promise.reject(syscallError('pidfd_open', number));
    }
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void): void => {
        signal?.removeEventListener('abort', onAbort);
        this.#forget(watch);
        closeSync(pidfd);
        settle();
      };
      const watch = new ReadinessWatch(pidfd, { readable: () => finish(resolve) });
      const onAbort = (): void =>
        finish(() =>
          reject((signal?.reason as Error | undefined) ?? new EngineError('cancelled', 'cancelled')),
        );
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#wait(watch);
    });
  }

  close(): void {
    this.#isClosed = true;
    for (const watch of this.#waiting) watch.unref();
  }

  #wait(watch: ReadinessWatch): void {
    this.#waiting.add(watch);
    if (this.#isClosed) watch.unref();
    watch.want(true, false);
  }

  #forget(watch: ReadinessWatch): void {
    this.#waiting.delete(watch);
    watch.close();
  }
}

function reap(pid: number): ExitStatus | undefined {
  const buffer = Buffer.alloc(128);
  let result: number;
  do result = waitpid(pid, buffer, WNOHANG);
  while (result < 0 && errno() === EINTR);
  if (result === 0) return undefined;
  // ECHILD: somebody else took the status, which a program embedding the engine can bring about with SIGCHLD ignored.
  if (result < 0) return { exitCode: null, signal: null };
  const status = buffer.readInt32LE(0);
  const signal = status & 0x7f;
  return signal === 0 ? { exitCode: (status >> 8) & 0xff, signal: null } : { exitCode: null, signal };
}

/** Reads a pipe as text, up to a limit; what comes after is read and dropped, so that the writer does not block. */
class Collector {
  readonly #fd: number;
  readonly #watch: ReadinessWatch;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #closed = false;

  constructor(fd: number) {
    this.#fd = fd;
    this.#watch = new ReadinessWatch(fd, { readable: () => this.#read() });
    this.#watch.want(true, false);
  }

  finish(): string {
    this.#read();
    return Buffer.concat(this.#chunks).toString();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.close();
    closeSync(this.#fd);
  }

  #read(): void {
    while (!this.#closed) {
      const buffer = Buffer.allocUnsafeSlow(16 * 1024);
      const length = Number(read(this.#fd, buffer, buffer.length));
      if (length > 0) {
        const room = outputBytesMax - this.#bytes;
        if (room > 0) this.#chunks.push(buffer.subarray(0, Math.min(length, room)));
        this.#bytes += length;
        continue;
      }
      if (length < 0 && errno() === EINTR) continue;
      if (length < 0 && errno() === EAGAIN) return;
      this.close();
    }
  }
}

/** Writes bytes into a pipe and closes it. A reader that goes away early is no error: it has what it wanted. */
class Feeder {
  readonly #fd: number;
  readonly #watch: ReadinessWatch;
  #rest: Uint8Array;
  #closed = false;

  constructor(fd: number, content: string | Uint8Array) {
    this.#fd = fd;
    this.#rest = typeof content === 'string' ? Buffer.from(content) : content;
    this.#watch = new ReadinessWatch(fd, { writable: () => this.#write() });
    this.#watch.want(false, true);
    // uv_poll made it non-blocking, so writing at once is safe, and mostly all there is to do.
    this.#write();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.close();
    closeSync(this.#fd);
  }

  #write(): void {
    while (!this.#closed) {
      if (this.#rest.byteLength === 0) return this.close();
      const length = Number(write(this.#fd, this.#rest, this.#rest.byteLength));
      if (length >= 0) this.#rest = this.#rest.subarray(length);
      else if (errno() === EAGAIN) return;
      else if (errno() !== EINTR) return this.close();
    }
  }
}
