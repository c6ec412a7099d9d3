/**
 * How much there is of a file that is still being written, for a reader that waits in another thread: both have a view of
 * the same memory.
 */
export class Growth {
  readonly shared: SharedArrayBuffer;
  /** Twice the bytes, and one more when that is all: a reader waits for a change of one number. */
  readonly #cell: BigInt64Array<SharedArrayBuffer>;

  /** @param shared another's */
  constructor(shared = new SharedArrayBuffer(8)) {
    this.shared = shared;
    this.#cell = new BigInt64Array(shared);
  }

  /** So many bytes are in the file now. */
  reach(bytes: number): void {
    this.#set(BigInt(bytes) * 2n);
  }

  /** There will not be more. */
  end(): void {
    this.#set(Atomics.load(this.#cell, 0) | 1n);
  }

  get hasEnded(): boolean {
    return (Atomics.load(this.#cell, 0) & 1n) === 1n;
  }

  /** Blocks the thread. @returns how many bytes there are: more than `bytes`, unless that is all */
  beyond(bytes: number): number {
    for (;;) {
      const value = Atomics.load(this.#cell, 0);
      const reached = Number(value >> 1n);
      if (reached > bytes || (value & 1n) === 1n) return reached;
      Atomics.wait(this.#cell, 0, value);
    }
  }

  #set(value: bigint): void {
    Atomics.store(this.#cell, 0, value);
    Atomics.notify(this.#cell, 0);
  }
}
