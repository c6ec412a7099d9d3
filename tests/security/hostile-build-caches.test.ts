/** Build caches that lie: the build goes on without them, and nothing of them stays. Needs root. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { after, before, test } from 'node:test';
import { writeTar, type TarSource } from '../../src/archive/index.ts';
import { baseImage, importBaseImage } from '../conformance/cli/run-case.ts';
import { buildThrough, callApi, contextOf, imageTree } from '../fixtures/build-case.ts';
import { runCli } from '../fixtures/build-cli.ts';
import { TestDaemon } from '../fixtures/daemon.ts';
import { TestRegistry, sha256 } from '../fixtures/registry.ts';

const dockerfile = `FROM ${baseImage}\nRUN echo true > /made\n`;
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const gzipType = 'application/vnd.oci.image.layer.v1.tar+gzip';
const uncompressed = 'containerd.io/uncompressed';

interface Layer {
  mediaType: string;
  digest: string;
  size: number;
  annotations: Record<string, string>;
}

interface Config {
  layers: { blob: string; parent: number }[];
  records: { digest: string; layers: { layer: number }[]; description: string; ownLayers: number }[];
}

let daemon: TestDaemon;
let registry: TestRegistry;
let host: string;
/** A cache as it should be: its layers, of which the last is the step's, and its configuration. */
let layers: Layer[];
let config: Config;
/** Of a build without the cache. */
let blobsWithout: number;

before(async () => {
  host = mkdtempSync(join(tmpdir(), 'coracle-outside-'));
  writeFileSync(join(host, 'secret'), 'host secret');
  [daemon, registry] = await Promise.all([
    TestDaemon.start(['--max-archive-size', '64m']),
    TestRegistry.start(),
  ]);
  importBaseImage(daemon.host);
  const to = `type=registry,ref=${registry.domain}/cache:true,mode=max`;
  const directory = join(daemon.directory, 'empty');
  mkdirSync(directory);
  const { exitCode, stderr } = await runCli(daemon.host, ['build', '--cache-to', to, '-f', '-', directory], {
    input: dockerfile,
  });
  assert.equal(exitCode, 0, stderr);
  const manifest = JSON.parse(registry.manifests.get('cache/true')?.bytes.toString() ?? '') as {
    layers: Layer[];
    config: { digest: string };
  };
  ({ layers } = manifest);
  config = JSON.parse(registry.blobs.get(manifest.config.digest)?.toString() ?? '') as Config;
  // As it is, it is used: what is refused below is refused for what was changed.
  await forget();
  offer({});
  const { output } = await build();
  assert.match(output, /---> Using cache/);
  await forget();
  await buildThrough(daemon.socket, await contextOf({ Dockerfile: dockerfile }), {});
  blobsWithout = blobs();
});

after(async () => {
  await daemon?.dispose();
  await registry?.[Symbol.asyncDispose]();
  rmSync(host, { recursive: true, force: true });
});

async function forget(): Promise<void> {
  await callApi(daemon.socket, 'POST', '/images/prune');
  await callApi(daemon.socket, 'POST', '/build/prune?all=1');
}

/** Offers a cache under the name `evil`. */
function offer(given: { layers?: Layer[]; config?: unknown; configBytes?: Buffer; size?: number }): void {
  const bytes = given.configBytes ?? Buffer.from(JSON.stringify(given.config ?? config));
  const blob = registry.addBlob(bytes);
  const manifest = {
    schemaVersion: 2,
    mediaType: manifestType,
    config: { mediaType: 'application/vnd.buildkit.cacheconfig.v0', ...blob, size: given.size ?? blob.size },
    layers: given.layers ?? layers,
  };
  registry.addManifest('cache', 'evil', manifest, manifestType);
}

async function build(): ReturnType<typeof buildThrough> {
  const body = await contextOf({ Dockerfile: dockerfile });
  const from = JSON.stringify([`${registry.domain}/cache:evil`]);
  return await buildThrough(daemon.socket, body, { cachefrom: from });
}

/** Blobs that the engine has. */
function blobs(): number {
  return readdirSync(join(daemon.dataRoot, 'content/blobs/sha256')).length;
}

