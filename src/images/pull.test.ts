import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { TestRegistry, sha256, type Fault } from '../../tests/fixtures/registry.ts';
import { Registries } from '../registry/index.ts';
import { chainIds } from '../spec/index.ts';
import { testImages, type TestImages } from './fixtures.ts';
import type { ImageProgress, PullOptions } from './images.ts';

const retry = { attempts: 4, firstDelayMs: 1, maxDelayMs: 20 };

interface Bench extends AsyncDisposable {
  registry: TestRegistry;
  store: TestImages;
  pull(name: string, options?: PullOptions): Promise<string[]>;
}

async function bench(
  options: Parameters<typeof TestRegistry.start>[0] & { driver?: string } = {},
): Promise<Bench> {
  const registry = await TestRegistry.start(options);
  const registries = new Registries({ retry });
  const store = await testImages(registries, options.driver);
  return {
    registry,
    store,
    async pull(name, given = {}) {
      const messages: ImageProgress[] = [];
      await store.images.pull(`${registry.domain}/${name}`, {
        ...given,
        onProgress: (progress) => messages.push(progress),
      });
      return messages.map(({ id, status }) => (id === undefined ? '' : `${id}: `) + String(status));
    },
    async [Symbol.asyncDispose]() {
      store[Symbol.dispose]();
      registries[Symbol.dispose]();
      await registry[Symbol.asyncDispose]();
    },
  };
}

/** What the content store holds beside the image's own blobs. */
async function digests(store: TestImages): Promise<string[]> {
  return (await Array.fromAsync(store.content.list())).map(({ digest }) => digest).toSorted();
}

test('Images.pull() counts every byte, from where it goes on to the last', async () => {
  await using bed = await bench();
  const image = bed.registry.addImage('app', 'latest', [randomBytes(300_000)]);
  const size = bed.registry.blobs.get(image.layerDigests[0] ?? '')?.length ?? 0;
  let drops = 0;
  bed.registry.fault = ({ path }) =>
    path.includes(image.layerDigests[0] ?? '') && drops++ === 0
      ? { kind: 'drop', afterBytes: 200_000 }
      : undefined;
  const counted: { current?: number; total?: number }[] = [];
  await bed.store.images.pull(`${bed.registry.domain}/app`, {
    onProgress({ status, progressDetail = {} }) {
      if (status === 'Downloading') counted.push(progressDetail);
    },
  });
  assert.ok(counted.every(({ total }) => total === size));
  const current = counted.map((one) => one.current ?? 0);
  assert.deepEqual(
    current,
    current.toSorted((a, b) => a - b),
  );
  assert.equal(current.at(-1), size);
});

test("Images.pull() tells in Docker's words what it does", async () => {
  await using bed = await bench();
  const layer = randomBytes(3000);
  const image = bed.registry.addImage('team/app', '1', [layer]);
  const id = image.layerDigests[0]?.slice(7, 19);
  const domain = bed.registry.domain;
  assert.deepEqual(await bed.pull('team/app:1'), [
    '1: Pulling from team/app',
    `${id}: Pulling fs layer`,
    `${id}: Downloading`,
    `${id}: Verifying Checksum`,
    `${id}: Download complete`,
    `${id}: Extracting`,
    `${id}: Extracting`,
    `${id}: Pull complete`,
    `Digest: ${image.digest}`,
    `Status: Downloaded newer image for ${domain}/team/app:1`,
  ]);
  const [pulled] = bed.store.images.list();
  assert.equal(pulled?.id, image.configDigest);
  assert.deepEqual(pulled?.tags, [`${domain}/team/app:1`]);
  assert.deepEqual(pulled?.digests, [`${domain}/team/app@${image.digest}`]);
  assert.deepEqual(bed.store.events, [`pull ${domain}/team/app`]);
  const fetched = bed.registry.count('GET', /manifests/);
  assert.deepEqual(await bed.pull('team/app:1'), [
    '1: Pulling from team/app',
    `Digest: ${image.digest}`,
    `Status: Image is up to date for ${domain}/team/app:1`,
  ]);
  // Registries count what is fetched.
  assert.equal(bed.registry.count('GET', /manifests/), fetched);
});

test('Images.pull() fetches layers that are there once only', async () => {
  await using bed = await bench();
  const [base, a, b] = [randomBytes(500), randomBytes(500), randomBytes(500)];
  bed.registry.addImage('a', 'latest', [base, a]);
  const second = bed.registry.addImage('b', 'latest', [base, b]);
  await bed.pull('a');
  const words = await bed.pull('b');
  assert.ok(words.includes(`${second.layerDigests[0]?.slice(7, 19)}: Already exists`));
  assert.equal(bed.registry.count('GET', new RegExp(`blobs/${second.layerDigests[0]}`)), 1);
});

