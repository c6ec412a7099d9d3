import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestHex, digestOf, type Digest, type ImageConfig } from '../spec/index.ts';
import { readTar } from '../archive/index.ts';
import {
  bytesOf,
  chunked,
  dockerArchive,
  tarOf,
  testImage,
  testImages,
  type TestImage,
  type TestImages,
} from './fixtures.ts';

async function loaded(tags: string[] = ['busybox:latest']): Promise<TestImages & { image: TestImage }> {
  const engine = await testImages();
  const image = await testImage(['one', 'two']);
  await engine.images.load(chunked(await dockerArchive([{ image, tags }])), {});
  engine.events.length = 0;
  return { ...engine, image };
}

const container = (running: boolean) => [{ id: 'c'.repeat(64), running }];
const unused = { force: false, prune: true, usedBy: () => [] };

const blobCount = async (engine: TestImages) => (await Array.fromAsync(engine.content.list())).length;

test('Images.get() finds by reference, id and unique prefix', async () => {
  using engine = await loaded();
  const { images, image } = engine;
  const hex = digestHex(image.id);
  for (const name of [
    'busybox',
    'busybox:latest',
    'docker.io/library/busybox',
    image.id,
    hex,
    hex.slice(0, 12),
    hex.slice(0, 2),
    `sha256:${hex.slice(0, 12)}`,
  ]) {
    assert.equal(images.get(name).id, image.id, name);
    assert.ok(images.has(name));
  }
});

test('Images.get() says what is missing as Docker does', async () => {
  using engine = await loaded();
  const absent = digestOf('absent');
  const cases: [string, string][] = [
    ['nope', 'No such image: nope:latest'],
    ['docker.io/library/nope:1', 'No such image: nope:1'],
    ['busybox:2', 'No such image: busybox:2'],
    [absent, `No such image: ${absent}`],
    [digestHex(absent), `No such image: ${absent}`],
    [`busybox@${absent}`, `No such image: busybox@${absent}`],
  ];
  for (const [name, message] of cases) {
    assert.throws(() => engine.images.get(name), { kind: 'not-found', message });
    assert.equal(engine.images.has(name), false);
  }
  assert.throws(() => engine.images.get('Busybox'), { kind: 'invalid-parameter' });
});

test('Images.tag() adds a reference, and takes it from another image', async () => {
  using engine = await loaded();
  const { images, image } = engine;
  await images.tag('busybox', 'localhost:5000/mine', 'v1');
  await images.tag(image.id, 'other', '');
  assert.deepEqual(images.get(image.id).tags, ['busybox:latest', 'localhost:5000/mine:v1', 'other:latest']);
  assert.deepEqual(engine.events, ['tag localhost:5000/mine:v1', 'tag other:latest']);
  assert.equal(images.get('other').lastTaggedAtMs, Date.UTC(2026, 0, 2, 3, 4, 5));
  await assert.rejects(images.tag('nope', 'x', ''), { message: 'No such image: nope:latest' });
  await assert.rejects(images.tag('busybox', 'x', '-'), { message: 'invalid tag format' });
  await assert.rejects(images.tag('busybox', 'sha256', ''), /digest algorithm as name/);
  await assert.rejects(images.tag('busybox', `x@${image.id}`, ''), /digest reference/);
});

test('Images.remove() by reference untags, and deletes with the last', async () => {
  using engine = await loaded(['a:1', 'b:1']);
  const { images, image } = engine;
  assert.deepEqual(await images.remove('b:1', unused), [{ kind: 'untagged', reference: 'b:1' }]);
  assert.deepEqual(await images.remove('a:1', unused), [
    { kind: 'untagged', reference: 'a:1' },
    { kind: 'deleted', reference: image.id },
    { kind: 'deleted', reference: image.chain[1] },
    { kind: 'deleted', reference: image.chain[0] },
  ]);
  assert.equal(await blobCount(engine), 0);
  assert.deepEqual(engine.snapshotter.layers(), []);
  assert.deepEqual(engine.events, [`untag ${image.id}`, `untag ${image.id}`, `delete ${image.id}`]);
  await assert.rejects(images.remove('a:1', unused), { message: 'No such image: a:1' });
});

