import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inBatches } from './batches.ts';

async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test('inBatches() gives all bytes in batches of one size, with what came before each', async () => {
  const bytes = Buffer.from(Array.from({ length: 103 }, (_, index) => index + 1));
  for (const chunkBytes of [1, 7, 10, 11, 103]) {
    const found: [string, string][] = [];
    const options = { sizeBytes: 10, buffers: 2, beforeBytes: 3 };
    for await (const batch of inBatches(inChunks(bytes, chunkBytes), options)) {
      found.push([batch.before.toString('hex'), batch.bytes.toString('hex')]);
    }
    const padded = Buffer.concat([Buffer.alloc(3), bytes]);
    const expected = Array.from({ length: 11 }, (_, index) => [
      padded.toString('hex', 10 * index, 10 * index + 3),
      bytes.toString('hex', 10 * index, 10 * index + 10),
    ]);
    assert.deepEqual(found, expected);
  }
  assert.deepEqual(
    await Array.fromAsync(inBatches(inChunks(Buffer.alloc(0), 1), { sizeBytes: 1, buffers: 1 })),
    [],
  );
});
