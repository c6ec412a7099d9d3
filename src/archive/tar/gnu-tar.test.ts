import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  createReadStream,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
  openSync,
  writeSync,
  closeSync,
  ftruncateSync,
  linkSync,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readTar } from './reader.ts';
import { writeTar, type TarSource } from './writer.ts';

let directory = '';
let tree = '';
const long = `${'long-directory-name-'.repeat(6)}/${'long-file-name-'.repeat(8)}`;

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'coracle-tar-'));
  tree = join(directory, 'tree');
  mkdirSync(join(tree, long, '..'), { recursive: true });
  writeFileSync(join(tree, long), 'long');
  writeFileSync(join(tree, 'größe'), 'x'.repeat(1500), { mode: 0o640 });
  utimesSync(join(tree, 'größe'), 1_600_000_000.25, 1_600_000_000.25);
  linkSync(join(tree, 'größe'), join(tree, 'hard'));
  symlinkSync('t'.repeat(140), join(tree, 'link'));
  const fd = openSync(join(tree, 'holes'), 'w');
  // More runs than fit into one header of any sparse format.
  for (let run = 0; run < 40; run += 1) writeSync(fd, `run ${run}`, run * 131_072 + 4096 * (run % 3));
  ftruncateSync(fd, 40 * 131_072 + 77);
  closeSync(fd);
});

after(() => rmSync(directory, { recursive: true, force: true }));

const formats: [name: string, ...options: string[]][] = [
  ['gnu', '--format=gnu'],
  ['gnu, sparse', '--format=gnu', '--sparse'],
  ['pax', '--format=pax'],
  ['pax, sparse 0.0', '--format=pax', '--sparse', '--sparse-version=0.0'],
  ['pax, sparse 0.1', '--format=pax', '--sparse', '--sparse-version=0.1'],
  ['pax, sparse 1.0', '--format=pax', '--sparse', '--sparse-version=1.0'],
];

for (const [name, ...options] of formats) {
  test(`readTar() reads what GNU tar writes (${name})`, async () => {
    const archive = join(directory, 'made.tar');
    execFileSync('tar', [...options, '-cf', archive, '-C', tree, '.']);
    const seen = new Set<string>();
    for await (const entry of readTar(createReadStream(archive, { highWaterMark: 5000 }))) {
      const path = join(tree, entry.path);
      const stat = lstatSync(path);
      seen.add(entry.path);
      assert.equal(entry.mode, stat.mode & 0o7777, entry.path);
      assert.equal(entry.uid, stat.uid);
      assert.equal(entry.mtimeSeconds, Math.floor(stat.mtimeMs / 1000));
      if (name.startsWith('pax') && entry.path === './größe') assert.equal(entry.mtimeNanos, 250_000_000);
      if (entry.type === 'symlink') assert.equal(entry.linkPath, readlinkSync(path));
      if (entry.type === 'hardlink') assert.ok(['./hard', './größe'].includes(entry.linkPath));
      if (entry.type !== 'file') continue;
      assert.equal(
        entry.sparse !== null,
        options.includes('--sparse') && entry.path === './holes',
        entry.path,
      );
      const content = await entry.bytes(1 << 24);
      assert.ok(content.equals(readFileSync(path)), `content of ${entry.path}`);
    }
    for (const path of [`./${long}`, './größe', './hard', './link', './holes'])
      assert.ok(seen.has(path), path);
  });
}

test('readTar() skips bodies that nobody reads, and closes the input when stopped', async () => {
  const archive = join(directory, 'made.tar');
  execFileSync('tar', ['-cf', archive, '-C', tree, '.']);
  const paths = [];
  for await (const entry of readTar(createReadStream(archive, { highWaterMark: 700 })))
    paths.push(entry.path);
  assert.ok(paths.length >= 6);
  let closed = false;
  const input = async function* (): AsyncGenerator<Buffer> {
    try {
      yield readFileSync(archive);
    } finally {
      closed = true;
    }
  };
  for await (const entry of readTar(input())) {
    assert.ok(entry.path.length > 0);
    break;
  }
  assert.equal(closed, true);
});

test('writeTar() writes what GNU tar reads', async () => {
  const members: TarSource[] = [
    { path: 'd', type: 'directory', mode: 0o755, mtimeSeconds: 1 },
    {
      path: `d/${long}`,
      type: 'file',
      mode: 0o600,
      body: Buffer.from('content'),
      mtimeSeconds: 1_500_000_000,
    },
    {
      path: 'd/ключ',
      type: 'file',
      mode: 0o644,
      body: Buffer.alloc(512),
      mtimeSeconds: 7,
      mtimeNanos: 500_000_000,
    },
    { path: 'd/s', type: 'symlink', mode: 0o777, linkPath: 'y'.repeat(120) },
    { path: 'd/h', type: 'hardlink', mode: 0o644, linkPath: 'd/ключ' },
  ];
  const archive = join(directory, 'written.tar');
  const bytes = Buffer.concat(await Array.fromAsync(writeTar(members)));
  assert.ok(bytes.equals(Buffer.concat(await Array.fromAsync(writeTar(members)))), 'is deterministic');
  writeFileSync(archive, bytes);
  const out = join(directory, 'out');
  mkdirSync(out);
  const stderr = execFileSync('tar', ['-xf', archive, '-C', out, '--no-same-owner'], { stdio: 'pipe' });
  assert.equal(stderr.length, 0);
  assert.equal(readFileSync(join(out, 'd', long), 'utf8'), 'content');
  assert.equal(lstatSync(join(out, 'd', long)).mtimeMs, 1_500_000_000_000);
  assert.equal(lstatSync(join(out, 'd/ключ')).mtimeMs, 7500);
  assert.equal(lstatSync(join(out, 'd/h')).ino, lstatSync(join(out, 'd/ключ')).ino);
  assert.equal(readlinkSync(join(out, 'd/s')), 'y'.repeat(120));
});

test('writeTar() refuses a body that is not as long as its size', async () => {
  const wrong = [{ path: 'a', type: 'file', mode: 0, sizeBytes: 3, body: [Buffer.from('four')] }] as const;
  await assert.rejects(Array.fromAsync(writeTar(wrong)), /longer than 3/);
  const short = [{ path: 'a', type: 'file', mode: 0, sizeBytes: 3, body: [Buffer.from('b')] }] as const;
  await assert.rejects(Array.fromAsync(writeTar(short)), /not 3 bytes/);
});
