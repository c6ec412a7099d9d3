import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { digestHex, digestOf, mediaTypes } from '../spec/index.ts';
import type { ContentStore } from '../content/index.ts';
import {
  chunked,
  dockerArchive,
  tarOf,
  testImage,
  testImages,
  type TestImage,
  type TestImages,
} from './fixtures.ts';
import type { ImageProgress } from './images.ts';

async function load(engine: TestImages, archive: Buffer, options = {}): Promise<ImageProgress[]> {
  const progress: ImageProgress[] = [];
  await engine.images.load(chunked(archive), { onProgress: (item) => progress.push(item), ...options });
  return progress;
}

const blobs = async (content: ContentStore) =>
  (await Array.fromAsync(content.list())).map((blob) => blob.digest).toSorted();

async function assertNothingLeft(engine: TestImages): Promise<void> {
  assert.deepEqual(engine.images.list(), []);
  assert.deepEqual(await blobs(engine.content), []);
  assert.deepEqual(engine.snapshotter.layers(), []);
}

/** An OCI layout; `descriptor` changes what index.json says of the manifest. */
async function ociLayout(
  image: TestImage,
  options: {
    annotations?: object;
    layers?: Buffer[];
    descriptor?: object;
    more?: Record<string, string>;
  } = {},
): Promise<Buffer> {
  const layers = options.layers ?? image.layers;
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: image.id, size: image.config.length },
    layers: layers.map((layer) => ({
      mediaType: mediaTypes.ociLayerGzip,
      digest: digestOf(layer),
      size: layer.length,
    })),
  });
  const files: Record<string, string | Buffer> = { 'oci-layout': '{"imageLayoutVersion":"1.0.0"}' };
  for (const blob of [image.config, manifest, ...layers])
    files[`blobs/sha256/${digestHex(digestOf(blob))}`] = blob;
  const entry = {
    mediaType: mediaTypes.ociManifest,
    digest: digestOf(manifest),
    size: manifest.length,
    annotations: options.annotations,
    ...options.descriptor,
  };
  return await tarOf({ ...files, 'index.json': JSON.stringify({ manifests: [entry] }), ...options.more });
}

test('Images.load() loads a docker-archive and says so as Docker does', async () => {
  using engine = await testImages();
  const image = await testImage(['one', 'two']);
  const progress = await load(
    engine,
    await dockerArchive([{ image, tags: ['busybox:latest', 'team/app:1'] }]),
  );
  const [loaded] = engine.images.list();
  assert.equal(loaded?.id, image.id);
  assert.deepEqual(loaded?.tags, ['busybox:latest', 'team/app:1']);
  assert.equal(loaded?.chainId, image.chain[1]);
  assert.equal(loaded?.sizeBytes, 200);
  assert.deepEqual(engine.snapshotter.layers().toSorted(), image.chain.toSorted());
  assert.deepEqual(await blobs(engine.content), [image.id, ...image.diffIds].toSorted());
  assert.deepEqual(
    progress.filter((item) => item.stream !== undefined).map((item) => item.stream),
    ['Loaded image: busybox:latest\n', 'Loaded image: team/app:1\n'],
  );
  const id = digestHex(image.diffIds[0] ?? '').slice(0, 12);
  const total = image.layers[0]?.length;
  assert.deepEqual(
    progress.filter((item) => item.id === id),
    [
      { id, status: 'Loading layer', progressDetail: { current: 0, total } },
      { id, status: 'Loading layer', progressDetail: { current: total, total } },
    ],
  );
  assert.deepEqual(engine.events, [`load ${image.id}`]);
});

test('Images.load() names untagged images by id', async () => {
  using engine = await testImages();
  const image = await testImage(['one']);
  assert.deepEqual((await load(engine, await dockerArchive([{ image, tags: null }]))).at(-1), {
    stream: `Loaded image ID: ${image.id}\n`,
  });
});

