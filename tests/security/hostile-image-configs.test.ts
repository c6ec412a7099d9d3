/** Attacks by what an image says of itself, and by what lies in it, when it is run, built on or copied into. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { TarSource } from '../../src/archive/index.ts';
import { dockerArchive } from '../fixtures/archive-doors.ts';
import { file, tarOf } from '../fixtures/tar-members.ts';
import { TestDaemon } from '../fixtures/daemon.ts';
import { baseImage } from '../conformance/cli/run-case.ts';
import { Target } from './attack.ts';

process.env['CORACLE_HOST_SECRET'] = 'host secret';
const target = Target.create();
let host: string;

before(() => {
  host = mkdtempSync(join(tmpdir(), 'coracle-host-'));
  writeFileSync(join(host, 'secret'), 'host secret\n');
});
after(() => rmSync(host, { recursive: true, force: true }));

/** The base image's layers under another configuration; `more` are members of the document itself. */
function loadAs(name: string, config: object, more: object = {}): void {
  const work = mkdtempSync(join(tmpdir(), 'coracle-image-'));
  try {
    target.sh(`docker save $IMG | tar -x -C ${work}`);
    const manifestPath = join(work, 'manifest.json');
    const [item] = JSON.parse(readFileSync(manifestPath, 'utf8')) as [{ Config: string; Layers: string[] }];
    const document = JSON.parse(readFileSync(join(work, item.Config), 'utf8')) as { config: object };
    const changed = { ...document, ...more, config: { ...document.config, ...config } };
    writeFileSync(join(work, 'config.json'), JSON.stringify(changed));
    writeFileSync(
      manifestPath,
      JSON.stringify([{ ...item, Config: 'config.json', RepoTags: [`${name}:1`] }]),
    );
    rmSync(join(work, 'index.json'));
    const out = target.sh(`tar -C ${work} -c . | docker load`);
    assert.match(out, new RegExp(`Loaded image: ${name}:1`));
  } finally {
    rmSync(work, { recursive: true });
  }
}

const run = (name: string, command: string, flags = ''): string =>
  target.sh(`docker run --rm --network none ${flags} ${name}:1 ${command}`);

test('CVE-2014-6408: an image cannot loosen what its containers are held by', () => {
  const loose = {
    Privileged: true,
    SecurityOpt: ['seccomp=unconfined', 'apparmor=unconfined'],
    CapAdd: ['ALL'],
    PidMode: 'host',
    Binds: [`${host}:/host`],
  };
  loadAs(
    'loose',
    { ...loose, HostConfig: loose, host_config: loose },
    { HostConfig: loose, container_config: loose },
  );
  const status = `sh -c 'grep -E "^(Cap|Seccomp|NoNew)" /proc/self/status; cat /proc/1/comm; if [ -e /host ]; then echo bound; fi'`;
  const [own, base] = [run('loose', status), target.sh(`docker run --rm --network none $IMG ${status}`)];
  assert.equal(own, base);
  assert.match(own, /^Seccomp:\t2$/m);
});

test('CVE-2022-23648: a volume of the image is filled from the image, wherever its name climbs', () => {
  for (const path of [`/../../../../../../../..${host}`, `..${host}`, `/x/../../../..${host}`]) {
    loadAs('climbs', { Volumes: { [path]: {} } });
    const out = run(
      'climbs',
      `sh -c 'find / -xdev -name secret; cat ${host}/secret; grep ${host} /proc/mounts'`,
    );
    assert.doesNotMatch(out, /host secret/, path);
    if (path.startsWith('/')) assert.match(out, new RegExp(` ${host} `), 'the volume is there');
    assert.deepEqual(readdirSync(host), ['secret']);
  }
});

