import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { isKind, SyscallError } from '../../errors/index.ts';
import type { DescriptorWatcher, Syscall } from '../../sys/index.ts';
import type { RuntimeExit, RuntimeStreams, RuntimeTask } from '../container-runtime.ts';
import { AttachSource } from './attach-source.ts';
import type { Bundle } from './bundle.ts';
import { StreamHub } from '../streams/stream-hub.ts';

const SIGKILL = 9;
const resizeEvent = 1;
const reopenLogEvent = 2;
/** conmon takes a message within microseconds, unless it is blocked by a client that does not read. */
const controlTimeoutMs = 2000;
const controlPollMs = 1;

/** What the task needs of the engine. */
export interface TaskServices {
  syscall: Pick<Syscall, 'pidfdOpen' | 'pidfdSendSignal' | 'bytesQueued' | 'kill'>;
  watcher: Pick<DescriptorWatcher, 'watchReadable'>;
  /** Asked once, after the end. */
  oomKilled: (exitCode: number) => boolean;
}

/** The clients of whatever runs under conmon with this bundle. */
export function conmonHub(
  bundle: Bundle,
  watcher: Pick<DescriptorWatcher, 'connectPacket'>,
  closesStdin: boolean,
): StreamHub {
  return new StreamHub({
    connect: () => new AttachSource(watcher.connectPacket(bundle.attachSocket)),
    closesStdin,
    whenIdle: 'disconnect',
  });
}

/** A container, or an exec session, under conmon, whether we started it or found it. */
export class ConmonTask implements RuntimeTask {
  readonly pid: number;
  readonly monitorPid: number;
  readonly exited: Promise<RuntimeExit>;
  readonly #bundle: Bundle;
  readonly #services: TaskServices;
  readonly #hub: StreamHub;
  /** Undefined once it is gone. */
  #pidfd: number | undefined;
  #watch: { remove(): void } | undefined;
  #isEnded = false;
  #control: Promise<void> = Promise.resolve();

  /** @param monitorGone resolves when conmon is no more, after which nothing of the task changes */
  constructor(options: {
    pid: number;
    /** False: the number may be somebody else's by now. */
    isRunning: boolean;
    monitorPid: number;
    monitorGone: Promise<unknown>;
    bundle: Bundle;
    hub: StreamHub;
    services: TaskServices;
  }) {
    this.pid = options.pid;
    this.monitorPid = options.monitorPid;
    this.#bundle = options.bundle;
    this.#services = options.services;
    this.#hub = options.hub;
    this.#pidfd = options.isRunning ? this.#openPid() : undefined;
    this.exited = options.monitorGone.then(
      () => this.#readExit(),
      () => this.#readExit(),
    );
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  attach(): RuntimeStreams {
    const streams = this.#hub.attach();
    // Only somebody who listens can keep conmon from reporting the end, see StreamHub.drain().
    if (this.#watch === undefined && this.#pidfd !== undefined) {
      this.#watch = this.#services.watcher.watchReadable(this.#pidfd, () => {
        this.#watch?.remove();
        this.#hub.drain();
      });
    } else if (this.#pidfd === undefined) {
      this.#hub.drain();
    }
    return streams;
  }

  /** Nobody will attach any more. */
  abandon(): void {
    this.#hub.abandon();
  }

  async resize(rows: number, columns: number): Promise<void> {
    await this.#sendControl(`${resizeEvent} ${rows} ${columns}\n`);
  }

  /** Resolves when conmon has been told; it opens the new file right after. */
  async reopenLog(): Promise<void> {
    await this.#sendControl(`${reopenLogEvent} 0 0\n`);
  }

  /** @throws {SyscallError} ESRCH when it has ended */
  kill(signal: number): void {
    if (this.#pidfd === undefined) throw new SyscallError('pidfd_send_signal', 'ESRCH', String(this.pid));
    this.#services.syscall.pidfdSendSignal(this.#pidfd, signal);
  }

  /** One message at a time: conmon 2.1 takes the first of several that it reads together for each of them. */
  #sendControl(message: string): Promise<void> {
    const sent = this.#control.then(async () => {
      if (this.#isEnded) return;
      let fd: number;
      try {
        fd = openSync(this.#bundle.control, constants.O_WRONLY | constants.O_NONBLOCK);
      } catch (error) {
        // ENXIO: nobody reads any more; ENOENT: it is all gone.
        const code = (error as NodeJS.ErrnoException).code;
        if (code === 'ENXIO' || code === 'ENOENT') return;
        throw error;
      }
      try {
        writeSync(fd, message);
        const deadline = performance.now() + controlTimeoutMs;
        while (!this.#isEnded && performance.now() < deadline && this.#services.syscall.bytesQueued(fd) > 0) {
          await delay(controlPollMs);
        }
      } finally {
        closeSync(fd);
      }
    });
    this.#control = sent.catch(() => {});
    return sent;
  }

  #openPid(): number | undefined {
    try {
      return this.#services.syscall.pidfdOpen(this.pid);
    } catch (error) {
      if (error instanceof SyscallError && error.errno === 'ESRCH') return undefined;
      throw error;
    }
  }

  #readExit(): RuntimeExit {
    let exit = this.#bundle.readExit();
    if (exit === undefined) {
      // Somebody killed the monitor. Without it nobody keeps the container's output and status: it ends here.
      try {
        this.kill(SIGKILL);
      } catch (error) {
        if (!isKind(error, 'internal')) throw error;
      }
      exit = { exitCode: 128 + SIGKILL, exitedAtMs: Date.now() };
    }
    this.#isEnded = true;
    this.#watch?.remove();
    if (this.#pidfd !== undefined) closeSync(this.#pidfd);
    this.#pidfd = undefined;
    this.#hub.drain();
    return { ...exit, oomKilled: this.#services.oomKilled(exit.exitCode) || this.#bundle.sawOomKill() };
  }
}
