import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { TestRegistry } from '../../tests/fixtures/registry.ts';
import { memoryContentStore } from '../content/index.ts';
import { parseReference } from '../spec/index.ts';
import { Registries, downloadBlob, type RegistryCredentials } from './index.ts';

const retry = { attempts: 3, firstDelayMs: 1, maxDelayMs: 20 };
const user = { username: 'ann', password: 'secret' };

function repository(registries: Registries, registry: TestRegistry, credentials?: RegistryCredentials) {
  const reference = parseReference(`${registry.domain}/team/app`);
  return registries.repository(reference, credentials === undefined ? {} : { credentials });
}

test('Repository authorizes with Basic when the registry asks for it', async () => {
  await using registry = await TestRegistry.start({ auth: { kind: 'basic', ...user } });
  using registries = new Registries({ retry });
  const { digest } = registry.addImage('team/app', '1', [randomBytes(10)]);
  const { descriptor } = await repository(registries, registry, user).manifest('1');
  assert.equal(descriptor.digest, digest);
  await assert.rejects(repository(registries, registry).manifest('1'), {
    kind: 'unauthorized',
    message: `Head "${registry.url}/v2/team/app/manifests/1": no basic auth credentials`,
  });
  await assert.rejects(repository(registries, registry, { ...user, password: 'x' }).manifest('1'), {
    kind: 'unauthorized',
    message: 'unauthorized: authentication required',
  });
});

test('Repository asks for a bearer token once, and again when it was revoked', async () => {
  await using registry = await TestRegistry.start({ auth: { kind: 'bearer', ...user } });
  using registries = new Registries({ retry });
  registry.addImage('team/app', '1', [randomBytes(10)]);
  const asked = repository(registries, registry, user);
  await asked.manifest('1');
  await asked.tags();
  assert.equal(registry.count('GET', /^\/token/), 1);
  assert.match(
    registry.seen.find(({ path }) => path.startsWith('/token'))?.path ?? '',
    /scope=repository%3Ateam%2Fapp%3Apull/,
  );
  registry.revokeTokens();
  await asked.manifest('1');
  assert.equal(registry.count('GET', /^\/token/), 2);
  const wrong = repository(registries, registry, { ...user, password: 'x' });
  await assert.rejects(wrong.manifest('1'), {
    message: `Head "${registry.url}/v2/team/app/manifests/1": unauthorized: incorrect username or password`,
  });
});

test('Repository uses an anonymous token for what is public, and an identity token', async () => {
  await using registry = await TestRegistry.start({ auth: { kind: 'bearer', ...user, isPublic: true } });
  using registries = new Registries({ retry });
  registry.addImage('team/app', '1', [randomBytes(10)]);
  await repository(registries, registry).manifest('1');
  await repository(registries, registry, { identityToken: 'refresh-me' }).manifest('1');
  assert.equal(registry.count('POST', /^\/token/), 1);
  await assert.rejects(repository(registries, registry, { identityToken: 'old' }).manifest('1'), {
    kind: 'unauthorized',
  });
});

test('Registries.login() judges credentials and gives an identity token', async () => {
  for (const kind of ['basic', 'bearer'] as const) {
    await using registry = await TestRegistry.start({ auth: { kind, ...user } });
    using registries = new Registries({ retry });
    assert.deepEqual(await registries.login({ ...user, serverAddress: registry.domain }), {
      identityToken: kind === 'basic' ? '' : 'refresh-me',
    });
    await assert.rejects(
      registries.login({ ...user, password: 'x', serverAddress: `http://${registry.domain}/v1/` }),
      { kind: 'unauthorized', message: /failed with status: 401 Unauthorized|incorrect username/ },
    );
  }
});

test('Transport shows no credentials to the host it is redirected to', async () => {
  await using registry = await TestRegistry.start({ auth: { kind: 'basic', ...user } });
  await using storage = await TestRegistry.start();
  using registries = new Registries({ retry });
  using content = memoryContentStore();
  const blob = registry.addBlob(randomBytes(1000));
  storage.addBlob(registry.blobs.get(blob.digest) ?? Buffer.alloc(0));
  registry.fault = ({ path }) =>
    path.includes(blob.digest)
      ? { kind: 'redirect', to: `${storage.url}/v2/store/blobs/${blob.digest}` }
      : undefined;
  const descriptor = { mediaType: '', ...blob };
  await downloadBlob(repository(registries, registry, user), descriptor, { content });
  assert.ok(content.has(blob.digest));
  const [seen] = storage.seen;
  assert.equal(seen?.headers.authorization, undefined);
  assert.ok(registry.seen.some(({ headers }) => headers.authorization !== undefined));
});