test('CVE-2019-16884: nothing of an image or a user takes the place of /proc', () => {
  loadAs('proc', { Volumes: { '/proc': {} } });
  const look = `sh -c 'grep " /proc " /proc/mounts; echo started'`;
  assert.match(
    run('proc', look),
    /to rootfs at "\/proc": "\/proc" cannot be mounted because it is not of type proc/,
  );
  loadAs('inside', { Volumes: { '/proc/self/../1/attr': {} } });
  assert.match(run('inside', look), /cannot be mounted because it is inside \/proc/);
  target.sh(`docker run --name link $IMG sh -c 'mkdir /a; ln -s ../proc /a/b'
    docker commit -c 'VOLUME /a/b/sys' link link:1; docker rm link`);
  assert.match(run('link', look), /"\/proc\/sys" cannot be mounted because it is inside \/proc/);
  const flags = '-v /proc:/proc -v /etc/hostname:/proc/uptime';
  assert.match(
    target.sh(`docker run --rm --network none ${flags} $IMG ${look}`),
    /^proc \/proc proc.*\nstarted$/m,
  );
});

test('CVE-2024-40635: a user beyond numbers is not root', () => {
  for (const user of ['2147483648', '4294967296', '4294967296:4294967296', '0:4294967296', '-1', '1:-1']) {
    loadAs('user', { User: user });
    const out = run('user', 'id');
    assert.doesNotMatch(out, /uid=0|gid=0/, `${user}: ${out}`);
  }
});

test('CVE-2016-3697: a user by number is that number, whatever /etc/passwd calls so', () => {
  target.sh(`docker run --name passwd $IMG sh -c 'mkdir -p /etc; echo "1000:x:0:0::/:/bin/sh" > /etc/passwd'
    docker commit passwd numeric:1; docker rm passwd`);
  assert.match(run('numeric', 'id -u', '-u 1000'), /^1000$/m);
});

test('CVE-2022-2989, CVE-2022-2990, CVE-2022-2995, CVE-2022-36109, CVE-2023-25173: the primary group counts when a file denies it', () => {
  target.sh(`docker run --name groups $IMG sh -c 'mkdir -p /etc; printf "root:x:0:\\nteam:x:1001:ann\\nmore:x:1002:ann\\n" > /etc/group
    printf "root:x:0:0::/:/bin/sh\\nann:x:1000:1000::/:/bin/sh\\n" > /etc/passwd; echo x > /denied; chown 0:1000 /denied; chmod 604 /denied'
    docker commit groups groups:1; docker rm groups`);
  assert.match(run('groups', 'grep Groups /proc/self/status', '-u ann'), /1000 1001 1002/);
  assert.match(run('groups', 'cat /denied', '-u ann'), /denied/);
  // Also after a program gave its primary group away.
  assert.match(run('groups', 'grep Groups /proc/self/status', '-u 1000:1000'), /1000/);
});

test('CVE-2024-9676, CVE-2025-4437: no /etc/passwd of a container stops or fills the engine', () => {
  const peakBytes = (): number => {
    const status = readFileSync(`/proc/${target.daemon.pid}/status`, 'latin1');
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  };
  const before = peakBytes();
  target.sh('docker run -d --name shapes --cap-add MKNOD $IMG sleep 100');
  for (const make of [
    'mkfifo /etc/passwd',
    `ln -s ../../../../..${host}/secret /etc/passwd`,
    'mknod /etc/passwd c 1 5',
    'truncate -s 400M /etc/passwd',
    'truncate -s 5G /etc/passwd',
  ]) {
    target.sh(`docker exec shapes sh -c 'mkdir -p /etc; rm -f /etc/passwd; ${make}'`);
    const out = target.sh('docker exec -u ann shapes id');
    assert.match(out, make.startsWith('truncate') ? /is larger than/ : /unable to find user ann/, make);
  }
  target.sh('docker rm -f shapes');
  assert.ok(peakBytes() - before < 200 * 2 ** 20, 'the files came into memory');
});

test('CVE-2020-1726: what an image has does not replace what a volume has', () => {
  target.sh(`docker run --rm -v kept:/v $IMG sh -c 'echo "of the volume" > /v/f'
    docker run --name filled $IMG sh -c 'mkdir /v; echo "of the image" > /v/f; echo more > /v/g'
    docker commit filled filled:1; docker rm filled`);
  assert.equal(run('filled', "sh -c 'cat /v/f; ls /v'", '-v kept:/v'), 'of the volume\nf\n');
  target.sh('docker rmi filled:1; docker volume rm kept');
});

