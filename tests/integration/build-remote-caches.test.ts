/** Caches that builds keep elsewhere, for other engines: in directories, in registries, in the image; and what is in them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Engine, type LibraryBuildRequest } from '../../src/engine/index.ts';
import { isKind } from '../../src/errors/index.ts';
import { baseImage, importBaseImage } from '../conformance/cli/run-case.ts';
import { buildThrough, callApi, contextOf, imageTree } from '../fixtures/build-case.ts';
import { runCli, type CliOutcome } from '../fixtures/build-cli.ts';
import { TestDaemon } from '../fixtures/daemon.ts';
import { DockerRegistry, missingPrograms } from '../fixtures/docker-registry.ts';
import { TestRegistry, sha256 } from '../fixtures/registry.ts';

const cacheConfigType = 'application/vnd.buildkit.cacheconfig.v0';
const dockerfile = `FROM ${baseImage} AS tools
RUN head -c 8 /dev/urandom | od -An -tx1 > /tool; touch /more
FROM ${baseImage}
COPY --from=tools /tool /tool
ENV A=b
RUN cp /tool /copy && mkdir -p /d/e
`;
const steps = ['[tools 2/2]', '[stage-1 2/3]', '[stage-1 3/3]'];

let one: TestDaemon;
let two: TestDaemon;
let work = '';

before(async () => {
  [one, two] = await Promise.all([TestDaemon.start(), TestDaemon.start()]);
  importBaseImage(one.host);
  const { body } = await callApi(one.socket, 'GET', `/images/${baseImage}/get`);
  await callApi(two.socket, 'POST', '/images/load', body);
  work = join(one.directory, 'work');
  mkdirSync(join(work, 'empty'), { recursive: true });
});

after(async () => {
  await Promise.all([one?.dispose(), two?.dispose()]);
});

/** Has the second engine know nothing. */
async function forget(): Promise<void> {
  await callApi(two.socket, 'POST', '/images/prune?filters={"dangling":["true"]}');
  await callApi(two.socket, 'POST', '/build/prune?all=1');
}

