/** docker cp and export on a tree with volumes, as the container sees it. Needs root. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { readTar, writeTar, type TarSource } from '../../src/archive/index.ts';
import {
  exportTree,
  readArchive,
  statPath,
  writeArchive,
  type ContainerView,
} from '../../src/containers/archive/index.ts';
import { isKind } from '../../src/errors/index.ts';
import type { MountPoint } from '../../src/spec/index.ts';
import { linuxSyscall } from '../../src/sys/index.ts';

const syscall = linuxSyscall();
const directory = mkdtempSync(join(tmpdir(), 'coracle-cp-'));
let root = '';
let volume = '';
let view: ContainerView;
let count = 0;

after(() => rmSync(directory, { recursive: true, force: true }));

beforeEach(() => {
  count += 1;
  const base = join(directory, String(count));
  root = join(base, 'root');
  volume = join(base, 'volume');
  for (const path of ['d/e', 'vol', 'volro', 'x', 'run', 'var', 'tmp'])
    mkdirSync(join(root, path), { recursive: true });
  mkdirSync(volume);
  writeFileSync(join(base, 'outside'), 'outside');
  writeFileSync(join(base, 'bound'), 'bound');
  writeFileSync(join(root, 'd/e/f'), 'hi\n');
  utimesSync(join(root, 'd/e/f'), 1_700_000_000.5, 1_700_000_000.5);
  chmodSync(join(root, 'tmp'), 0o1777);
  writeFileSync(join(volume, 'inner'), 'v');
  symlinkSync('/d/e', join(root, 'dl'));
  symlinkSync('nowhere', join(root, 'dang'));
  symlinkSync('/d/e/f', join(root, 'fl'));
  symlinkSync('../../../../../../d', join(root, 'd/up'));
  symlinkSync('../run', join(root, 'var/run'));
  symlinkSync('/d/e/f', join(volume, 'back'));
  symlinkSync(`${base}/outside`, join(root, 'out'));
  symlinkSync('loop', join(root, 'loop'));
  const mount = (Destination: string, Source: string, RW = true): MountPoint => ({
    Type: 'volume',
    Source,
    Destination,
    Mode: '',
    RW,
    Propagation: '',
  });
  view = {
    nameOrId: 'box',
    rootPath: root,
    mounts: [
      mount('/vol', volume),
      mount('/volro', volume, false),
      mount('/x/h.txt', join(base, 'bound')),
      mount('/var/run/sock', volume),
    ],
    readonlyRoot: false,
  };
});

const DIR = 2 ** 31;
const LINK = 2 ** 27;

const stats: [path: string, name: string, kind: number, linkTarget: string][] = [
  ['/d', 'd', DIR, ''],
  ['/d/', 'd', DIR, ''],
  ['/d/.', '.', DIR, ''],
  ['d', 'd', DIR, ''],
  ['/', '/', DIR, ''],
  ['.', '.', DIR, ''],
  ['/dl', 'dl', LINK, '/d/e'],
  ['/dl/', 'dl', DIR, ''],
  ['/dl/.', '.', DIR, ''],
  ['/dang', 'dang', LINK, '/nowhere'],
  ['/fl', 'fl', LINK, '/d/e/f'],
  ['/d/../dl/f', 'f', 0, ''],
  ['/d/up/e', 'e', DIR, ''],
  ['/../../d', 'd', DIR, ''],
  ['/vol', 'vol', DIR, ''],
  ['/vol/inner', 'inner', 0, ''],
  ['/vol/back', 'back', LINK, '/d/e/f'],
  ['/x/h.txt', 'h.txt', 0, ''],
  ['/run/sock/inner', 'inner', 0, ''],
];

for (const [path, name, kind, linkTarget] of stats) {
  test(`statPath() of ${path} is as dockerd's`, () => {
    const stat = statPath(syscall, view, path);
    assert.equal(stat.name, name);
    assert.equal(Math.floor(stat.mode / 2 ** 24) * 2 ** 24, kind);
    assert.equal(stat.linkTarget, linkTarget);
  });
}

test('statPath() gives size, time and Go mode bits', () => {
  assert.deepEqual(statPath(syscall, view, '/d/e/f'), {
    name: 'f',
    sizeBytes: 3,
    mode: lstatSync(join(root, 'd/e/f')).mode & 0o777,
    mtime: '2023-11-14T22:13:20.5Z',
    linkTarget: '',
  });
  assert.equal(statPath(syscall, view, '/tmp').mode, DIR + 2 ** 20 + 0o777);
});

test('statPath() tells what is not there in the words of Docker', () => {
  for (const path of ['/nope', '/nope/x', '/dang/', '/vol/nope']) {
    assert.throws(
      () => statPath(syscall, view, path),
      (error) =>
        isKind(error, 'not-found') &&
        (error as Error).message === `Could not find the file ${path} in container box`,
    );
  }
  assert.throws(() => statPath(syscall, view, '/d/e/f/x'), /lstat \/d\/e\/f\/x: not a directory/);
  assert.throws(() => statPath(syscall, view, '/d/e/f/'), /not a directory/);
  assert.throws(() => statPath(syscall, view, '/loop/'), /too many levels/);
});

async function names(archive: AsyncIterable<Uint8Array>): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of readTar(archive))
    found.push(entry.linkPath === '' ? entry.path : `${entry.path} -> ${entry.linkPath}`);
  return found;
}

const archives: [path: string, members: string[]][] = [
  ['/d', ['d/', 'd/e/', 'd/e/f', 'd/up -> ../../../../../../d']],
  ['/d/.', ['./', './e/', './e/f', './up -> ../../../../../../d']],
  ['/dl', ['dl -> /d/e']],
  ['/dl/', ['dl/', 'dl/f']],
  ['/fl', ['fl -> /d/e/f']],
  ['/d/e/f', ['f']],
  ['/vol', ['vol/', 'vol/back -> /d/e/f', 'vol/inner']],
  ['/x', ['x/', 'x/h.txt']],
  ['/x/h.txt', ['h.txt']],
  ['/run', ['run/', 'run/sock/', 'run/sock/back -> /d/e/f', 'run/sock/inner']],
];

for (const [path, members] of archives) {
  test(`readArchive() of ${path} names its members as dockerd does`, async () => {
    assert.deepEqual(await names(readArchive(syscall, view, path).archive), members);
  });
}

test('readArchive() of / shows volumes inside, exportTree() does not', async () => {
  const all = await names(readArchive(syscall, view, '/').archive);
  assert.equal(all[0], '/');
  assert.ok(all.includes('/vol/inner') && all.includes('/d/e/f') && all.includes('/x/h.txt'), all.join(' '));
  const exported = await names(exportTree(syscall, view));
  assert.ok(exported.includes('vol/') && exported.includes('d/e/f'));
  assert.ok(!exported.includes('vol/inner') && !exported.includes('./'));
});

test('readArchive() never reads through a link to outside of the container', async () => {
  for await (const entry of readTar(readArchive(syscall, view, '/out').archive))
    assert.equal(entry.type, 'symlink');
  assert.throws(
    () => statPath(syscall, view, '/out/'),
    (error) => isKind(error, 'not-found'),
  );
  // A directory that becomes a link between resolving and reading.
  const { archive } = readArchive(syscall, view, '/');
  renameSync(join(root, 'd'), join(root, 'was-d'));
  symlinkSync(directory, join(root, 'd'));
  const found = await names(archive);
  assert.ok(found.includes(`/d -> ${directory}`) && found.includes('/was-d/e/f'));
});

async function* pack(...members: TarSource[]): AsyncGenerator<Buffer> {
  yield* writeTar(members);
}

const file = (path: string, text = 'new'): TarSource => ({
  path,
  type: 'file',
  mode: 0o640,
  body: Buffer.from(text),
  uid: 7,
  gid: 8,
});
const keep = { noOverwriteDirNonDir: false };

test('writeArchive() unpacks with the owners of the archive, or the one given', async () => {
  await writeArchive(
    syscall,
    view,
    '/d',
    pack({ path: './', type: 'directory', mode: 0o700 }, file('made'), file('sub/made')),
    keep,
  );
  const made = lstatSync(join(root, 'd/made'));
  assert.deepEqual([made.uid, made.gid, made.mode & 0o777], [7, 8, 0o640]);
  assert.equal(lstatSync(join(root, 'd')).mode & 0o777, 0o755, 'the directory itself is left alone');
  await writeArchive(syscall, view, '/d', pack(file('given'), file('.wh.made')), {
    ...keep,
    owner: { uid: 11, gid: 12 },
  });
  assert.deepEqual([lstatSync(join(root, 'd/given')).uid, lstatSync(join(root, 'd/given')).gid], [11, 12]);
  assert.ok(
    existsSync(join(root, 'd/made')) && existsSync(join(root, 'd/.wh.made')),
    'whiteouts are plain names',
  );
});

test('writeArchive() follows links inside the container, volumes included, and takes gzip', async () => {
  await writeArchive(syscall, view, '/dl', pack(file('through-link')), keep);
  assert.ok(existsSync(join(root, 'd/e/through-link')));
  await writeArchive(syscall, view, '/vol', pack(file('in-volume')), keep);
  assert.ok(existsSync(join(volume, 'in-volume')) && !existsSync(join(root, 'vol/in-volume')));
  await writeArchive(
    syscall,
    view,
    '/',
    pack(file('vol/from-root'), file('var/run/sock/by-socket'), file('d/up/e/up')),
    keep,
  );
  assert.ok(
    existsSync(join(volume, 'from-root')) &&
      existsSync(join(volume, 'by-socket')) &&
      existsSync(join(root, 'd/e/up')),
  );
  const zipped = gzipSync(Buffer.concat(await Array.fromAsync(pack(file('zipped')))));
  await writeArchive(
    syscall,
    view,
    '/d',
    (async function* () {
      yield zipped;
    })(),
    keep,
  );
  assert.ok(existsSync(join(root, 'd/zipped')));
});

test('writeArchive() refuses in the words of Docker', async () => {
  const refusal = (path: string, pattern: RegExp, of: ContainerView = view, ...members: TarSource[]) =>
    assert.rejects(
      writeArchive(syscall, of, path, pack(...(members.length > 0 ? members : [file('n')])), {
        noOverwriteDirNonDir: true,
      }),
      pattern,
    );
  await refusal('/nope', /^EngineError: Could not find the file \/nope in container box$/);
  await refusal('/d/e/f', /extraction point is not a directory/);
  await refusal('/fl', /extraction point is not a directory/);
  await refusal('/volro', /mounted volume is marked read-only/);
  await refusal('/tmp', /container rootfs is marked read-only/, { ...view, readonlyRoot: true });
  await writeArchive(syscall, { ...view, readonlyRoot: true }, '/vol', pack(file('ok')), keep);
  await refusal(
    '/',
    /Error processing tar file: cannot overwrite directory "\/d" with non-directory "\/"/,
    view,
    file('d'),
  );
  await refusal('/d/e', /cannot overwrite non-directory "\/d\/e\/f" with directory "\/d\/e"/, view, {
    path: 'f',
    type: 'directory',
    mode: 0o755,
  });
  await refusal('/d', /leads outside/, view, file('../n'));
  await refusal('/d', /leads outside/, view, { path: 'h', type: 'hardlink', mode: 0, linkPath: '../fl' });
  await refusal('/x', /device or resource busy/, view, file('h.txt'));
  assert.equal(readFileSync(join(root, '../bound'), 'utf8'), 'bound');
});

test('writeArchive() never writes through a link to outside of the container', async () => {
  symlinkSync(directory, join(root, 'host'));
  await writeArchive(syscall, view, '/', pack(file('host/evil'), file('out', 'replaced')), keep);
  assert.ok(!existsSync(join(directory, 'evil')));
  assert.ok(existsSync(join(root, directory, 'evil')), 'the link is followed inside the container');
  assert.equal(readFileSync(join(root, '../outside'), 'utf8'), 'outside');
  // A directory of the container that becomes a link to outside while the archive is being written.
  const racing = async function* (): AsyncGenerator<Buffer> {
    const bytes = Buffer.concat(await Array.fromAsync(pack(file('d/e/one'), file('d/e/two'))));
    yield bytes.subarray(0, 1024);
    renameSync(join(root, 'd'), join(root, 'was-d'));
    mkdirSync(join(directory, 'trap', 'e'), { recursive: true });
    symlinkSync(join(directory, 'trap'), join(root, 'd'));
    yield bytes.subarray(1024);
  };
  await writeArchive(syscall, view, '/', racing(), keep).catch(() => {});
  assert.deepEqual(readdirSync(join(directory, 'trap/e')), []);
});

test('readArchive() and writeArchive() leave no descriptor open', async () => {
  const before = readdirSync('/proc/self/fd').length;
  await names(readArchive(syscall, view, '/').archive);
  readArchive(syscall, view, '/');
  const stopped = readArchive(syscall, view, '/').archive;
  await stopped.next();
  await stopped.return();
  await writeArchive(syscall, view, '/d', pack(file('a'), file('../b')), keep).catch(() => {});
  assert.throws(() => statPath(syscall, view, '/nope'));
  assert.equal(readdirSync('/proc/self/fd').length, before);
});