test('CVE-2024-5154: what the engine puts into /etc goes nowhere else, wherever a link of the image leads', async () => {
  const root = [
    { path: 'bin/', type: 'directory', mode: 0o755 },
    { path: 'bin/busybox', type: 'file', mode: 0o755, body: readFileSync('/bin/busybox') },
    { path: 'etc', type: 'symlink', mode: 0o777, linkPath: `../../../../../../../..${host}` },
  ] satisfies TarSource[];
  writeFileSync(join(host, 'image.tar'), await tarOf(root));
  target.sh(`docker import ${host}/image.tar mtab:1; rm ${host}/image.tar`);
  assert.match(run('mtab', '/bin/busybox ls /etc'), /^hosts$/m);
  assert.deepEqual(readdirSync(host), ['secret']);
  target.sh('docker rmi mtab:1');
});

test('CVE-2014-9357, CVE-2026-41567: an archive is never decompressed by a program of the container', () => {
  const marker = join(host, 'ran');
  const archive = join(tmpdir(), `coracle-archive-${process.pid}`);
  try {
    writeFileSync(archive, 'content\n');
    target.sh(
      `docker run --name trojan $IMG sh -c 'mkdir -p /usr/bin /usr/local/bin /bin /sbin; for p in xz unxz xzcat unpigz gzip bzip2 zstd tar; do for d in /usr/bin /usr/local/bin /bin /sbin; do rm -f $d/$p; printf "#!/bin/sh\\ntouch ${marker}\\n" > $d/$p; chmod 755 $d/$p; done; done'`,
    );
    const programs = ['gzip', 'xz', 'bzip2', 'zstd'].filter(
      (name) => existsSync(`/usr/bin/${name}`) || existsSync(`/bin/${name}`),
    );
    for (const program of programs) {
      const out = target.sh(
        `tar -C ${tmpdir()} --transform 's/.*/by-${program}/' -c ${archive.slice(tmpdir().length + 1)} | ${program} -c | docker cp - trojan:/ && docker cp trojan:/by-${program} - | tar -xO`,
      );
      assert.equal(out, 'content\n', program);
    }
    if (programs.includes('xz')) {
      writeFileSync(join(host, 'Dockerfile'), 'FROM trojan:1\nADD a.tar.xz /added/\n');
      execFileSync('sh', [
        '-c',
        `tar -C ${tmpdir()} -c ${archive.slice(tmpdir().length + 1)} | xz -c > ${host}/a.tar.xz`,
      ]);
      const built = target.sh(
        `docker commit trojan trojan:1 >/dev/null; DOCKER_BUILDKIT=0 docker build -t trojan:2 ${host} 2>&1`,
      );
      assert.match(built, /Successfully built/);
    }
    assert.ok(!existsSync(marker));
  } finally {
    target.sh('docker rm -f trojan');
    for (const name of ['Dockerfile', 'a.tar.xz', 'ran']) rmSync(join(host, name), { force: true });
    rmSync(archive);
  }
});

test('CVE-2024-24557: a loaded image that claims a history is not taken for the cache of a build', async () => {
  writeFileSync(join(host, 'Dockerfile'), 'FROM scratch\nENV a=b\nCMD ["true"]\n');
  writeFileSync(join(host, 'Dockerfile.run'), `FROM ${'$'}{BASE}\n`);
  const build = (): string =>
    target.sh(`DOCKER_BUILDKIT=0 docker build -q ${host}`).trim().split('\n').at(-1) ?? '';
  try {
    const good = build();
    const inspected = JSON.parse(target.sh(`docker inspect ${good}`)) as [{ Created: string }];
    const history = [
      { created: inspected[0].Created, created_by: '/bin/sh -c #(nop)  ENV a=b', empty_layer: true },
      { created: inspected[0].Created, created_by: '/bin/sh -c #(nop)  CMD ["true"]', empty_layer: true },
    ];
    target.sh(`docker rmi -f ${good}; docker builder prune -af`);
    const evil = await dockerArchive([await tarOf([file('evil')])], {
      created: inspected[0].Created,
      config: { Env: ['a=b'], Cmd: ['true'] },
      container_config: { Env: ['a=b'], Cmd: ['/bin/sh', '-c', '#(nop) ', 'CMD ["true"]'] },
      history: [{ created_by: 'x' }, ...history],
    });
    writeFileSync(join(host, 'evil.tar'), evil);
    target.sh(`docker load -i ${host}/evil.tar`);
    rmSync(join(host, 'evil.tar'));
    const again = build();
    const layers = target.sh(`docker inspect -f '{{len .RootFS.Layers}}' ${again}`);
    assert.equal(layers, '0\n');
  } finally {
    for (const name of ['Dockerfile', 'Dockerfile.run']) rmSync(join(host, name), { force: true });
  }
});

