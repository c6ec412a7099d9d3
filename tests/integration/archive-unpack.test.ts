/** Unpacking layers with owners, devices and trusted attributes, and what hostile ones may not do. Needs root. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  type BigIntStats,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import {
  Growth,
  LayerUnpacker,
  packTree,
  readNames,
  toHostPath,
  unpackLayer,
  writeTar,
  type TarSource,
  type UnpackRequest,
} from '../../src/archive/index.ts';
import { isKind } from '../../src/errors/index.ts';
import { digestOf } from '../../src/spec/index.ts';
import { linuxSyscall } from '../../src/sys/index.ts';

const syscall = linuxSyscall();
let directory = '';
let outside = '';
let count = 0;

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'coracle-unpack-'));
  outside = join(directory, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'secret'), 'secret', { mode: 0o600 });
});

after(() => rmSync(directory, { recursive: true, force: true }));

function fresh(): string {
  count += 1;
  const path = join(directory, `target-${count}`);
  mkdirSync(path);
  return path;
}

async function pack(members: readonly TarSource[]): Promise<string> {
  count += 1;
  const path = join(directory, `archive-${count}.tar`);
  writeFileSync(path, Buffer.concat(await Array.fromAsync(writeTar(members))));
  return path;
}

async function unpack(members: readonly TarSource[], options: Partial<UnpackRequest> = {}): Promise<string> {
  const target = options.directory ?? fresh();
  await unpackLayer({ source: await pack(members), form: 'overlay', ...options, directory: target }, syscall);
  return target;
}

const file = (path: string, text = path): TarSource => ({
  path,
  type: 'file',
  mode: 0o644,
  body: Buffer.from(text),
});
const dir = (path: string, mode = 0o755): TarSource => ({ path, type: 'directory', mode });
const link = (path: string, linkPath: string): TarSource => ({
  path,
  type: 'symlink',
  mode: 0o777,
  linkPath,
});
const hard = (path: string, linkPath: string): TarSource => ({
  path,
  type: 'hardlink',
  mode: 0o644,
  linkPath,
});
const bad = (error: unknown): boolean => isKind(error, 'invalid-parameter');

/** Everything that two trees can differ in. */
function listing(root: string): Record<string, unknown> {
  const inodes = new Map<bigint, string>();
  const out: Record<string, unknown> = {};
  const look = (path: string): void => {
    const full = toHostPath(join(root, path));
    const stat: BigIntStats = lstatSync(full, { bigint: true });
    const first = stat.nlink > 1n && !stat.isDirectory() ? (inodes.get(stat.ino) ?? path) : '';
    if (first !== '') inodes.set(stat.ino, first);
    out[path] = {
      mode: stat.mode.toString(8),
      owner: `${stat.uid}:${stat.gid}`,
      mtime: stat.mtimeNs / 1_000_000_000n,
      device: stat.isBlockDevice() || stat.isCharacterDevice() ? stat.rdev : 0n,
      content: stat.isFile() ? digestOf(readFileSync(full)) : stat.isSymbolicLink() ? readlinkSync(full) : '',
      first,
      xattrs:
        typeof full !== 'string'
          ? []
          : syscall
              .llistxattr(full)
              .toSorted()
              .map((name) => [name, syscall.lgetxattr(full, name)?.toString('hex')]),
    };
    if (stat.isDirectory()) for (const name of readNames(join(root, path)).toSorted()) look(join(path, name));
  };
  look('.');
  return out;
}

