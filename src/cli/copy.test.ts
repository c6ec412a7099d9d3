import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { writeTar, type TarSource } from '../archive/index.ts';
import { absolute, packPath, splitPath, unpack, wantsDirectory } from './copy.ts';

const made: string[] = [];
after(() => {
  for (const path of made) rmSync(path, { recursive: true, force: true });
});

/** A directory that goes when the tests end. */
function temporary(prefix: string): string {
  const path = mkdtempSync(prefix);
  made.push(path);
  return path;
}

const fresh = (): string => temporary(join(tmpdir(), 'coracle-copy-'));
const file = (path: string, content: string): TarSource => ({
  path,
  type: 'file',
  mode: 0o640,
  sizeBytes: content.length,
  body: Buffer.from(content),
});

test('packPath() and unpack() carry a tree over under another name', async () => {
  const from = fresh();
  mkdirSync(join(from, 'd/sub'), { recursive: true });
  writeFileSync(join(from, 'd/sub/f'), 'hello', { mode: 0o600 });
  symlinkSync('f', join(from, 'd/sub/l'));
  const to = fresh();
  await unpack(packPath(join(from, 'd'), 'd'), { directory: to, from: 'd', to: 'e', owners: false });
  assert.equal(readFileSync(join(to, 'e/sub/f'), 'utf8'), 'hello');
  assert.equal(lstatSync(join(to, 'e/sub/f')).mode & 0o777, 0o600);
  assert.ok(lstatSync(join(to, 'e/sub/l')).isSymbolicLink());
});

test('unpack() writes through no symbolic link of the archive', async () => {
  const outside = fresh();
  const to = fresh();
  const members: TarSource[] = [
    { path: 'd/l', type: 'symlink', mode: 0o777, linkPath: outside },
    file('d/l/evil', 'x'),
  ];
  await assert.rejects(
    unpack(writeTar(members), { directory: to, from: 'd', to: 'd', owners: false }),
    /is a symbolic link/,
  );
  assert.ok(!existsSync(join(outside, 'evil')));
});

test('unpack() refuses to leave the destination', async () => {
  const to = fresh();
  await assert.rejects(
    unpack(writeTar([file('../evil', 'x')]), { directory: to, from: 'd', to: 'd', owners: false }),
    /leaves the destination/,
  );
});

test('paths keep what their endings mean', () => {
  assert.equal(absolute('/a/../b/.'), '/b/.');
  assert.equal(absolute('/a/'), '/a/');
  assert.ok(wantsDirectory('/a/') && wantsDirectory('/a/.') && !wantsDirectory('/a'));
  assert.deepEqual(splitPath('/a/b/.'), ['/a', 'b']);
});
