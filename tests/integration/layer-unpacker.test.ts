/** Threads that unpack layers. Needs root. */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Growth, LayerUnpacker } from '../../src/archive/index.ts';
import { isKind } from '../../src/errors/index.ts';
import { digestOf } from '../../src/spec/index.ts';
import { directory, file } from '../fixtures/tar-members.ts';
import { UnpackPlace } from '../fixtures/unpack-place.ts';

const place = new UnpackPlace();
after(() => place.remove());

const bad = (error: unknown): boolean => isKind(error, 'invalid-parameter');

test('LayerUnpacker.unpack() works on at most two threads, which end when idle', async () => {
  const unpacker = new LayerUnpacker({ idleMs: 50 });
  assert.equal(unpacker.threads, 0);
  const source = await place.pack([file('a', 'hello'), { ...directory('d'), uid: 5 }]);
  const results = await Promise.all(
    [1, 2, 3, 4].map(() => unpacker.unpack({ source, directory: place.fresh(), form: 'overlay' })),
  );
  assert.ok(results.every((result) => result.diffId === digestOf(readFileSync(source))));
  assert.ok(unpacker.threads <= 2);
  await assert.rejects(
    unpacker.unpack({ source: join(place.path, 'no'), directory: place.fresh(), form: 'overlay' }),
    /ENOENT/,
  );
  await assert.rejects(
    unpacker.unpack({ source: await place.pack([file('../x')]), directory: place.fresh(), form: 'overlay' }),
    bad,
  );
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(unpacker.threads, 0);
  await unpacker.unpack({ source, directory: place.fresh(), form: 'overlay' });
  await unpacker.close();
  assert.equal(unpacker.threads, 0);
  await assert.rejects(unpacker.unpack({ source, directory: place.fresh(), form: 'overlay' }), (error) =>
    isKind(error, 'cancelled'),
  );
});

test('LayerUnpacker.unpack() stops when aborted, and goes on with the next job', async () => {
  const unpacker = new LayerUnpacker({ maxWorkers: 1 });
  const big = await place.pack([
    {
      path: 'big',
      type: 'file',
      mode: 0o644,
      sizeBytes: 96 << 20,
      body: Array.from({ length: 6 }, () => Buffer.alloc(16 << 20)),
    },
  ]);
  const small = await place.pack([file('a')]);
  const target = place.fresh();
  const stopped = unpacker.unpack(
    { source: big, directory: target, form: 'overlay' },
    { signal: AbortSignal.timeout(30) },
  );
  const queued = unpacker.unpack({ source: small, directory: place.fresh(), form: 'overlay' });
  await assert.rejects(stopped, (error) => isKind(error, 'cancelled'));
  rmSync(target, { recursive: true });
  assert.equal((await queued).entries, 1);
  assert.ok(!existsSync(target), 'nothing writes any more');
  await unpacker.close();
});

test('LayerUnpacker.unpack() follows files while they grow, without keeping others waiting', async () => {
  const unpacker = new LayerUnpacker({ maxWorkers: 2 });
  const whole = readFileSync(await place.pack([file('a', 'x'.repeat(10_000)), file('b', 'last')]));
  for (const bytes of [whole, gzipSync(whole)]) {
    const source = join(place.path, `growing-${bytes.length}`);
    writeFileSync(source, '');
    const growth = new Growth();
    const target = place.fresh();
    const request = { form: 'overlay' as const, growth: growth.shared, isVerified: true };
    const unpacked = unpacker.unpack({ source, directory: target, ...request });
    const more = { ...request, growth: new Growth().shared };
    await assert.rejects(unpacker.unpack({ source, directory: place.fresh(), ...more }), (error) =>
      isKind(error, 'unavailable'),
    );
    const { entries } = await unpacker.unpack({
      source: await place.pack([file('c')]),
      directory: place.fresh(),
      form: 'overlay',
    });
    assert.equal(entries, 1);
    for (let at = 0; at < bytes.length; at += 3000) {
      appendFileSync(source, bytes.subarray(at, at + 3000));
      growth.reach(Math.min(at + 3000, bytes.length));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    growth.end();
    const { diffId, archiveBytes } = await unpacked;
    assert.deepEqual([diffId, archiveBytes], [bytes === whole ? undefined : digestOf(whole), whole.length]);
    assert.equal(readFileSync(join(target, 'b'), 'utf8'), 'last');
  }
  await unpacker.close();
});