for (const [name, compress] of [
  ['plain', (bytes: Buffer) => bytes],
  ['gzip', gzipSync],
  ['zstd', zstdCompressSync],
] as const) {
  test(`Images.load() reads a ${name} archive with ${name} layers`, async () => {
    using engine = await testImages();
    const image = await testImage(['one', 'two']);
    const layers = image.layers.map((layer) => compress(layer));
    await load(engine, compress(await dockerArchive([{ image, tags: ['a:1'], layers }])));
    assert.equal(engine.images.get('a:1').id, image.id);
    assert.deepEqual(
      await blobs(engine.content),
      [image.id, ...layers.map((layer) => digestOf(layer))].toSorted(),
    );
  });
}

test('Images.load() reads an OCI layout and keeps its manifest', async () => {
  using engine = await testImages();
  const image = await testImage(['one', 'two']);
  const layers = image.layers.map((layer) => gzipSync(layer));
  const annotations = { 'io.containerd.image.name': 'docker.io/library/busybox:1' };
  await load(engine, await ociLayout(image, { layers, annotations }));
  const loaded = engine.images.get('busybox:1');
  assert.equal(loaded.id, image.id);
  assert.ok(loaded.manifest !== null && engine.content.has(loaded.manifest.digest));
});

test('Images.load() follows nested indexes to this platform', async () => {
  using engine = await testImages();
  const wanted = await testImage(['this one']);
  const other = await testImage(['not this'], { architecture: 's390x' });
  const files: Record<string, string | Buffer> = {};
  const add = (content: string | Buffer, mediaType: string, platform?: object) => {
    const digest = digestOf(content);
    files[`blobs/sha256/${digestHex(digest)}`] = content;
    return { mediaType, digest, size: content.length, platform };
  };
  const manifestOf = ({ config, layers }: TestImage, architecture: string) =>
    add(
      JSON.stringify({
        schemaVersion: 2,
        config: add(config, mediaTypes.ociConfig),
        layers: layers.map((layer) => add(layer, mediaTypes.ociLayer)),
      }),
      mediaTypes.ociManifest,
      { os: 'linux', architecture },
    );
  const attestation = { ...manifestOf(other, 'unknown'), annotations: { 'vnd.docker.reference.type': 'x' } };
  const inner = JSON.stringify({
    manifests: [attestation, manifestOf(other, 's390x'), manifestOf(wanted, 'amd64')],
  });
  const index = {
    ...add(inner, mediaTypes.ociIndex),
    annotations: { 'org.opencontainers.image.ref.name': 'x:y' },
  };
  const archive = await tarOf({ ...files, 'index.json': JSON.stringify({ manifests: [index] }) });
  await load(engine, archive, { platforms: [{ os: 'linux', architecture: 'amd64' }] });
  assert.deepEqual(
    engine.images.list().map((image) => image.id),
    [wanted.id],
  );
  assert.ok(engine.images.has('x:y'));
  await load(engine, archive, { platforms: [{ os: 'linux', architecture: 's390x' }] });
  assert.equal(engine.images.get('x:y').id, wanted.id);
  assert.equal(engine.images.get('x:y', { os: 'linux', architecture: 's390x' }).id, other.id);
  await assert.rejects(load(engine, archive, { platforms: [{ os: 'linux', architecture: 'riscv64' }] }), {
    kind: 'not-found',
    message: 'requested platform(s) ([linux/riscv64]) not found',
  });
});

test('Images.load() follows links between layer directories of an old docker save', async () => {
  using engine = await testImages();
  const image = await testImage(['same', 'same']);
  const manifest = [{ Config: 'c.json', RepoTags: ['a:1'], Layers: ['x/layer.tar', 'y/layer.tar'] }];
  const layer = await tarOf({ file: 'same' });
  const config = { ...(JSON.parse(image.config.toString()) as object), rootfs: rootfsOf([layer, layer]) };
  const archive = await tarOf(
    { 'x/layer.tar': layer, 'c.json': JSON.stringify(config), 'manifest.json': JSON.stringify(manifest) },
    [{ path: 'y/layer.tar', type: 'symlink', mode: 0o777, linkPath: '../x/layer.tar' }],
  );
  await load(engine, archive);
  assert.equal(engine.snapshotter.layers().length, 2);
});

