import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { writeTar } from '../archive/index.ts';
import { digestOf } from '../spec/index.ts';
import { testImages } from './fixtures.ts';

test('Trees.pack() knows what a layer becomes, and makes it when it is asked for', async () => {
  using engine = await testImages();
  const body = [Buffer.alloc(100_000, 'x')];
  const layer = writeTar([{ path: 'f', type: 'file', mode: 0o644, sizeBytes: 100_000, body }]);
  const tree = await engine.images.trees.add({ below: null, layer });
  const [{ diffId } = assert.fail()] = tree.layers;
  const { signal } = new AbortController();
  const pack = (images = engine.images) =>
    images.trees.pack([tree], { compression: 'gzip', mediaTypes: 'oci' }, signal);
  const first = await pack();
  const blob = first.blobs.get(diffId) ?? assert.fail();
  assert.equal(digestOf(gunzipSync(readFileSync(await first.file(blob.digest)))), diffId);
  await first[Symbol.asyncDispose]();
  assert.equal(engine.content.has(blob.digest), false);
  const second = await pack(await engine.reopen());
  assert.deepEqual(second.blobs.get(diffId), blob);
  assert.equal(engine.content.has(blob.digest), false);
  assert.equal(digestOf(readFileSync(await second.file(blob.digest))), blob.digest);
  await second[Symbol.asyncDispose]();
  assert.equal(engine.content.has(blob.digest), false);
});
