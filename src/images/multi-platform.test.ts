import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { TestRegistry } from '../../tests/fixtures/registry.ts';
import { readTar } from '../archive/index.ts';
import { Registries } from '../registry/index.ts';
import { digestHex, digestOf, mediaTypes, type Descriptor, type Digest } from '../spec/index.ts';
import {
  bytesOf,
  chunked,
  tarOf,
  testImage,
  testImages,
  type TestImage,
  type TestImages,
} from './fixtures.ts';
import type { ImageProgress } from './images.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };
const arm64 = { os: 'linux', architecture: 'arm64' };

interface Layout {
  archive: Buffer;
  index: Digest;
  images: Record<'amd64' | 'arm64', TestImage & { manifest: Digest }>;
  attestation: Digest;
}

/** An OCI layout of an index with two platforms, an attestation and a third platform that is not in the archive. */
async function twoPlatforms(name = 'docker.io/library/multi:1'): Promise<Layout> {
  const files: Record<string, string | Buffer> = { 'oci-layout': '{"imageLayoutVersion":"1.0.0"}' };
  const add = (content: string | Buffer, mediaType: string): Descriptor => {
    const digest = digestOf(content);
    files[`blobs/sha256/${digestHex(digest)}`] = content;
    return { mediaType, digest, size: content.length };
  };
  const addManifest = (config: string | Buffer, layers: Descriptor[]): Descriptor =>
    add(
      JSON.stringify({ schemaVersion: 2, config: add(config, mediaTypes.ociConfig), layers }),
      mediaTypes.ociManifest,
    );
  const make = async (architecture: string): Promise<TestImage & { manifest: Digest; entry: Descriptor }> => {
    const image = await testImage(['common', architecture], { architecture });
    const layers = image.layers.map((layer) => add(gzipSync(layer), mediaTypes.ociLayerGzip));
    const entry = { ...addManifest(image.config, layers), platform: { os: 'linux', architecture } };
    return { ...image, manifest: entry.digest, entry };
  };
  const images = { amd64: await make('amd64'), arm64: await make('arm64') };
  const statement = add('{"predicate":{}}', 'application/vnd.in-toto+json');
  const attestation = {
    ...addManifest('{"architecture":"unknown","os":"unknown"}', [statement]),
    platform: { os: 'unknown', architecture: 'unknown' },
    annotations: {
      'vnd.docker.reference.type': 'attestation-manifest',
      'vnd.docker.reference.digest': images.amd64.manifest,
    },
  };
  const absent = {
    mediaType: mediaTypes.ociManifest,
    digest: digestOf('not here'),
    size: 8,
    platform: { os: 'linux', architecture: 's390x' },
  };
  const index = add(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [images.arm64.entry, images.amd64.entry, attestation, absent],
    }),
    mediaTypes.ociIndex,
  );
  const entry = { ...index, annotations: { 'io.containerd.image.name': name } };
  files['index.json'] = JSON.stringify({ schemaVersion: 2, manifests: [entry] });
  return { archive: await tarOf(files), index: index.digest, images, attestation: attestation.digest };
}

const remove = (engine: TestImages, name: string, platforms?: (typeof amd64)[], force = true) =>
  engine.images.remove(name, {
    force,
    prune: true,
    usedBy: () => [],
    ...(platforms === undefined ? {} : { platforms }),
  });

test('Images.load() keeps an index with all that the archive has of it', async () => {
  using engine = await testImages();
  const { archive, index, images, attestation } = await twoPlatforms();
  const messages: ImageProgress[] = [];
  await engine.images.load(chunked(archive), { onProgress: (message) => messages.push(message) });
  assert.deepEqual(
    messages.flatMap(({ stream }) => stream ?? []),
    ['Loaded image: multi:1\n'],
  );
  assert.deepEqual(
    engine.images.list().map(({ id }) => id),
    [images.amd64.id],
  );
  assert.equal(engine.images.get('multi:1', arm64).id, images.arm64.id);
  assert.deepEqual(engine.images.get(images.arm64.id).tags, ['multi:1']);
  assert.equal(engine.images.target('multi:1').digest, index);
  assert.equal(engine.images.target('multi:1', arm64).digest, images.arm64.manifest);
  const variants = await engine.images.variants('multi:1');
  assert.deepEqual(
    variants.map(({ kind, isAvailable, id, subject }) => ({ kind, isAvailable, id, subject })),
    [
      { kind: 'image', isAvailable: true, id: images.arm64.id, subject: undefined },
      { kind: 'image', isAvailable: true, id: images.amd64.id, subject: undefined },
      { kind: 'attestation', isAvailable: true, id: undefined, subject: images.amd64.manifest },
      { kind: 'image', isAvailable: false, id: undefined, subject: undefined },
    ],
  );
  assert.equal(variants[3]?.contentBytes, 0);
  assert.equal(variants[0]?.unpackedBytes, 200);
  assert.equal(variants[2]?.descriptor.digest, attestation);
  assert.throws(() => engine.images.get('multi:1', { os: 'linux', architecture: 's390x' }), {
    kind: 'not-found',
    message:
      'image with reference multi:1 was found but does not provide the specified platform (linux/s390x)',
  });
  const again = await engine.reopen();
  assert.equal(again.get('multi:1', arm64).id, images.arm64.id);
  assert.equal(again.list().length, 1);
  assert.equal(again.target('multi:1').digest, index);
});

