import { closeSync } from 'node:fs';
import { errno, syscallError } from './libc.ts';
import { ReadinessWatch } from './readiness.ts';

const EINTR = 4;
const EIO = 5;
const EAGAIN = 11;
const EPIPE = 32;
const ECONNRESET = 104;
/** Larger than any packet of conmon's (8 KiB and the stream's byte). */
const readBytesMax = 32 * 1024;
const slabBytes = 256 * 1024;
/** Reads in one turn of the event loop, so that one busy container does not starve the others. */
const readsPerTurn = 64;

interface Waiting {
  data: Uint8Array;
  resolve: () => void;
  reject: (error: Error) => void;
}

/** How a channel's descriptor is read, written and half-closed; the calls answer as the system calls do. */
export interface ChannelCalls {
  /** Absent: never read. */
  read?: (fd: number, buffer: Buffer, length: number) => number;
  write?: (fd: number, data: Uint8Array, length: number) => number;
  /** After the last write; absent: nothing to do. */
  finishWrite?: (fd: number) => void;
}

/** A descriptor read and written in the engine's own event loop, with back-pressure both ways. */
export class DescriptorChannel {
  readonly #fd: number;
  readonly #calls: ChannelCalls;
  readonly #watch: ReadinessWatch;
  readonly #onData: (data: Buffer) => void;
  readonly #onClose: (error?: Error) => void;
  readonly #waiting: Waiting[] = [];
  #slab = Buffer.alloc(0);
  #paused = false;
  #closed = false;
  #finishing = false;
  #wasReset = false;

  /** Takes over the descriptor. */
  constructor(
    fd: number,
    calls: ChannelCalls,
    callbacks: { onData: (data: Buffer) => void; onClose: (error?: Error) => void },
  ) {
    this.#fd = fd;
    this.#calls = calls;
    this.#onData = callbacks.onData;
    this.#onClose = callbacks.onClose;
    this.#watch = new ReadinessWatch(fd, {
      readable: () => this.#receive(),
      writable: () => this.#writeWaiting(),
    });
    this.#rearm();
  }

  send(data: Uint8Array): Promise<void> {
    if (this.#closed || this.#finishing) return Promise.reject(syscallError('write', EPIPE));
    let rest: Uint8Array = data;
    if (this.#waiting.length === 0) {
      try {
        rest = this.#tryWrite(data);
      } catch (error) {
        return Promise.reject(error as Error);
      }
      if (rest.byteLength === 0) return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ data: rest, resolve, reject });
      this.#rearm();
    });
  }

  finishWrite(): void {
    if (this.#closed || this.#finishing) return;
    this.#finishing = true;
    if (this.#waiting.length === 0) this.#calls.finishWrite?.(this.#fd);
  }

  pause(): void {
    this.#paused = true;
    this.#rearm();
  }

  resume(): void {
    this.#paused = false;
    this.#rearm();
  }

  /** Reads what is there now, also while paused, without waiting for more. */
  drain(): void {
    this.#paused = false;
    this.#receive(Number.POSITIVE_INFINITY);
    this.#rearm();
  }

  close(error?: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.close();
    closeSync(this.#fd);
    this.#slab = Buffer.alloc(0);
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error ?? syscallError('write', EPIPE));
    this.#onClose(error);
  }

  #rearm(): void {
    if (this.#closed) return;
    this.#watch.want(!this.#paused && this.#calls.read !== undefined, this.#waiting.length > 0);
  }

  /** @returns what the kernel did not take */
  #tryWrite(data: Uint8Array): Uint8Array {
    let rest = data;
    while (rest.byteLength > 0) {
      const length = Number(this.#calls.write?.(this.#fd, rest, rest.byteLength) ?? rest.byteLength);
      if (length >= 0) {
        rest = rest.subarray(length);
        continue;
      }
      const number = errno();
      if (number === EAGAIN) break;
      if (number !== EINTR) throw syscallError('write', number);
    }
    return rest;
  }

  #writeWaiting(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      try {
        next.data = this.#tryWrite(next.data);
        if (next.data.byteLength > 0) return;
        next.resolve();
      } catch (error) {
        next.reject(error as Error);
      }
      this.#waiting.shift();
    }
    if (this.#finishing) this.#calls.finishWrite?.(this.#fd);
    this.#rearm();
  }

  #receive(reads = readsPerTurn): void {
    const { read } = this.#calls;
    for (let count = 0; count < reads && !this.#paused && !this.#closed && read !== undefined; count++) {
      if (this.#slab.length < readBytesMax) this.#slab = Buffer.allocUnsafeSlow(slabBytes);
      const length = Number(read(this.#fd, this.#slab, readBytesMax));
      if (length > 0) {
        const data = this.#slab.subarray(0, length);
        this.#slab = this.#slab.subarray(length);
        this.#onData(data);
        continue;
      }
      const number = length === 0 ? 0 : errno();
      if (number === EINTR) continue;
      if (number === EAGAIN) return;
      if (number === ECONNRESET && !this.#wasReset) {
        // The other side closed without reading everything of ours. What it sent before is still to be read.
        this.#wasReset = true;
        continue;
      }
      // EIO: the last process with a pseudo terminal open has closed it.
      this.close(number === 0 || number === EIO ? undefined : syscallError('read', number));
    }
  }
}
