/**
 * A proxy that spoils answers, in front of Debian's docker-registry with a password: a pull either completes with the
 * right image or fails with the right error, and then leaves everything as it was. Needs root.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { LayerUnpacker } from '../../src/archive/index.ts';
import { Registries } from '../../src/registry/index.ts';
import { DockerRegistry, missingPrograms, registryUser } from '../fixtures/docker-registry.ts';
import { FaultProxy } from '../fixtures/fault-proxy.ts';
import type { Fault } from '../fixtures/faults.ts';
import { layerTar, registryAuthorization, uploadImage } from '../fixtures/registry-upload.ts';
import { TestRegistry } from '../fixtures/registry.ts';
import { openTestImages, type ImageStores } from './images-stores.ts';

const missing = missingPrograms('docker-registry', 'openssl');
const reason = missing === undefined ? '' : ` (skipped: ${missing})`;
const layerBytes = 200_000;
const once = 1;

type Part = 'manifest' | 'config' | 'layer';
type Result = 'pulled' | RegExp;
const status = (code: number, error: string, headers: Record<string, string> = {}): Fault => ({
  kind: 'status',
  status: code,
  body: JSON.stringify({ errors: [{ code: error, message: error.toLowerCase() }] }),
  headers,
});

/** How often it goes wrong; without a number each time. */
const table: readonly [part: Part, fault: Fault, times: number | undefined, result: Result][] = [
  ['manifest', status(401, 'UNAUTHORIZED'), undefined, /unauthorized/],
  [
    'manifest',
    status(403, 'DENIED'),
    undefined,
    /pull access denied for .*, repository does not exist or may/,
  ],
  ['manifest', status(404, 'MANIFEST_UNKNOWN'), undefined, /manifest for .*:1 not found: manifest unknown/],
  ['manifest', status(429, 'TOOMANYREQUESTS'), undefined, /toomanyrequests/],
  ['manifest', status(429, 'TOOMANYREQUESTS', { 'Retry-After': '1' }), once, 'pulled'],
  ['manifest', status(500, 'UNKNOWN'), undefined, /received unexpected HTTP status: 500/],
  ['manifest', status(503, 'UNAVAILABLE'), once, 'pulled'],
  ['manifest', { kind: 'truncate', afterBytes: 100 }, once, 'pulled'],
  ['manifest', { kind: 'truncate', afterBytes: 100 }, undefined, /manifest verification failed/],
  ['manifest', { kind: 'truncate', afterBytes: 0 }, undefined, /manifest verification failed/],
  ['manifest', { kind: 'corrupt', atByte: 40 }, once, 'pulled'],
  ['manifest', { kind: 'corrupt', atByte: 40 }, undefined, /manifest verification failed/],
  ['manifest', { kind: 'longer', bytes: 1 }, undefined, /manifest verification failed/],
  ['manifest', { kind: 'longer', bytes: 9_000_000 }, undefined, /longer than/],
  ['manifest', { kind: 'drop', afterBytes: 50 }, once, 'pulled'],
  ['manifest', { kind: 'drop', afterBytes: 50 }, undefined, /unexpected EOF|EOF/],
  ['manifest', { kind: 'stall', afterBytes: 0 }, once, 'pulled'],
  ['manifest', { kind: 'stall', afterBytes: 50 }, undefined, /timeout|EOF/],
  ['manifest', { kind: 'slow', chunkBytes: 50, pauseMs: 5 }, undefined, 'pulled'],
  ['manifest', { kind: 'redirect', to: 'file:///etc/passwd' }, undefined, /invalid redirect/],
  ['manifest', { kind: 'redirect', to: '/v2/' }, undefined, /verification failed|has no list|Cannot read/],
  ['config', status(401, 'UNAUTHORIZED'), undefined, /unauthorized/],
  ['config', status(403, 'DENIED'), undefined, /denied/],
  ['config', status(404, 'BLOB_UNKNOWN'), undefined, /blob unknown/],
  ['config', status(429, 'TOOMANYREQUESTS'), once, 'pulled'],
  ['config', status(500, 'UNKNOWN'), once, 'pulled'],
  ['config', status(500, 'UNKNOWN'), undefined, /received unexpected HTTP status: 500/],
  ['config', { kind: 'truncate', afterBytes: 10 }, once, 'pulled'],
  ['config', { kind: 'truncate', afterBytes: 10 }, undefined, /unexpected EOF/],
  ['config', { kind: 'corrupt', atByte: 10 }, undefined, /verification failed/],
  ['config', { kind: 'longer', bytes: 1 }, undefined, /longer than/],
  ['config', { kind: 'drop', afterBytes: 10 }, once, 'pulled'],
  ['config', { kind: 'stall', afterBytes: 10 }, once, 'pulled'],
  ['config', { kind: 'slow', chunkBytes: 20, pauseMs: 2 }, undefined, 'pulled'],
  ['layer', status(401, 'UNAUTHORIZED'), undefined, /unauthorized/],
  ['layer', status(403, 'DENIED'), undefined, /denied/],
  ['layer', status(404, 'BLOB_UNKNOWN'), undefined, /blob unknown/],
  ['layer', status(429, 'TOOMANYREQUESTS'), undefined, /toomanyrequests/],
  ['layer', status(429, 'TOOMANYREQUESTS', { 'Retry-After': '1' }), once, 'pulled'],
  ['layer', status(500, 'UNKNOWN'), undefined, /received unexpected HTTP status: 500/],
  ['layer', status(502, 'UNKNOWN'), 2, 'pulled'],
  ['layer', { kind: 'truncate', afterBytes: 1000 }, once, 'pulled'],
  ['layer', { kind: 'truncate', afterBytes: 0 }, undefined, /unexpected EOF/],
  ['layer', { kind: 'corrupt', atByte: 70_000 }, once, 'pulled'],
  ['layer', { kind: 'corrupt', atByte: 70_000 }, undefined, /filesystem layer verification failed/],
  ['layer', { kind: 'longer', bytes: 1 }, undefined, /filesystem layer verification failed/],
  ['layer', { kind: 'longer', bytes: 1 }, once, 'pulled'],
  ['layer', { kind: 'stall', afterBytes: 50_000 }, once, 'pulled'],
  ['layer', { kind: 'stall', afterBytes: 0 }, undefined, /timeout|EOF/],
  ['layer', { kind: 'slow', chunkBytes: 20_000, pauseMs: 5 }, undefined, 'pulled'],
  ['layer', { kind: 'redirect', to: 'http://127.0.0.1:1/gone' }, undefined, /connection refused/],
  ...Array.from({ length: 11 }, (_, tenth): [Part, Fault, number, Result] => {
    const fault = { kind: 'drop', afterBytes: Math.floor((layerBytes * tenth) / 10) } as const;
    return ['layer', fault, once, 'pulled'];
  }),
];

