/** Attacks by a registry, or by who stands before it; published ones by their ids. Needs root. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isEngineError } from '../../src/errors/index.ts';
import { Registries } from '../../src/registry/index.ts';
import { parseReference } from '../../src/spec/index.ts';
import { ArchiveDoors } from '../fixtures/archive-doors.ts';
import { file, tarOf } from '../fixtures/tar-members.ts';
import { makeCertificate, missingPrograms } from '../fixtures/docker-registry.ts';
import { TestRegistry, sha256 } from '../fixtures/registry.ts';

const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const indexType = 'application/vnd.oci.image.index.v1+json';
const credentials = { username: 'ann', password: 'secret' };

let doors: ArchiveDoors;
before(async () => {
  doors = await ArchiveDoors.open();
});
after(() => doors?.[Symbol.asyncDispose]());

async function pull(reference: string): Promise<void> {
  await doors.images.pull(`${doors.registry.domain}/${reference}`, { credentials });
}

async function isRefused(reference: string, pattern: RegExp): Promise<void> {
  await assert.rejects(pull(reference), (error) => {
    assert.ok(isEngineError(error), String(error));
    assert.match(error.message, pattern);
    return true;
  });
  assert.deepEqual(await doors.wrong(), []);
}

const layerTar = await tarOf([file('x')]);

test('CVE-2014-8179: a digest stands for these bytes and no others', async () => {
  const { registry } = doors;
  const good = registry.addImage('app', 'latest', [layerTar]);
  const evil = registry.addImage('app', 'evil', [await tarOf([file('x', 'evil')])]);
  const served = registry.manifests.get(`app/${evil.digest}`);
  const original = registry.manifests.get(`app/${good.digest}`);
  assert.ok(served !== undefined && original !== undefined);
  registry.manifests.set(`app/${good.digest}`, served);
  await isRefused(`app@${good.digest}`, /manifest verification failed for digest/);
  // A member more, which a reader that looks at some members only would not see.
  const longer = Buffer.from(original.bytes.toString().replace('{', '{"layers":[],'));
  registry.manifests.set(`app/${good.digest}`, { ...original, bytes: longer });
  await isRefused(`app@${good.digest}`, /manifest verification failed for digest/);
});

test('CVE-2020-15157: addresses in a manifest are not asked, and see no credentials', async () => {
  await using trap = await TestRegistry.start({ auth: { kind: 'basic', ...credentials } });
  const { registry } = doors;
  const { configDigest, layerDigests } = registry.addImage('app', 'latest', [layerTar]);
  const [digest = ''] = layerDigests;
  const layer = {
    mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    digest,
    size: registry.blobs.get(digest)?.length ?? 0,
    urls: [`${trap.url}/v2/app/blobs/${digest}`],
  };
  const config = {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    digest: configDigest,
    size: registry.blobs.get(configDigest)?.length ?? 0,
    urls: layer.urls,
  };
  const manifest = { schemaVersion: 2, mediaType: manifestType, config, layers: [layer] };
  registry.addManifest('app', 'foreign', manifest, manifestType);
  const bytes = registry.blobs.get(digest) ?? Buffer.alloc(0);
  registry.blobs.delete(digest);
  await isRefused('app:foreign', /blob unknown/);
  registry.blobs.set(digest, bytes);
  await pull('app:foreign');
  await doors.remove(`${registry.domain}/app:foreign`);
  assert.deepEqual(trap.seen, []);
});

test('CVE-2020-15157: a host that a blob is redirected to sees no credentials, whatever it asks for', async () => {
  await using trap = await TestRegistry.start({ auth: { kind: 'basic', ...credentials } });
  await using registry = await TestRegistry.start({ auth: { kind: 'basic', ...credentials } });
  const { layerDigests } = registry.addImage('app', 'latest', [layerTar]);
  registry.fault = ({ path }) =>
    path.includes(layerDigests[0] ?? '') ? { kind: 'redirect', to: `${trap.url}${path}` } : undefined;
  await assert.rejects(doors.images.pull(`${registry.domain}/app:latest`, { credentials }), /unauthorized/);
  assert.ok(trap.seen.length > 0);
  for (const { headers } of trap.seen) assert.equal(headers.authorization, undefined);
  assert.deepEqual(await doors.wrong(), []);
});

const noOpenssl = missingPrograms('openssl');
test(
  'CVE-2019-10214: a token service without TLS gets no password for a registry with TLS',
  { skip: noOpenssl ?? false },
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'coracle-certs-'));
    try {
      const { cert, key } = makeCertificate(directory, '127.0.0.1');
      const pem = { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
      await using trap = await TestRegistry.start();
      await using registry = await TestRegistry.start({ tls: pem, auth: { kind: 'bearer', ...credentials } });
      const challenge = `Bearer realm="${trap.url}/token",service="x"`;
      registry.fault = () => ({ kind: 'status', status: 401, headers: { 'WWW-Authenticate': challenge } });
      mkdirSync(join(directory, 'example.org'));
      writeFileSync(
        join(directory, 'example.org/hosts.toml'),
        `server = "${registry.url}"\nca = "${cert}"\n`,
      );
      using registries = new Registries({
        environment: {},
        certificateDirectories: [directory],
        retry: { attempts: 1 },
      });
      const reference = parseReference('example.org/app:latest');
      const repository = registries.repository(reference, { credentials });
      await assert.rejects(repository.manifest('latest'), /is not secure/);
      assert.deepEqual(trap.seen, []);
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
);

test('CVE-2014-5277: a registry without TLS is not fallen back to', async () => {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  // Stands for the way to the registry: says no to TLS, and would answer plain HTTP.
  const proxy = createServer((socket) => {
    sockets.add(socket);
    socket
      .on('error', () => undefined)
      .on('data', (data) => {
        asked.push(data.toString('latin1').split('\r\n')[0] ?? '');
        socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n');
      });
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const { port } = proxy.address() as { port: number };
  const environment = { HTTP_PROXY: `http://127.0.0.1:${port}`, HTTPS_PROXY: `http://127.0.0.1:${port}` };
  try {
    using registries = new Registries({ environment, retry: { attempts: 2, firstDelayMs: 1 } });
    for (const domain of ['registry.example.org', 'registry.example.org:5000', '192.0.2.1:5000']) {
      const repository = registries.repository(parseReference(`${domain}/app:latest`), { credentials });
      await assert.rejects(repository.manifest('latest'));
    }
    assert.ok(asked.length >= 3);
    for (const line of asked) assert.match(line, /^CONNECT /);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => proxy.close(resolve));
  }
});

const config = {
  mediaType: 'application/vnd.oci.image.config.v1+json',
  digest: sha256(Buffer.from('{}')),
  size: 2,
};
const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
const documents: readonly [name: string, text: string][] = [
  ['nothing', ''],
  ['null', 'null'],
  ['a list', '[]'],
  ['text', '"x"'],
  ['a number', '1e999'],
  ['half', '{"schemaVersion":2,"config":{"dig'],
  ['no layers', JSON.stringify({ schemaVersion: 2, config })],
  ['layers that are null', JSON.stringify({ schemaVersion: 2, config, layers: null })],
  ['layers that are nothing', JSON.stringify({ schemaVersion: 2, config, layers: [null] })],
  ['layers without digests', JSON.stringify({ schemaVersion: 2, config, layers: [{}] })],
  ['a negative size', JSON.stringify({ schemaVersion: 2, config: { ...config, size: -1 }, layers: [] })],
  [
    'a digest that is a path',
    JSON.stringify({ config: { ...config, digest: 'sha256:../../x' }, layers: [] }),
  ],
  [
    'too many layers',
    JSON.stringify({ schemaVersion: 2, config, layers: Array.from({ length: 1001 }, () => config) }),
  ],
  ['a configuration that is none', JSON.stringify({ schemaVersion: 2, config, layers: [] })],
  ['a document nested deep', `{"schemaVersion":2,"config":${nested(100_000)}}`],
  ['zero bytes', '\0\0\0\0'],
];

test('CVE-2021-21285: a malformed manifest is an error of the pull and of nothing else', async () => {
  const { registry } = doors;
  registry.blobs.set(config.digest, Buffer.from('{}'));
  for (const [name, text] of documents) {
    registry.addManifestBytes('app', 'bad', Buffer.from(text), manifestType);
    await assert.rejects(pull('app:bad'), (error) => isEngineError(error) && error.message !== '', name);
    assert.deepEqual(await doors.wrong(), [], name);
  }
});

test('CVE-2021-41190: what is a manifest and an index at once is neither', async () => {
  const { registry } = doors;
  const image = registry.addImage('app', 'latest', [layerTar]);
  const entry = { mediaType: manifestType, digest: image.digest, size: image.size };
  const manifest = JSON.parse(
    registry.manifests.get(`app/${image.digest}`)?.bytes.toString() ?? '',
  ) as object;
  const both = { ...manifest, manifests: [entry] };
  for (const mediaType of [manifestType, indexType, undefined]) {
    for (const header of [manifestType, indexType]) {
      registry.addManifest('app', 'both', { ...both, mediaType }, header);
      await isRefused('app:both', /^Cannot read (manifest|index) sha256:\w+ as /);
    }
  }
});

test('an index of indexes has an end', async () => {
  const { registry } = doors;
  const image = registry.addImage('app', 'latest', [layerTar]);
  let top: { digest: string; size: number } = image;
  for (let depth = 0; depth < 20; depth += 1) {
    const mediaType = depth === 0 ? manifestType : indexType;
    const entry = { mediaType, digest: top.digest, size: top.size };
    top = registry.addManifest(
      'app',
      'deep',
      { schemaVersion: 2, mediaType: indexType, manifests: [entry] },
      indexType,
    );
  }
  await isRefused('app:deep', /nested more than/);
});

test('CVE-2020-1702: a registry that answers nothing, or without end, is an error', async () => {
  const { registry } = doors;
  registry.addManifestBytes('app', 'long', Buffer.alloc(9 * 2 ** 20, 0x20), manifestType);
  await isRefused('app:long', /longer than/);
  const server = createServer(
    (socket) =>
      void socket
        .on('error', () => undefined)
        .resume()
        .end('not HTTP\r\n\r\n'),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await assert.rejects(doors.images.pull(`127.0.0.1:${port}/app:latest`, {}), isEngineError);
  await new Promise((resolve) => server.close(resolve));
});