test('CVE-2017-14992: the daemon holds every archive to the size it was told', async () => {
  const daemon = await TestDaemon.start(['--max-archive-size', '1m']);
  const big = join(host, 'big.tar.gz');
  const docker = (script: string): string => target.sh(`export DOCKER_HOST=${daemon.host}; ${script}`);
  const tooLarge = /it is larger than 1048576 bytes/;
  try {
    writeFileSync(
      big,
      gzipSync(await tarOf([file('Dockerfile', 'FROM scratch'), file('x', Buffer.alloc(2 ** 21))])),
    );
    assert.match(docker(`docker load -i ${big}`), tooLarge);
    assert.match(docker(`docker import ${big}`), tooLarge);
    assert.match(docker(`DOCKER_BUILDKIT=0 docker build - < ${big}`), tooLarge);
    const small = join(host, 'small.tar');
    writeFileSync(small, await dockerArchive([await tarOf([file('x')])]));
    docker(`docker load -i ${small}; docker create --name box box:1 /x`);
    assert.match(docker(`docker cp - box:/ < ${big}`), tooLarge);
    const bomb = join(host, 'bomb.tar');
    writeFileSync(bomb, await dockerArchive([await tarOf([file('x', Buffer.alloc(2 ** 21))])]));
    assert.match(docker(`docker load -i ${bomb}`), tooLarge);
    docker('docker rm -f box; docker rmi -f box:1');
    assert.deepEqual(readdirSync(join(daemon.dataRoot, 'content/blobs/sha256')), []);
  } finally {
    await daemon.dispose();
  }
});

test('CVE-2026-55686: a working directory through a link of the image is made inside', () => {
  target.sh(`docker run --name workdir $IMG ln -s ${host} /w
    docker commit -c 'WORKDIR /w/new/deep' workdir workdir:1; docker rm workdir`);
  assert.match(run('workdir', 'pwd'), new RegExp(`^${host}/new/deep$`, 'm'));
  assert.ok(!existsSync(join(host, 'new')));
});

test('CVE-2026-57231: an image gets no variable of the engine by naming it', () => {
  loadAs('variables', { Env: ['CORACLE_HOST_SECRET', 'PATH=/bin'] });
  const out = run('variables', 'env');
  assert.match(out, /^PATH=\/bin$/m);
  assert.doesNotMatch(out, /host secret/);
  loadAs('variables', { Env: ['*', 'CORACLE*', '=x', 'PATH=/bin'] });
  assert.doesNotMatch(run('variables', 'env'), /host secret/);
});

test('CVE-2024-1753: a mount of a build step leads nowhere out of the stage that it comes from', () => {
  const directory = mkdtempSync(join(tmpdir(), 'coracle-build-'));
  try {
    const mount = `--mount=type=bind,from=evil,source=/l,target=/m`;
    const lines = [
      `FROM ${baseImage} AS evil`,
      'RUN ln -s / /l',
      `FROM ${baseImage}`,
      `RUN ${mount} echo mounted; cat /m${host}/secret; ls /m; exit 3`,
    ];
    writeFileSync(join(directory, 'Dockerfile'), lines.join('\n'));
    const out = target.sh(`DOCKER_BUILDKIT=0 docker build ${directory}`);
    assert.match(out, /^mounted$/m, out);
    assert.doesNotMatch(out, /host secret/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