function sampleTree(): string {
  const tree = fresh();
  const at = (name: string): string => join(tree, name);
  mkdirSync(at('bin'), { mode: 0o755 });
  writeFileSync(at('bin/su'), 'x'.repeat(100_000));
  execFileSync('chown', ['7:8', at('bin/su')]);
  execFileSync('chmod', ['6755', at('bin/su')]);
  syscall.lsetxattr(at('bin/su'), 'user.note', Buffer.from([0, 1, 255, 10]));
  syscall.lsetxattr(
    at('bin/su'),
    'security.capability',
    Buffer.from('0000000201040000000000000000000000000000', 'hex'),
  );
  mkdirSync(at('other/deep'), { recursive: true });
  linkSync(at('bin/su'), at('other/deep/su'));
  symlinkSync('/etc/passwd', at('bin/link'));
  syscall.lchown(at('bin/link'), 12, 13);
  syscall.mknod(at('other/null'), 0o020666, 1, 3);
  syscall.mknod(at('other/disk'), 0o060600, 259, 70_000);
  execFileSync('mkfifo', ['-m', '640', at('other/fifo')]);
  mkdirSync(at('sticky'));
  execFileSync('chmod', ['3777', at('sticky')]);
  writeFileSync(at('sticky/file'), '');
  writeFileSync(Buffer.concat([Buffer.from(at('latin-')), Buffer.from([0xe9])]), 'latin');
  writeFileSync(at(`${'n'.repeat(200)}`), 'long');
  execFileSync('sh', ['-c', `truncate -s 3M ${at('holes')} && printf end >> ${at('holes')}`]);
  execFileSync('sh', ['-c', `find ${tree} -exec touch -h -d @1500000000 {} +`]);
  return tree;
}

for (const options of [
  ['--format=gnu'],
  ['--format=gnu', '--sparse'],
  ['--format=pax', '--xattrs', '--xattrs-include=*'],
]) {
  test(`unpackLayer() makes the tree that GNU tar packed (${options.join(' ')})`, async () => {
    const tree = sampleTree();
    const source = join(directory, 'gnu.tar');
    execFileSync('tar', [...options, '-cf', source, '-C', tree, '.']);
    const target = fresh();
    const result = await unpackLayer({ source, directory: target, form: 'overlay' }, syscall);
    assert.equal(result.diffId, digestOf(readFileSync(source)));
    const [made, wanted] = [listing(target), listing(tree)];
    if (!options.includes('--xattrs')) {
      for (const entry of [...Object.values(made), ...Object.values(wanted)])
        delete (entry as { xattrs?: unknown }).xattrs;
    }
    assert.deepEqual(made, wanted);
    if (options.includes('--sparse'))
      assert.ok(statSync(join(target, 'holes')).blocks < 1000, 'holes stay holes');
  });
}

test('packTree() writes what GNU tar and unpackLayer() make the same tree of', async () => {
  const tree = sampleTree();
  const source = join(directory, 'packed.tar');
  writeFileSync(source, Buffer.concat(await Array.fromAsync(packTree(syscall, tree, { name: '.' }))));
  const target = fresh();
  await unpackLayer({ source, directory: target, form: 'overlay' }, syscall);
  assert.deepEqual(listing(target), listing(tree));
  const gnu = fresh();
  execFileSync('tar', ['--xattrs', '--xattrs-include=*', '-xpf', source, '-C', gnu]);
  assert.deepEqual(listing(gnu), listing(tree));
});

test('unpackLayer() reads gzip and zstd, and verifies digests', async () => {
  const plain = readFileSync(await pack([file('a', 'b'.repeat(5000))]));
  for (const [name, bytes] of [
    ['gz', gzipSync(plain)],
    ['zst', zstdCompressSync(plain)],
    ['tar', plain],
  ] as const) {
    const source = join(directory, `layer.${name}`);
    writeFileSync(source, bytes);
    const request = { source, form: 'overlay' as const };
    const result = await unpackLayer(
      { ...request, directory: fresh(), digest: digestOf(bytes), diffId: digestOf(plain) },
      syscall,
    );
    assert.deepEqual(
      [result.diffId, result.sizeBytes, result.archiveBytes, result.entries],
      [digestOf(plain), 5000, plain.length, 1],
    );
    for (const wrong of [{ digest: digestOf('x') }, { diffId: digestOf('x') }]) {
      await assert.rejects(unpackLayer({ ...request, directory: fresh(), ...wrong }, syscall), (error) =>
        isKind(error, 'data-loss'),
      );
    }
  }
});

