import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { TestRegistry, sha256, type Fault } from '../../tests/fixtures/registry.ts';
import { Registries } from '../registry/index.ts';
import { chunked, dockerArchive, tarOf, testImage, testImages, type TestImages } from './fixtures.ts';
import type { ImageProgress, PushOptions } from './images.ts';

const retry = { attempts: 3, firstDelayMs: 1, maxDelayMs: 20 };

interface Bench extends AsyncDisposable {
  registry: TestRegistry;
  store: TestImages;
  push(name: string, options?: PushOptions): Promise<ImageProgress[]>;
}

async function bench(): Promise<Bench> {
  const registry = await TestRegistry.start();
  const registries = new Registries({ retry });
  const store = await testImages(registries);
  return {
    registry,
    store,
    async push(name, given = {}) {
      const messages: ImageProgress[] = [];
      await store.images.push(`${registry.domain}/${name}`, {
        ...given,
        onProgress: (progress) => messages.push(progress),
      });
      return messages;
    },
    async [Symbol.asyncDispose]() {
      store[Symbol.dispose]();
      registries[Symbol.dispose]();
      await registry[Symbol.asyncDispose]();
    },
  };
}

/** Loads an image of plain layers as `app:1`. */
async function load(store: TestImages): Promise<void> {
  const image = await testImage(['one', 'two'.repeat(5000)]);
  await store.images.load(chunked(await dockerArchive([{ image, tags: ['app:1'] }])), {});
}

const lines = (messages: ImageProgress[]): string[] =>
  messages.map(({ id, status }) => (id === undefined ? '' : `${id}: `) + String(status));

test('Images.push() sends an image as it was pulled, with the same digest', async () => {
  await using bed = await bench();
  const { registry, store } = bed;
  const image = registry.addImage('a/app', '1', [randomBytes(100), randomBytes(2000)]);
  await store.images.pull(`${registry.domain}/a/app:1`, {});
  await store.images.tag(`${registry.domain}/a/app:1`, `${registry.domain}/b/app`, '2');
  const words = lines(await bed.push('b/app:2'));
  assert.equal(words[0], `The push refers to repository [${registry.domain}/b/app]`);
  assert.equal(words.filter((line) => line.endsWith(': Layer already exists')).length, 2);
  assert.ok(words.some((line) => line.startsWith(`2: digest: ${image.digest} size: `)));
  assert.deepEqual(
    registry.manifests.get('b/app/2')?.bytes,
    registry.manifests.get(`a/app/${image.digest}`)?.bytes,
  );
  assert.deepEqual(store.events, [
    `pull ${registry.domain}/a/app`,
    `tag ${registry.domain}/b/app:2`,
    `push ${registry.domain}/b/app`,
  ]);
  assert.deepEqual(store.images.get(`${registry.domain}/b/app:2`).digests, [
    `${registry.domain}/a/app@${image.digest}`,
    `${registry.domain}/b/app@${image.digest}`,
  ]);
});

test('Images.push() compresses plain layers the same way each time', async () => {
  await using first = await bench();
  await using second = await bench();
  const digests: (string | undefined)[] = [];
  for (const bed of [first, second]) {
    await load(bed.store);
    await bed.store.images.tag('app:1', `${bed.registry.domain}/app`, '');
    for (let round = 0; round < 2; round += 1) {
      const messages = await bed.push('app');
      const aux = messages.at(-1)?.aux as { Tag: string; Digest: string; Size: number } | undefined;
      assert.equal(aux?.Tag, 'latest');
      assert.equal(aux?.Size, bed.registry.manifests.get('app/latest')?.bytes.length);
      digests.push(aux?.Digest);
    }
    assert.ok(lines(await bed.push('app')).some((line) => line.endsWith(': Layer already exists')));
    // The compressed form is the registry's alone.
    const kept = (await Array.fromAsync(bed.store.content.list())).map(({ digest }) => digest);
    const shared = kept.filter((digest) => bed.registry.blobs.has(digest));
    assert.deepEqual(shared, [bed.store.images.list()[0]?.id]);
  }
  assert.equal(new Set(digests).size, 1);
});

test('Images.push() mounts a layer from the repository that it was pushed to before', async () => {
  await using bed = await bench();
  const { registry, store } = bed;
  await load(store);
  await store.images.tag('app:1', `${registry.domain}/one`, '');
  await store.images.tag('app:1', `${registry.domain}/two`, '');
  await bed.push('one');
  const words = lines(await bed.push('two'));
  assert.ok(words.some((line) => line.endsWith(': Mounted from one')));
});

test('Images.push() goes on after an upload that broke', async () => {
  await using bed = await bench();
  const { registry, store } = bed;
  await load(store);
  await store.images.tag('app:1', `${registry.domain}/app`, '');
  const breaks = new Set(['PATCH', 'PUT']);
  registry.fault = ({ method }) => (breaks.delete(method) ? { kind: 'status', status: 503 } : undefined);
  await bed.push('app');
  assert.ok(registry.manifests.has('app/latest'));
});

/** Pushes an image to a registry where the first two uploads break after 100 kB. */
async function pushInPieces(
  registry: TestRegistry,
  status?: Fault,
): Promise<{ cuts: number; wholeBytes: number }> {
  await using source = await TestRegistry.start();
  using registries = new Registries({ retry });
  using store = await testImages(registries);
  const image = source.addImage('app', '1', [randomBytes(500_000)]);
  await store.images.pull(`${source.domain}/app:1`, {});
  await store.images.tag(`${source.domain}/app:1`, `${registry.domain}/app`, '1');
  let cuts = 0;
  registry.fault = ({ method, path }) => {
    if (!path.includes('/uploads/')) return undefined;
    if (method === 'GET') return status;
    return method === 'PUT' && cuts++ < 2 ? { kind: 'cut', afterBytes: 100_000 } : undefined;
  };
  await store.images.push(`${registry.domain}/app:1`, {});
  assert.ok(registry.manifests.has(`app/${image.digest}`));
  const size = (digest = ''): number => source.blobs.get(digest)?.length ?? 0;
  return { cuts, wholeBytes: size(image.layerDigests[0]) + size(image.configDigest) };
}

