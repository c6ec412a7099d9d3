/** The API's view of images for several platforms, and `import` from a URL, against a daemon. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { TestDaemon } from '../fixtures/daemon.ts';
import { TestRegistry } from '../fixtures/registry.ts';

interface Manifest {
  ID: string;
  Kind: string;
  Available: boolean;
  Descriptor: { digest: string };
  Size: { Content: number; Total: number };
  ImageData?: {
    Platform: { architecture: string };
    Size: { Unpacked: number };
    Containers: string[] | null;
    Identity?: object;
  };
  AttestationData?: { For: string };
}
interface Summary {
  Id: string;
  RepoTags: string[];
  Containers: number;
  Descriptor?: { digest: string; mediaType: string };
  Manifests?: Manifest[];
}

interface Made {
  ImageManifestDescriptor?: { digest: string; platform: { architecture: string } };
}

const statements = ['https://slsa.dev/provenance/v1', 'https://spdx.dev/Document'];
const json = (platform: object): string => encodeURIComponent(JSON.stringify(platform));
const arm64 = json({ os: 'linux', architecture: 'arm64' });
const s390x = json({ os: 'linux', architecture: 's390x' });

describe('images for several platforms', { skip: process.getuid?.() !== 0 }, () => {
  let daemon: TestDaemon;
  let registry: TestRegistry;
  let directory: string;
  let name: string;
  let index: string;
  let ids: string[];

  /** A tar with one file. */
  function tar(content: string): Buffer {
    const script = 'printf %s "$1" > file && tar -c file';
    return spawnSync('sh', ['-c', script, 'sh', content], { cwd: directory }).stdout;
  }

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'coracle-test-'));
    registry = await TestRegistry.start();
    daemon = await TestDaemon.start();
    const manifestType = 'application/vnd.oci.image.manifest.v1+json';
    const images = ['amd64', 'arm64', 's390x'].map((architecture) =>
      registry.addImage('multi', '', [tar(architecture)], { architecture }),
    );
    ids = images.map(({ configDigest }) => configDigest);
    const attestation = {
      mediaType: manifestType,
      digest: `sha256:${'a'.repeat(64)}`,
      size: 500,
      platform: { os: 'unknown', architecture: 'unknown' },
      annotations: {
        'vnd.docker.reference.type': 'attestation-manifest',
        'vnd.docker.reference.digest': images[0]?.digest,
      },
    };
    const stated = registry.addManifest(
      'multi',
      '',
      {
        schemaVersion: 2,
        mediaType: manifestType,
        config: {
          mediaType: 'application/vnd.oci.image.config.v1+json',
          ...registry.addBlob(
            Buffer.from('{"architecture":"unknown","os":"unknown","rootfs":{"type":"layers"}}'),
          ),
        },
        layers: statements.map((predicateType) => ({
          mediaType: 'application/vnd.in-toto+json',
          ...registry.addBlob(Buffer.from(JSON.stringify({ predicateType, subject: [] }))),
          annotations: { 'in-toto.io/predicate-type': predicateType },
        })),
      },
      manifestType,
    );
    const present = {
      ...attestation,
      digest: stated.digest,
      size: stated.size,
      annotations: { ...attestation.annotations, 'vnd.docker.reference.digest': images[1]?.digest },
    };
    const entries = images.map(({ entry }) => entry);
    index = registry.addIndex('multi', 'latest', [...entries, attestation, present]).digest;
    name = `${registry.domain}/multi`;
    for (const platform of ['linux/amd64', 'linux/arm64']) {
      const query = `fromImage=${name}&tag=latest&platform=${platform}`;
      const { text } = await daemon.call('POST', `/images/create?${query}`);
      assert.match(text, /Digest: /, text);
    }
  });
  after(async () => {
    await daemon?.dispose();
    await registry?.[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  const list = async (version: string, query = ''): Promise<Summary[]> =>
    (await daemon.call('GET', `/v${version}/images/json?${query}`)).body as Summary[];

  test('GET /images/json lists an index once, with its manifests since 1.47', async () => {
    const created = await daemon.call('POST', '/containers/create?platform=linux/arm64', {
      Image: name,
      Cmd: ['/x'],
    });
    assert.equal(created.status, 201, created.text);
    const container = (created.body as { Id: string }).Id;
    const [image, ...more] = await list('1.51', 'manifests=1');
    assert.equal(more.length, 0);
    assert.equal(image?.Id, ids[0]);
    assert.deepEqual(image?.RepoTags, [`${name}:latest`]);
    assert.equal(image?.Containers, 1);
    assert.equal(image?.Descriptor?.digest, index);
    const manifests = image?.Manifests ?? [];
    assert.deepEqual(
      manifests.map(({ Kind, Available, ImageData }) => [Kind, Available, ImageData?.Platform.architecture]),
      [
        ['image', true, 'amd64'],
        ['image', true, 'arm64'],
        ['image', false, 's390x'],
        ['attestation', false, undefined],
        ['attestation', true, undefined],
      ],
    );
    assert.equal(manifests[3]?.AttestationData?.For, manifests[0]?.ID);
    assert.deepEqual(manifests[1]?.ImageData?.Containers, [container]);
    assert.equal(manifests[0]?.ImageData?.Containers, null);
    for (const { Size, ImageData } of manifests) {
      assert.equal(Size.Total, Size.Content + (ImageData?.Size.Unpacked ?? 0));
    }
    assert.equal(manifests[2]?.Size.Content, 0);
    const listed = (await daemon.call('GET', '/v1.49/containers/json?all=1')).body as Made[];
    const inspected = (await daemon.call('GET', `/v1.48/containers/${container}/json`)).body as Made;
    for (const { ImageManifestDescriptor } of [...listed, inspected]) {
      assert.equal(ImageManifestDescriptor?.digest, manifests[1]?.ID);
      assert.equal(ImageManifestDescriptor?.platform.architecture, 'arm64');
    }
    const old = (await list('1.46', 'manifests=1'))[0];
    assert.equal(old?.Manifests, undefined);
    assert.equal(old?.Descriptor, undefined);
    assert.equal(old?.Containers, -1);
    await daemon.call('DELETE', `/containers/${container}`);
  });

  test('GET /images/{name}/json takes a platform or tells the manifests', async () => {
    const inspect = (query: string, version = '1.51') =>
      daemon.call('GET', `/v${version}/images/${name}/json?${query}`);
    const one = (await inspect(`platform=${arm64}`)).body as Summary & { Architecture: string };
    assert.equal(one.Id, ids[1]);
    assert.equal(one.Architecture, 'arm64');
    assert.notEqual(one.Descriptor?.digest, index);
    const all = (await inspect('manifests=1')).body as Summary;
    assert.equal(all.Descriptor?.digest, index);
    assert.equal(all.Manifests?.length, 5);
    assert.equal(((await inspect(`platform=${arm64}`, '1.48')).body as Summary).Id, ids[0]);
    for (const [query, status, message] of [
      [
        `manifests=1&platform=${arm64}`,
        400,
        'conflicting options: manifests and platform options cannot both be set',
      ],
      [
        'platform=linux',
        400,
        "failed to parse platform: invalid character 'l' looking for beginning of value",
      ],
      [`platform=${json({ os: 'linux' })}`, 400, 'both OS and Architecture must be provided'],
      [
        `platform=${s390x}`,
        404,
        `image with reference ${name} was found but does not provide the specified platform (linux/s390x)`,
      ],
    ] as const) {
      const answer = await inspect(query);
      assert.deepEqual([answer.status, answer.body], [status, { message }]);
    }
  });

  test('Identity tells where an image was pulled from and pushed to, whatever it is tagged', async () => {
    const identity = async (of: string, version = '1.53'): Promise<unknown> =>
      ((await daemon.call('GET', `/v${version}/images/${of}/json`)).body as { Identity?: object }).Identity;
    assert.deepEqual(await identity(name), { Pull: [{ Repository: name }] });
    assert.equal(await identity(name, '1.52'), undefined);
    const [image] = await list('1.54', 'manifests=1&identity=1');
    const pulled = { Pull: [{ Repository: name }] };
    assert.deepEqual(
      image?.Manifests?.map(({ ImageData }) => ImageData?.Identity),
      [pulled, pulled, undefined, undefined, undefined],
    );
    assert.equal((await daemon.call('GET', '/v1.54/images/json?identity=1')).status, 400);
    registry.addImage('one', 'latest', [tar('one')]);
    const [one, other] = [`${registry.domain}/one`, `${registry.domain}/other`];
    await daemon.call('POST', `/images/create?fromImage=${one}&tag=latest`);
    await daemon.call('POST', `/images/${one}/tag?repo=${other}&tag=latest`);
    assert.deepEqual(await identity(other), { Pull: [{ Repository: one }] });
    await daemon.call('POST', `/images/${other}/push?tag=latest`);
    assert.deepEqual(await identity(other), { Pull: [{ Repository: one }, { Repository: other }] });
    await daemon.call('DELETE', `/images/${one}`);
    await daemon.call('DELETE', `/images/${other}`);
  });

  test('history, save and create take a platform, and refuse one that is not here', async () => {
    const history = await daemon.call('GET', `/v1.48/images/${name}/history?platform=${arm64}`);
    assert.equal((history.body as { Id: string }[])[0]?.Id, ids[1]);
    const twice = `platform=${arm64}&platform=${s390x}`;
    assert.equal((await daemon.call('GET', `/v1.51/images/${name}/get?${twice}`)).status, 400);
    assert.equal((await daemon.call('GET', `/v1.52/images/${name}/get?${twice}`)).status, 200);
    assert.equal((await daemon.call('GET', `/v1.52/images/${name}/get?platform=${s390x}`)).status, 404);
    const body = { Image: name, Cmd: ['/x'] };
    assert.equal((await daemon.call('POST', '/containers/create?platform=linux/s390x', body)).status, 404);
    const wrong = await daemon.call('POST', '/containers/create?platform=a/b/c/d', body);
    assert.equal(wrong.status, 400);
  });

  test('GET /images/{name}/attestations tells what was pulled with an image', async () => {
    const ask = (query: string) => daemon.call('GET', `/v1.55/images/${name}/attestations?${query}`);
    type Found = { Descriptor: { digest: string }; PredicateType: string; Statement?: object }[];
    const of = async (query: string): Promise<Found> => (await ask(query)).body as Found;
    assert.deepEqual(await of(''), []);
    const all = await of(`platform=${arm64}`);
    assert.deepEqual(
      all.map(({ PredicateType, Statement }) => [PredicateType, Statement]),
      statements.map((predicateType) => [predicateType, undefined]),
    );
    const [one, ...more] = await of(`platform=${arm64}&type=${statements[1]}&statement=true`);
    assert.equal(more.length, 0);
    assert.deepEqual(one?.Statement, { predicateType: statements[1], subject: [] });
    assert.equal((await ask(`platform=${s390x}`)).status, 404);
    assert.equal((await ask(`platform=${s390x}&platform=${arm64}`)).status, 400);
    assert.equal((await daemon.call('GET', `/v1.54/images/${name}/attestations`)).status, 404);
  });

  test('DELETE /images/{name} removes single platforms by force', async () => {
    const remove = (query: string) => daemon.call('DELETE', `/v1.50/images/${name}?${query}`);
    assert.equal((await remove(`platforms=${arm64}`)).status, 400);
    assert.equal((await remove(`platforms=${s390x}&force=1`)).status, 404);
    assert.equal((await remove(`platforms=${arm64}&force=1`)).status, 200);
    const manifests = (await list('1.51', 'manifests=1'))[0]?.Manifests ?? [];
    assert.deepEqual(
      manifests.map(({ Available }) => Available),
      // With what was stated of it.
      [true, false, false, false, false],
    );
  });

  test('POST /images/create imports from a URL, with progress, message, changes and platform', async () => {
    const layer = tar('by http');
    const server = createServer((request, response) => {
      if (request.url === '/gone') response.writeHead(404).end('no such thing\n');
      else response.writeHead(200, { 'Content-Length': layer.length }).end(layer);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const at = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const create = (src: string, more = '') =>
        daemon.call('POST', `/images/create?fromSrc=${encodeURIComponent(src)}${more}`);
      const { text, status } = await create(
        `${at}/layer.tar`,
        '&repo=by/url&tag=1&message=why&changes=ENV%20A=1&platform=linux/arm64',
      );
      assert.equal(status, 200);
      const messages = text
        .trim()
        .split('\r\n')
        .map((line) => JSON.parse(line) as { status: string; progressDetail?: object });
      assert.equal(messages[0]?.status, `Downloading from http://${at}/layer.tar`);
      assert.ok(messages.some(({ status: said, progressDetail }) => said === 'Importing' && progressDetail));
      const image = (await daemon.call('GET', '/v1.41/images/by/url:1/json')).body as Record<string, unknown>;
      assert.equal(messages.at(-1)?.status, image['Id']);
      assert.equal(image['Architecture'], 'arm64');
      assert.equal(image['Comment'], 'why');
      assert.deepEqual((image['Config'] as { Env: string[] }).Env, ['A=1']);
      const gone = await create(`http://${at}/gone`);
      assert.equal(gone.status, 404);
      assert.match(gone.text, /failed to GET http:\/\/\S+\/gone with status 404 Not Found: no such thing/);
      assert.equal((await create('ftp://x/y')).status, 400);
    } finally {
      server.close();
      server.closeAllConnections();
    }
    const { text } = await daemon.call('POST', `/images/create?fromSrc=http://${at}/x`);
    assert.match(text, /connect: connection refused/);
  });
});
