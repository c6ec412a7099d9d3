import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ImageCollection, ImageGcPolicy } from './images.ts';
import { chunked, dockerArchive, tarOf, testImage, testImages, type TestImages } from './fixtures.ts';

const hourMs = 60 * 60 * 1000;

/** Images of one layer each; all are pulled at the same moment. */
async function load(engine: TestImages, images: Record<string, Record<string, string>>): Promise<void> {
  for (const [tag, Labels] of Object.entries(images)) {
    const image = await testImage([tag], { config: { Labels } });
    await engine.images.load(chunked(await dockerArchive([{ image, tags: [tag] }])), {});
    engine.passMs(hourMs);
  }
}

const collect = (
  engine: TestImages,
  policy: Partial<ImageGcPolicy>,
  more: Partial<ImageCollection> = {},
): ReturnType<TestImages['images']['collect']> =>
  engine.images.collect({
    policy: { unusedForMs: 0, labels: [], exceptLabels: [], ...policy },
    usedBy: () => [],
    fileSystem: () => Promise.resolve({ usedBytes: 0, totalBytes: 100 }),
    ...more,
  });

const tags = (engine: TestImages): string[] =>
  engine.images
    .list()
    .flatMap((image) => image.tags)
    .toSorted();

test('Images.collect() removes the longest unused until enough bytes are left, and tells', async () => {
  using engine = await testImages();
  await load(engine, { 'a:1': {}, 'b:1': {}, 'c:1': {} });
  const { totalBytes } = await engine.images.diskBlocks();
  // A container of the oldest came and went.
  engine.createContainer('a:1');
  engine.events.length = 0;
  assert.deepEqual((await collect(engine, { keepBytes: totalBytes })).removed, []);
  const { removed, spaceReclaimedBytes } = await collect(engine, { keepBytes: totalBytes - 1 });
  assert.deepEqual(removed[0], { kind: 'untagged', reference: 'b:1' });
  assert.deepEqual(tags(engine), ['a:1', 'c:1']);
  assert.equal(spaceReclaimedBytes, totalBytes - (await engine.images.diskBlocks()).totalBytes);
  assert.deepEqual(
    engine.events.map((event) => event.split(' ')[0]),
    ['untag', 'delete', 'prune'],
  );
  await collect(engine, { keepBytes: 0 });
  assert.deepEqual(tags(engine), []);
  assert.deepEqual(await Array.fromAsync(engine.content.list()), []);
});

test('Images.collect() begins at the high-water mark and goes on to the low one', async () => {
  using engine = await testImages();
  await load(engine, { 'a:1': {}, 'b:1': {}, 'c:1': {}, 'd:1': {} });
  const { totalBytes } = await engine.images.diskBlocks();
  // The file system holds nothing but images and is four fifths full.
  const fileSystem = () => Promise.resolve({ usedBytes: totalBytes, totalBytes: totalBytes * 1.25 });
  const marks = (highPercent: number, lowPercent: number) => ({ waterMarks: { highPercent, lowPercent } });
  await collect(engine, marks(81, 10), { fileSystem });
  assert.equal(tags(engine).length, 4);
  await collect(engine, marks(80, 45), { fileSystem });
  assert.deepEqual(tags(engine), ['c:1', 'd:1']);
});

test('Images.collect() leaves what is used, held, built on, young, or not for the policy by its labels', async () => {
  using engine = await testImages();
  await load(engine, {
    'used:1': {},
    'stopped:1': {},
    'keep:1': { keep: '' },
    'plain:1': {},
    'team:1': { team: 'x' },
  });
  const base = engine.images.get('plain:1');
  const child = await engine.images.createFromLayer({
    parent: base,
    layer: chunked(await tarOf({ top: 'top' })),
    config: { ...base.config, config: { Labels: { keep: '' } } },
    reference: 'child:1',
  });
  const users: Record<string, boolean> = {
    [engine.images.get('used:1').id]: true,
    [engine.images.get('stopped:1').id]: false,
  };
  const usedBy: ImageCollection['usedBy'] = (id) =>
    users[id] === undefined ? [] : [{ id: 'c'.repeat(64), running: users[id] }];
  await collect(engine, { exceptLabels: ['keep'] }, { usedBy });
  assert.deepEqual(tags(engine), ['child:1', 'keep:1', 'plain:1', 'stopped:1', 'used:1']);
  assert.equal(engine.images.get('child:1').id, child.id);
  await collect(engine, { labels: ['keep='], unusedForMs: 10 * hourMs }, { usedBy });
  assert.equal(tags(engine).length, 5);
  engine.passMs(9 * hourMs);
  const saving = engine.images.save(['keep:1'], {})[Symbol.asyncIterator]();
  await saving.next();
  // The child is younger.
  await collect(engine, { labels: ['keep='], unusedForMs: 10 * hourMs }, { usedBy });
  assert.deepEqual(tags(engine), ['child:1', 'keep:1', 'plain:1', 'stopped:1', 'used:1']);
  await saving.return?.();
  await collect(engine, { labels: ['keep='], unusedForMs: 10 * hourMs }, { usedBy });
  assert.deepEqual(tags(engine), ['child:1', 'plain:1', 'stopped:1', 'used:1']);
  await collect(engine, {}, { usedBy });
  assert.deepEqual(tags(engine), ['stopped:1', 'used:1']);
});

test('Images.collect() counts an image without a name from when it is first met', async () => {
  using engine = await testImages();
  const image = await testImage(['nameless']);
  await engine.images.load(chunked(await dockerArchive([{ image, tags: null }])), {});
  await collect(engine, { unusedForMs: hourMs });
  engine.passMs(hourMs - 1);
  await collect(engine, { unusedForMs: hourMs });
  assert.ok(engine.images.has(image.id));
  const again = await engine.reopen();
  engine.passMs(1);
  await again.collect({
    policy: { unusedForMs: hourMs, labels: [], exceptLabels: [] },
    usedBy: () => [],
    fileSystem: () => Promise.resolve({ usedBytes: 0, totalBytes: 1 }),
  });
  assert.ok(!again.has(image.id));
});
