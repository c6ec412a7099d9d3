/** What becomes of a build: outputs, names, times, layers; and that nothing is left that is secret. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { baseImage } from '../conformance/cli/run-case.ts';
import { BuildBench, runCli } from '../fixtures/build-cli.ts';
import { buildThrough, callApi, imageTree } from '../fixtures/build-case.ts';
import { TestDaemon } from '../fixtures/daemon.ts';
import { TestRegistry } from '../fixtures/registry.ts';

let bench: BuildBench;
let daemon: TestDaemon;
let work = '';

before(async () => {
  bench = await BuildBench.start();
  ({ daemon, work } = bench);
});

after(() => bench.dispose());

interface ImageJson {
  Id: string;
  Created: string;
  RepoTags: string[];
  Config: Record<string, unknown>;
  RootFS: { Layers: string[] };
}

async function inspect(host: TestDaemon, image: string): Promise<ImageJson> {
  const { status, body } = await callApi(host.socket, 'GET', `/images/${image}/json`);
  assert.equal(status, 200, body.toString());
  return JSON.parse(body.toString('utf8')) as ImageJson;
}

const small = `FROM ${baseImage}\nRUN echo built > /made\nLABEL a=b\n`;

describe('outputs', () => {
  test('a directory, a tar in a file and a tar on standard output', async () => {
    const dockerfile = 'FROM scratch\nCOPY <<EOF /dir/file\ncontent\nEOF\n';
    const out = join(work, 'out');
    const local = await bench.build(dockerfile, ['-o', out]);
    assert.equal(local.exitCode, 0, local.stderr);
    assert.equal(readFileSync(join(out, 'dir/file'), 'utf8'), 'content\n');
    const piped = await bench.build(dockerfile, ['--output', '-']);
    assert.deepEqual(
      execFileSync('tar', ['-tf', '-'], { input: piped.stdout, encoding: 'utf8' }),
      'dir/\ndir/file\n',
    );
    const file = join(work, 'out.tar');
    await bench.build(dockerfile, ['-o', `type=tar,dest=${file}`, '--build-arg', 'SOURCE_DATE_EPOCH=86400']);
    assert.match(
      execFileSync('tar', ['-tvf', file], { encoding: 'utf8', env: { TZ: 'UTC' } }),
      /1970-01-02.*dir\/file/,
    );
    const wrong = await bench.build(dockerfile, ['-o', 'type=nothing']);
    assert.match(wrong.stderr, /exporter "nothing" could not be found/);
    const nowhere = await bench.build(dockerfile, ['-o', 'type=oci,tar=false']);
    assert.match(nowhere.stderr, /dest is required for oci exporter/);
    const idFile = await bench.build(dockerfile, ['-o', out, '--iidfile', join(work, 'none')]);
    assert.match(idFile.stderr, /local and tar exporters are incompatible with image ID file/);
  });

  test('an archive for docker load and an OCI layout, under names of their own', async () => {
    const docker = join(work, 'docker.tar');
    const made = await bench.build(small, ['-t', 'out:one', '-o', `type=docker,dest=${docker}`]);
    assert.equal(made.exitCode, 0, made.stderr);
    assert.equal((await callApi(daemon.socket, 'GET', '/images/out:one/json')).status, 404);
    const loaded = await callApi(
      daemon.socket,
      'POST',
      '/images/load',
      readFileSync(docker),
      'application/x-tar',
    );
    assert.match(loaded.body.toString(), /Loaded image: out:one/);
    const oci = join(work, 'oci.tar');
    await bench.build(small, ['-o', `type=oci,dest=${oci},name=out:two`]);
    const member = (name: string): string => execFileSync('tar', ['-xOf', oci, name], { encoding: 'utf8' });
    assert.doesNotMatch(
      execFileSync('tar', ['-tf', oci], { encoding: 'utf8' }),
      /manifest\.json|repositories/,
    );
    const index = JSON.parse(member('index.json')) as {
      manifests: { annotations: Record<string, string> }[];
    };
    assert.equal(index.manifests[0]?.annotations['io.containerd.image.name'], 'docker.io/library/out:two');
    assert.equal(index.manifests[0]?.annotations['org.opencontainers.image.ref.name'], 'two');
    await bench.build(small, ['-t', 'out:three', '-o', 'type=cacheonly']);
    assert.equal((await callApi(daemon.socket, 'GET', '/images/out:three/json')).status, 404);
    await bench.build(small, ['-o', 'type=image,name=out:four']);
    assert.equal((await callApi(daemon.socket, 'GET', '/images/out:four/json')).status, 200);
    await bench.build(small, ['-o', 'type=image,name=out:not', '-t', 'out:five']);
    assert.equal((await callApi(daemon.socket, 'GET', '/images/out:five/json')).status, 200);
    assert.equal((await callApi(daemon.socket, 'GET', '/images/out:not/json')).status, 404);
    const layout = join(work, 'layout');
    const words = [
      '-o',
      `type=oci,dest=${layout},tar=false,compression=zstd,compression-level=9,annotation.a=b`,
    ];
    const zstd = await bench.build(small, words);
    assert.equal(zstd.exitCode, 0, zstd.stderr);
    const read = <T>(digest: string): T =>
      JSON.parse(readFileSync(join(layout, 'blobs/sha256', digest.slice(7)), 'utf8')) as T;
    const top = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as Index;
    const manifest = read<Manifest>(top.manifests[0]?.digest ?? '');
    assert.deepEqual(manifest.annotations, { a: 'b' });
    assert.ok(manifest.layers.every(({ mediaType }) => mediaType.endsWith('.tar+zstd')));
  });

  test('the id, the metadata and nothing else', async () => {
    const [idFile, metadata] = [join(work, 'id'), join(work, 'metadata')];
    const words = ['-q', '-t', 'told:x', '--iidfile', idFile, '--metadata-file', metadata];
    const { stdout, stderr } = await bench.build(small, words);
    const { Id } = await inspect(daemon, 'told:x');
    assert.equal(stdout.toString(), `${Id}\n`);
    assert.equal(stderr, '');
    assert.equal(readFileSync(idFile, 'utf8'), Id);
    const told = JSON.parse(readFileSync(metadata, 'utf8')) as Record<string, unknown>;
    assert.match(String(told['buildx.build.ref']), /^default\/default\/[0-9a-f]{32}$/);
    delete told['buildx.build.ref'];
    assert.deepEqual(told, {
      'containerimage.config.digest': Id,
      'containerimage.digest': Id,
      'image.name': 'docker.io/library/told:x',
    });
  });

  test('refuses what this engine cannot make', async () => {
    const cases: [string[], RegExp][] = [
      [['--sbom=true'], /Attestation of type sbom is not supported by this engine/],
      [['--provenance=mode=some'], /invalid mode "some"/],
      [['--annotation', 'nothing'], /invalid annotation "nothing", expected key=value/],
      [['--annotation', 'index:a=b'], /index annotations not supported for single platform export/],
      [['--annotation', 'manifest[linux/s390x]:a=b'], /no platform linux\/s390x found in source/],
      [['--allow', 'nonsense'], /unknown entitlement nonsense/],
      [['-o', 'type=image,compression=lzma'], /unsupported compression type lzma/],
      [['-o', 'type=image,compression=zstd,oci-mediatypes=false'], /conflicts with "oci-mediatypes=false"/],
      [['-o', 'type=image,push-by-digest=true'], /"push-by-digest" is not supported/],
      [['--progress=plain', '-q'], /progress=plain and quiet cannot be used together/],
      [['--push', '--load'], /push and load may not be set together/],
      [['--push'], /tag is needed when pushing to registry/],
      [['--progress', 'loud'], /invalid progress mode loud/],
    ];
    for (const [words, expected] of cases) {
      const { exitCode, stderr } = await bench.build('FROM scratch\nLABEL x=y\n', words);
      assert.notEqual(exitCode, 0, words.join(' '));
      assert.match(stderr, expected);
    }
    assert.equal((await bench.build(small, ['-q', '--provenance=false', '--sbom=false'])).exitCode, 0);
  });
});

describe('several platforms, where nothing has to run', () => {
  const platforms = ['--platform', 'linux/amd64,linux/arm64'];
  const dockerfile = 'FROM scratch\nARG TARGETARCH\nCOPY <<EOF /arch\n$TARGETARCH\nEOF\n';

  test('as files: a directory each, or one that has no file twice', async () => {
    const out = join(work, 'platforms');
    const { exitCode, stderr } = await bench.build(dockerfile, [...platforms, '-o', out, '--progress=plain']);
    assert.equal(exitCode, 0, stderr);
    assert.match(stderr, /#\d+ \[linux\/arm64 1\/1\] COPY <<EOF \/arch\n/);
    for (const name of ['amd64', 'arm64']) {
      assert.equal(readFileSync(join(out, `linux_${name}/arch`), 'utf8'), `${name}\n`);
    }
    const fallback = { DOCKER_DEFAULT_PLATFORM: 'linux/arm64' };
    const one = await bench.build(dockerfile, ['-o', `${out}-one`], fallback);
    assert.equal(one.exitCode, 0, one.stderr);
    assert.equal(readFileSync(join(`${out}-one`, 'arch'), 'utf8'), 'arm64\n');
    const merged = ['-o', `type=local,dest=${out}-merged,platform-split=false`];
    const both = await bench.build(dockerfile, [...platforms, ...merged]);
    assert.match(
      both.stderr,
      /cannot overwrite arch from linux\/amd64 with linux\/arm64 when split option is disabled/,
    );
    const other = await bench.build(dockerfile.replace('/arch', '/$TARGETARCH'), [...platforms, ...merged]);
    assert.equal(other.exitCode, 0, other.stderr);
    assert.equal(readFileSync(`${out}-merged/arm64`, 'utf8'), 'arm64\n');
  });

  test('as one image in the store and in a registry, with provenance and annotations', async () => {
    await using registry = await TestRegistry.start();
    const name = `${registry.domain}/multi:1`;
    const metadata = join(work, 'multi-metadata');
    const more = '--annotation index:all=x --annotation manifest[linux/arm64]:one=y --provenance=mode=max';
    const words = [...platforms, '--push', '-t', name, '--metadata-file', metadata, ...more.split(' ')];
    const { exitCode, stderr } = await bench.build(dockerfile, [...words, '--build-arg', 'KEY=value']);
    assert.equal(exitCode, 0, stderr);
    const told = JSON.parse(readFileSync(metadata, 'utf8')) as Record<string, unknown>;
    assert.equal(told['containerimage.config.digest'], undefined);
    assert.deepEqual(
      told['containerimage.digest'],
      (told['containerimage.descriptor'] as { digest: string }).digest,
    );
    const stored = <T>(reference: string): T =>
      JSON.parse(registry.manifests.get(`multi/${reference}`)?.bytes.toString() ?? '') as T;
    const index = stored<Index>('1');
    assert.deepEqual(index.annotations, { all: 'x' });
    assert.deepEqual(
      index.manifests.map(({ platform }) => platform?.architecture),
      ['amd64', 'arm64', 'unknown', 'unknown'],
    );
    const arm64 = stored<Manifest>(index.manifests[1]?.digest ?? '');
    assert.deepEqual(arm64.annotations, { one: 'y' });
    const { body } = await callApi(
      daemon.socket,
      'GET',
      `/images/${name}/attestations?platform=${encodeURIComponent('{"os":"linux","architecture":"arm64"}')}&statement=1`,
    );
    const [{ Statement }] = JSON.parse(body.toString()) as [{ Statement: Provenance }];
    assert.equal(Statement.predicateType, 'https://slsa.dev/provenance/v1');
    assert.match(
      Statement.subject[0]?.name ?? '',
      /^pkg:docker\/127\.0\.0\.1:\d+\/multi@1\?platform=linux%2Farm64$/,
    );
    assert.equal(Statement.subject[0]?.digest.sha256, index.manifests[1]?.digest.slice(7));
    const { args } = Statement.predicate.buildDefinition.externalParameters.request;
    assert.deepEqual(args, { platform: 'linux/arm64', 'build-arg:KEY': 'value' });
    // From the registry it is pulled for either platform.
    assert.equal((await bench.cli(['rmi', '-f', name])).exitCode, 0);
    const pulled = await bench.cli(['pull', '-q', '--platform', 'linux/arm64', name]);
    assert.equal(pulled.exitCode, 0, pulled.stderr);
    assert.equal((await imageTree(daemon.socket, name)).get('/arch')?.text, 'arm64\n');
  });

  test('as an OCI layout, and as an image that others begin with', async () => {
    const oci = join(work, 'multi.tar');
    const made = await bench.build(dockerfile, [...platforms, '-o', `type=oci,dest=${oci},name=multi:2`]);
    assert.equal(made.exitCode, 0, made.stderr);
    const loaded = await bench.cli(['load', '-i', oci]);
    assert.equal(loaded.stdout.toString(), 'Loaded image: multi:2\n');
    const next = await bench.build('FROM multi:2\nCOPY --from=multi:2 /arch /again\n', [
      ...platforms,
      '-t',
      'multi:3',
    ]);
    assert.equal(next.exitCode, 0, next.stderr);
    const { stdout } = await bench.cli(['image', 'ls', '--tree']);
    assert.match(stdout.toString(), /multi:3[^]*linux\/amd64[^]*linux\/arm64/);
    const saved = join(work, 'arm64.tar');
    await bench.cli(['save', '--platform', 'linux/arm64', '-o', saved, 'multi:3']);
    assert.match(
      execFileSync('tar', ['-xOf', saved, 'index.json'], { encoding: 'utf8' }),
      /"architecture":"arm64"/,
    );
  });

  test('the failure of one stops the others, and nothing is left', async () => {
    const failing = `FROM --platform=$BUILDPLATFORM ${baseImage}
ARG TARGETARCH
RUN if test $TARGETARCH = arm64; then sleep 0.3; exit 5; fi; echo waits-for-the-other; sleep 1000
`;
    const { exitCode, stderr } = await bench.build(failing, [
      ...platforms,
      '-t',
      'multi:none',
      '--progress=plain',
    ]);
    assert.equal(exitCode, 5, stderr);
    assert.match(stderr, /\[linux\/amd64 2\/2\] RUN if test[^]*CANCELED/);
    assert.equal(spawnSync('pgrep', ['-f', 'echo waits-for-the-other; sleep']).status, 1);
    for (const left of [join(daemon.execRoot, 'builder'), join(daemon.dataRoot, 'builder/contexts')]) {
      assert.deepEqual(readdirSync(left), []);
    }
  });

  const handler = existsSync('/proc/sys/fs/binfmt_misc/qemu-s390x') ? 'programs of s390x run here' : false;
  test('a step that has to run says why it cannot', { skip: handler }, async () => {
    const context = join(work, 'foreign');
    mkdirSync(context);
    // The head of a program for s390x: 64 bits, big endian, machine 22.
    const head = Buffer.alloc(64);
    head.set([0x7f, 0x45, 0x4c, 0x46, 2, 2, 1]);
    head.set([0, 2, 0, 22, 0, 0, 0, 1], 16);
    writeFileSync(join(context, 'program'), head, { mode: 0o755 });
    writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nCOPY program /bin/sh\nRUN true\n');
    const { stderr, exitCode } = await bench.cli(['build', '--platform', 'linux/s390x', context]);
    assert.equal(exitCode, 1);
    assert.match(stderr, /exec format error/i);
    assert.match(stderr, /no handler of binfmt_misc runs programs of linux\/s390x on this machine/);
  });
});

interface Index {
  annotations?: Record<string, string>;
  manifests: { digest: string; platform?: { architecture: string } }[];
}

interface Manifest {
  annotations?: Record<string, string>;
  layers: { mediaType: string }[];
}

interface Provenance {
  predicateType: string;
  subject: { name: string; digest: { sha256: string } }[];
  predicate: { buildDefinition: { externalParameters: { request: { args: object } } } };
}

describe('times and layers', () => {
  test('the same input gives the same image on two data roots', async () => {
    const other = await TestDaemon.start();
    try {
      const { body: saved } = await callApi(daemon.socket, 'GET', `/images/${baseImage}/get`);
      await callApi(other.socket, 'POST', '/images/load', saved, 'application/x-tar');
      const dockerfile = `FROM ${baseImage} AS one
RUN mkdir -p /a/b && echo text > /a/b/c && ln -s c /a/b/link && rm -f /etc/none
WORKDIR /made/here
COPY <<EOF file
here
EOF
FROM ${baseImage}
COPY --from=one /a /copied
RUN touch /later && chmod 600 /later
ENV X=y
LABEL made=so
`;
      const words = ['build', '-q', '-o', 'type=image,rewrite-timestamp=true', '-f', '-', bench.emptyContext];
      const env = { SOURCE_DATE_EPOCH: '1700000000' };
      const first = await runCli(daemon.host, words, { input: dockerfile, env });
      // On another second, so that times would differ.
      await new Promise((resolve) => setTimeout(resolve, 1100));
      const second = await runCli(other.host, words, { input: dockerfile, env });
      assert.equal(first.exitCode, 0, first.stderr);
      assert.match(first.stdout.toString(), /^sha256:[0-9a-f]{64}\n$/);
      assert.equal(second.stdout.toString(), first.stdout.toString());
      const image = await inspect(daemon, first.stdout.toString().trim());
      assert.equal(Date.parse(image.Created), 1_700_000_000_000);
      const tree = await imageTree(daemon.socket, image.Id);
      assert.equal(tree.get('/later')?.mtime, 1_700_000_000);
      assert.equal(tree.get('/copied/b/c')?.mtime, 1_700_000_000);
      const plain = await runCli(other.host, [...words.slice(0, 2), ...words.slice(4)], {
        input: dockerfile,
      });
      assert.notEqual(plain.stdout.toString(), first.stdout.toString());
      const wrong = await runCli(daemon.host, words, {
        input: dockerfile,
        env: { SOURCE_DATE_EPOCH: 'noon' },
      });
      assert.match(wrong.stderr, /invalid SOURCE_DATE_EPOCH: noon/);
    } finally {
      await other.dispose();
    }
  });

  test('squashing gives one layer above the base, without what was removed again', async () => {
    const dockerfile = `FROM ${baseImage}
RUN echo big > /gone
RUN echo kept > /kept
RUN rm /gone /bin/vi; mkdir /new
ENV A=b
`;
    const parameters = { squash: 1, t: 'squashed' };
    const { imageId, error } = await buildThrough(daemon.socket, Buffer.from(dockerfile), parameters);
    assert.equal(error, undefined);
    const [base, image] = [await inspect(daemon, baseImage), await inspect(daemon, 'squashed')];
    assert.equal(image.Id, imageId);
    assert.equal(image.RootFS.Layers.length, base.RootFS.Layers.length + 1);
    assert.ok((image.Config['Env'] as string[]).includes('A=b'));
    const tree = await imageTree(daemon.socket, imageId);
    assert.equal(tree.get('/kept')?.text, 'kept\n');
    assert.equal(tree.get('/new')?.type, 'directory');
    for (const gone of ['/gone', '/bin/vi']) assert.equal(tree.get(gone), undefined);
    const { body } = await callApi(daemon.socket, 'GET', '/images/squashed/history');
    const [newest] = JSON.parse(body.toString()) as { Comment: string }[];
    assert.match(newest?.Comment ?? '', /^merge sha256:.* to sha256:/);
  });
});

test('secrets are in no layer, record, log, temporary file or database', async () => {
  const secret = 'q9-secret-of-this-test-7f';
  const file = join(work, 'secret-file');
  writeFileSync(file, secret);
  const dockerfile = `FROM ${baseImage}
RUN --mount=type=secret,id=file test "$(cat /run/secrets/file | wc -c)" = ${secret.length}
RUN --mount=type=secret,id=variable,env=TOKEN test -n "$TOKEN" && echo -n "$TOKEN" | wc -c > /length
RUN --mount=type=secret,id=file,target=/etc/token,mode=0444 wc -c < /etc/token > /count
RUN --mount=type=secret,id=file exit 4
`;
  const words = ['--secret', `id=file,src=${file}`, '--secret', 'id=variable,env=NAMED', '-t', 'with-secret'];
  const failed = await bench.build(dockerfile, words, { NAMED: secret });
  assert.equal(failed.exitCode, 4, failed.stderr);
  const last = [dockerfile.replace('exit 4', 'true'), [...words, '--provenance=mode=max']] as const;
  const done = await bench.build(...last, { NAMED: secret });
  assert.equal(done.exitCode, 0, done.stderr);
  rmSync(file);
  // All that the engine has: data and run directories, its log, and an archive of the image with its layers open.
  const saved = await callApi(daemon.socket, 'GET', '/images/with-secret/get');
  const open = join(work, 'saved');
  mkdirSync(open);
  execFileSync('tar', ['-xf', '-', '-C', open], { input: saved.body });
  assert.ok(statSync(join(open, 'index.json')).size > 0);
  for (const form of [secret, Buffer.from(secret).toString('base64')]) {
    const found = spawnSync('grep', ['-rlaF', '--', form, daemon.directory], { encoding: 'utf8' });
    assert.equal(found.stdout, '');
  }
  const tree = await imageTree(daemon.socket, 'with-secret');
  assert.equal(tree.get('/length')?.text.trim(), String(secret.length));
  assert.equal(tree.get('/count')?.text.trim(), String(secret.length));
});
