import { EngineError } from '../../errors/index.ts';
import type { RuntimeStreams } from '../container-runtime.ts';

interface Piece {
  stream: 'stdout' | 'stderr';
  chunk: Buffer;
}

/** What a client asks of the hub it belongs to. */
export interface ClientLinks {
  send(chunk: Uint8Array): Promise<void>;
  closeInput(): void;
  /** It paused or resumed. */
  changed(): void;
  gone(self: AttachClient): void;
}

/** One client's view of a task's streams. */
export class AttachClient implements RuntimeStreams {
  onOutput: RuntimeStreams['onOutput'] = () => {};
  onEnd: RuntimeStreams['onEnd'] = () => {};
  isPaused = false;
  readonly #links: ClientLinks;
  /** What came while paused: at most what was under way when it paused, or is left after the task's end. */
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
    if (this.#closed) {
      return Promise.reject(new EngineError('cancelled', 'Cannot write to standard input: detached'));
    }
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