test('Images.load() skips layers that are there', async () => {
  using engine = await testImages();
  const base = await testImage(['base']);
  const above = await testImage(['base', 'more']);
  await load(engine, await dockerArchive([{ image: base, tags: ['base:1'] }]));
  const progress = await load(engine, await dockerArchive([{ image: above, tags: ['above:1'] }]));
  assert.deepEqual(engine.snapshotter.created, above.chain);
  assert.equal(progress.filter((item) => item.status === 'Loading layer').length, 2);
});

test('Images.load() moves a tag and tells', async () => {
  using engine = await testImages();
  const [one, two] = [await testImage(['one']), await testImage(['two'])];
  await load(engine, await dockerArchive([{ image: one, tags: ['a:1'] }]));
  const progress = await load(engine, await dockerArchive([{ image: two, tags: ['a:1'] }]));
  assert.deepEqual(progress.slice(-2), [
    { stream: `The image a:1 already exists, renaming the old one with ID ${one.id} to empty string\n` },
    { stream: 'Loaded image: a:1\n' },
  ]);
  assert.deepEqual(engine.images.get(one.id).tags, []);
});

test('Images.load() checks diff ids and keeps nothing of a wrong one', async () => {
  using engine = await testImages();
  const [good, bad] = [await testImage(['good']), await testImage(['one', 'two'])];
  const forged = await tarOf({ file1: 'forged' });
  const archive = await dockerArchive([
    { image: good, tags: ['good:1'] },
    { image: bad, tags: ['bad:1'], layers: [bad.layers[0] ?? forged, forged] },
  ]);
  await assert.rejects(load(engine, archive), {
    kind: 'invalid-parameter',
    message: `invalid diffID for layer 1: expected "${bad.diffIds[1]}", got "${digestOf(forged)}"`,
  });
  await assertNothingLeft(engine);
});

test('Images.load() does not take a known layer for proof of a forged blob', async () => {
  using engine = await testImages();
  const image = await testImage(['one']);
  await load(engine, await dockerArchive([{ image, tags: ['a:1'] }]));
  const forged = [gzipSync(await tarOf({ file0: 'forged' }))];
  await assert.rejects(
    load(engine, await ociLayout(image, { layers: forged })),
    /invalid diffID for layer 0/,
  );
  assert.deepEqual(await blobs(engine.content), [image.id, ...image.diffIds].toSorted());
});

test('Images.load() stops when aborted and keeps nothing', async () => {
  using engine = await testImages();
  const image = await testImage(['one']);
  const archive = await dockerArchive([{ image, tags: ['a:1'] }]);
  const controller = new AbortController();
  const stopping = (async function* () {
    for await (const chunk of chunked(archive)) {
      yield chunk;
      controller.abort();
    }
  })();
  await assert.rejects(engine.images.load(stopping, { signal: controller.signal }), { name: 'AbortError' });
  await assertNothingLeft(engine);
});

function rootfsOf(layers: Buffer[]): object {
  return { type: 'layers', diff_ids: layers.map((layer) => digestOf(layer)) };
}

const config = (rootfs: unknown) => JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs });
const manifestJson = (item: object) => JSON.stringify([item]);

