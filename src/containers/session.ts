import type { LogEntry } from '../logs/index.ts';
import type { RuntimeStreams } from '../runtime/index.ts';
import type { AttachSession } from './containers.ts';
import { DetachScanner } from './detach-keys.ts';

export interface SessionOptions {
  tty: boolean;
  /** The client's input goes to the container. */
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  /** The end of the client's input is the end of the container's. */
  closeInput: boolean;
  /** Null: no key sequence detaches. */
  detachKeys: readonly number[] | null;
  /** Earlier output to deliver before the live streams. */
  replay: (() => AsyncIterable<LogEntry[]>) | null;
  /** False: ends after the replay. */
  live: boolean;
  /** The end of the output is told after this, e.g. when the exit code is known too. */
  beforeEnd?: () => Promise<void>;
  onDetach: () => void;
  /** Called once when the session is over for whatever reason. */
  onClosed: () => void;
}

/**
 * A client at the streams of a container or exec session. It may be there before the streams are: input waits then,
 * and output begins with the first byte. Nothing is delivered before begin().
 */
export class ContainerSession implements AttachSession {
  onOutput: (stream: 'stdout' | 'stderr', chunk: Buffer) => void = () => undefined;
  onEnd: (reason: { detached: boolean; error?: Error }) => void = () => undefined;
  readonly #options: SessionOptions;
  readonly #scanner: DetachScanner | null;
  #streams: RuntimeStreams | null = null;
  readonly #connected = Promise.withResolvers<RuntimeStreams | null>();
  #begun = false;
  #replaying = false;
  #clientPaused = false;
  #resumed: (() => void) | null = null;
  #ended = false;
  /** The end, when it came while nothing could be delivered yet. */
  #pendingEnd: { detached: boolean; error?: Error } | null = null;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#scanner =
      options.detachKeys !== null && options.tty && options.stdin
        ? new DetachScanner(options.detachKeys)
        : null;
  }

  get tty(): boolean {
    return this.#options.tty;
  }

  /** The streams are there. */
  connect(streams: RuntimeStreams): void {
    if (this.#ended || !this.#options.live) {
      streams.close();
      return;
    }
    this.#streams = streams;
    streams.onOutput = (stream, chunk) => this.#deliver(stream, chunk);
    streams.onEnd = (error) => this.#streamsEnded(error);
    if (!this.#begun || this.#replaying || this.#clientPaused) streams.pause();
    this.#connected.resolve(streams);
  }

  begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    const { replay, live } = this.#options;
    if (replay === null) {
      if (live) this.#flow();
      else this.#finish({ detached: false });
      return;
    }
    this.#replaying = true;
    void this.#replayThenFlow(replay);
  }

  async writeInput(chunk: Uint8Array): Promise<void> {
    if (!this.#options.stdin) return;
    const streams = this.#streams ?? (await this.#connected.promise);
    if (streams === null || this.#ended) return;
    if (this.#scanner === null) return streams.writeInput(chunk);
    const { data, detached } = this.#scanner.push(chunk);
    if (data.length > 0) await streams.writeInput(data);
    if (detached) {
      this.#options.onDetach();
      this.#finish({ detached: true });
    }
  }

  closeInput(): void {
    if (!this.#options.stdin || !this.#options.closeInput) return;
    void this.#connected.promise.then((streams) => {
      if (!this.#ended) streams?.closeInput();
    });
  }

  pause(): void {
    this.#clientPaused = true;
    this.#streams?.pause();
  }

  resume(): void {
    this.#clientPaused = false;
    this.#resumed?.();
    this.#flow();
  }

  close(): void {
    this.#finish({ detached: false });
  }

  /** The container is removed, or could not be started: nothing will come. */
  abandon(): void {
    if (this.#streams === null) this.#finish({ detached: false });
  }

  #flow(): void {
    if (!this.#begun || this.#replaying || this.#clientPaused) return;
    if (this.#pendingEnd !== null) {
      this.#finish(this.#pendingEnd);
      return;
    }
    this.#streams?.resume();
  }

  #deliver(stream: 'stdout' | 'stderr', chunk: Buffer): void {
    if (this.#ended) return;
    if (this.#options.tty ? this.#options.stdout || this.#options.stderr : this.#options[stream]) {
      this.onOutput(stream, chunk);
    }
  }

  async #replayThenFlow(replay: () => AsyncIterable<LogEntry[]>): Promise<void> {
    try {
      for await (const entries of replay()) {
        for (const entry of entries) this.#deliver(entry.stream, entry.data);
        if (this.#ended) return;
        if (this.#clientPaused) await this.#untilResumed();
      }
      this.#replaying = false;
      if (this.#options.live) this.#flow();
      else this.#finish({ detached: false });
    } catch (error) {
      this.#replaying = false;
      this.#finish({ detached: false, error: error instanceof Error ? error : new Error(String(error)) });
    }
  }

  async #untilResumed(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#resumed = resolve;
    await promise;
    this.#resumed = null;
  }

  /** What the replay or a client that has not begun still has to get comes before the end. */
  #streamsEnded(error: Error | undefined): void {
    const reason = error === undefined ? { detached: false } : { detached: false, error };
    const { beforeEnd } = this.#options;
    if (beforeEnd === undefined) this.#endWith(reason);
    else void beforeEnd().then(() => this.#endWith(reason));
  }

  #endWith(reason: { detached: boolean; error?: Error }): void {
    if (!this.#begun || this.#replaying) this.#pendingEnd ??= reason;
    else this.#finish(reason);
  }

  #finish(reason: { detached: boolean; error?: Error }): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#resumed?.();
    this.#connected.resolve(null);
    this.#streams?.close();
    this.#options.onClosed();
    this.onEnd(reason);
  }
}
