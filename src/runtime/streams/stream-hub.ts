import { EngineError, isEngineError } from '../../errors/index.ts';
import type { RuntimeStreams } from '../container-runtime.ts';
import { AttachClient } from './attach-client.ts';
import type { StreamSource } from './stream-source.ts';

export interface StreamHubOptions {
  /** @throws {SyscallError} ENOENT or ECONNREFUSED when the task is gone: the streams then end at once */
  connect(): StreamSource;
  /** Input has an end for the task: closeInput() closes its stdin. False: stdin stays open for later clients. */
  closesStdin: boolean;
  /** Whether the connection ends with the last client (and comes back with the next), or is read into nothing. */
  whenIdle: 'disconnect' | 'discard';
}

/**
 * One connection to a task's streams for all clients. One, because conmon closes the container's stdin when any
 * connection of several ends, and writes all output once for each. While one client pauses nothing is read, conmon blocks
 * in its write, and so, once the pipes are full, does the container.
 */
export class StreamHub {
  readonly #options: StreamHubOptions;
  readonly #clients = new Set<AttachClient>();
  #source: StreamSource | undefined;
  /** Connected, and waiting for the first client, so that it gets the first byte. */
  #isHeld = false;
  #whenFirst: (() => void) | undefined;
  #taskEnded = false;
  #isEnded = false;
  #inputClosed = false;
  #paused = false;

  constructor(options: StreamHubOptions) {
    this.#options = options;
  }

  /** Connects without reading before the first client attaches. */
  hold(): void {
    this.#isHeld = true;
    this.#source ??= this.#connect();
    this.#balance();
  }

  attach(): RuntimeStreams {
    const client = new AttachClient({
      send: (chunk) => this.#send(chunk),
      closeInput: () => this.#closeInput(),
      changed: () => this.#balance(),
      gone: (self) => {
        this.#clients.delete(self);
        this.#rest();
        this.#balance();
      },
    });
    this.#clients.add(client);
    // Not before the caller has set its callbacks.
    const endSoon = (): void => void setImmediate(() => client.finish(undefined));
    if (this.#isEnded) {
      endSoon();
      return client;
    }
    try {
      this.#source ??= this.#connect();
    } catch (error) {
      const code = isEngineError(error) ? error.code : '';
      if (code !== 'ENOENT' && code !== 'ECONNREFUSED') throw error;
      endSoon();
      return client;
    }
    this.#isHeld = false;
    this.#balance();
    const end = this.#whenFirst;
    if (end !== undefined) {
      this.#whenFirst = undefined;
      // Not before the caller has set its callbacks.
      setImmediate(() => this.finish(end));
    }
    return client;
  }

  /**
   * The first process has ended. From here on what is left is bounded by the pipes' and the socket's buffers, and is
   * read even for a client that pauses: conmon cannot report the end before it has written everything.
   */
  drain(): void {
    this.#taskEnded = true;
    this.#balance();
  }

  /**
   * The task has ended and `end` makes the source deliver the rest and end. When the first client is yet to come, this
   * waits for it.
   */
  finish(end: () => void): void {
    if (this.#isHeld) {
      this.#whenFirst = end;
      return;
    }
    this.drain();
    end();
  }

  /** Nobody will attach any more. */
  abandon(): void {
    this.#isHeld = false;
    this.#whenFirst = undefined;
    if (this.#clients.size === 0) this.#source?.close();
  }

  #connect(): StreamSource {
    const source = this.#options.connect();
    source.onOutput = (stream, chunk) => {
      for (const client of this.#clients) client.deliver({ stream, chunk });
    };
    source.onEnd = (error) => {
      if (this.#source === source) this.#source = undefined;
      if (this.#options.whenIdle === 'discard') this.#isEnded = true;
      for (const client of this.#clients) client.finish(error);
    };
    this.#paused = false;
    return source;
  }

  #send(chunk: Uint8Array): Promise<void> {
    if (this.#inputClosed || this.#source === undefined) {
      return Promise.reject(new EngineError('conflict', 'Cannot write to standard input: it is closed'));
    }
    return this.#source.send(chunk);
  }

  #closeInput(): void {
    // Without this conmon would never read from this connection again, although the container's stdin stays open.
    if (!this.#options.closesStdin || this.#inputClosed) return;
    this.#inputClosed = true;
    this.#source?.closeInput();
  }

  #rest(): void {
    if (this.#clients.size > 0 || this.#options.whenIdle === 'discard') return;
    // Closing would end the container's stdin, for which another client may come: read on, into nothing.
    if (this.#options.closesStdin && !this.#inputClosed) return;
    this.#source?.close();
  }

  #balance(): void {
    const source = this.#source;
    if (source === undefined) return;
    const wanted = this.#isHeld || [...this.#clients].some((client) => client.isPaused);
    const paused = wanted && !(this.#taskEnded && !this.#isHeld);
    if (paused === this.#paused) return;
    this.#paused = paused;
    if (paused) source.pause();
    else source.resume();
  }
}