test('Images.remove() by id needs force for several repositories', async () => {
  using engine = await loaded(['a:1', 'b:1']);
  const { images, image } = engine;
  const short = digestHex(image.id).slice(0, 12);
  await assert.rejects(images.remove(short, unused), {
    kind: 'conflict',
    message: `conflict: unable to delete ${short} (must be forced) - image is referenced in multiple repositories`,
  });
  const removed = await images.remove(short, { ...unused, force: true });
  assert.deepEqual(
    removed.map((item) => item.reference),
    ['a:1', 'b:1', image.id, image.chain[1], image.chain[0]],
  );
});

test('Images.remove() keeps layers that another image has', async () => {
  using engine = await loaded();
  const above = await testImage(['one', 'two', 'three']);
  await engine.images.load(chunked(await dockerArchive([{ image: above, tags: ['above:1'] }])), {});
  const removed = await engine.images.remove('above:1', unused);
  assert.deepEqual(
    removed.map((item) => item.reference),
    ['above:1', above.id, above.chain[2]],
  );
  assert.deepEqual(engine.snapshotter.layers().toSorted(), engine.image.chain.toSorted());
});

test('Images.remove() refuses what containers use', async () => {
  using engine = await loaded();
  const { images, image } = engine;
  const short = digestHex(image.id).slice(0, 12);
  const running = { ...unused, usedBy: () => container(true) };
  const stopped = { ...unused, usedBy: () => container(false) };
  const cases: [string, typeof running, string][] = [
    [
      'busybox',
      running,
      `conflict: unable to remove repository reference "busybox" (must force) - container cccccccccccc is using its referenced image ${short}`,
    ],
    [
      short,
      running,
      `conflict: unable to delete ${short} (cannot be forced) - image is being used by running container cccccccccccc`,
    ],
    [
      short,
      { ...running, force: true },
      `conflict: unable to delete ${short} (cannot be forced) - image is being used by running container cccccccccccc`,
    ],
    [
      short,
      stopped,
      `conflict: unable to delete ${short} (must be forced) - image is being used by stopped container cccccccccccc`,
    ],
  ];
  for (const [name, options, message] of cases) {
    await assert.rejects(images.remove(name, options), { kind: 'conflict', message });
  }
  assert.deepEqual(await images.remove('busybox', { ...running, force: true }), [
    { kind: 'untagged', reference: 'busybox:latest' },
  ]);
  assert.equal(images.get(image.id).id, image.id);
});

test('Images.remove() by force keeps the layers of a stopped container until it goes', async () => {
  using engine = await loaded();
  const { image, snapshotter } = engine;
  const removed = await engine.images.remove('busybox', {
    ...unused,
    force: true,
    usedBy: () => container(false),
  });
  assert.deepEqual(
    removed.map((item) => item.reference),
    ['busybox:latest', image.id],
  );
  assert.throws(() => engine.images.get(image.id), { kind: 'not-found' });
  assert.deepEqual(engine.images.list(), []);
  snapshotter.activeKeys = ['c'.repeat(64)];
  const again = await engine.reopen();
  assert.deepEqual(again.list(), []);
  assert.equal(snapshotter.layers().length, 2);
  snapshotter.activeKeys = [];
  engine.destroyContainer('c'.repeat(64));
  await again.load(chunked(await dockerArchive([])), {});
  assert.deepEqual(snapshotter.layers(), []);
  assert.equal(await blobCount(engine), 0);
});