const hostile: [string, () => Promise<Buffer>, RegExp][] = [
  ['not a tar', async () => Buffer.alloc(4096, 'x'), /invalid tar archive/],
  ['an empty archive', () => tarOf({}), /does not contain a manifest.json/],
  ['bad JSON', () => tarOf({ 'manifest.json': '[{' }), /Cannot read manifest.json/],
  ['a manifest that is no list', () => tarOf({ 'manifest.json': '{}' }), /not a list/],
  ['a manifest of numbers', () => tarOf({ 'manifest.json': '[1]' }), /not an object/],
  ['a missing config', () => tarOf({ 'manifest.json': manifestJson({ Config: 'c' }) }), /has no file "c"/],
  [
    'a path outside of the archive',
    () => tarOf({ 'manifest.json': manifestJson({ Config: '../../../etc/passwd', Layers: [] }) }),
    /has no file/,
  ],
  [
    'a link outside of the archive',
    () =>
      tarOf({ 'manifest.json': manifestJson({ Config: 'c', Layers: [] }) }, [
        { path: 'c', type: 'symlink', mode: 0o777, linkPath: '/etc/passwd' },
      ]),
    /has no file "c"/,
  ],
  [
    'a loop of links',
    () =>
      tarOf({ 'manifest.json': manifestJson({ Config: 'c', Layers: [] }) }, [
        { path: 'c', type: 'symlink', mode: 0o777, linkPath: 'd' },
        { path: 'd', type: 'symlink', mode: 0o777, linkPath: 'c' },
      ]),
    /loop of links/,
  ],
  [
    'a config without rootfs',
    () => tarOf({ c: '{"os":"linux"}', 'manifest.json': manifestJson({ Config: 'c', Layers: [] }) }),
    /no rootfs/,
  ],
  [
    'diff ids that are none',
    () =>
      tarOf({
        c: config({ diff_ids: ['../..'] }),
        'manifest.json': manifestJson({ Config: 'c', Layers: ['l'] }),
      }),
    /not a list of digests/,
  ],
  [
    'fewer layers than diff ids',
    () =>
      tarOf({
        c: config({ diff_ids: [digestOf('')] }),
        'manifest.json': manifestJson({ Config: 'c', Layers: [] }),
      }),
    /layers length mismatch: expected 0, got 1/,
  ],
  [
    'a bad tag',
    () =>
      tarOf({
        c: config({ diff_ids: [] }),
        'manifest.json': manifestJson({ Config: 'c', Layers: [], RepoTags: ['UPPER:1'] }),
      }),
    /must be lowercase/,
  ],
  [
    'an index that is none',
    () => tarOf({ 'index.json': '{"manifests":{}}' }),
    /index.json has no list of manifests/,
  ],
  [
    'a descriptor of negative size',
    async () => await ociLayout(await testImage(['one']), { descriptor: { size: -1 } }),
    /not a count of bytes/,
  ],
  [
    'a descriptor of wrong size',
    async () => await ociLayout(await testImage(['one']), { descriptor: { size: 5 } }),
    /instead of 5/,
  ],
  [
    'a digest that is a path',
    async () => await ociLayout(await testImage(['one']), { descriptor: { digest: 'sha256:../../x' } }),
    /no sha256 digest/,
  ],
  [
    'a blob that is not there',
    async () => await ociLayout(await testImage(['one']), { descriptor: { digest: digestOf('x') } }),
    /has no file/,
  ],
];

for (const [name, archive, message] of hostile) {
  test(`Images.load() refuses ${name} and keeps nothing`, async () => {
    using engine = await testImages();
    await assert.rejects(load(engine, await archive()), (error: Error) => {
      assert.match(error.message, message);
      return (error as unknown as { kind: string }).kind === 'invalid-parameter';
    });
    await assertNothingLeft(engine);
  });
}

test('Images.load() refuses an archive that ends early and keeps nothing', async () => {
  using engine = await testImages();
  const archive = await dockerArchive([
    { image: await testImage(['one', 'x'.repeat(2_000_000)]), tags: ['a:1'] },
  ]);
  for (const part of [0.3, 0.6, 0.999]) {
    await assert.rejects(load(engine, archive.subarray(0, archive.length * part)), /invalid/);
    await assertNothingLeft(engine);
  }
});
