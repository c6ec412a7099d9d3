import { EngineError, isEngineError } from '../../errors/index.ts';
import type { DescriptorWatcher, PacketSocket } from '../../sys/index.ts';
import type { RuntimeStreams } from '../container-runtime.ts';

/** conmon reads at most this much of a packet. */
const inputBytesMax = 32 * 1024;
const stdoutByte = 2;
const stderrByte = 3;

interface Piece {
  stream: 'stdout' | 'stderr';
  chunk: Buffer;
}

/**
 * One connection to conmon's attach socket for all clients of a task. One, because conmon closes the container's stdin
 * when any connection of several ends, and writes all output once for each. It is there while a client is; while one of
 * them pauses nothing is read, conmon blocks in its write, and so, once the pipes are full, does the container.
 */
export class SharedAttach {
  readonly #watcher: Pick<DescriptorWatcher, 'connectPacket'>;
  readonly #path: string;
  readonly #closesStdin: boolean;
  readonly #clients = new Set<AttachClient>();
  #socket: PacketSocket | undefined;
  #taskEnded = false;
  #inputClosed = false;
  #paused = false;

  /** @param closesStdin conmon closes the container's stdin when our connection's input ends (no --leave-stdin-open) */
  constructor(watcher: Pick<DescriptorWatcher, 'connectPacket'>, path: string, closesStdin: boolean) {
    this.#watcher = watcher;
    this.#path = path;
    this.#closesStdin = closesStdin;
  }

  /** When conmon is gone already, the streams end at once. */
  attach(): RuntimeStreams {
    const client = new AttachClient({
      send: (chunk) => this.#send(chunk),
      closeInput: () => this.#closeInput(),
      changed: () => this.#balance(),
      gone: (self) => {
        this.#clients.delete(self);
        this.#disconnectIfIdle();
        this.#balance();
      },
    });
    this.#clients.add(client);
    try {
      this.#socket ??= this.#connect();
    } catch (error) {
      const code = isEngineError(error) ? error.code : '';
      if (code !== 'ENOENT' && code !== 'ECONNREFUSED') throw error;
      // Not before the caller has set its callbacks.
      setImmediate(() => client.finish(undefined));
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

  #connect(): PacketSocket {
    const socket = this.#watcher.connectPacket(this.#path);
    socket.onPacket = (packet) => {
      const stream = packet[0] === stderrByte ? 'stderr' : 'stdout';
      if (packet[0] !== stdoutByte && packet[0] !== stderrByte) return;
      const chunk = packet.subarray(1);
      for (const client of this.#clients) client.deliver({ stream, chunk });
    };
    socket.onClose = (error) => {
      if (this.#socket === socket) this.#socket = undefined;
      for (const client of this.#clients) client.finish(error);
    };
    this.#paused = false;
    return socket;
  }

  async #send(chunk: Uint8Array): Promise<void> {
    const socket = this.#socket;
    if (this.#inputClosed || socket === undefined)
      throw new EngineError('conflict', 'Cannot write to standard input: it is closed');
    for (let at = 0; at < chunk.byteLength; at += inputBytesMax) {
      await socket.send(chunk.subarray(at, at + inputBytesMax));
    }
  }

  #closeInput(): void {
    // Without this conmon would never read from this connection again, although the container's stdin stays open.
    if (!this.#closesStdin || this.#inputClosed) return;
    this.#inputClosed = true;
    this.#socket?.shutdownWrite();
  }

  #disconnectIfIdle(): void {
    if (this.#clients.size > 0 || this.#socket === undefined) return;
    // Closing would end the container's stdin, for which another client may come: read on, into nothing.
    if (this.#closesStdin && !this.#inputClosed) return;
    this.#socket.close();
  }

  #balance(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    const paused = !this.#taskEnded && [...this.#clients].some((client) => client.isPaused);
    if (paused === this.#paused) return;
    this.#paused = paused;
    if (paused) socket.pause();
    else socket.resume();
  }
}

interface ClientLinks {
  send(chunk: Uint8Array): Promise<void>;
  closeInput(): void;
  changed(): void;
  gone(self: AttachClient): void;
}

class AttachClient implements RuntimeStreams {
  onOutput: RuntimeStreams['onOutput'] = () => {};
  onEnd: RuntimeStreams['onEnd'] = () => {};
  isPaused = false;
  readonly #links: ClientLinks;
  /** What came while paused: at most what was under way when another client paused, or after the task's end. */
  readonly #held: Piece[] = [];
  #end: { error: Error | undefined } | undefined;
  #closed = false;

  constructor(links: ClientLinks) {
    this.#links = links;
  }

  deliver(piece: Piece): void {
    if (this.isPaused || this.#held.length > 0) this.#held.push(piece);
    else this.onOutput(piece.stream, piece.chunk);
  }

  finish(error: Error | undefined): void {
    this.#end ??= { error };
    this.#flush();
  }

  writeInput(chunk: Uint8Array): Promise<void> {
    if (this.#closed)
      return Promise.reject(new EngineError('cancelled', 'Cannot write to standard input: detached'));
    return this.#links.send(chunk);
  }

  closeInput(): void {
    this.#links.closeInput();
  }

  pause(): void {
    if (this.isPaused) return;
    this.isPaused = true;
    this.#links.changed();
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.#flush();
    this.#links.changed();
  }

  close(): void {
    this.#finishOnce({ error: undefined });
  }

  #flush(): void {
    while (!this.isPaused && !this.#closed) {
      const piece = this.#held.shift();
      if (piece === undefined) break;
      this.onOutput(piece.stream, piece.chunk);
    }
    if (this.#end !== undefined && this.#held.length === 0) this.#finishOnce(this.#end);
  }

  #finishOnce(end: { error: Error | undefined }): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#held.length = 0;
    this.#links.gone(this);
    if (end.error === undefined) this.onEnd();
    else this.onEnd(end.error);
  }
}