/** The build does the step by itself, and what was offered is not kept. */
async function isOfNoUse(what: string, warning: RegExp): Promise<void> {
  await forget();
  const { output, error, imageId } = await build();
  assert.equal(error, undefined, `${what}: ${output}`);
  assert.match(output, warning, what);
  assert.doesNotMatch(output, /Using cache/, what);
  const tree = await imageTree(daemon.socket, imageId);
  assert.equal(tree.get('/made')?.text, 'true\n', what);
  assert.equal(tree.get('/evil'), undefined, what);
  assert.deepEqual(readdirSync(host), ['secret'], what);
  assert.equal(existsSync('/evil'), false);
  assert.equal(blobs(), blobsWithout, `${what}: as many blobs as without the cache`);
}

async function tarOf(members: readonly TarSource[]): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(writeTar(members)));
}

function file(path: string, content: string | Buffer): TarSource {
  const body = Buffer.from(content);
  return { path, type: 'file', mode: 0o755, sizeBytes: body.length, body: [body] };
}

/** The cache with another layer in the place of the step's, whose digests are right. */
function withLayer(tar: Buffer): { layers: Layer[]; config: Config } {
  const blob = registry.addBlob(gzipSync(tar));
  const layer = { mediaType: gzipType, ...blob, annotations: { [uncompressed]: sha256(tar) } };
  const replaced = config.layers.map((one, index) =>
    index === config.layers.length - 1 ? { ...one, blob: blob.digest } : one,
  );
  return { layers: [...layers.slice(0, -1), layer], config: { ...config, layers: replaced } };
}

test('bytes that do not have the digest that names them', async () => {
  const digest = layers.at(-1)?.digest ?? '';
  const good = registry.blobs.get(digest) ?? Buffer.alloc(0);
  const evil = gzipSync(await tarOf([file('evil', 'evil')]));
  offer({});
  try {
    for (const [what, bytes] of [
      ['other bytes', Buffer.concat([evil, Buffer.alloc(Math.max(0, good.length - evil.length))])],
      ['more bytes', Buffer.concat([good, evil])],
    ] as const) {
      registry.blobs.set(digest, bytes);
      await isOfNoUse(what, /\[Warning\] Cannot use \S+ as a cache: /);
    }
  } finally {
    registry.blobs.set(digest, good);
  }
});

test('a layer that is another one than is said', async () => {
  const last = layers.at(-1) as Layer;
  for (const diffId of [`sha256:${'0'.repeat(64)}`, layers[0]?.annotations[uncompressed] ?? '', 'sha256:x']) {
    offer({ layers: [...layers.slice(0, -1), { ...last, annotations: { [uncompressed]: diffId } }] });
    await isOfNoUse(diffId, /\[Warning\] Cannot use \S+ as a cache: /);
  }
});

test('layers in a circle, that are not there, or too many', async () => {
  const blob = config.layers[0]?.blob ?? '';
  const looped = config.layers.map((layer, index) => ({
    ...layer,
    parent: (index + 1) % config.layers.length,
  }));
  const deep = Array.from({ length: 600 }, (_, index) => ({ blob, parent: index - 1 }));
  for (const [what, given] of [
    ['looping', { ...config, layers: looped }],
    ['itself', { ...config, layers: config.layers.map((layer, index) => ({ ...layer, parent: index })) }],
    ['beyond', { ...config, layers: [{ blob, parent: 7 }] }],
    ['negative', { ...config, layers: [{ blob, parent: -2 }] }],
    ['no digest', { ...config, layers: [{ blob: '../../etc/passwd', parent: -1 }] }],
    ['deep', { ...config, layers: deep }],
    ['records', { ...config, records: Array.from({ length: 10_001 }, () => config.records[0]) }],
    ['no lists', { layers: 'x', records: 7 }],
  ] as const) {
    offer({ config: given });
    await isOfNoUse(what, /\[Warning\] Cannot use \S+ as a cache: Cannot read build cache/);
  }
});

test('records that point beyond what there is', async () => {
  const [record] = config.records;
  const text = /^(?![^]*\[Warning\])/;
  for (const [what, change] of [
    ['a layer beyond', { layers: [{ layer: 9, createdAt: '2020-01-01T00:00:00Z' }] }],
    ['a negative layer', { layers: [{ layer: -1, createdAt: '2020-01-01T00:00:00Z' }] }],
    ['no time', { layers: [{ layer: 0, createdAt: 'never' }] }],
    ['more own layers than there are', { ownLayers: 99 }],
    ['no digest', { digest: 'sha256:zz' }],
  ] as const) {
    offer({ config: { ...config, records: [{ ...record, ...change }] } });
    await isOfNoUse(what, text);
  }
});