test('Images.push() begins again when the registry says to have more of an upload than there is', async () => {
  await using registry = await TestRegistry.start({ keepsUploads: true });
  const headers = { Range: '0-999999999' };
  const { wholeBytes } = await pushInPieces(registry, { kind: 'status', status: 204, headers });
  assert.equal(registry.receivedUploadBytes, wholeBytes);
});

for (const keepsUploads of [true, false]) {
  const how = keepsUploads ? 'goes on with' : 'begins again';
  test(`Images.push() ${how} an upload whose connection broke, as the registry can`, async () => {
    await using registry = await TestRegistry.start({ keepsUploads });
    const { cuts, wholeBytes } = await pushInPieces(registry);
    assert.equal(cuts, 4, 'the layer three times, the configuration once');
    assert.equal(registry.receivedUploadBytes, keepsUploads ? wholeBytes - 200_000 : wholeBytes);
  });
}

test("Images.push() fails in Docker's words", async () => {
  await using bed = await bench();
  const { registry, store } = bed;
  await assert.rejects(bed.push('none'), {
    message: `An image does not exist locally with the tag: ${registry.domain}/none`,
  });
  await load(store);
  await store.images.tag('app:1', `${registry.domain}/app`, '1');
  await assert.rejects(bed.push('app:2'), { message: `tag does not exist: ${registry.domain}/app:2` });
  await assert.rejects(bed.push(`app@sha256:${'0'.repeat(64)}`), {
    message: 'cannot push a digest reference',
  });
  const denied = { code: 'DENIED', message: 'requested access to the resource is denied' };
  registry.fault = ({ path }) =>
    path.includes('uploads')
      ? { kind: 'status', status: 403, body: JSON.stringify({ errors: [denied] }) }
      : undefined;
  await assert.rejects(bed.push('app:1'), {
    message: 'denied: requested access to the resource is denied',
  });
});

test('Images.push() sends an index whole when all of it can be had, else the platform alone', async () => {
  await using bed = await bench();
  await using elsewhere = await TestRegistry.start();
  const { registry, store } = bed;
  const images = ['amd64', 'arm64'].map((architecture) =>
    registry.addImage('multi', '', [randomBytes(50)], { architecture }),
  );
  const index = registry.addIndex(
    'multi',
    '1',
    images.map(({ entry }) => entry),
  );
  const digestOfPush = async (name: string): Promise<string | undefined> => {
    const messages: ImageProgress[] = [];
    await store.images.push(name, { onProgress: (progress) => messages.push(progress) });
    return (messages.at(-1)?.aux as { Digest: string } | undefined)?.Digest;
  };
  const pull = async (architecture: string): Promise<void> =>
    store.images.pull(`${registry.domain}/multi:1`, { platform: { os: 'linux', architecture } });
  await pull('amd64');
  // In the same registry what is not here is mounted.
  await store.images.tag(`${registry.domain}/multi:1`, `${registry.domain}/copy`, '1');
  assert.equal(await digestOfPush(`${registry.domain}/copy:1`), index.digest);
  for (const { digest } of images) assert.ok(registry.manifests.has(`copy/${digest}`));
  // To another registry only what is here can go.
  await store.images.tag(`${registry.domain}/multi:1`, `${elsewhere.domain}/part`, '1');
  assert.equal(await digestOfPush(`${elsewhere.domain}/part:1`), images[0]?.digest);
  await pull('arm64');
  await store.images.tag(`${registry.domain}/multi:1`, `${elsewhere.domain}/whole`, '1');
  assert.equal(await digestOfPush(`${elsewhere.domain}/whole:1`), index.digest);
  for (const { digest } of images) assert.ok(elsewhere.manifests.has(`whole/${digest}`));
});

test('Images.push() makes an OCI manifest for an image on a zstd layer', async () => {
  await using bed = await bench();
  const { registry, store } = bed;
  const layer = await tarOf({ base: 'base' });
  const oci = 'application/vnd.oci.image';
  const blob = registry.addBlob(zstdCompressSync(layer));
  const rootfs = { type: 'layers', diff_ids: [sha256(layer)] };
  const config = registry.addBlob(
    Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs })),
  );
  registry.addManifest(
    'base',
    '1',
    {
      schemaVersion: 2,
      mediaType: `${oci}.manifest.v1+json`,
      config: { mediaType: `${oci}.config.v1+json`, ...config },
      layers: [{ mediaType: `${oci}.layer.v1.tar+zstd`, ...blob }],
    },
    `${oci}.manifest.v1+json`,
  );
  await store.images.pull(`${registry.domain}/base:1`, {});
  const base = store.images.get(`${registry.domain}/base:1`);
  await store.images.createFromLayer({
    parent: base,
    layer: chunked(await tarOf({ top: 'top' })),
    config: base.config,
    reference: `${registry.domain}/app:1`,
  });
  await bed.push('app:1');
  const pushed = registry.manifests.get('app/1');
  assert.equal(pushed?.type, `${oci}.manifest.v1+json`);
  const manifest = JSON.parse(String(pushed?.bytes)) as { layers: { mediaType: string }[] };
  assert.deepEqual(
    manifest.layers.map(({ mediaType }) => mediaType),
    [`${oci}.layer.v1.tar+zstd`, `${oci}.layer.v1.tar+gzip`],
  );
});