const escapes: [name: string, members: (target: string) => TarSource[]][] = [
  ['a name with ..', () => [file('../outside/secret')]],
  ['a name with .. inside', () => [dir('a'), file('a/../../outside/secret')]],
  ['a hard link to outside', () => [hard('x', '../outside/secret')]],
  ['a hard link to an absolute path', () => [hard('x', join(outside, 'secret'))]],
  ['a hard link through a symlink', () => [link('up', outside), hard('x', 'up/secret')]],
  ['a hard link through a relative symlink', () => [link('up', '../outside'), hard('x', 'up/secret')]],
  ['a hard link to a directory', () => [dir('d'), hard('x', 'd')]],
  ['a file as a parent', () => [file('f'), file('f/x')]],
  [
    'a device as a parent',
    () => [{ path: 'n', type: 'char-device', mode: 0, deviceMajor: 1, deviceMinor: 3 }, file('n/x')],
  ],
  ['a loop of symlinks as a parent', () => [link('a', 'b'), link('b', 'a'), file('a/x')]],
  ['a whiteout of ..', () => [file('.wh...')]],
  ['a whiteout of .', () => [file('.wh..')]],
  ['a whiteout without a name', () => [file('.wh.')]],
  ['a whiteout with .. in its path', () => [file('../outside/.wh.secret')]],
];

for (const [name, members] of escapes) {
  for (const form of ['overlay', 'merged'] as const) {
    test(`unpackLayer() refuses ${name} (${form})`, async () => {
      const target = fresh();
      await assert.rejects(unpack(members(target), { directory: target, form }), bad);
      assert.equal(readFileSync(join(outside, 'secret'), 'utf8'), 'secret');
      assert.deepEqual(readdirSync(outside), ['secret']);
      assert.equal(lstatSync(join(outside, 'secret')).nlink, 1);
    });
  }
}

test('unpackLayer() keeps what goes through symlinks inside the directory', async () => {
  const target = await unpack([
    link('abs', outside),
    file('abs/one'),
    link('rel', '../../../../'),
    file('rel/two'),
    file('/three'),
    file('./four'),
    dir('real'),
    link('near', 'real'),
    file('near/five'),
    // Content goes into a new file, never through a link.
    link('six', join(outside, 'secret')),
    file('six', 'six'),
    link('seven', join(outside, 'secret')),
    { path: 'seven', type: 'directory', mode: 0o700 },
  ]);
  assert.deepEqual(readdirSync(outside), ['secret']);
  assert.equal(readFileSync(join(outside, 'secret'), 'utf8'), 'secret');
  assert.equal(statSync(join(outside, 'secret')).mode & 0o777, 0o600);
  assert.equal(readFileSync(join(target, outside, 'one'), 'utf8'), 'abs/one');
  for (const name of ['two', 'three', 'four', 'real/five', 'six'])
    assert.ok(existsSync(join(target, name)), name);
  assert.ok(lstatSync(join(target, 'six')).isFile());
  assert.ok(lstatSync(join(target, 'seven')).isDirectory());
});

test('unpackLayer() takes duplicates: the last one counts, directories merge', async () => {
  const target = await unpack([
    dir('d', 0o700),
    file('d/kept'),
    dir('d', 0o711),
    file('f', 'old'),
    file('f', 'new'),
    dir('g'),
    file('g/lost'),
    file('g', 'file now'),
    file('h'),
    dir('h'),
    file('h/x'),
    file('i', 'linked'),
    hard('j', 'i'),
    hard('i', 'j'),
    hard('i', 'i'),
  ]);
  assert.equal(statSync(join(target, 'd')).mode & 0o777, 0o711);
  assert.ok(existsSync(join(target, 'd/kept')));
  assert.equal(readFileSync(join(target, 'f'), 'utf8'), 'new');
  assert.equal(readFileSync(join(target, 'g'), 'utf8'), 'file now');
  assert.ok(existsSync(join(target, 'h/x')));
  assert.equal(readFileSync(join(target, 'i'), 'utf8'), 'linked');
});

