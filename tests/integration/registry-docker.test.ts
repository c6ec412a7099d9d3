/** Pull, push and login by the docker command line, against Debian's docker-registry with TLS and a password; skopeo judges. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { baseImage, importBaseImage } from '../conformance/cli/run-case.ts';
import { TestDaemon } from '../fixtures/daemon.ts';
import { DockerRegistry, missingPrograms, registryUser } from '../fixtures/docker-registry.ts';
import { FaultProxy } from '../fixtures/fault-proxy.ts';
import { layerTar, uploadImage } from '../fixtures/registry-upload.ts';
import { TestRegistry, sha256 } from '../fixtures/registry.ts';

const missing = missingPrograms('docker', 'docker-registry', 'skopeo', 'openssl');
const reason = missing === undefined ? '' : ` (skipped: ${missing})`;

describe(`docker-registry with TLS and htpasswd${reason}`, { skip: missing !== undefined }, () => {
  const { username, password } = registryUser;
  let daemon: TestDaemon;
  let registry: DockerRegistry;
  let config: string;

  function docker(argv: readonly string[], input = ''): { status: number | null; output: string } {
    const { status, stdout, stderr } = spawnSync('docker', [...argv], {
      input,
      encoding: 'utf8',
      timeout: 60_000,
      env: { ...process.env, DOCKER_HOST: daemon.host, DOCKER_CONFIG: config },
    });
    return { status, output: stdout + stderr };
  }
  function works(argv: readonly string[], input = ''): string {
    const { status, output } = docker(argv, input);
    assert.equal(status, 0, `docker ${argv.join(' ')}: ${output}`);
    return output;
  }
  function skopeo(...argv: string[]): string {
    const { status, stdout, stderr } = spawnSync('skopeo', argv, { encoding: 'utf8', timeout: 60_000 });
    assert.equal(status, 0, `skopeo ${argv.join(' ')}: ${stderr}`);
    return stdout;
  }
  const login = (): string =>
    works(['login', '-u', username, '--password-stdin', registry.domain], `${password}\n`);
  const digestIn = (output: string): string => /digest: (sha256:[0-9a-f]{64})/.exec(output)?.[1] ?? '';
  const remote = (name: string): string => `docker://${registry.domain}/${name}`;
  const read = ['--tls-verify=false', '--creds', `${username}:${password}`];
  const copy = [
    ['--src-tls-verify=false', '--dest-tls-verify=false'],
    ['--src-creds', `${username}:${password}`, '--dest-creds', `${username}:${password}`],
  ].flat();

  before(async () => {
    config = mkdtempSync(join(tmpdir(), 'docker-config-'));
    registry = await DockerRegistry.start({ isSecure: true });
    daemon = await TestDaemon.start();
    importBaseImage(daemon.host);
    works(['tag', baseImage, `${registry.domain}/team/app:1`]);
  });
  after(async () => {
    await daemon?.dispose();
    await registry?.dispose();
    rmSync(config, { recursive: true, force: true });
  });

  test('login, push, pull by tag and digest, mount, logout', () => {
    const name = `${registry.domain}/team/app`;
    assert.match(docker(['push', `${name}:1`]).output, /no basic auth credentials/);
    const wrong = docker(['login', '-u', username, '--password-stdin', registry.domain], 'wrong\n');
    assert.equal(wrong.status, 1);
    assert.match(wrong.output, /failed with status: 401 Unauthorized/);
    assert.match(login(), /Login Succeeded/);
    const pushed = works(['push', `${name}:1`]);
    const digest = digestIn(pushed);
    assert.match(pushed, /: Pushed/);
    const again = works(['push', `${name}:1`]);
    assert.match(again, /Layer already exists/);
    assert.equal(digestIn(again), digest);
    works(['tag', `${name}:1`, `${registry.domain}/other/app:2`]);
    const mounted = works(['push', `${registry.domain}/other/app:2`]);
    assert.match(mounted, /Mounted from team\/app/);
    assert.equal(digestIn(mounted), digest);
    const id = works(['images', '-q', '--no-trunc', `${name}:1`]).trim();
    works(['rmi', '-f', id]);
    assert.match(works(['pull', `${name}:1`]), /Status: Downloaded newer image/);
    assert.match(works(['pull', `${name}:1`]), /Status: Image is up to date/);
    works(['rmi', `${name}:1`]);
    works(['pull', `${name}@${digest}`]);
    assert.equal(works(['inspect', '-f', '{{.Id}}', `${name}@${digest}`]).trim(), id);
    assert.match(works(['manifest', 'inspect', '--insecure', `${name}:1`]), /"layers"/);
    assert.equal(works(['run', '--rm', '--network', 'none', `${name}@${digest}`, 'echo', 'here']), 'here\n');
    works(['logout', registry.domain]);
    works(['tag', `${name}@${digest}`, `${name}:1`]);
    assert.match(docker(['push', `${name}:1`]).output, /no basic auth credentials/);
    works(['rmi', '-f', id]);
    assert.match(docker(['pull', `${name}:1`]).output, /no basic auth credentials/);
    assert.deepEqual(
      readdirSync(join(daemon.dataRoot, 'content/blobs/sha256')),
      [],
      'nothing is left behind',
    );
    login();
    works(['pull', `${name}:1`]);
  });

  test('all tags are pushed and pulled together', () => {
    login();
    const name = `${registry.domain}/tags/app`;
    for (const tag of ['a', 'b', 'c']) works(['tag', `${registry.domain}/team/app:1`, `${name}:${tag}`]);
    assert.equal(works(['push', '-a', name]).match(/digest: sha256/g)?.length, 3);
    for (const tag of ['a', 'b', 'c']) works(['rmi', `${name}:${tag}`]);
    works(['pull', '-a', name]);
    assert.deepEqual(works(['images', '--format', '{{.Tag}}', name]).trim().split('\n').toSorted(), [
      'a',
      'b',
      'c',
    ]);
  });

  test('digests are the same at every hop: engine, registry, a directory of skopeo, and back', () => {
    login();
    const name = `${registry.domain}/team/app:1`;
    const directory = join(config, 'copy');
    const sourceDigest = digestIn(works(['push', name]));
    skopeo(
      'copy',
      ...copy.slice(0, 1),
      '--src-creds',
      copy[3] ?? '',
      remote('team/app:1'),
      `dir:${directory}`,
    );
    const manifest = readFileSync(join(directory, 'manifest.json'));
    assert.equal(sha256(manifest), sourceDigest);
    const { config: image, layers } = JSON.parse(manifest.toString()) as {
      config: { digest: string };
      layers: { digest: string; size: number }[];
    };
    for (const { digest } of [image, ...layers]) {
      assert.equal(sha256(readFileSync(join(directory, digest.slice(7)))), digest);
    }
    assert.equal(image.digest, works(['inspect', '-f', '{{.Id}}', name]).trim());
    skopeo(
      'copy',
      '--dest-tls-verify=false',
      '--dest-creds',
      copy[3] ?? '',
      `dir:${directory}`,
      remote('hop/app:1'),
    );
    works(['rmi', '-f', image.digest]);
    assert.ok(works(['pull', `${registry.domain}/hop/app:1`]).includes(`Digest: ${sourceDigest}`));
    assert.equal(works(['inspect', '-f', '{{.Id}}', `${registry.domain}/hop/app:1`]).trim(), image.digest);
    for (const { digest, size } of layers) {
      assert.equal(statSync(join(daemon.dataRoot, 'content/blobs/sha256', digest.slice(7))).size, size);
    }
    works(['tag', `${registry.domain}/hop/app:1`, name]);
  });

  test('skopeo reads what was pushed, and what it wrote in other forms is pulled', () => {
    login();
    const name = `${registry.domain}/team/app`;
    const inspected = JSON.parse(skopeo('inspect', ...read, remote('team/app:1'))) as { Digest: string };
    assert.ok(works(['inspect', '-f', '{{.RepoDigests}}', `${name}:1`]).includes(inspected.Digest));
    const plain = join(config, 'plain');
    skopeo(
      'copy',
      ...copy.slice(0, 1),
      ...copy.slice(2, 4),
      '--dest-decompress',
      remote('team/app:1'),
      `dir:${plain}`,
    );
    const layer = 'application/vnd.oci.image.layer.v1.tar';
    for (const [tag, layerType, ...form] of [
      ['oci', `${layer}+gzip`, '--format', 'oci'],
      [
        'zstd',
        `${layer}+zstd`,
        '--format',
        'oci',
        '--dest-compress-format',
        'zstd',
        '--dest-compress-level',
        '3',
      ],
      ['docker', 'application/vnd.docker.image.rootfs.diff.tar.gzip', '--format', 'v2s2'],
    ] as const) {
      // By a layout: straight into the registry skopeo would take the gzip blobs that are there.
      const layout = `oci:${join(config, tag)}:1`;
      const isLayout = tag !== 'docker';
      if (isLayout) skopeo('copy', ...form, `dir:${plain}`, layout);
      const [from, how] = isLayout ? [layout, ['--preserve-digests']] : [remote('team/app:1'), form];
      skopeo('copy', ...copy, ...how, from, remote(`forms/app:${tag}`));
      const { Digest } = JSON.parse(skopeo('inspect', ...read, remote(`forms/app:${tag}`))) as {
        Digest: string;
      };
      assert.ok(skopeo('inspect', '--raw', ...read, remote(`forms/app:${tag}`)).includes(layerType));
      const target = `${registry.domain}/forms/app:${tag}`;
      // The configuration is the same in all of them: an image that is here would not be fetched.
      works(['rmi', '-f', works(['images', '-aq', '--no-trunc']).trim().split('\n')[0] ?? '']);
      assert.ok(works(['pull', target]).includes(`Digest: ${Digest}`));
      assert.equal(works(['run', '--rm', '--network', 'none', target, 'echo', tag]), `${tag}\n`);
      const back = `${registry.domain}/back/${tag}:1`;
      works(['tag', target, back]);
      assert.equal(digestIn(works(['push', back])), Digest);
    }
  });

  test('an index for two platforms is pulled by platform, and goes back unchanged', async () => {
    login();
    await using source = await TestRegistry.start();
    const images = await twoPlatforms(source, 'multi');
    const index = source.addIndex(
      'multi',
      'latest',
      images.map(({ entry }) => entry),
    );
    // Not as the other calls: the source is served by this very process.
    const argv = ['copy', '--all', ...copy.slice(0, 2), ...copy.slice(4), `docker://${source.domain}/multi`];
    await promisify(execFile)('skopeo', [...argv, remote('multi:latest')], { timeout: 60_000 });
    for (const [at, architecture] of ['amd64', 'arm64'].entries()) {
      const output = works(['pull', '--platform', `linux/${architecture}`, `${registry.domain}/multi`]);
      assert.ok(output.includes(`Digest: ${index.digest}`));
      const platform = ['--platform', `linux/${architecture}`];
      const id = works(['image', 'inspect', ...platform, '-f', '{{.Id}}', `${registry.domain}/multi`]);
      assert.equal(id.trim(), images[at]?.configDigest);
    }
    works(['tag', `${registry.domain}/multi`, `${registry.domain}/back/multi:1`]);
    assert.equal(digestIn(works(['push', `${registry.domain}/back/multi:1`])), index.digest);
    const raw = skopeo('inspect', '--raw', ...read, remote('back/multi:1'));
    assert.equal(sha256(Buffer.from(raw)), index.digest);
    const blobs = readdirSync(join(daemon.dataRoot, 'content/blobs/sha256'));
    assert.ok(blobs.includes(index.digest.slice(7)), 'the index is kept');
  });

  test('an index for two platforms goes from an OCI layout to the registry, and by save and load, unchanged', async () => {
    login();
    await using source = await TestRegistry.start();
    const images = await twoPlatforms(source, 'two');
    const index = source.addIndex(
      'two',
      'latest',
      images.map(({ entry }) => entry),
    );
    const layout = join(config, 'layout');
    const argv = ['copy', '--all', '--src-tls-verify=false', `docker://${source.domain}/two`];
    await promisify(execFile)('skopeo', [...argv, `oci:${layout}:${registry.domain}/loaded/two:1`], {
      timeout: 60_000,
    });
    const archive = join(config, 'two.tar');
    assert.equal(spawnSync('tar', ['-C', layout, '-cf', archive, '.']).status, 0);
    const target = `${registry.domain}/loaded/two:1`;
    const pushed = (): string => {
      assert.equal(digestIn(works(['push', target])), index.digest);
      return sha256(Buffer.from(skopeo('inspect', '--raw', ...read, remote('loaded/two:1'))));
    };
    assert.ok(works(['load', '-i', archive]).includes(`Loaded image: ${target}`));
    assert.equal(pushed(), index.digest);
    works(['save', '-o', archive, target]);
    works(['rmi', target]);
    works(['load', '-i', archive]);
    assert.equal(pushed(), index.digest);
    const alone = works(['push', '--platform', 'linux/arm64', target]);
    assert.equal(digestIn(alone), images[1]?.digest);
    works(['rmi', target]);
  });
});

const noRegistry = missingPrograms('docker-registry');
const layerBytes = 8_000_000;

describe(
  `a pull that ends early${noRegistry === undefined ? '' : ` (skipped: ${noRegistry})`}`,
  { skip: noRegistry !== undefined },
  () => {
    let registry: DockerRegistry;
    let proxy: FaultProxy;
    let daemon: TestDaemon;
    let image: Awaited<ReturnType<typeof uploadImage>>;
    let isSlow = false;
    const parts = (): string[] => readdirSync(join(daemon.dataRoot, 'content/ingest'));
    const partBytes = (): number => {
      const [part] = parts().filter((name) => name.startsWith('part-'));
      return part === undefined ? 0 : statSync(join(daemon.dataRoot, 'content/ingest', part)).size;
    };
    const left = (): string[] =>
      ['content/blobs/sha256', 'content/ingest', 'overlay2/layers']
        .map((path) => join(daemon.dataRoot, path))
        .filter((path) => existsSync(path))
        .flatMap((path) => readdirSync(path));
    const path = (): string => `/images/create?fromImage=${proxy.domain}/app&tag=1`;

    before(async () => {
      registry = await DockerRegistry.start({ isSecure: false });
      proxy = await FaultProxy.start(`http://${registry.domain}`);
      daemon = await TestDaemon.start();
      image = await uploadImage(proxy.domain, 'app', [await layerTar('data', randomBytes(layerBytes))]);
      proxy.fault = ({ path: asked }) =>
        isSlow && asked.includes(image.layers[0] ?? '')
          ? { kind: 'slow', chunkBytes: 200_000, pauseMs: 20 }
          : undefined;
    });
    after(async () => {
      await daemon?.dispose();
      await proxy?.[Symbol.asyncDispose]();
      await registry?.dispose();
    });

    for (const share of [0.2, 0.5, 0.8]) {
      test(`by the engine's death at ${share * 100} % of the layer: the next one fetches only the missing bytes`, async () => {
        isSlow = true;
        const first = daemon.call('POST', path()).catch(() => undefined);
        await until(() => partBytes() >= layerBytes * share);
        await daemon.crash();
        await first;
        const kept = partBytes();
        isSlow = false;
        await daemon.start();
        proxy.blobBytes = 0;
        const before = proxy.seen.length;
        await daemon.call('POST', path());
        const asked = proxy.seen.slice(before).find(({ path: one }) => one.includes(image.layers[0] ?? ''));
        assert.equal(asked?.headers.range, `bytes=${kept}-`);
        const stored = (digest: string): number =>
          statSync(join(daemon.dataRoot, 'content/blobs/sha256', digest.slice(7))).size;
        const whole = stored(image.layers[0] ?? '');
        assert.ok(kept < whole, `${kept} of ${whole}`);
        assert.equal(proxy.blobBytes, whole - kept + stored(image.config), 'nothing came twice');
        const listed = await daemon.call('GET', '/images/json');
        assert.equal((listed.body as { Id: string }[])[0]?.Id, image.config);
        assert.deepEqual(parts(), []);
        await daemon.call('DELETE', `/images/${image.config}?force=1`);
        assert.deepEqual(left(), []);
      });
    }

    test('by the client, which goes away: nothing is left behind', async () => {
      isSlow = true;
      const sent = request({ socketPath: daemon.socket, method: 'POST', path: path() });
      sent.on('error', () => undefined).end();
      await until(() => partBytes() > 0);
      sent.destroy();
      await until(() => left().length === 0);
      assert.deepEqual((await daemon.call('GET', '/images/json')).body, []);
    });
  },
);

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries += 1) {
    if (tries > 400) throw new Error('it did not come to pass');
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

function twoPlatforms(source: TestRegistry, name: string): Promise<ReturnType<TestRegistry['addImage']>[]> {
  return Promise.all(
    ['amd64', 'arm64'].map(async (architecture) =>
      source.addImage(name, '', [await layerTar('which', Buffer.from(`${name} ${architecture}`))], {
        architecture,
      }),
    ),
  );
}
