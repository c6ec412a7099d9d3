import assert from 'node:assert/strict';
import { closeSync, mkdirSync, mkdtempSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeDirectoriesInRoot, openPathInRoot, readTextInRoot } from './root-files.ts';

const outside = mkdtempSync(join(tmpdir(), 'coracle-root-'));
const root = join(outside, 'root');
after(() => rmSync(outside, { recursive: true }));
mkdirSync(join(root, 'a/b'), { recursive: true });
writeFileSync(join(root, 'a/b/file'), 'inside');
writeFileSync(join(outside, 'file'), 'outside');
symlinkSync('/a/b', join(root, 'absolute'));
symlinkSync('../../../../a/./b', join(root, 'a/up'));
symlinkSync('absolute', join(root, 'chain'));
symlinkSync('loop', join(root, 'loop'));
symlinkSync('..', join(root, 'parent'));

const cases: [string, string][] = [
  ['/', ''],
  ['', ''],
  ['/a/b/file', '/a/b/file'],
  ['a//b/./file', '/a/b/file'],
  ['../../a/b', '/a/b'],
  ['/a/b/../b/file', '/a/b/file'],
  ['/absolute/file', '/a/b/file'],
  ['/a/up/file', '/a/b/file'],
  ['/chain/../../a', '/a'],
  ['/parent/parent/a', '/a'],
];
for (const [path, expected] of cases)
  test(`openPathInRoot() walks "${path}" inside the root`, () => {
    const fd = openPathInRoot(root, path);
    try {
      assert.equal(readlinkSync(`/proc/self/fd/${fd}`), root + expected);
    } finally {
      closeSync(fd);
    }
  });

test('openPathInRoot() fails as the kernel does', () => {
  assert.throws(() => openPathInRoot(root, '/loop'), { code: 'ELOOP' });
  assert.throws(() => openPathInRoot(root, '/nope/x'), { code: 'ENOENT' });
  assert.throws(() => openPathInRoot(root, '/a/b/file/x'), { code: 'ENOTDIR' });
});

test('openPathInRoot() leaves no descriptor open', async () => {
  const { readdirSync } = await import('node:fs');
  const count = (): number => readdirSync('/proc/self/fd').length;
  const before = count();
  for (let round = 0; round < 20; round++) {
    closeSync(openPathInRoot(root, '/a/up/file'));
    assert.throws(() => openPathInRoot(root, '/absolute/nope'));
    assert.throws(() => openPathInRoot(root, '/loop'));
  }
  assert.equal(count(), before);
});

test('readTextInRoot() reads regular files of the root alone', () => {
  assert.equal(readTextInRoot(root, '/chain/file'), 'inside');
  assert.equal(readTextInRoot(root, '/../file'), undefined);
  assert.equal(readTextInRoot(root, '/a'), undefined);
});

test('makeDirectoriesInRoot() makes them behind links, inside the root', () => {
  makeDirectoriesInRoot(root, '/chain/new/dir');
  closeSync(openPathInRoot(root, '/a/b/new/dir'));
  assert.throws(() => makeDirectoriesInRoot(root, '/a/b/file'), { code: 'ENOTDIR' });
});