test('Images.createFromLayer() puts a layer on a parent; removing prunes the untagged parent', async () => {
  using engine = await loaded();
  const { images, image } = engine;
  const parent = images.get('busybox');
  const layer = await tarOf({ added: 'content' });
  const config: ImageConfig = {
    ...parent.config,
    history: [...(parent.config.history ?? []), { created: '2026-01-01T00:00:00Z', created_by: 'RUN x' }],
  };
  const made = await images.createFromLayer({ parent, layer: chunked(layer), config, reference: 'child' });
  assert.deepEqual(made.config.rootfs.diff_ids, [...image.diffIds, digestOf(layer)]);
  assert.equal(made.parent, image.id);
  assert.deepEqual(made.tags, ['child:latest']);
  assert.deepEqual(engine.events.slice(-2), [`create ${made.id}`, 'tag child:latest']);
  assert.equal(digestOf(await engine.content.read(made.id)), made.id);
  assert.deepEqual(
    images.history('child').map(({ id, createdBy, tags }) => ({ id, createdBy, tags })),
    [
      { id: made.id, createdBy: 'RUN x', tags: ['child:latest'] },
      { id: image.id, createdBy: 'ADD', tags: ['busybox:latest'] },
      { id: '<missing>', createdBy: 'ADD', tags: [] },
    ],
  );
  // An untagged parent goes with its last child, a parent by itself does not.
  assert.deepEqual(await images.remove('busybox', unused), [
    { kind: 'untagged', reference: 'busybox:latest' },
  ]);
  await assert.rejects(
    images.remove(image.id, { ...unused, force: true }),
    /image has dependent child images/,
  );
  const removed = await images.remove('child', unused);
  assert.deepEqual(
    removed.map((item) => item.reference),
    [
      'child:latest',
      made.id,
      made.config.rootfs.diff_ids.length === 3 ? chainTop(image, layer) : '',
      image.id,
      image.chain[1],
      image.chain[0],
    ],
  );
  assert.equal(await blobCount(engine), 0);
});

test('Images.createFromLayer() leaves out a layer of nothing, and says so in the history', async () => {
  using engine = await loaded();
  const { images, image } = engine;
  const parent = images.get('busybox');
  const config: ImageConfig = {
    ...parent.config,
    history: [...(parent.config.history ?? []), { created_by: 'none' }],
  };
  const made = await images.createFromLayer({ parent, layer: chunked(await tarOf({})), config });
  assert.deepEqual(made.config.rootfs.diff_ids, image.diffIds);
  assert.deepEqual(made.config.history?.at(-1), { created_by: 'none', empty_layer: true });
  await images.remove(made.id, unused);
  await images.remove('busybox', unused);
  assert.equal(await blobCount(engine), 0);
});

function chainTop(image: TestImage, layer: Buffer): Digest {
  return digestOf(`${image.chain[1]} ${digestOf(layer)}`);
}

test('Images.prune() removes what has no name and no user, and counts its layers', async () => {
  using engine = await loaded(['kept:1']);
  const { images, image } = engine;
  const layer = await tarOf({ added: 'content' });
  const make = (parent: typeof image | null, name: string) =>
    images.createFromLayer({
      parent: parent === null ? null : images.get(parent.id),
      layer: chunked(Buffer.concat([layer])),
      config: { architecture: 'amd64', os: 'linux', author: name, rootfs: { type: 'layers', diff_ids: [] } },
    });
  const dangling = await make(image, 'dangling');
  const used = await make(null, 'used');
  const usedBy = (id: Digest) => (id === used.id ? container(false) : []);
  assert.deepEqual(images.diskUsage().layersSizeBytes, 400);
  assert.deepEqual(
    images.diskUsage().images.map(({ sharedSizeBytes }) => sharedSizeBytes),
    [200, 200, 0],
  );
  const none = await images.prune({ dangling: true, matches: () => false, usedBy });
  assert.deepEqual(none, { removed: [], spaceReclaimedBytes: 0 });
  const result = await images.prune({ dangling: true, matches: () => true, usedBy });
  assert.deepEqual(result, {
    removed: [
      { kind: 'deleted', reference: dangling.id },
      { kind: 'deleted', reference: chainTop(image, layer) },
    ],
    spaceReclaimedBytes: 100,
  });
  const all = await images.prune({ dangling: false, matches: () => true, usedBy });
  assert.equal(all.spaceReclaimedBytes, 200);
  assert.deepEqual(
    images.list().map((left) => left.id),
    [used.id],
  );
  assert.ok(engine.events.includes('prune undefined'));
  const running = images.prune({ dangling: true, matches: () => true, usedBy });
  await assert.rejects(images.prune({ dangling: true, matches: () => true, usedBy }), {
    kind: 'conflict',
    message: 'a prune operation is already running',
  });
  await running;
});