test('unpackLayer() writes whiteouts as overlayfs has them', async () => {
  const target = await unpack([
    file('a/.wh.gone'),
    file('b/.wh..wh..opq'),
    file('b/new'),
    dir('c'),
    file('c/x'),
    file('.wh.c'),
    file('.wh.d'),
    dir('d'),
    file('.wh.e'),
    file('e/x'),
    file('.wh.f'),
    file('f'),
    file('.wh..wh.plnk/1.2'),
    {
      path: 'steered',
      type: 'directory',
      mode: 0o755,
      xattrs: new Map([
        ['trusted.overlay.redirect', Buffer.from('/etc')],
        ['trusted.overlay.opaque', Buffer.from('y')],
      ]),
    },
  ]);
  const opaque = (name: string): string | undefined =>
    syscall.lgetxattr(join(target, name), 'trusted.overlay.opaque')?.toString();
  const gone = lstatSync(join(target, 'a/gone'));
  assert.ok(gone.isCharacterDevice() && gone.rdev === 0);
  // A name that is deleted and made again in one layer starts anew.
  for (const name of ['b', 'c', 'd', 'e']) assert.equal(opaque(name), 'y', name);
  assert.ok(lstatSync(join(target, 'f')).isFile());
  assert.deepEqual(readdirSync(target).toSorted(), ['a', 'b', 'c', 'd', 'e', 'f', 'steered']);
  assert.deepEqual(syscall.llistxattr(join(target, 'steered')), []);
});

test('unpackLayer() deletes what whiteouts name in a merged tree, but nothing of its own layer', async () => {
  const target = await unpack([
    dir('a'),
    file('a/gone'),
    file('a/kept'),
    dir('b/old'),
    file('b/old/x'),
    file('b/both'),
    dir('c'),
    file('c/x'),
    file('d'),
  ]);
  await unpack(
    [
      file('a/.wh.gone'),
      dir('b'),
      file('b/both', 'new'),
      file('b/mine'),
      file('b/.wh..wh..opq'),
      file('c/mine'),
      file('.wh.c'),
      file('.wh.d'),
      file('d', 'again'),
    ],
    { directory: target, form: 'merged' },
  );
  assert.deepEqual(
    (readdirSync(target, { recursive: true }) as string[]).toSorted((a, b) => (a < b ? -1 : 1)),
    ['a', 'a/kept', 'b', 'b/both', 'b/mine', 'c', 'c/mine', 'd'],
  );
  assert.equal(readFileSync(join(target, 'b/both'), 'utf8'), 'new');
  assert.equal(readFileSync(join(target, 'd'), 'utf8'), 'again');
});

test('unpackLayer() takes what the archive does not list from the layers below', async () => {
  const lower = await unpack([
    { path: './', type: 'directory', mode: 0o711 },
    { ...dir('etc', 0o2750), uid: 3, gid: 4 },
  ]);
  const target = await unpack([file('etc/x'), file('new/y')], { lowerDirectories: [lower] });
  const etc = lstatSync(join(target, 'etc'));
  assert.deepEqual([etc.mode & 0o7777, etc.uid, etc.gid], [0o2750, 3, 4]);
  assert.equal(lstatSync(target).mode & 0o7777, 0o711);
  assert.equal(lstatSync(join(target, 'new')).mode & 0o7777, 0o755);
});

test('unpackLayer() is bounded', async () => {
  const bomb = join(directory, 'bomb.tar.zst');
  const zeros = {
    path: 'zeros',
    type: 'file',
    mode: 0o644,
    sizeBytes: 64 << 20,
    body: [Buffer.alloc(64 << 20)],
  } as const;
  writeFileSync(bomb, zstdCompressSync(readFileSync(await pack([zeros]))));
  const request = { source: bomb, form: 'overlay' as const };
  await assert.rejects(
    unpackLayer({ ...request, directory: fresh(), limits: { maxBytes: 32 << 20 } }, syscall),
    bad,
  );
  const many = await pack(Array.from({ length: 30 }, (_, index) => file(`f${index}`)));
  await assert.rejects(
    unpackLayer({ source: many, form: 'overlay', directory: fresh(), limits: { maxEntries: 20 } }, syscall),
    bad,
  );
});

test('unpackLayer() reports a truncated layer and a missing file', async () => {
  const source = await pack([file('a', 'x'.repeat(2000))]);
  writeFileSync(source, readFileSync(source).subarray(0, 1800));
  await assert.rejects(unpackLayer({ source, directory: fresh(), form: 'overlay' }, syscall), bad);
  await assert.rejects(
    unpackLayer({ source: join(directory, 'no'), directory: fresh(), form: 'overlay' }, syscall),
    /ENOENT/,
  );
});

