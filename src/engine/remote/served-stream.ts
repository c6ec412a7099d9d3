import type { Peer } from './peer.ts';
import { encodeError } from './values.ts';

/** A stream of this side, given item by item as the other side asks for them. */
export class ServedStream {
  readonly #iterator: AsyncIterator<unknown>;
  readonly #reference: number;
  readonly #peer: Peer;
  readonly #encode: (item: unknown) => unknown;
  #last: Promise<void> = Promise.resolve();
  #isDone = false;

  constructor(
    stream: AsyncIterable<unknown>,
    reference: number,
    peer: Peer,
    encode: (item: unknown) => unknown,
  ) {
    this.#iterator = stream[Symbol.asyncIterator]();
    this.#reference = reference;
    this.#peer = peer;
    this.#encode = encode;
  }

  pull(): void {
    this.#last = this.#last.then(() => this.#next());
  }

  /** No more is wanted; also ends a stream that was never asked. */
  cancel(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#iterator.return?.().catch(() => undefined);
  }

  async #next(): Promise<void> {
    if (this.#isDone) return;
    const reference = this.#reference;
    try {
      const { done, value } = await this.#iterator.next();
      if (done === true) this.#end();
      else if (value instanceof Uint8Array) this.#peer.sendBytes('bytes', reference, value);
      else this.#peer.send({ item: { reference, value: this.#encode(value) } });
    } catch (error) {
      this.#isDone = true;
      this.#peer.send({ end: { reference, error: encodeError(error) } });
    }
  }

  #end(): void {
    this.#isDone = true;
    this.#peer.send({ end: { reference: this.#reference } });
  }
}