test('Images.save() writes an index as it came, and one platform as its manifest', async () => {
  using engine = await testImages();
  const { archive, index, images, attestation } = await twoPlatforms();
  await engine.images.load(chunked(archive), {});
  const read = async (bytes: Buffer): Promise<{ entries: Descriptor[]; blobs: string[] }> => {
    const blobs: string[] = [];
    let entries: Descriptor[] = [];
    for await (const entry of readTar(chunked(bytes))) {
      if (entry.path.startsWith('blobs/sha256/') && entry.type === 'file') blobs.push(entry.path.slice(13));
      if (entry.path !== 'index.json') continue;
      entries = (JSON.parse(String(await entry.bytes(1e6))) as { manifests: Descriptor[] }).manifests;
    }
    return { entries, blobs };
  };
  const saved = await bytesOf(engine.images.save(['multi:1'], {}));
  const whole = await read(saved);
  assert.deepEqual(
    whole.entries.map(({ digest }) => digest),
    [index],
  );
  for (const digest of [index, attestation, images.amd64.manifest, images.arm64.manifest]) {
    assert.ok(whole.blobs.includes(digestHex(digest)), digest);
  }
  using other = await testImages();
  await other.images.load(chunked(saved), {});
  assert.equal(other.images.target('multi:1').digest, index);
  assert.deepEqual(await bytesOf(other.images.save(['multi:1'], {})), saved);

  const one = await read(await bytesOf(engine.images.save(['multi:1'], { platforms: [arm64] })));
  assert.deepEqual(
    one.entries.map(({ digest }) => digest),
    [images.arm64.manifest],
  );
  assert.ok(!one.blobs.includes(digestHex(images.amd64.id)));
  const some = await read(
    await bytesOf(
      engine.images.save(['multi:1'], { platforms: [arm64, { os: 'linux', architecture: 's390x' }] }),
    ),
  );
  assert.deepEqual(
    some.entries.map(({ digest }) => digest),
    [index],
  );
  assert.ok(!some.blobs.includes(digestHex(images.amd64.id)));
  assert.throws(
    () => engine.images.save(['multi:1'], { platforms: [{ os: 'linux', architecture: 'riscv64' }] }),
    { kind: 'not-found' },
  );
});

test('Images.load() takes only the platforms asked for, and joins those that come later', async () => {
  using engine = await testImages();
  const { archive, index, images } = await twoPlatforms();
  await engine.images.load(chunked(archive), { platforms: [arm64] });
  assert.equal(engine.images.get('multi:1').id, images.arm64.id);
  assert.equal(engine.images.has(images.amd64.id), false);
  await engine.images.tag('multi:1', 'copy', '1');
  await engine.images.load(chunked(archive), { platforms: [amd64] });
  for (const name of ['multi:1', 'copy:1']) {
    assert.equal(engine.images.get(name).id, images.amd64.id);
    assert.equal(engine.images.get(name, arm64).id, images.arm64.id);
    assert.equal(engine.images.target(name).digest, index);
  }
  await assert.rejects(
    engine.images.load(chunked(archive), { platforms: [{ os: 'linux', architecture: 's390x' }] }),
    { kind: 'not-found', message: 'requested platform(s) ([linux/s390x]) not found' },
  );
});