test('Images.pull() shares one download among pulls at the same time', async () => {
  await using bed = await bench();
  const base = randomBytes(5000);
  const images = ['a', 'b', 'c'].map((name) =>
    bed.registry.addImage(name, 'latest', [base, randomBytes(10)]),
  );
  await Promise.all(['a', 'b', 'c'].map((name) => bed.pull(name)));
  assert.equal(bed.registry.count('GET', new RegExp(`blobs/${images[0]?.layerDigests[0]}`)), 1);
  assert.equal(bed.store.images.list().length, 3);
});

test('Images.pull() unpacks a layer before the one below it has come, unless it is copied onto that', async () => {
  for (const driver of ['overlay2', 'vfs']) {
    await using bed = await bench({ driver });
    const image = bed.registry.addImage('app', 'latest', [randomBytes(2000), randomBytes(20)]);
    bed.registry.fault = ({ path }) =>
      path.includes(image.layerDigests[0] ?? '') ? { kind: 'slow', chunkBytes: 100, pauseMs: 40 } : undefined;
    await bed.pull('app');
    const chain = chainIds(bed.store.images.list()[0]?.config.rootfs.diff_ids ?? []);
    const expected = driver === 'vfs' ? chain : chain.toReversed();
    assert.deepEqual(bed.store.snapshotter.begun, expected);
  }
});

test('Images.pull() takes all tags, page after page', async () => {
  await using bed = await bench();
  for (const tag of ['1', '2', '3', '4', '5']) bed.registry.addImage('app', tag, [randomBytes(10)]);
  const words = await bed.pull('app', { allTags: true });
  assert.equal(words.at(-1), `Status: Downloaded newer image for ${bed.registry.domain}/app`);
  assert.equal(bed.store.images.list().length, 5);
});

test('Images.pull() chooses the platform and keeps the index whole', async () => {
  await using bed = await bench();
  const { registry } = bed;
  const platforms = [
    { architecture: 'amd64' },
    { architecture: 'arm', variant: 'v6' },
    { architecture: 'arm', variant: 'v7' },
    { architecture: 'arm64', variant: 'v8' },
  ];
  const images = platforms.map((platform) => registry.addImage('multi', '', [randomBytes(100)], platform));
  const attestation = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: sha256(Buffer.from('attestation')),
    size: 11,
    platform: { os: 'unknown', architecture: 'unknown' },
    annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
  };
  const index = registry.addIndex('multi', 'latest', [attestation, ...images.map(({ entry }) => entry)]);
  for (const [asked, at] of [
    [{ os: 'linux', architecture: 'arm' }, 2],
    [{ os: 'linux', architecture: 'arm', variant: 'v6' }, 1],
    [{ os: 'linux', architecture: 'arm64' }, 3],
    [{ os: 'linux', architecture: 'amd64', variant: 'v3' }, 0],
  ] as const) {
    await bed.pull('multi', { platform: asked });
    assert.equal(bed.store.images.get(`${registry.domain}/multi`).id, images[at]?.configDigest);
  }
  assert.deepEqual(bed.store.images.get(`${registry.domain}/multi`).digests, [
    `${registry.domain}/multi@${index.digest}`,
  ]);
  assert.ok(bed.store.content.has(index.digest));
  await assert.rejects(bed.pull('multi', { platform: { os: 'linux', architecture: 's390x' } }), {
    kind: 'not-found',
    message: 'no matching manifest for linux/s390x in the manifest list entries',
  });
});

test("Images.pull() fails in Docker's words", async () => {
  await using bed = await bench();
  const { registry } = bed;
  registry.addImage('app', '1', [randomBytes(10)]);
  await assert.rejects(bed.pull('app:2'), {
    kind: 'not-found',
    message: `manifest for ${registry.domain}/app:2 not found: manifest unknown: manifest unknown`,
  });
  const denied = JSON.stringify({
    errors: [{ code: 'DENIED', message: 'requested access to the resource is denied' }],
  });
  registry.fault = ({ path }) =>
    path.includes('manifests') ? { kind: 'status', status: 403, body: denied } : undefined;
  await assert.rejects(bed.pull('app:1'), {
    message: `pull access denied for ${registry.domain}/app, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`,
  });
  registry.fault = () => ({ kind: 'status', status: 500 });
  await assert.rejects(bed.pull('app:1'), {
    message: 'received unexpected HTTP status: 500 Internal Server Error',
  });
  registry.fault = () => undefined;
  registry.addManifest('old', 'latest', { schemaVersion: 1, fsLayers: [] }, 'application/json');
  await assert.rejects(bed.pull('old'), /schema 1 support has been removed/);
  assert.deepEqual(await digests(bed.store), []);
});