test('LayerUnpacker.unpack() works on at most two threads, which end when idle', async () => {
  const unpacker = new LayerUnpacker({ idleMs: 50 });
  assert.equal(unpacker.threads, 0);
  const source = await pack([file('a', 'hello'), { ...dir('d'), uid: 5 }]);
  const results = await Promise.all(
    [1, 2, 3, 4].map(() => unpacker.unpack({ source, directory: fresh(), form: 'overlay' })),
  );
  assert.ok(results.every((result) => result.diffId === digestOf(readFileSync(source))));
  assert.ok(unpacker.threads <= 2);
  await assert.rejects(
    unpacker.unpack({ source: join(directory, 'no'), directory: fresh(), form: 'overlay' }),
    /ENOENT/,
  );
  await assert.rejects(
    unpacker.unpack({ source: await pack([file('../x')]), directory: fresh(), form: 'overlay' }),
    bad,
  );
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(unpacker.threads, 0);
  await unpacker.unpack({ source, directory: fresh(), form: 'overlay' });
  await unpacker.close();
  assert.equal(unpacker.threads, 0);
  await assert.rejects(unpacker.unpack({ source, directory: fresh(), form: 'overlay' }), (error) =>
    isKind(error, 'cancelled'),
  );
});

test('LayerUnpacker.unpack() stops when aborted, and goes on with the next job', async () => {
  const unpacker = new LayerUnpacker({ maxWorkers: 1 });
  const big = await pack([
    {
      path: 'big',
      type: 'file',
      mode: 0o644,
      sizeBytes: 96 << 20,
      body: Array.from({ length: 6 }, () => Buffer.alloc(16 << 20)),
    },
  ]);
  const small = await pack([file('a')]);
  const target = fresh();
  const stopped = unpacker.unpack(
    { source: big, directory: target, form: 'overlay' },
    { signal: AbortSignal.timeout(30) },
  );
  const queued = unpacker.unpack({ source: small, directory: fresh(), form: 'overlay' });
  await assert.rejects(stopped, (error) => isKind(error, 'cancelled'));
  rmSync(target, { recursive: true });
  assert.equal((await queued).entries, 1);
  assert.ok(!existsSync(target), 'nothing writes any more');
  await unpacker.close();
});

test('LayerUnpacker.unpack() follows files while they grow, without keeping others waiting', async () => {
  const unpacker = new LayerUnpacker({ maxWorkers: 2 });
  const whole = readFileSync(await pack([file('a', 'x'.repeat(10_000)), file('b', 'last')]));
  for (const bytes of [whole, gzipSync(whole)]) {
    const source = join(directory, `growing-${bytes.length}`);
    writeFileSync(source, '');
    const growth = new Growth();
    const target = fresh();
    const request = { form: 'overlay' as const, growth: growth.shared, isVerified: true };
    const unpacked = unpacker.unpack({ source, directory: target, ...request });
    const more = { ...request, growth: new Growth().shared };
    await assert.rejects(unpacker.unpack({ source, directory: fresh(), ...more }), (error) =>
      isKind(error, 'unavailable'),
    );
    const { entries } = await unpacker.unpack({
      source: await pack([file('c')]),
      directory: fresh(),
      form: 'overlay',
    });
    assert.equal(entries, 1);
    for (let at = 0; at < bytes.length; at += 3000) {
      appendFileSync(source, bytes.subarray(at, at + 3000));
      growth.reach(Math.min(at + 3000, bytes.length));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    growth.end();
    const { diffId, archiveBytes } = await unpacked;
    assert.deepEqual([diffId, archiveBytes], [bytes === whole ? undefined : digestOf(whole), whole.length]);
    assert.equal(readFileSync(join(target, 'b'), 'utf8'), 'last');
  }
  await unpacker.close();
});

test('unpackLayer() tells the size of the files unless some take the place of others', async () => {
  const link: TarSource = { path: 'link', type: 'symlink', mode: 0o777, linkPath: 'target' };
  const sizeOf = async (members: TarSource[]): Promise<number | undefined> =>
    (await unpackLayer({ source: await pack(members), directory: fresh(), form: 'overlay' }, syscall))
      .sizeBytes;
  assert.equal(await sizeOf([dir('d'), file('d/a', '12345'), link]), 11);
  assert.equal(await sizeOf([file('a', '12345'), file('a', '1')]), undefined);
});