test('Transport follows redirects ten times, no more', async () => {
  await using registry = await TestRegistry.start();
  using registries = new Registries({ retry });
  registry.fault = ({ path }) =>
    path.includes('manifests') ? { kind: 'redirect', to: `${registry.url}${path}` } : undefined;
  await assert.rejects(repository(registries, registry).manifest('1'), /stopped after 10 redirects/);
});

test('Registries asks a mirror of the default registry, without its credentials', async () => {
  await using mirror = await TestRegistry.start();
  const image = mirror.addImage('library/app', '1', [randomBytes(10)]);
  using registries = new Registries({ retry, mirrors: [mirror.url], environment: {} });
  const asked = registries.repository(parseReference('app:1'), { credentials: user });
  assert.equal((await asked.manifest('1')).descriptor.digest, image.digest);
  assert.ok(mirror.seen.every(({ headers }) => headers.authorization === undefined));
  assert.equal(mirror.count('GET', /manifests\/1\?ns=docker\.io$/), 1);
});

test('Registries asks the mirror that hosts.toml names first, and the registry for what it has not', async () => {
  await using mirror = await TestRegistry.start();
  await using registry = await TestRegistry.start();
  const directory = mkdtempSync(join(tmpdir(), 'registry-hosts-'));
  try {
    mkdirSync(join(directory, 'example.org'));
    writeFileSync(
      join(directory, 'example.org/hosts.toml'),
      `server = "${registry.url}"\n[host."${mirror.url}"]\ncapabilities = ["pull", "resolve"]\n`,
    );
    using registries = new Registries({ retry, certificateDirectories: [directory], environment: {} });
    const here = mirror.addImage('app', '1', [randomBytes(10)]);
    const there = registry.addImage('app', '2', [randomBytes(10)]);
    const asked = registries.repository(parseReference('example.org/app'));
    assert.equal((await asked.manifest('1')).descriptor.digest, here.digest);
    assert.equal((await asked.manifest('2')).descriptor.digest, there.digest);
    assert.equal(mirror.count('GET', /manifests\/.\?ns=example\.org$/), 2);
    assert.equal(registry.count('GET', /manifests/), 1);
    assert.equal(registry.count('GET', /ns=/), 0);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('Registries does not ask again a registry that wants to be left alone for long', async () => {
  await using registry = await TestRegistry.start();
  using registries = new Registries({ retry });
  registry.fault = ({ path }) =>
    path.includes('manifests')
      ? { kind: 'status', status: 429, headers: { 'Retry-After': '3600' }, body: '{"details":"slow"}' }
      : undefined;
  await assert.rejects(repository(registries, registry).manifest('1'), { message: 'toomanyrequests: slow' });
  assert.equal(registry.count('GET', /manifests/), 1);
});

test('Registries.inspect() tells descriptor and platforms', async () => {
  await using registry = await TestRegistry.start();
  using registries = new Registries({ retry });
  const image = registry.addImage('team/app', '1', [randomBytes(10)], {
    architecture: 'arm',
    variant: 'v7',
  });
  const found = await registries.inspect(parseReference(`${registry.domain}/team/app:1`));
  assert.equal(found.descriptor.digest, image.digest);
  assert.deepEqual(found.platforms, [{ architecture: 'arm', os: 'linux', variant: 'v7' }]);
});

test("Registries says in Docker's words that a registry cannot be reached", async () => {
  using registries = new Registries({ retry });
  const refused = registries.repository(parseReference('127.0.0.1:1/x'));
  await assert.rejects(refused.manifest('1'), {
    kind: 'unavailable',
    message: 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
  });
  const unknown = registries.repository(parseReference('registry.invalid/x'));
  await assert.rejects(unknown.manifest('1'), {
    message: /^Get "https:\/\/registry\.invalid\/v2\/": dial tcp: lookup registry\.invalid/,
  });
});

test('Registries reaches a secure registry over TLS only', async () => {
  await using registry = await TestRegistry.start();
  using registries = new Registries({ retry, connectTimeoutMs: 2000 });
  // The same server by a name that is not loopback to the engine.
  const asked = registries.repository(parseReference(`0.0.0.0:${registry.port}/x`));
  await assert.rejects(asked.manifest('1'), {
    message: `Get "https://0.0.0.0:${registry.port}/v2/": http: server gave HTTP response to HTTPS client`,
  });
  assert.equal(registry.seen.length, 0);
});
