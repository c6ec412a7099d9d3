import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { isKind } from '../errors/index.ts';
import { decompress, detectCompression } from './compression.ts';
import type { ExpansionLimits } from './expansion.ts';

const text = Buffer.from('a line of text\n'.repeat(50_000));

async function* chunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function all(bytes: Buffer, size = 1000): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(decompress(chunks(bytes, size))));
}

const skippable = Buffer.concat([Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0]), Buffer.from('abc')]);

const forms: [name: string, bytes: () => Buffer][] = [
  ['plain bytes', () => text],
  ['gzip', () => gzipSync(text)],
  [
    'gzip in two members',
    () => Buffer.concat([gzipSync(text.subarray(0, 9000)), gzipSync(text.subarray(9000))]),
  ],
  ['zstd', () => zstdCompressSync(text)],
  [
    'zstd in two frames',
    () => Buffer.concat([zstdCompressSync(text.subarray(0, 9000)), zstdCompressSync(text.subarray(9000))]),
  ],
  ['zstd with skippable frames', () => Buffer.concat([skippable, zstdCompressSync(text), skippable])],
];

for (const [name, bytes] of forms) {
  test(`decompress() reads ${name}`, async () => {
    assert.ok((await all(bytes())).equals(text));
    assert.ok((await all(bytes(), 3)).equals(text));
  });
}

for (const program of ['bzip2', 'xz'] as const) {
  test(
    `decompress() reads ${program}`,
    { skip: existsSync(`/usr/bin/${program}`) ? false : `no ${program}` },
    async () => {
      const bytes = execFileSync(program, ['-c'], { input: text });
      assert.equal(detectCompression(bytes), program);
      assert.ok((await all(bytes, 60_000)).equals(text));
      await assert.rejects(all(bytes.subarray(0, -10)), (error) => isKind(error, 'data-loss'));
    },
  );
}

test('decompress() reports a broken stream as data loss', async () => {
  for (const bytes of [gzipSync(text), zstdCompressSync(text)]) {
    await assert.rejects(all(bytes.subarray(0, bytes.length - 20)), (error) => isKind(error, 'data-loss'));
    const damaged = Buffer.from(bytes);
    damaged.fill(0xff, 40, 60);
    await assert.rejects(all(damaged), (error) => isKind(error, 'data-loss'));
  }
});

test('decompress() passes on an error of its input as it is', async () => {
  const failure = new Error('the client went away');
  const input = async function* (): AsyncGenerator<Buffer> {
    yield gzipSync(text).subarray(0, 100);
    throw failure;
  };
  await assert.rejects(Array.fromAsync(decompress(input())), (error) => error === failure);
});

test('decompress() gives nothing for nothing', async () => {
  assert.equal((await all(Buffer.alloc(0))).length, 0);
});

test('decompress() stops at what a stream may expand to', async () => {
  const drain = async (bytes: Buffer, limits: ExpansionLimits): Promise<number> => {
    let length = 0;
    for await (const chunk of decompress(chunks(bytes, 100_000), { limits })) length += chunk.length;
    return length;
  };
  const isBad = (error: unknown): boolean => isKind(error, 'invalid-parameter');
  for (const bytes of [text, gzipSync(text), zstdCompressSync(text)]) {
    await assert.rejects(drain(bytes, { maxBytes: text.length - 1 }), isBad);
    assert.equal(await drain(bytes, { maxBytes: text.length }), text.length);
  }
  // Looked at beyond the first GiB only.
  const bomb = Buffer.concat(Array.from({ length: 17 }, () => zstdCompressSync(Buffer.alloc(64 << 20))));
  await assert.rejects(drain(bomb, {}), /expands to more than 2000 times/);
  assert.equal(await drain(bomb, { maxRatio: 1e6 }), 17 * (64 << 20));
});