test('Images.import() makes an image of one tar', async () => {
  using engine = await testImages();
  const tar = await tarOf({ file: 'x' });
  const image = await engine.images.import(chunked(tar), {
    reference: 'imported:1',
    changes: ['A', 'B'],
    platform: { os: 'linux', architecture: 'arm64' },
  });
  assert.deepEqual(image.tags, ['imported:1']);
  assert.equal(image.config.architecture, 'arm64');
  assert.deepEqual(image.config.config, { Cmd: ['A', 'B'] });
  assert.equal(image.config.comment, 'Imported from -');
  assert.deepEqual(image.config.history, [
    { created: '2026-01-02T03:04:05.000Z', comment: 'Imported from -' },
  ]);
  assert.deepEqual(image.config.rootfs.diff_ids, [digestOf(tar)]);
  assert.deepEqual(engine.events, ['tag imported:1', `import ${image.id}`]);
  const windows = { os: 'windows', architecture: 'amd64' };
  await assert.rejects(engine.images.import(chunked(tar), { platform: windows }), {
    kind: 'invalid-parameter',
    message: 'operating system is not supported',
  });
});

test('Images.save() gives equal bytes that load() reads back, as docker-archive and as OCI layout', async () => {
  using engine = await loaded(['a:1', 'a:2', 'b:1']);
  const { images, image } = engine;
  const saved = await bytesOf(images.save(['a', 'b:1'], {}));
  assert.deepEqual(await bytesOf(images.save(['a', 'b:1'], {})), saved);
  const names: string[] = [];
  for await (const entry of readTar(chunked(saved))) names.push(entry.path);
  assert.deepEqual(
    names.filter((name) => !name.startsWith('blobs/sha256/')),
    ['blobs/', 'index.json', 'manifest.json', 'oci-layout', 'repositories'],
  );
  for (const options of [{}, { platforms: [{ os: 'linux', architecture: 'amd64' }] }]) {
    using other = await testImages();
    await other.images.load(chunked(saved), options);
    assert.equal(other.images.get('b:1').id, image.id);
    assert.deepEqual(other.images.get(image.id).tags, ['a:1', 'a:2', 'b:1']);
  }
});

test('Images.save() takes ids without names and refuses what is not there', async () => {
  using engine = await loaded();
  using other = await testImages();
  const saved = await bytesOf(engine.images.save([digestHex(engine.image.id).slice(0, 12)], {}));
  await other.images.load(chunked(saved), {});
  assert.deepEqual(other.images.get(engine.image.id).tags, []);
  assert.throws(() => engine.images.save(['nope'], {}), { message: 'No such image: nope:latest' });
  assert.throws(() => engine.images.save(['busybox:2'], {}), { message: 'No such image: busybox:2' });
});

/** In pieces with pauses that differ, so that operations meet at different points. */
async function* slowly(bytes: Buffer, number: number): AsyncIterable<Uint8Array> {
  for await (const chunk of chunked(bytes, 2048)) {
    yield chunk;
    await new Promise((resolve) => setTimeout(resolve, (number * 5) % 4));
  }
}

