/** Unpacking layers with owners, devices and trusted attributes, and what hostile ones may not do. Needs root. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
  type BigIntStats,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import {
  packTree,
  readNames,
  toHostPath,
  unpackLayer,
  type TarSource,
  type UnpackRequest,
} from '../../src/archive/index.ts';
import { isKind } from '../../src/errors/index.ts';
import { digestOf } from '../../src/spec/index.ts';
import { linuxSyscall } from '../../src/sys/index.ts';
import { directory, file, hardlink, link } from '../fixtures/tar-members.ts';
import { UnpackPlace } from '../fixtures/unpack-place.ts';

const syscall = linuxSyscall();
const place = new UnpackPlace();
const outside = join(place.path, 'outside');

before(() => {
  mkdirSync(outside);
  writeFileSync(join(outside, 'secret'), 'secret', { mode: 0o600 });
});

after(() => place.remove());

async function unpack(members: readonly TarSource[], options: Partial<UnpackRequest> = {}): Promise<string> {
  const target = options.directory ?? place.fresh();
  await unpackLayer(
    { source: await place.pack(members), form: 'overlay', ...options, directory: target },
    syscall,
  );
  return target;
}

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
  const tree = place.fresh();
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
    const source = join(place.path, 'gnu.tar');
    execFileSync('tar', [...options, '-cf', source, '-C', tree, '.']);
    const target = place.fresh();
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
  const source = join(place.path, 'packed.tar');
  writeFileSync(source, Buffer.concat(await Array.fromAsync(packTree(syscall, tree, { name: '.' }))));
  const target = place.fresh();
  await unpackLayer({ source, directory: target, form: 'overlay' }, syscall);
  assert.deepEqual(listing(target), listing(tree));
  const gnu = place.fresh();
  execFileSync('tar', ['--xattrs', '--xattrs-include=*', '-xpf', source, '-C', gnu]);
  assert.deepEqual(listing(gnu), listing(tree));
});

test('unpackLayer() reads gzip and zstd, and verifies digests', async () => {
  const plain = readFileSync(await place.pack([file('a', 'b'.repeat(5000))]));
  for (const [name, bytes] of [
    ['gz', gzipSync(plain)],
    ['zst', zstdCompressSync(plain)],
    ['tar', plain],
  ] as const) {
    const source = join(place.path, `layer.${name}`);
    writeFileSync(source, bytes);
    const request = { source, form: 'overlay' as const };
    const result = await unpackLayer(
      { ...request, directory: place.fresh(), digest: digestOf(bytes), diffId: digestOf(plain) },
      syscall,
    );
    assert.deepEqual(
      [result.diffId, result.sizeBytes, result.archiveBytes, result.entries],
      [digestOf(plain), 5000, plain.length, 1],
    );
    for (const wrong of [{ digest: digestOf('x') }, { diffId: digestOf('x') }]) {
      await assert.rejects(
        unpackLayer({ ...request, directory: place.fresh(), ...wrong }, syscall),
        (error) => isKind(error, 'data-loss'),
      );
    }
  }
});

const escapes: [name: string, members: (target: string) => TarSource[]][] = [
  ['a name with ..', () => [file('../outside/secret')]],
  ['a name with .. inside', () => [directory('a'), file('a/../../outside/secret')]],
  ['a hard link to outside', () => [hardlink('x', '../outside/secret')]],
  ['a hard link to an absolute path', () => [hardlink('x', join(outside, 'secret'))]],
  ['a hard link through a symlink', () => [link('up', outside), hardlink('x', 'up/secret')]],
  ['a hard link through a relative symlink', () => [link('up', '../outside'), hardlink('x', 'up/secret')]],
  ['a hard link to a directory', () => [directory('d'), hardlink('x', 'd')]],
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
      const target = place.fresh();
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
    directory('real'),
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
    directory('d', 0o700),
    file('d/kept'),
    directory('d', 0o711),
    file('f', 'old'),
    file('f', 'new'),
    directory('g'),
    file('g/lost'),
    file('g', 'file now'),
    file('h'),
    directory('h'),
    file('h/x'),
    file('i', 'linked'),
    hardlink('j', 'i'),
    hardlink('i', 'j'),
    hardlink('i', 'i'),
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
    directory('c'),
    file('c/x'),
    file('.wh.c'),
    file('.wh.d'),
    directory('d'),
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
    directory('a'),
    file('a/gone'),
    file('a/kept'),
    directory('b/old'),
    file('b/old/x'),
    file('b/both'),
    directory('c'),
    file('c/x'),
    file('d'),
  ]);
  await unpack(
    [
      file('a/.wh.gone'),
      directory('b'),
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
    { ...directory('etc', 0o2750), uid: 3, gid: 4 },
  ]);
  const target = await unpack([file('etc/x'), file('new/y')], { lowerDirectories: [lower] });
  const etc = lstatSync(join(target, 'etc'));
  assert.deepEqual([etc.mode & 0o7777, etc.uid, etc.gid], [0o2750, 3, 4]);
  assert.equal(lstatSync(target).mode & 0o7777, 0o711);
  assert.equal(lstatSync(join(target, 'new')).mode & 0o7777, 0o755);
});

test('unpackLayer() is bounded', async () => {
  const bomb = join(place.path, 'bomb.tar.zst');
  const zeros = {
    path: 'zeros',
    type: 'file',
    mode: 0o644,
    sizeBytes: 64 << 20,
    body: [Buffer.alloc(64 << 20)],
  } as const;
  writeFileSync(bomb, zstdCompressSync(readFileSync(await place.pack([zeros]))));
  const request = { source: bomb, form: 'overlay' as const };
  await assert.rejects(
    unpackLayer({ ...request, directory: place.fresh(), limits: { maxBytes: 32 << 20 } }, syscall),
    bad,
  );
  const many = await place.pack(Array.from({ length: 30 }, (_, index) => file(`f${index}`)));
  await assert.rejects(
    unpackLayer(
      { source: many, form: 'overlay', directory: place.fresh(), limits: { maxEntries: 20 } },
      syscall,
    ),
    bad,
  );
});

test('unpackLayer() reports a truncated layer and a missing file', async () => {
  const source = await place.pack([file('a', 'x'.repeat(2000))]);
  writeFileSync(source, readFileSync(source).subarray(0, 1800));
  await assert.rejects(unpackLayer({ source, directory: place.fresh(), form: 'overlay' }, syscall), bad);
  await assert.rejects(
    unpackLayer({ source: join(place.path, 'no'), directory: place.fresh(), form: 'overlay' }, syscall),
    /ENOENT/,
  );
});

test('unpackLayer() tells the size of the files unless some take the place of others', async () => {
  const sizeOf = async (members: TarSource[]): Promise<number | undefined> =>
    (
      await unpackLayer(
        { source: await place.pack(members), directory: place.fresh(), form: 'overlay' },
        syscall,
      )
    ).sizeBytes;
  assert.equal(await sizeOf([directory('d'), file('d/a', '12345'), link('link', 'target')]), 11);
  assert.equal(await sizeOf([file('a', '12345'), file('a', '1')]), undefined);
});