test('documents that are none, or larger than they say', async () => {
  offer({ configBytes: Buffer.from('{"layers":[') });
  await isOfNoUse('no JSON', /\[Warning\] Cannot use \S+ as a cache: /);
  offer({ size: 3 });
  await isOfNoUse('size', /\[Warning\] Cannot use \S+ as a cache: /);
  offer({ size: 1024 * 1024 * 1024 });
  await isOfNoUse('huge', /\[Warning\] Cannot use \S+ as a cache: .*too large/);
});

test('a layer with names that lead out writes nothing there', async () => {
  const up = '../'.repeat(12);
  for (const [what, members] of [
    ['dots', [file(`${up}${host.slice(1)}/made`, 'evil')]],
    ['a link', [{ path: 'l', type: 'symlink', mode: 0o777, linkPath: host }, file('l/made', 'evil')]],
    [
      'a hard link',
      [{ path: 'made', type: 'hardlink', mode: 0o644, linkPath: `${up}${host.slice(1)}/secret` }],
    ],
  ] as const) {
    await forget();
    offer(withLayer(await tarOf(members)));
    const { output, imageId, error } = await build();
    assert.equal(error, undefined, what);
    assert.deepEqual(readdirSync(host), ['secret'], what);
    assert.doesNotMatch(output, /host secret/);
    const tree = await imageTree(daemon.socket, imageId);
    assert.notEqual(tree.get('/made')?.text, 'host secret', what);
  }
});

test('a layer that expands without end is not unpacked', async () => {
  const zeros = await tarOf([file('evil', Buffer.alloc(100 * 1024 * 1024))]);
  offer(withLayer(zeros));
  await isOfNoUse('bomb', /\[Warning\] Cannot use \S+ as a cache: /);
});

test('links in a directory that is sent as a cache lead nowhere', async () => {
  mkdirSync(join(host, 'blobs/sha256'), { recursive: true });
  try {
    // On the host lies a cache that anybody would like to see.
    const documents = [JSON.stringify(config), ''];
    const [configText = ''] = documents;
    const configBlob = { digest: sha256(Buffer.from(configText)), size: configText.length };
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: { mediaType: 'application/vnd.buildkit.cacheconfig.v0', ...configBlob },
      layers,
    });
    const top = sha256(Buffer.from(manifest));
    const put = (digest: string, bytes: string | Buffer): void =>
      writeFileSync(join(host, 'blobs/sha256', digest.slice(7)), bytes);
    put(configBlob.digest, configText);
    put(top, manifest);
    for (const { digest } of layers) put(digest, registry.blobs.get(digest) ?? '');
    const annotations = { 'org.opencontainers.image.ref.name': 'latest' };
    const index = JSON.stringify({ schemaVersion: 2, manifests: [{ digest: top, size: 1, annotations }] });
    writeFileSync(join(host, 'index.json'), index);
    const parts = '.coracle-build-parts';
    for (const [what, files] of [
      ['the directory', { [`${parts}/caches/0`]: { link: host } }],
      ['all of them', { [`${parts}/caches`]: { link: host } }],
      [
        'the blobs',
        { [`${parts}/caches/0/index.json`]: index, [`${parts}/caches/0/blobs`]: { link: `${host}/blobs` } },
      ],
    ] as const) {
      await forget();
      const body = await contextOf({ Dockerfile: dockerfile, ...files });
      const query = new URLSearchParams({ parts: '1', cachefrom: '[{"type":"local","src":"sent:0"}]' });
      const path = `/coracle/build?${query.toString()}`;
      const answer = await callApi(daemon.socket, 'POST', path, body, 'application/x-tar');
      assert.match(answer.body.toString(), /\[Warning\] Cannot use local as a cache: there is no /, what);
    }
  } finally {
    rmSync(join(host, 'blobs'), { recursive: true });
    rmSync(join(host, 'index.json'));
  }
});