test('Images stay whole when loads, forged loads and removals overlap', async () => {
  using engine = await testImages();
  const { images, content, snapshotter } = engine;
  const known = await Promise.all(
    [['a'], ['a', 'b'], ['a', 'b', 'c'], ['a', 'd']].map((names) => testImage(names)),
  );
  const forged = await tarOf({ file0: 'forged' });
  const operations = Array.from({ length: 120 }, (_, number) => async () => {
    const index = (number * 7) % known.length;
    const image = known[index] ?? (await testImage([]));
    if (number % 3 === 0) return await images.remove(`x:${index}`, unused);
    const layers = number % 5 === 0 ? [...image.layers.slice(0, -1), forged] : image.layers;
    const archive = await dockerArchive([{ image, tags: [`x:${index}`], layers }]);
    return await images.load(slowly(archive, number), {});
  });
  const results: PromiseSettledResult<unknown>[] = [];
  for (let at = 0; at < operations.length; at += 15) {
    results.push(
      ...(await Promise.allSettled(operations.slice(at, at + 15).map((operation) => operation()))),
    );
  }
  const reasons = results.flatMap((result) =>
    result.status === 'rejected' ? [(result.reason as Error).message.replace(/:.*/s, '')] : [],
  );
  assert.deepEqual(
    new Set(reasons),
    new Set([
      'No such image',
      'invalid diffID for layer 0',
      'invalid diffID for layer 1',
      'invalid diffID for layer 2',
    ]),
  );
  for (const image of images.list()) {
    assert.ok(content.has(image.id));
    const { chain, diffIds } = known.find(({ id }) => id === image.id) ?? (await testImage([]));
    for (const chainId of chain) assert.ok(snapshotter.hasLayer(chainId));
    for (const diffId of diffIds) assert.ok(content.has(diffId));
  }
  for (const image of images.list()) await images.remove(image.id, unused);
  assert.equal(await blobCount(engine), 0);
  assert.deepEqual(snapshotter.layers(), []);
});

test('Images.open() finds everything again and sweeps what nothing refers to', async () => {
  using engine = await loaded(['a:1']);
  await engine.content.put(Buffer.from('left by a crash'));
  await engine.snapshotter.createLayer(digestOf('left too'), null, async () => undefined);
  const images = await engine.reopen();
  assert.deepEqual(images.get('a:1'), engine.images.get('a:1'));
  assert.equal(await blobCount(engine), 3);
  assert.equal(engine.snapshotter.layers().length, 2);
});

test('Images.open() unpacks layers again that are gone', async () => {
  using engine = await loaded(['a:1']);
  for (const chainId of engine.image.chain) await engine.snapshotter.removeLayer(chainId);
  await engine.reopen();
  assert.deepEqual(engine.snapshotter.layers().toSorted(), engine.image.chain.toSorted());
});

test('Images keeps records and memory in step when a record cannot be written', async () => {
  using engine = await loaded(['a:1']);
  const { images } = engine;
  engine.records[Symbol.dispose]();
  await assert.rejects(images.tag('a:1', 'b', '1'), /database is not open/);
  assert.equal(images.has('b:1'), false);
  engine.records[Symbol.dispose] = () => undefined;
});

test('Images are recorded when their blobs are on disk, and not at all when the disk fails', async () => {
  using engine = await testImages();
  const { content, images } = engine;
  const image = await testImage(['one', 'two']);
  let listed: number | undefined;
  let failure: Error | undefined;
  content.sync = async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    listed = images.list().length;
    if (failure !== undefined) throw failure;
  };
  failure = new Error('EIO');
  const archive = await dockerArchive([{ image, tags: ['a:1'] }]);
  await assert.rejects(images.load(chunked(archive), {}), /EIO/);
  assert.equal(images.list().length, 0);
  assert.equal(await blobCount(engine), 0);
  failure = undefined;
  await images.load(chunked(archive), {});
  assert.equal(listed, 0);
  assert.equal(images.list().length, 1);
});

test('Images.remove() takes an image and its names at once', async () => {
  using engine = await loaded(['a:1', 'a:2']);
  const { images, image, records } = engine;
  const transaction = records.transaction.bind(records);
  let transactions = 0;
  records.transaction = (body) => {
    transactions += 1;
    return transaction(body);
  };
  await images.remove(image.id, { ...unused, force: true });
  assert.equal(transactions, 1);
  assert.deepEqual(images.list(), []);
});