test('Images.remove() takes all platforms by name, one by its id or by platform', async () => {
  using engine = await testImages();
  const { archive, images, attestation } = await twoPlatforms();
  const load = () => engine.images.load(chunked(archive), {});
  await load();
  const whole = await remove(engine, 'multi:1', undefined, false);
  assert.deepEqual(whole[0], { kind: 'untagged', reference: 'multi:1' });
  assert.deepEqual(await Array.fromAsync(engine.content.list()), []);
  assert.deepEqual(engine.snapshotter.layers(), []);

  await load();
  await remove(engine, images.amd64.id);
  assert.deepEqual(await Array.fromAsync(engine.content.list()), []);

  await load();
  await remove(engine, images.arm64.id);
  assert.equal(engine.images.get('multi:1').id, images.amd64.id);
  assert.equal(engine.images.has('multi:1', arm64), false);

  await load();
  await assert.rejects(remove(engine, 'multi:1', [amd64], false), {
    kind: 'invalid-parameter',
    message: 'Content will be removed from all images referencing this variant. Use —-force to force delete.',
  });
  await assert.rejects(remove(engine, 'multi:1', [{ os: 'linux', architecture: 's390x' }]), {
    kind: 'not-found',
  });
  const removed = await remove(engine, 'multi:1', [amd64]);
  assert.deepEqual(removed[0], { kind: 'deleted', reference: images.amd64.manifest });
  assert.equal(engine.images.get('multi:1').id, images.arm64.id);
  assert.ok(engine.content.has(attestation), 'what lies beside the platforms stays with the last of them');
  await remove(engine, 'multi:1', [arm64]);
  assert.equal(engine.images.has('multi:1'), false);
  assert.deepEqual(await Array.fromAsync(engine.content.list()), []);
});

test('Images.prune() leaves the platforms of a tagged index', async () => {
  using engine = await testImages();
  const { archive, images } = await twoPlatforms();
  await engine.images.load(chunked(archive), {});
  const options = { matches: () => true, usedBy: () => [] };
  assert.deepEqual((await engine.images.prune({ dangling: true, ...options })).removed, []);
  const { removed } = await engine.images.prune({ dangling: false, ...options });
  for (const { id } of Object.values(images)) {
    assert.ok(removed.some(({ reference }) => reference === id));
  }
  assert.deepEqual(engine.images.list(), []);
});

test('Images.pull() takes the best that the machine can run', async () => {
  await using registry = await TestRegistry.start();
  using registries = new Registries({ retry: { attempts: 1 } });
  const variants = ['v4', 'v1', 'v2', 'v3'];
  const images = await Promise.all(
    variants.map(async (variant) => {
      const layer = gzipSync(await tarOf({ variant }));
      return registry.addImage('levels', '', [layer], { architecture: 'amd64', variant });
    }),
  );
  registry.addIndex(
    'levels',
    'latest',
    images.map(({ entry }) => entry),
  );
  for (const [machine, expected] of [
    [amd64, 'v1'],
    [{ ...amd64, variant: 'v2' }, 'v2'],
    [{ ...amd64, variant: 'v3' }, 'v3'],
  ] as const) {
    using engine = await testImages(registries, 'overlay2', machine);
    const name = `${registry.domain}/levels`;
    await engine.images.pull(name, {});
    const manifest = images[variants.indexOf(expected)];
    assert.equal(engine.images.get(name).manifest?.digest, manifest?.digest);
    // A better one does not run here, a lesser one is not taken by default.
    await engine.images.pull(name, { platform: { ...amd64, variant: 'v4' } });
    await engine.images.pull(name, { platform: amd64 });
    assert.equal(engine.images.get(name).manifest?.digest, manifest?.digest);
    assert.equal(engine.images.platforms(name).length, expected === 'v1' ? 2 : 3);
  }
});

test('Images.push() sends a loaded index unchanged, or one platform of it', async () => {
  await using registry = await TestRegistry.start();
  using registries = new Registries({ retry: { attempts: 1 } });
  using engine = await testImages(registries);
  const { archive, index, images, attestation } = await twoPlatforms(`${registry.domain}/multi:1`);
  await engine.images.load(chunked(archive), {});
  const push = async (options = {}): Promise<ImageProgress[]> => {
    const messages: ImageProgress[] = [];
    const onProgress = (message: ImageProgress) => messages.push(message);
    await engine.images.push(`${registry.domain}/multi:1`, { ...options, onProgress });
    return messages;
  };
  // One of its platforms is nowhere, so that the index cannot be pushed.
  const alone = await push();
  assert.deepEqual(
    alone.flatMap(({ aux }) => aux ?? []).map((aux) => Object.keys(aux as object)[0]),
    ['manifestPushedInsteadOfIndex', 'Tag'],
  );
  assert.ok(registry.manifests.has(`multi/${images.amd64.manifest}`));
  assert.equal(digestOf(registry.manifests.get('multi/1')?.bytes ?? ''), images.amd64.manifest);
  await push({ platform: arm64 });
  assert.equal(digestOf(registry.manifests.get('multi/1')?.bytes ?? ''), images.arm64.manifest);
  await assert.rejects(push({ platform: { os: 'linux', architecture: 's390x' } }), { kind: 'not-found' });
  registry.manifests.set(`multi/${digestOf('not here')}`, {
    type: mediaTypes.ociManifest,
    bytes: Buffer.from('not here'),
  });
  await push();
  assert.equal(digestOf(registry.manifests.get('multi/1')?.bytes ?? ''), index);
  assert.ok(registry.manifests.has(`multi/${attestation}`));
});
