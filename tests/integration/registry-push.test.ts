/**
 * Pushes to Debian's docker-registry: through a proxy that spoils requests and answers, and over TLS that is looked at.
 * What is tagged there is whole, whatever went wrong. Needs root.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { LayerUnpacker } from '../../src/archive/index.ts';
import { Registries } from '../../src/registry/index.ts';
import { chunks } from '../fixtures/archive-doors.ts';
import { mediaTypes } from '../../src/spec/index.ts';
import { DockerRegistry, missingPrograms, registryUser } from '../fixtures/docker-registry.ts';
import { FaultProxy } from '../fixtures/fault-proxy.ts';
import type { Fault, SeenRequest } from '../fixtures/faults.ts';
import { layerTar, registryAuthorization } from '../fixtures/registry-upload.ts';
import { TestRegistry, sha256 } from '../fixtures/registry.ts';
import { openTestImages, type ImageStores } from './images-stores.ts';

const missing = missingPrograms('docker-registry', 'openssl');
const reason = missing === undefined ? '' : ` (skipped: ${missing})`;
const credentials = registryUser;
const layerBytes = 300_000;
const retry = { attempts: 3, firstDelayMs: 10, maxDelayMs: 1500 };

/** `pulled` has its layers as gzip; `made` a plain one, which is compressed on its way. */
type Source = 'pulled' | 'made';
type Step = 'look' | 'begin' | 'piece' | 'blob' | 'manifest';
const steps: Readonly<Record<Step, (request: SeenRequest) => boolean>> = {
  look: ({ method, path }) => method === 'HEAD' && path.includes('/blobs/'),
  begin: ({ method }) => method === 'POST',
  piece: ({ method }) => method === 'PATCH',
  blob: ({ method, path }) => method === 'PUT' && path.includes('/blobs/'),
  manifest: ({ method, path }) => method === 'PUT' && path.includes('/manifests/'),
};
const status = (code: number, error: string, headers: Record<string, string> = {}): Fault => ({
  kind: 'status',
  status: code,
  body: JSON.stringify({ errors: [{ code: error, message: error.toLowerCase() }] }),
  headers,
});
const once = 1;
const accepted = [mediaTypes.ociManifest, mediaTypes.dockerManifest].join(', ');

/** How often it goes wrong; without a number each time. */
const table: readonly [
  source: Source,
  step: Step,
  fault: Fault,
  times: number | undefined,
  result: RegExp,
][] = [
  ['pulled', 'look', status(500, 'UNKNOWN'), once, /pushed/],
  ['pulled', 'look', { kind: 'drop', afterBytes: 0 }, once, /pushed/],
  ['pulled', 'begin', status(401, 'UNAUTHORIZED'), undefined, /unauthorized/],
  ['pulled', 'begin', status(403, 'DENIED'), undefined, /denied/],
  ['pulled', 'begin', status(429, 'TOOMANYREQUESTS', { 'Retry-After': '1' }), once, /pushed/],
  ['pulled', 'begin', status(503, 'UNAVAILABLE'), undefined, /503/],
  ['pulled', 'blob', status(500, 'UNKNOWN'), 2, /pushed/],
  ['pulled', 'blob', status(500, 'UNKNOWN'), undefined, /500/],
  ['pulled', 'blob', status(404, 'BLOB_UPLOAD_UNKNOWN'), undefined, /blob upload unknown/],
  // It is there, and nobody was told.
  ['pulled', 'blob', { kind: 'drop', afterBytes: 0 }, once, /pushed/],
  ['pulled', 'blob', { kind: 'cut', afterBytes: 1000 }, undefined, /EOF|reset|broken pipe|EPIPE/],
  ['made', 'piece', status(500, 'UNKNOWN'), once, /pushed/],
  ['made', 'piece', { kind: 'cut', afterBytes: 1000 }, undefined, /EOF|reset|broken pipe|EPIPE/],
  ['made', 'blob', status(500, 'UNKNOWN'), once, /pushed/],
  ['pulled', 'manifest', status(500, 'UNKNOWN'), once, /pushed/],
  ['pulled', 'manifest', status(500, 'UNKNOWN'), undefined, /500/],
  ['pulled', 'manifest', status(400, 'MANIFEST_INVALID'), undefined, /manifest invalid/],
  ['pulled', 'manifest', { kind: 'drop', afterBytes: 0 }, once, /pushed/],
  ...Array.from({ length: 10 }, (_, tenth): (typeof table)[number] => {
    const fault = { kind: 'cut', afterBytes: Math.floor((layerBytes * tenth) / 10) } as const;
    return [tenth % 2 === 0 ? 'pulled' : 'made', tenth % 2 === 0 ? 'blob' : 'piece', fault, once, /pushed/];
  }),
];