async function build(
  daemon: TestDaemon,
  words: readonly string[],
  text = dockerfile,
  env: Record<string, string> = {},
): Promise<CliOutcome & { id: string; cached: string[] }> {
  const idFile = join(work, `id-${Math.random()}`);
  const argv = ['build', '--progress=plain', '--iidfile', idFile, ...words, '-f', '-', join(work, 'empty')];
  const outcome = await runCli(daemon.host, argv, { input: text, env });
  const names = new Map(
    [...outcome.stderr.matchAll(/^#(\d+) (\[[^\]]*\])/gm)].map(([, at, name]) => [at, name]),
  );
  const cached = [...outcome.stderr.matchAll(/^#(\d+) CACHED$/gm)].map(([, at]) => names.get(at) ?? '');
  const id = existsSync(idFile) ? readFileSync(idFile, 'utf8') : '';
  return { ...outcome, id, cached: cached.toSorted((a, b) => steps.indexOf(a) - steps.indexOf(b)) };
}

/** A build that works; what takes a cache does so on an engine that knows nothing. */
async function builds(...given: Parameters<typeof build>): ReturnType<typeof build> {
  if (given[1].includes('--cache-from')) await forget();
  const outcome = await build(...given);
  assert.equal(outcome.exitCode, 0, outcome.stderr);
  return outcome;
}

async function toolOf(daemon: TestDaemon, id: string): Promise<string | undefined> {
  return (await imageTree(daemon.socket, id)).get('/copy')?.text;
}

interface Manifest {
  mediaType: string;
  config?: { mediaType: string; digest: string };
  layers?: { mediaType: string; digest: string; annotations: Record<string, string> }[];
  manifests?: { mediaType: string; digest: string }[];
}

function manifestIn(registry: TestRegistry, name: string): Manifest {
  const bytes = registry.manifests.get(name)?.bytes;
  assert.ok(bytes !== undefined, `${name} is not there`);
  return JSON.parse(bytes.toString()) as Manifest;
}

describe('type=local', () => {
  test('mode=max: another engine takes every step from a directory, in OCI’s layout', async () => {
    const directory = join(work, 'max');
    const made = await builds(one, ['--no-cache', '--cache-to', `type=local,dest=${directory},mode=max`]);
    assert.match(made.stderr, /exporting cache to client directory/);
    assert.equal(readFileSync(join(directory, 'oci-layout'), 'utf8'), '{"imageLayoutVersion":"1.0.0"}');
    for (const name of readdirSync(join(directory, 'blobs/sha256'))) {
      assert.equal(sha256(readFileSync(join(directory, 'blobs/sha256', name))), `sha256:${name}`);
    }
    const found = await builds(two, ['--cache-from', `type=local,src=${directory}`]);
    assert.deepEqual(found.cached, steps, found.stderr);
    assert.match(found.stderr, /importing cache manifest from local/);
    assert.equal(await toolOf(two, found.id), await toolOf(one, made.id));
    // It is the engine's own from then on, which is not sent it again.
    const blobs = readdirSync(join(directory, 'blobs/sha256')).map((name) =>
      join(directory, 'blobs/sha256', name),
    );
    for (const blob of blobs) if (readFileSync(blob)[0] !== '{'.charCodeAt(0)) rmSync(blob);
    const again = await build(two, ['--cache-from', `type=local,src=${directory}`]);
    assert.deepEqual(again.cached, steps);
    assert.doesNotMatch(again.stderr, /warning/i);
  });

  test('mode=min: what is in the image; another build under the same name takes its place', async () => {
    const directory = join(work, 'min');
    await builds(one, ['--cache-to', `type=local,dest=${directory}`], `FROM ${baseImage}\nRUN echo other\n`);
    const made = await builds(one, ['--cache-to', `type=local,dest=${directory},compression=zstd`]);
    const found = await builds(two, ['--cache-from', `type=local,src=${directory}`]);
    // The stage is made again, differently, so that what copies from it is, too.
    assert.deepEqual(found.cached, [], found.stderr);
    assert.notEqual(await toolOf(two, found.id), await toolOf(one, made.id));
    const same = `FROM ${baseImage} AS tools\nRUN echo tool > /tool; touch /more\nFROM ${baseImage}\nCOPY --from=tools /tool /tool\n`;
    await builds(one, ['--cache-to', `type=local,dest=${directory},tag=same`], same);
    const again = await builds(two, ['--cache-from', `type=local,src=${directory},tag=same`], same);
    assert.deepEqual(again.cached, ['[stage-1 2/2]'], again.stderr);
    const { manifests } = JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8')) as {
      manifests: { annotations: Record<string, string> }[];
    };
    assert.deepEqual(
      manifests.map(({ annotations }) => annotations['org.opencontainers.image.ref.name']),
      ['latest', 'same'],
    );
  });

  test('a directory that is not there, or holds something else, is no error', async () => {
    const text = `FROM ${baseImage}\nRUN echo nothing to import\n`;
    const missing = await builds(two, ['--cache-from', `type=local,src=${join(work, 'missing')}`], text);
    assert.match(missing.stderr, /WARNING: local cache import at \S+ skipped due to err: could not read/);
  });
});

describe('type=registry', () => {
  let registry: TestRegistry;
  const auth = { kind: 'basic', username: 'ann', password: 'secret' } as const;
  let env: Record<string, string>;

  before(async () => {
    registry = await TestRegistry.start({ auth });
    env = { DOCKER_CONFIG: join(work, 'config') };
    mkdirSync(env['DOCKER_CONFIG'] ?? '');
    const auths = { [registry.domain]: { auth: Buffer.from('ann:secret').toString('base64') } };
    writeFileSync(join(work, 'config/config.json'), JSON.stringify({ auths }));
  });
  after(() => registry?.[Symbol.asyncDispose]());

  for (const [form, types] of [
    ['', ['manifest', 'application/vnd.oci.image.layer.v1.tar+gzip']],
    [',image-manifest=false', ['index', 'application/vnd.oci.image.layer.v1.tar+gzip']],
    [',oci-mediatypes=false', ['list', 'application/vnd.docker.image.rootfs.diff.tar.gzip']],
    [',compression=zstd', ['manifest', 'application/vnd.oci.image.layer.v1.tar+zstd']],
    [',compression=uncompressed', ['manifest', 'application/vnd.oci.image.layer.v1.tar']],
  ] as const) {
    test(`mode=max${form}: with the client’s credentials, there and back`, async () => {
      const ref = `${registry.domain}/cache:form`;
      const made = await builds(
        one,
        ['--cache-to', `type=registry,ref=${ref},mode=max${form}`],
        dockerfile,
        env,
      );
      const manifest = manifestIn(registry, 'cache/form');
      const [kind, layerType] = types;
      const list = [...(manifest.layers ?? []), ...(manifest.manifests ?? [])];
      assert.equal(manifest.config === undefined ? 'index' : 'manifest', kind === 'list' ? 'index' : kind);
      const config = manifest.config ?? list.at(-1);
      assert.equal(config?.mediaType, cacheConfigType);
      assert.equal(list[0]?.mediaType, layerType);
      const found = await builds(two, ['--cache-from', ref], dockerfile, env);
      assert.deepEqual(found.cached, steps, found.stderr);
      assert.equal(await toolOf(two, found.id), await toolOf(one, made.id));
    });
  }

  test('POST /build takes it by `cachefrom`; without credentials it is told and the build goes on', async () => {
    const ref = `${registry.domain}/cache:api`;
    await builds(one, ['--cache-to', `type=registry,ref=${ref},mode=max`], dockerfile, env);
    const context = await contextOf({ Dockerfile: dockerfile });
    const { output, error } = await buildThrough(two.socket, context, { cachefrom: JSON.stringify([ref]) });
    assert.equal(error, undefined);
    assert.match(
      output,
      /\[Warning\] Cannot use \S+cache:api as a cache: .*(unauthorized|credentials|denied)/,
    );
  });

  test('nothing is sent again that the registry has, and the same steps are the same bytes', async () => {
    const to = ['--cache-to', `type=registry,ref=${registry.domain}/cache:twice,mode=max`];
    await builds(one, to, dockerfile, env);
    const first = registry.manifests.get('cache/twice')?.bytes;
    registry.seen.length = 0;
    await builds(one, to, dockerfile, env);
    assert.deepEqual(registry.manifests.get('cache/twice')?.bytes, first);
    assert.equal(registry.count('PUT', /blobs/), 0);
  });

  test('an image with an inline cache is not fetched as a whole', async () => {
    const name = `${registry.domain}/app:inline`;
    const text = `FROM ${baseImage}\nRUN echo first > /1\nRUN head -c 100000 /dev/urandom > /2\n`;
    await builds(one, ['-t', name, '--push', '--cache-to', 'type=inline'], text, env);
    registry.seen.length = 0;
    const changed = text.replace('urandom > /2', 'zero > /2');
    const found = await builds(two, ['--cache-from', `type=registry,ref=${name}`], changed, env);
    assert.deepEqual(found.cached, ['[2/3]'], found.stderr);
    assert.equal(registry.count('GET', /blobs/), 2, 'the configuration and one layer');
    // Where it is here, the registry is not asked.
    registry.seen.length = 0;
    await builds(one, ['--cache-from', name], text, env);
    assert.deepEqual(registry.seen, []);
  });

  test('what fails is an error of the build, unless it is not to be one', async () => {
    const ref = `type=registry,ref=${registry.domain}/cache:broken`;
    registry.fault = ({ method, path }) =>
      method === 'PUT' && path.includes('manifests') ? { kind: 'status', status: 403 } : undefined;
    try {
      const failed = await build(one, ['--cache-to', ref], dockerfile, env);
      assert.equal(failed.exitCode, 1);
      assert.match(failed.stderr, /ERROR: failed to solve: /);
      await builds(one, ['--cache-to', `${ref},ignore-error=true`], dockerfile, env);
    } finally {
      registry.fault = () => undefined;
    }
    assert.equal(registry.manifests.has('cache/broken'), false);
  });
});

test('one cache of several platforms', async () => {
  const directory = join(work, 'platforms');
  const text = 'FROM scratch\nARG TARGETARCH\nCOPY <<EOF /arch\n$TARGETARCH\nEOF\nWORKDIR /made\n';
  const words = ['--platform', 'linux/amd64,linux/arm64', '-o', 'type=cacheonly'];
  await builds(one, [...words, '--cache-to', `type=local,dest=${directory}`], text);
  const { stderr } = await builds(two, [...words, '--cache-from', `type=local,src=${directory}`], text);
  assert.equal(stderr.match(/^#\d+ CACHED$/gm)?.length, 4, stderr);
});

test('what BuildKit refuses is refused with its words', async () => {
  const nothing = `FROM ${baseImage}\n`;
  for (const [option, problem] of [
    ['--cache-to=type=gha', 'unknown cache exporter: "gha"'],
    ['--cache-to=type=s3,bucket=b', 'unknown cache exporter: "s3"'],
    ['--cache-from=type=azblob', 'unknown cache importer: azblob'],
    ['--cache-to=mode=max', 'type required for "mode=max"'],
    ['--cache-to=type=local', 'local cache exporter requires dest'],
    ['--cache-to=type=registry', 'registry cache exporter requires ref'],
    ['--cache-from=type=registry', 'registry cache importer requires ref'],
    ['--cache-to=type=registry,ref=x,compression=lzw', 'unsupported compression type lzw'],
    ['--cache-to=type=registry,ref=x,oci-mediatypes=perhaps', 'strconv.ParseBool: parsing "perhaps"'],
    [
      '--cache-to=type=registry,ref=x,oci-mediatypes=false,image-manifest=true',
      'OCI mediatypes are required for image-manifest cache format',
    ],
  ] as const) {
    const { exitCode, stderr } = await build(two, [option], nothing);
    assert.equal(exitCode, 1, option);
    assert.ok(stderr.includes(problem), `${option}: ${stderr}`);
  }
  const twice = ['--cache-to=type=registry,ref=x', '--cache-to=type=registry,ref=x,mode=max'];
  assert.match((await build(two, twice, nothing)).stderr, /duplicate cache exports \[registry\]/);
  // A directory of the engine's machine is nothing for a client to name.
  for (const parameters of [
    { cacheto: '[{"type":"local","dest":"/var/cache"}]' },
    { cachefrom: '[{"type":"local","src":"/etc"}]' },
  ]) {
    const body = await contextOf({ Dockerfile: nothing });
    const query = new URLSearchParams(parameters).toString();
    const answer = await callApi(two.socket, 'POST', `/coracle/build?${query}`, body, 'application/x-tar');
    assert.match(answer.body.toString(), /local cache (?:ex|im)porter requires session/);
  }
});

const missing = missingPrograms('docker-registry', 'skopeo');
test('Debian’s docker-registry and skopeo take caches and give them on', { skip: missing }, async () => {
  const registry = await DockerRegistry.start({ isSecure: false });
  try {
    for (const form of ['', ',compression=zstd']) {
      const ref = `${registry.domain}/cache:first`;
      await builds(one, ['--cache-to', `type=registry,ref=${ref},mode=max${form}`]);
      const layout = join(work, `skopeo${form}`);
      const plain = ['--src-tls-verify=false', '--dest-tls-verify=false', '--preserve-digests'];
      execFileSync('skopeo', ['copy', ...plain, `docker://${ref}`, `oci:${layout}:latest`]);
      const again = `${registry.domain}/cache:again`;
      execFileSync('skopeo', ['copy', ...plain, `oci:${layout}:latest`, `docker://${again}`]);
      assert.deepEqual((await builds(two, ['--cache-from', again])).cached, steps);
      // What skopeo wrote is a cache of type=local as it is.
      assert.deepEqual((await builds(two, ['--cache-from', `type=local,src=${layout}`])).cached, steps);
    }
    const ref = `${registry.domain}/cache:index`;
    await builds(one, ['--cache-to', `type=registry,ref=${ref},mode=max,image-manifest=false`]);
    assert.deepEqual((await builds(two, ['--cache-from', ref])).cached, steps);
  } finally {
    await registry.dispose();
  }
});

describe('engine.builder.build()', () => {
  let engine: Engine;
  before(async () => {
    const { dataRoot, execRoot } = two;
    engine = await Engine.open({ dataRoot, execRoot });
  });
  after(() => engine?.close());

  const request = async (more: LibraryBuildRequest, text = dockerfile): Promise<LibraryBuildRequest> => ({
    context: (async function* () {
      yield await contextOf({ Dockerfile: text });
    })(),
    ...more,
  });

  test('keeps its cache in a directory and takes it from there', async () => {
    const dest = join(work, 'library');
    const made = await engine.builder.build(
      await request({ cacheTo: [{ type: 'local', dest, mode: 'max' }] }),
    );
    const tool = await toolOf(two, made.imageId);
    await forget();
    const found = await engine.builder.build(await request({ cacheFrom: [{ type: 'local', src: dest }] }));
    assert.equal(await toolOf(two, found.imageId), tool);
  });

  test('leaves a directory as it was when it is cancelled', async () => {
    const dest = join(work, 'cancelled');
    mkdirSync(join(dest, 'blobs/sha256'), { recursive: true });
    writeFileSync(join(dest, 'mine'), '');
    const stop = new AbortController();
    // Large enough that the end of the export is far when its beginning is told.
    const large = `FROM ${baseImage}\nRUN head -c 60000000 /dev/urandom > /large\n`;
    const cancelled = engine.builder.build(
      await request(
        {
          cacheTo: [{ type: 'local', dest, mode: 'max' }],
          signal: stop.signal,
          onStatus: ({ vertexes = [] }) => {
            if (vertexes.some(({ name }) => name.startsWith('exporting cache'))) stop.abort();
          },
        },
        large,
      ),
    );
    await assert.rejects(cancelled, (error) => isKind(error, 'cancelled'));
    assert.deepEqual(readdirSync(dest, { recursive: true, encoding: 'utf8' }).toSorted(), [
      'blobs',
      'blobs/sha256',
      'mine',
    ]);
  });
});
