import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseGroups, parsePasswd, resolveUser, resolveUserInRoot } from './users.ts';

const passwd = `root:x:0:0:root:/root:/bin/sh

 app:x:1000:2000::/srv/app:/bin/false
short:x:5
1001:x:77:78::/num:
app:x:9:9::/second:
nohome:x:12:12:::
`;
const groups = `root:x:0:
wheel:x:10:root,app
# a comment
video:x:44:app
app:x:2000:
3000:x:31:
`;

const cases: [string, string[], number, number[], string][] = [
  ['', [], 0, [0, 10], '/root'],
  ['root', [], 0, [0, 10], '/root'],
  ['0', [], 0, [0, 10], '/root'],
  ['app', [], 1000, [2000, 10, 44], '/srv/app'],
  ['1000', [], 1000, [2000, 10, 44], '/srv/app'],
  ['app:wheel', [], 1000, [10], '/srv/app'],
  ['app:44', [], 1000, [44], '/srv/app'],
  ['4242', [], 4242, [0], '/'],
  ['4242:4343', [], 4242, [4343], '/'],
  ['short', [], 5, [0], '/'],
  // A number is an id even where an entry has it for a name.
  ['1001', [], 1001, [0], '/'],
  ['0:3000', [], 0, [3000], '/root'],
  ['nohome', [], 12, [12], '/'],
  [':video', [], 0, [44], '/root'],
  ['app', ['video', '99', 'root'], 1000, [2000, 10, 44, 99, 0], '/srv/app'],
  ['app:wheel', ['video'], 1000, [10, 44], '/srv/app'],
];
for (const [specification, groupAdd, uid, gids, home] of cases)
  test(`resolveUser() finds "${specification}" with groups [${groupAdd.join()}]`, () => {
    assert.deepEqual(resolveUser(specification, groupAdd, passwd, groups), {
      user: { uid, gid: gids[0], additionalGids: gids },
      home,
    });
  });

const refused: [string, string[], string][] = [
  ['nope', [], 'unable to find user nope: no matching entries in passwd file'],
  ['0:nope', [], 'unable to find group nope: no matching entries in group file'],
  ['0', ['nope'], 'unable to find group nope: no matching entries in group file'],
  ['99999999999', [], 'uids and gids must be in range 0-2147483647'],
  ['-1', [], 'uids and gids must be in range 0-2147483647'],
  ['0:4294967295', [], 'uids and gids must be in range 0-2147483647'],
];
for (const [specification, groupAdd, message] of refused)
  test(`resolveUser() refuses "${specification}" with groups [${groupAdd.join()}]`, () => {
    assert.throws(() => resolveUser(specification, groupAdd, passwd, groups), {
      kind: 'invalid-parameter',
      message,
    });
  });

test('resolveUser() needs no files for numbers', () => {
  assert.deepEqual(resolveUser('7:8', ['9'], undefined, undefined).user, {
    uid: 7,
    gid: 8,
    additionalGids: [8, 9],
  });
  assert.throws(() => resolveUser('root', [], undefined, undefined), /unable to find user root/);
});

test('parsePasswd() and parseGroups() read what is there of a line', () => {
  assert.deepEqual(parsePasswd('a'), [{ name: 'a', uid: 0, gid: 0, home: '' }]);
  assert.deepEqual(parseGroups('g:x:x:a,b'), [{ name: 'g', gid: 0, members: ['a', 'b'] }]);
});

test('resolveUserInRoot() does not follow links out of the root', () => {
  const outside = mkdtempSync(join(tmpdir(), 'coracle-users-'));
  try {
    const root = join(outside, 'root');
    mkdirSync(join(root, 'etc'), { recursive: true });
    mkdirSync(join(root, 'lib'));
    writeFileSync(join(outside, 'passwd'), 'evil:x:66:66::/evil:\n');
    writeFileSync(join(root, 'lib/passwd'), 'good:x:1:1::/good:\n');
    symlinkSync('../../passwd', join(root, 'etc/passwd'));
    assert.throws(() => resolveUserInRoot(root, 'evil', []), /unable to find user evil/);
    rmSync(join(root, 'etc/passwd'));
    symlinkSync(join(outside, 'passwd'), join(root, 'etc/passwd'));
    assert.throws(() => resolveUserInRoot(root, 'evil', []), /unable to find user evil/);
    rmSync(join(root, 'etc/passwd'));
    symlinkSync('/../../lib/./passwd', join(root, 'etc/passwd'));
    assert.equal(resolveUserInRoot(root, 'good', []).home, '/good');
    rmSync(join(root, 'etc/passwd'));
    symlinkSync('passwd', join(root, 'etc/passwd'));
    assert.equal(resolveUserInRoot(root, '5', []).home, '/');
  } finally {
    rmSync(outside, { recursive: true });
  }
});