test('Images.pull() completes in spite of what passes', async (context) => {
  const size = 40_000;
  const tenths = Array.from({ length: 10 }, (_, tenth) => Math.floor((size * tenth) / 10));
  const cases: [title: string, fault: Fault][] = [
    ...tenths.map((afterBytes): [string, Fault] => [
      `a drop after ${afterBytes}`,
      { kind: 'drop', afterBytes },
    ]),
    ['a truncated body', { kind: 'truncate', afterBytes: 1000 }],
    ['a corrupted body', { kind: 'corrupt', atByte: 100 }],
    ['a body that is too long', { kind: 'longer', bytes: 10 }],
    ['a slow body', { kind: 'slow', chunkBytes: 10_000, pauseMs: 3 }],
    ['429 with Retry-After', { kind: 'status', status: 429, headers: { 'Retry-After': '0' } }],
    ['500', { kind: 'status', status: 500 }],
    ['503', { kind: 'status', status: 503 }],
  ];
  for (const [title, fault] of cases) {
    for (const hasRange of [true, false]) {
      await context.test(`${title}${hasRange ? '' : ', without ranges'}`, async () => {
        await using bed = await bench({ hasRange });
        const image = bed.registry.addImage('app', 'latest', [randomBytes(size)]);
        let failures = 0;
        bed.registry.fault = ({ path }) =>
          path.includes(image.layerDigests[0] ?? '') && failures++ === 0 ? fault : undefined;
        await bed.pull('app');
        assert.equal(bed.store.images.list()[0]?.id, image.configDigest);
        assert.ok(failures >= 1, 'the fault came to pass');
        if (fault.kind === 'drop' && hasRange) {
          assert.equal(bed.registry.sentBlobBytes, blobBytes(bed.registry, image), 'nothing was sent twice');
        }
      });
    }
  }
});

function blobBytes(registry: TestRegistry, image: { configDigest: string; layerDigests: string[] }): number {
  return [image.configDigest, ...image.layerDigests].reduce(
    (sum, digest) => sum + (registry.blobs.get(digest)?.length ?? 0),
    0,
  );
}

test('Images.pull() leaves nothing behind when what is wrong stays so', async (context) => {
  const cases: [title: string, fault: Fault, error: RegExp][] = [
    ['drop', { kind: 'drop', afterBytes: 0 }, /EOF|reset/],
    ['truncate', { kind: 'truncate', afterBytes: 0 }, /EOF/],
    ['corrupt', { kind: 'corrupt', atByte: 7 }, /filesystem layer verification failed for digest sha256:/],
    ['longer', { kind: 'longer', bytes: 1 }, /filesystem layer verification failed/],
    ['404', { kind: 'status', status: 404, body: '{}' }, /error parsing HTTP 404 response body/],
    ['401', { kind: 'status', status: 401 }, /unauthorized: authentication required/],
    ['403', { kind: 'status', status: 403 }, /error parsing HTTP 403/],
    ['500', { kind: 'status', status: 500 }, /500 Internal Server Error/],
    ['429', { kind: 'status', status: 429, body: '{"details":"slow down"}' }, /toomanyrequests: slow down/],
  ];
  for (const [title, fault, error] of cases) {
    await context.test(title, async () => {
      await using bed = await bench();
      const image = bed.registry.addImage('app', 'latest', [randomBytes(3000), randomBytes(20_000)]);
      bed.registry.fault = ({ path }) => (path.includes(image.layerDigests[1] ?? '') ? fault : undefined);
      await assert.rejects(bed.pull('app'), error);
      assert.deepEqual(bed.store.images.list(), []);
      assert.deepEqual(await digests(bed.store), []);
      assert.deepEqual(bed.store.snapshotter.layers(), []);
    });
  }
});

test('Images.pull() refuses a manifest that is not the one asked for', async () => {
  await using bed = await bench();
  const { registry } = bed;
  const image = registry.addImage('app', 'latest', [randomBytes(10)]);
  const other = registry.addImage('app', 'other', [randomBytes(10)]);
  const swapped = registry.manifests.get(`app/${other.digest}`);
  if (swapped !== undefined) registry.manifests.set(`app/${image.digest}`, swapped);
  await assert.rejects(bed.pull(`app@${image.digest}`), {
    message: `manifest verification failed for digest ${image.digest}`,
  });
  assert.deepEqual(await digests(bed.store), []);
});

test('Images.pull() stops when it is cancelled, and leaves nothing behind', async () => {
  await using bed = await bench();
  const image = bed.registry.addImage('app', 'latest', [randomBytes(100_000)]);
  bed.registry.fault = ({ path }) =>
    path.includes(image.layerDigests[0] ?? '') ? { kind: 'slow', chunkBytes: 100, pauseMs: 20 } : undefined;
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 60);
  await assert.rejects(bed.pull('app', { signal: controller.signal }), { name: 'AbortError' });
  assert.deepEqual(await digests(bed.store), []);
});
