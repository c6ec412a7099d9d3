import { koffi } from './libc.ts';

export interface ReadyCallbacks {
  readable?: () => void;
  writable?: () => void;
}

interface Poll {
  unref(): void;
  stop(): void;
  close(): void;
  start(options: { readable: boolean; writable: boolean }, callback: (...parameters: never[]) => void): void;
}

/**
 * Calls back when a descriptor is readable or writable, in the engine's own event loop: `koffi.node.poll` is libuv's
 * uv_poll, which takes every descriptor that epoll takes (pidfds, SOCK_SEQPACKET sockets, pseudo terminals). While a
 * watch waits for something it keeps the program alive. One watch per descriptor; it must be closed before the descriptor.
 * The descriptor is put into non-blocking mode.
 */
export class ReadinessWatch {
  readonly #fd: number;
  readonly #callbacks: ReadyCallbacks;
  #poll: Poll | undefined;
  #wanted = { readable: false, writable: false };
  #closed = false;
  #isUnref = false;

  constructor(fd: number, callbacks: ReadyCallbacks) {
    this.#fd = fd;
    this.#callbacks = callbacks;
  }

  /** What to wait for from now on; nothing: the watch rests. */
  want(readable: boolean, writable: boolean): void {
    if (this.#closed || (this.#wanted.readable === readable && this.#wanted.writable === writable)) return;
    this.#wanted = { readable, writable };
    this.#arm();
  }

  /** From now on the watch does not keep the program alive. */
  unref(): void {
    this.#isUnref = true;
    this.#poll?.unref();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    watches.delete(this);
    this.#poll?.close();
    this.#poll = undefined;
  }

  #arm(): void {
    const { readable, writable } = this.#wanted;
    if (!readable && !writable) {
      this.#poll?.stop();
      return;
    }
    if (this.#poll === undefined) {
      this.#poll = koffi().node.poll(this.#fd, this.#wanted, this.#onPoll as () => void) as unknown as Poll;
      // koffi closes a handle whose object is collected, even while it waits.
      watches.add(this);
      if (this.#isUnref) this.#poll.unref();
    } else {
      this.#poll.start(this.#wanted, this.#onPoll);
    }
  }

  readonly #onPoll = ((status: number, events: { readable: boolean; writable: boolean }): void => {
    ready.push({ watch: this, status, events });
    // koffi calls straight from libuv, outside of Node's callback scope, where promises would not go on and an exception
    // would have nowhere to go. The check phase comes right after the poll phase, so this costs nothing.
    if (ready.length === 1) setImmediate(deliver);
  }) as unknown as (...parameters: never[]) => void;

  /** @internal */
  deliver(status: number, events: { readable: boolean; writable: boolean }): void {
    if (this.#closed) return;
    if (status < 0) {
      // libuv stops a handle at EPOLLERR. The next read or write says what is wrong.
      const wanted = this.#wanted;
      this.#wanted = { readable: false, writable: false };
      if (wanted.readable) this.#callbacks.readable?.();
      if (wanted.writable && !this.#isClosed()) this.#callbacks.writable?.();
      if (!this.#isClosed() && !this.#wanted.readable && !this.#wanted.writable) {
        this.want(wanted.readable, wanted.writable);
      }
      return;
    }
    if (events.readable && this.#wanted.readable) this.#callbacks.readable?.();
    if (events.writable && this.#wanted.writable && !this.#isClosed()) this.#callbacks.writable?.();
  }

  #isClosed(): boolean {
    return this.#closed;
  }
}

const watches = new Set<ReadinessWatch>();
let ready: {
  watch: ReadinessWatch;
  status: number;
  events: { readable: boolean; writable: boolean };
}[] = [];

function deliver(): void {
  const batch = ready;
  ready = [];
  for (const [at, { watch, status, events }] of batch.entries()) {
    try {
      watch.deliver(status, events);
    } catch (error) {
      // The others are level-triggered and would come again, but not if the loop stopped here with an error handled.
      ready.unshift(...batch.slice(at + 1));
      if (ready.length > 0) setImmediate(deliver);
      throw error;
    }
  }
}
