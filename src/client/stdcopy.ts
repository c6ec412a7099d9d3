/** Which of the container's streams a frame belongs to. 3 is the engine's own error text. */
export type StreamKind = 0 | 1 | 2 | 3;

/**
 * Takes apart the 8-byte-framed stream of attach, exec and logs: kind, three zero bytes, payload length (big endian).
 * Payloads are handed on as they come, a frame possibly in several pieces, so memory does not grow with a frame.
 */
export class StreamDemuxer {
  readonly #sink: (kind: StreamKind, payload: Buffer) => void;
  readonly #header = Buffer.alloc(8);
  #headerLength = 0;
  #kind: StreamKind = 1;
  #left = 0;

  constructor(sink: (kind: StreamKind, payload: Buffer) => void) {
    this.#sink = sink;
  }

  /** @throws for a stream kind that does not exist: the stream is not framed. */
  write(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const end = Math.min(chunk.length, at + this.#left);
        this.#sink(this.#kind, chunk.subarray(at, end));
        this.#left -= end - at;
        at = end;
        continue;
      }
      const take = Math.min(8 - this.#headerLength, chunk.length - at);
      chunk.copy(this.#header, this.#headerLength, at, at + take);
      this.#headerLength += take;
      at += take;
      if (this.#headerLength < 8) return;
      this.#headerLength = 0;
      const kind = this.#header[0] ?? 0;
      if (kind > 3) throw new Error(`Unrecognized input header: ${kind}`);
      this.#kind = kind as StreamKind;
      this.#left = this.#header.readUInt32BE(4);
    }
  }
}
