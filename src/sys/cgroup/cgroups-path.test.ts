import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind } from '../../errors/index.ts';
import { cgroupDirectory, containerCgroupsPath, sliceDirectory } from './cgroups-path.ts';

test('containerCgroupsPath() writes the form each driver wants', () => {
  assert.equal(
    containerCgroupsPath('cgroupfs', { parent: '/coracle', prefix: 'coracle', id: 'ab' }),
    '/coracle/ab',
  );
  assert.equal(containerCgroupsPath('cgroupfs', { parent: 'a/b/', prefix: 'x', id: 'ab' }), '/a/b/ab');
  assert.equal(
    containerCgroupsPath('systemd', { parent: 'system.slice', prefix: 'coracle', id: 'ab' }),
    'system.slice:coracle:ab',
  );
});

test('containerCgroupsPath() refuses a parent that is no slice for systemd', () => {
  assert.throws(
    () => containerCgroupsPath('systemd', { parent: '/coracle', prefix: 'coracle', id: 'ab' }),
    (error) => isKind(error, 'invalid-parameter'),
  );
});

test('cgroupDirectory() finds the directory of both forms', () => {
  assert.equal(cgroupDirectory('/coracle/ab'), 'coracle/ab');
  assert.equal(cgroupDirectory('system.slice:coracle:ab'), 'system.slice/coracle-ab.scope');
  assert.equal(cgroupDirectory('user-1000.slice::ab'), 'user.slice/user-1000.slice/ab.scope');
});

test('cgroupDirectory() refuses to leave the tree or to name its root', () => {
  for (const path of ['', '/', '/a/../b', './a', 'a.slice:b:c/d', 'a.slice:b:', 'a.slice:b:c:d']) {
    assert.throws(() => cgroupDirectory(path), path);
  }
});

test('sliceDirectory() nests slices as systemd does', () => {
  assert.equal(sliceDirectory('a-b-c.slice'), 'a.slice/a-b.slice/a-b-c.slice');
  assert.equal(sliceDirectory('-.slice'), '');
  assert.throws(() => sliceDirectory('a--b.slice'));
  assert.throws(() => sliceDirectory('a'));
});
