import type { EngineError } from '../../errors/index.ts';
import type { Peer } from './peer.ts';

/** Items asked for ahead of their use, so that the other side need not wait for each. */
const ahead = 4;

/** A stream of the other side. It can be read once. */
export class RemoteStream implements AsyncIterable<unknown> {
  readonly #reference: number;
  readonly #peer: Peer;
  readonly #onUsed: () => void;
  readonly #items: unknown[] = [];
  #asked = 0;
  #hasEnded = false;
  #error: EngineError | undefined;
  #wake: (() => void) | undefined;

  constructor(reference: number, peer: Peer, onUsed: () => void) {
    this.#reference = reference;
    this.#peer = peer;
    this.#onUsed = onUsed;
  }

  push(item: unknown): void {
    this.#asked--;
    this.#items.push(item);
    this.#wake?.();
  }

  end(error?: EngineError): void {
    this.#hasEnded = true;
    this.#error = error;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<unknown, void, undefined> {
    try {
      for (;;) {
        while (!this.#hasEnded && this.#asked + this.#items.length < ahead) {
          this.#asked++;
          this.#peer.send({ pull: this.#reference });
        }
        if (this.#items.length > 0) yield this.#items.shift();
        else if (this.#error !== undefined) throw this.#error;
        else if (this.#hasEnded) return;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      if (!this.#hasEnded) this.#peer.send({ cancel: this.#reference });
      this.#hasEnded = true;
      this.#onUsed();
    }
  }
}
