import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestRegistry } from '../../tests/fixtures/registry.ts';
import { Registries } from '../registry/index.ts';
import { mediaTypes, type Digest, type ImageManifest } from '../spec/index.ts';
import { bytesOf, chunked, dockerArchive, testImage, testImages, type TestImages } from './fixtures.ts';
import type { ComposedImage, Composition, ImageForm } from './images.ts';

const gzip: ImageForm = { compression: 'gzip', mediaTypes: 'oci' };
const statement = { predicateType: 'https://example.com/said', predicate: { said: true } };

function plain(id: Digest, more: Partial<ComposedImage> = {}): ComposedImage {
  return { id, annotations: {}, descriptorAnnotations: {}, statements: [], names: [], ...more };
}

function composition(images: ComposedImage[], more: Partial<Composition> = {}): Composition {
  return { images, form: gzip, indexAnnotations: {}, references: [], ...more };
}

/** Images as a build leaves them: plain layers, no manifest, no names. */
async function built(engine: TestImages, ...architectures: string[]): Promise<Digest[]> {
  const images = await Promise.all(
    architectures.map((architecture) => testImage(['common', architecture], { architecture })),
  );
  await engine.images.load(chunked(await dockerArchive(images.map((image) => ({ image, tags: null })))), {});
  return images.map(({ id }) => id);
}

async function document<T>(engine: TestImages, digest: Digest): Promise<T> {
  return JSON.parse((await engine.content.read(digest)).toString()) as T;
}

interface IndexJson {
  mediaType: string;
  annotations?: Record<string, string>;
  manifests: { digest: Digest; platform: object; annotations?: Record<string, string> }[];
}

const remove = { force: true, prune: true, usedBy: () => [] };

test('Images.compose() makes one index of several platforms and what is stated of them', async () => {
  using engine = await testImages();
  const [amd64, arm64] = (await built(engine, 'amd64', 'arm64')) as [Digest, Digest];
  const names = ['pkg:docker/multi@1'];
  const target = await engine.images.compose(
    composition(
      [
        plain(amd64, { annotations: { a: 'b' }, statements: [statement], names }),
        plain(arm64, { descriptorAnnotations: { c: 'd' } }),
      ],
      { indexAnnotations: { e: 'f' }, references: ['multi:1', 'multi:2'] },
    ),
  );
  assert.deepEqual(engine.images.target('multi:2'), target);
  const index = await document<IndexJson>(engine, target.digest);
  assert.deepEqual([index.mediaType, index.annotations], [mediaTypes.ociIndex, { e: 'f' }]);
  const [first, second, third] = index.manifests;
  assert.deepEqual(
    [first?.platform, second?.platform, second?.annotations],
    [{ os: 'linux', architecture: 'amd64' }, { os: 'linux', architecture: 'arm64' }, { c: 'd' }],
  );
  assert.deepEqual(third?.annotations, {
    'vnd.docker.reference.type': 'attestation-manifest',
    'vnd.docker.reference.digest': first?.digest,
  });
  const manifest = await document<ImageManifest>(engine, first?.digest as Digest);
  assert.deepEqual(manifest.annotations, { a: 'b' });
  assert.deepEqual(
    manifest.layers.map(({ mediaType }) => mediaType),
    [mediaTypes.ociLayerGzip, mediaTypes.ociLayerGzip],
  );
  const [said] = await engine.images.attestations('multi:1', { types: [], withStatement: true });
  assert.deepEqual(said?.statement, {
    _type: 'https://in-toto.io/Statement/v1',
    predicateType: statement.predicateType,
    subject: [{ name: names[0], digest: { sha256: first?.digest.slice(7) } }],
    predicate: statement.predicate,
  });
  // All of it lasts, is saved and comes again as it was.
  const again = await engine.reopen();
  const archive = await bytesOf(again.save(['multi:1'], {}));
  using other = await testImages();
  await other.images.load(chunked(archive), {});
  assert.deepEqual(other.images.target('multi:1'), target);
  assert.deepEqual(other.images.platforms('multi:1'), [amd64, arm64]);
  // By the digest of the index, too.
  assert.deepEqual(engine.images.platforms(target.digest), [amd64, arm64]);
  assert.equal(engine.images.get(first?.digest as Digest).id, amd64);
  for (const name of ['multi:1', 'multi:2']) await engine.images.remove(name, remove);
  assert.deepEqual(await Array.fromAsync(engine.content.list()), []);
});

test('Images.compose() writes a manifest alone for one image, which is pushed as it is', async () => {
  await using registry = await TestRegistry.start();
  using engine = await testImages(new Registries({}));
  const [id] = (await built(engine, 'amd64')) as [Digest];
  const name = `${registry.domain}/one:1`;
  const target = await engine.images.compose(
    composition([plain(id, { annotations: { a: 'b' } })], {
      form: { compression: 'zstd', compressionLevel: 7, mediaTypes: 'oci' },
      references: [name],
    }),
  );
  const { layers } = await document<ImageManifest>(engine, target.digest);
  assert.equal(layers[0]?.mediaType, mediaTypes.ociLayerZstd);
  await engine.images.push(name, {});
  using other = await testImages(new Registries({}));
  await other.images.pull(name, {});
  assert.deepEqual(other.images.target(name), target);
});

test('Images.compose() leaves another manifest of the same image what it was', async () => {
  await using registry = await TestRegistry.start();
  using engine = await testImages(new Registries({}));
  const [id] = (await built(engine, 'amd64')) as [Digest];
  const [one, two] = [`${registry.domain}/one:1`, `${registry.domain}/two:1`];
  const make = (annotation: string, reference: string, form = gzip) =>
    engine.images.compose(
      composition([plain(id, { annotations: { annotation } })], { references: [reference], form }),
    );
  const first = await make('first', one);
  const second = await make('second', two, {
    compression: 'uncompressed',
    forceCompression: true,
    mediaTypes: 'docker',
  });
  assert.notEqual(first.digest, second.digest);
  assert.equal(second.mediaType, mediaTypes.dockerManifest);
  assert.equal(
    (await document<ImageManifest>(engine, second.digest)).layers[0]?.mediaType,
    mediaTypes.dockerLayer,
  );
  assert.deepEqual([engine.images.target(one), engine.images.target(two)], [first, second]);
  assert.deepEqual(
    (await engine.images.variants(two)).map((variant) => [variant.id, variant.isAvailable]),
    [[id, true]],
  );
  for (const name of [one, two]) await engine.images.push(name, {});
  using other = await testImages(new Registries({}));
  await other.images.pull(two, {});
  assert.deepEqual(other.images.target(two), second);
  for (const name of [one, two]) await engine.images.remove(name, remove);
  assert.deepEqual(await Array.fromAsync(engine.content.list()), []);
});

test('Images.compose() refuses zstd in manifests of Docker, and leaves nothing', async () => {
  using engine = await testImages();
  const [id] = (await built(engine, 'amd64')) as [Digest];
  const before = await Array.fromAsync(engine.content.list());
  await assert.rejects(
    engine.images.compose(composition([plain(id)], { form: { compression: 'zstd', mediaTypes: 'docker' } })),
    { kind: 'invalid-parameter', message: /"compression=zstd" conflicts with "oci-mediatypes=false"/ },
  );
  assert.deepEqual(await Array.fromAsync(engine.content.list()), before);
});