describe(`pushes through a proxy that spoils them${reason}`, { skip: missing !== undefined }, () => {
  const root = mkdtempSync('/var/tmp/coracle-push-');
  const undo = new AsyncDisposableStack();
  let proxy: FaultProxy;
  let stores: ImageStores;
  let source: TestRegistry;

  before(async () => {
    undo.defer(() => rmSync(root, { recursive: true, force: true }));
    const registry = await DockerRegistry.start({ isSecure: true });
    undo.defer(() => registry.dispose());
    proxy = undo.use(await FaultProxy.start(`https://${registry.domain}`));
    source = undo.use(await TestRegistry.start());
    const unpacker = new LayerUnpacker();
    undo.defer(() => unpacker.close());
    const registries = undo.use(new Registries({ environment: {}, idleTimeoutMs: 2000, retry }));
    stores = await openTestImages(root, unpacker, 'overlay2', registries);
    undo.use(stores.records);
    undo.defer(() => stores.snapshotter.close());
  });
  after(() => undo.disposeAsync());

  const layer = (): Promise<Buffer> => layerTar('file', randomBytes(layerBytes));

  /** An image of layers that no repository has. */
  async function make(how: Source, name: string): Promise<void> {
    if (how === 'made') {
      await stores.images.import(chunks(await layer()), { reference: name });
      return;
    }
    source.addImage('app', '1', [await layer(), await layer()]);
    await stores.images.pull(`${source.domain}/app:1`, {});
    await stores.images.tag(`${source.domain}/app:1`, name, '');
  }

  const get = (path: string): Promise<Response> =>
    fetch(`http://${proxy.domain}/v2/${path}`, {
      headers: { Authorization: registryAuthorization, Accept: accepted },
    });

  /** The manifest under a tag, all of whose blobs have been read; undefined when nothing is tagged. */
  async function tagged(repository: string): Promise<string | undefined> {
    proxy.fault = () => undefined;
    const response = await get(`${repository}/manifests/1`);
    if (response.status === 404) return undefined;
    const bytes = await response.bytes();
    const { config, layers } = JSON.parse(new TextDecoder().decode(bytes)) as {
      config: { digest: string };
      layers: { digest: string }[];
    };
    for (const { digest } of [config, ...layers]) {
      const blob = await get(`${repository}/blobs/${digest}`);
      assert.equal(sha256(await blob.bytes()), digest);
    }
    return sha256(bytes);
  }

  for (const [at, [how, step, fault, times, result]] of table.entries()) {
    const { kind, ...numbers } = fault;
    const detail = kind === 'status' ? (fault as { status: number }).status : JSON.stringify(numbers);
    const often = times === undefined ? 'always' : times === 1 ? 'once' : `${times} times`;
    test(`push of what was ${how}: ${step} ${kind} ${detail} ${often}`, async () => {
      const repository = `case${at}/app`;
      const name = `${proxy.domain}/${repository}`;
      await make(how, `${name}:1`);
      let done = 0;
      proxy.fault = (request) => {
        if (request.headers.authorization === undefined || !steps[step](request)) return undefined;
        done += 1;
        return times === undefined || done <= times ? fault : undefined;
      };
      let pushed = '';
      const push = (): Promise<void> =>
        stores.images.push(`${name}:1`, {
          credentials,
          onProgress: ({ aux }) => (pushed = (aux as { Digest?: string } | undefined)?.Digest ?? pushed),
        });
      const outcome = await push().then(
        () => 'pushed',
        (error: unknown) => String(error),
      );
      assert.match(outcome, result);
      assert.ok(done > 0, 'it did go wrong');
      if (outcome !== 'pushed') {
        assert.equal(await tagged(repository), undefined);
        await push();
      }
      assert.equal(await tagged(repository), pushed);
      await stores.images.remove(`${name}:1`, { force: true, prune: true, usedBy: () => [] });
    });
  }
});

describe(
  `docker-registry with a certificate that is looked at${reason}`,
  { skip: missing !== undefined },
  () => {
    test('push and pull need its authority, a client certificate and a password', async () => {
      const root = mkdtempSync('/var/tmp/coracle-tls-');
      // The loopback by an address that does not count as insecure.
      const registry = await DockerRegistry.start({
        isSecure: true,
        address: '0.0.0.0',
        asksForClient: true,
      });
      const unpacker = new LayerUnpacker();
      using registries = new Registries({
        environment: {},
        retry,
        certificateDirectories: [join(root, 'certs.d')],
      });
      const stores = await openTestImages(root, unpacker, 'overlay2', registries);
      try {
        const layer = await layerTar('file', randomBytes(1000));
        const name = `${registry.domain}/app:1`;
        const image = await stores.images.import(chunks(layer), {
          reference: name,
        });
        const push = (how: object = { credentials }): Promise<void> => stores.images.push(name, how);
        await assert.rejects(push(), /x509: certificate signed by unknown authority/);
        const directory = join(root, 'certs.d', registry.domain);
        mkdirSync(directory, { recursive: true });
        copyFileSync(join(registry.directory, 'tls/cert.pem'), join(directory, 'ca.crt'));
        await assert.rejects(push(), /tls: certificate required|bad certificate|handshake/);
        copyFileSync(join(registry.directory, 'tls/cert.pem'), join(directory, 'client.cert'));
        copyFileSync(join(registry.directory, 'tls/key.pem'), join(directory, 'client.key'));
        await assert.rejects(push({}), /no basic auth credentials/);
        assert.deepEqual(await registries.login({ ...credentials, serverAddress: registry.domain }), {
          identityToken: '',
        });
        await push();
        await stores.images.remove(name, { force: true, prune: true, usedBy: () => [] });
        await stores.images.pull(name, { credentials });
        assert.equal(stores.images.get(name).id, image.id);
      } finally {
        await stores.snapshotter.close();
        stores.records[Symbol.dispose]();
        await unpacker.close();
        await registry.dispose();
        rmSync(root, { recursive: true, force: true });
      }
    });
  },
);
