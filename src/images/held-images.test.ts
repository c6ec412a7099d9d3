import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  chunked,
  dockerArchive,
  tarOf,
  testImage,
  testImages,
  type TestImage,
  type TestImages,
} from './fixtures.ts';

async function loaded(tags: string[]): Promise<TestImages & { image: TestImage }> {
  const engine = await testImages();
  const image = await testImage(['one', 'two']);
  await engine.images.load(chunked(await dockerArchive([{ image, tags }])), {});
  return { ...engine, image };
}

test('Images.open() unpacks layers of images that only containers hold', async () => {
  using engine = await loaded(['a:1']);
  const usedBy = () => [{ id: 'c1', running: false }];
  await engine.images.remove('a:1', { force: true, prune: true, usedBy });
  engine.snapshotter.activeKeys = ['c1'];
  for (const chainId of engine.image.chain) await engine.snapshotter.removeLayer(chainId);
  const again = await engine.reopen();
  assert.deepEqual(engine.snapshotter.layers().toSorted(), engine.image.chain.toSorted());
  assert.equal(again.has(engine.image.id), false);
  assert.equal(again.ofContainer(engine.image.id)?.id, engine.image.id);
});

test("Images.open() never removes the layers that a container's tree lies on", async () => {
  using engine = await loaded(['a:1']);
  await engine.content.delete(engine.image.id);
  engine.snapshotter.used = new Set(engine.image.chain);
  assert.deepEqual((await engine.reopen()).list(), []);
  assert.deepEqual(engine.snapshotter.layers().toSorted(), engine.image.chain.toSorted());
  engine.snapshotter.used = new Set();
  await engine.reopen();
  assert.deepEqual(engine.snapshotter.layers(), []);
});

test('Images.open() forgets nothing when it cannot read for now', async () => {
  using engine = await loaded(['a:1']);
  const read = engine.content.read.bind(engine.content);
  engine.content.read = () =>
    Promise.reject(Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' }));
  await assert.rejects(engine.reopen(), /EMFILE/);
  engine.content.read = read;
  const again = await engine.reopen();
  assert.equal(again.get('a:1').id, engine.image.id);
});

test('Images.createFromLayer() builds on an image that only containers hold', async () => {
  using engine = await loaded(['a:1']);
  const usedBy = () => [{ id: 'c1', running: false }];
  await engine.images.remove('a:1', { force: true, prune: true, usedBy });
  const parent = engine.images.ofContainer(engine.image.id) ?? null;
  assert.ok(parent !== null);
  const made = await engine.images.createFromLayer({
    parent,
    layer: chunked(await tarOf({ new: 'x' })),
    config: parent.config,
    reference: 'made:1',
  });
  assert.equal(made.config.rootfs.diff_ids.length, engine.image.diffIds.length + 1);
  assert.equal(made.parent, '');
  engine.destroyContainer('c1');
  for (let tries = 0; engine.images.ofContainer(engine.image.id) !== undefined; tries += 1) {
    assert.ok(tries < 500);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  for (const chainId of engine.image.chain) assert.ok(engine.snapshotter.hasLayer(chainId));
});