describe(`a registry behind a proxy that spoils answers${reason}`, { skip: missing !== undefined }, () => {
  const root = mkdtempSync('/var/tmp/coracle-faults-');
  const undo = new AsyncDisposableStack();
  let proxy: FaultProxy;
  let stores: ImageStores;
  let digests: Record<Part, string>;
  let common: Buffer;
  let image: Awaited<ReturnType<typeof uploadImage>>;
  let clean: string[];

  before(async () => {
    undo.defer(() => rmSync(root, { recursive: true, force: true }));
    const registry = await DockerRegistry.start({ isSecure: true });
    undo.defer(() => registry.dispose());
    proxy = undo.use(await FaultProxy.start(`https://${registry.domain}`));
    const unpacker = new LayerUnpacker();
    undo.defer(() => unpacker.close());
    const registries = undo.use(
      new Registries({
        environment: {},
        idleTimeoutMs: 800,
        retry: { attempts: 3, firstDelayMs: 10, maxDelayMs: 1500 },
      }),
    );
    stores = await openTestImages(root, unpacker, 'overlay2', registries);
    undo.use(stores.records);
    undo.defer(() => stores.snapshotter.close());
    // An image that is there already, and shares a layer with the one of the tests.
    common = await layer('common');
    await uploadImage(proxy.domain, 'kept', [common]);
    await pull('kept');
    clean = left();
    image = await uploadImage(proxy.domain, 'app', [common, await layer('own')]);
    digests = { manifest: '/manifests/', config: image.config, layer: image.layers[1] ?? '' };
  });
  after(() => undo.disposeAsync());

  /** Everything that images take on disk. */
  function left(): string[] {
    return ['content/blobs/sha256', 'content/ingest', 'overlay2/layers', 'overlay2/l']
      .filter((path) => existsSync(join(root, path)))
      .flatMap((path) => readdirSync(join(root, path)).map((name) => `${path}/${name}`))
      .toSorted();
  }
  async function pull(name: string): Promise<void> {
    await stores.images.pull(`${proxy.domain}/${name}:1`, { credentials: registryUser });
  }
  async function remove(name: string): Promise<void> {
    const options = { force: true, prune: true, usedBy: () => [] };
    await stores.images.remove(`${proxy.domain}/${name}:1`, options);
  }
  for (const [part, fault, times, result] of table) {
    const { kind, ...numbers } = fault;
    const detail = kind === 'status' ? (fault as { status: number }).status : JSON.stringify(numbers);
    const often = times === undefined ? 'always' : times === 1 ? 'once' : `${times} times`;
    const ends = result === 'pulled' ? 'completes' : 'fails';
    test(`pull ${ends}: ${part} ${kind} ${detail} ${often}`, async () => {
      let done = 0;
      proxy.fault = ({ method, path, headers }) => {
        const isAsked = headers.authorization !== undefined || part !== 'manifest';
        if (method !== 'GET' || !isAsked || !path.includes(digests[part])) return undefined;
        done += 1;
        return times === undefined || done <= times ? fault : undefined;
      };
      const pulled = pull('app');
      if (result === 'pulled') {
        await pulled;
        assert.equal(stores.images.get(`${proxy.domain}/app:1`).id, image.config);
        await remove('app');
      } else {
        await assert.rejects(pulled, result);
      }
      assert.ok(done > 0, 'it did go wrong');
      assert.deepEqual(left(), clean);
    });
  }

  test('sizes in the manifest that are not the blobs', async () => {
    proxy.fault = () => undefined;
    for (const says of [
      { layer: { size: layerBytes / 2 } },
      { layer: { size: layerBytes * 2 } },
      { layer: { size: 2 ** 52 } },
      { layer: { size: -1 } },
      { config: { size: 10 } },
      { config: { size: 2 ** 52 } },
    ]) {
      await uploadImage(proxy.domain, 'sizes', [await layer('sizes')], says).catch(() => undefined);
      await assert.rejects(
        pull('sizes'),
        /verification failed|EOF|longer than|too large|not a count|not found/,
      );
      assert.deepEqual(left(), clean);
    }
  });

  test('Retry-After is waited for', async () => {
    let first = 0;
    let second = 0;
    proxy.fault = ({ path }) => {
      if (!path.includes(digests.layer)) return undefined;
      if (first !== 0) {
        second = Date.now();
        return undefined;
      }
      first = Date.now();
      return status(429, 'TOOMANYREQUESTS', { 'Retry-After': '1' });
    };
    await pull('app');
    assert.ok(second - first >= 990, `asked again after ${second - first} ms`);
    await remove('app');
  });

  test('a redirect to another host is followed without the credentials', async () => {
    await using other = await TestRegistry.start();
    for (const path of [digests.layer, digests.config]) {
      const bytes = await (
        await fetch(`http://${proxy.domain}/v2/app/blobs/${path}`, {
          headers: { Authorization: registryAuthorization },
        })
      ).bytes();
      other.addBlob(bytes);
    }
    proxy.fault = ({ path }) => {
      const digest = [digests.layer, digests.config].find((one) => path.includes(one));
      return digest === undefined ? undefined : { kind: 'redirect', to: `${other.url}/v2/x/blobs/${digest}` };
    };
    await pull('app');
    assert.equal(other.seen.length, 2);
    for (const { headers } of other.seen) assert.equal(headers.authorization, undefined);
    const asked = proxy.seen.filter(({ path }) => path.includes(digests.layer));
    assert.ok(asked.some(({ headers }) => headers.authorization === registryAuthorization));
    await remove('app');
    assert.deepEqual(left(), clean);
    // The other host's bytes count no more than the registry's own.
    other.fault = () => ({ kind: 'corrupt', atByte: 20 });
    await assert.rejects(pull('app'), /verification failed/);
    proxy.fault = ({ path }) => (path.includes(digests.layer) ? { kind: 'redirect', to: path } : undefined);
    await assert.rejects(pull('app'), /stopped after 10 redirects/);
    assert.deepEqual(left(), clean);
  });

  test('what a drop left is not fetched again', async () => {
    let dropped = false;
    proxy.fault = ({ path }) => {
      if (dropped || !path.includes(digests.layer)) return undefined;
      dropped = true;
      return { kind: 'drop', afterBytes: 150_000 };
    };
    proxy.blobBytes = 0;
    await pull('app');
    const size = stores.content.stat(digests.layer as `sha256:${string}`).sizeBytes;
    const config = stores.content.stat(digests.config as `sha256:${string}`).sizeBytes;
    assert.equal(proxy.blobBytes, size + config);
    await remove('app');
  });
});

function layer(name: string): Promise<Buffer> {
  return layerTar(name, randomBytes(layerBytes));
}
