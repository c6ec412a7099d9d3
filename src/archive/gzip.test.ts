import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { gzip } from './gzip.ts';

async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function gzipped(bytes: Buffer, size: number): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(gzip(inChunks(bytes, size))));
}

test('gzip() compresses what any gunzip gives back, at the limits of its pieces too', async () => {
  const piece = 512 * 1024;
  for (const length of [0, 1, piece - 1, piece, piece + 1, 9 * piece + 77]) {
    const bytes = Buffer.alloc(length, 'some text that repeats, and ');
    randomBytes(Math.min(length, 50_000)).copy(bytes, length >> 1);
    const compressed = await gzipped(bytes, 100_000);
    assert.ok(gunzipSync(compressed).equals(bytes), `${length} bytes`);
    assert.ok(compressed.length < length / 2 + 60_000);
  }
});

test('gzip() gives equal bytes for equal input, however it is cut', async () => {
  const bytes = Buffer.concat([randomBytes(300_000), Buffer.alloc(2_000_000, 'abc'), randomBytes(300_000)]);
  const [first, second] = await Promise.all([gzipped(bytes, 1000), gzipped(bytes, 2_600_000)]);
  assert.ok(first.equals(second));
});

test('gzip() uses what was before a piece', async () => {
  const block = randomBytes(20_000);
  const compressed = await gzipped(Buffer.concat(Array.from({ length: 200 }, () => block)), 64_000);
  assert.ok(compressed.length < 3 * block.length, `${compressed.length} bytes`);
});

test('gzip() passes on the failure of its input', async () => {
  const failing = async function* (): AsyncGenerator<Buffer> {
    yield Buffer.alloc(3_000_000);
    throw new Error('no more');
  };
  await assert.rejects(Array.fromAsync(gzip(failing())), /no more/);
});
