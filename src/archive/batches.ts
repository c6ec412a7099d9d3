/** Some bytes of a stream, valid until as many others were taken as there are buffers. */
export interface Batch {
  bytes: Buffer;
  /** What came before them, as much as was asked for; zeros at the beginning. */
  before: Buffer;
}

/**
 * The bytes of a stream in batches of one size, but for the last. Their memory is used again: collecting garbage of this
 * size takes longer than copying, and large writes cost the kernel half of what small ones do.
 */
export async function* inBatches(
  input: AsyncIterable<Uint8Array>,
  { sizeBytes, buffers, beforeBytes = 0 }: { sizeBytes: number; buffers: number; beforeBytes?: number },
): AsyncGenerator<Batch, void, void> {
  const ring = Array.from({ length: buffers }, () => Buffer.alloc(beforeBytes + sizeBytes));
  let turn = 0;
  let filled = beforeBytes;
  const take = (): Batch => {
    const buffer = ring[turn] as Buffer;
    turn = (turn + 1) % buffers;
    buffer.copy(ring[turn] as Buffer, 0, filled - beforeBytes, filled);
    const bytes = buffer.subarray(beforeBytes, filled);
    filled = beforeBytes;
    return { bytes, before: buffer.subarray(0, beforeBytes) };
  };
  for await (const chunk of input) {
    for (let at = 0; at < chunk.length;) {
      const buffer = ring[turn] as Buffer;
      const part = chunk.subarray(at, at + buffer.length - filled);
      buffer.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled === buffer.length) yield take();
    }
  }
  if (filled > beforeBytes) yield take();
}
