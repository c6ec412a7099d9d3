import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DetachWatch, parseDetachKeys } from './detach-keys.ts';

test('parseDetachKeys() knows control keys and letters', () => {
  assert.deepEqual(parseDetachKeys('ctrl-p,ctrl-q'), [16, 17]);
  assert.deepEqual(parseDetachKeys('a,ctrl-@,ctrl-_'), [97, 0, 31]);
  assert.throws(() => parseDetachKeys('ctrl-!'), { message: "Unknown character: 'ctrl-!'" });
});

test('DetachWatch.push() holds the start of the sequence back and gives it out when it was none', () => {
  const watch = new DetachWatch([16, 17]);
  assert.deepEqual(watch.push(Buffer.from([97, 16])), { forward: Buffer.from([97]), detached: false });
  assert.deepEqual(watch.push(Buffer.from([98])), { forward: Buffer.from([16, 98]), detached: false });
  assert.deepEqual(watch.push(Buffer.from([16, 16, 17, 99])), { forward: Buffer.from([16]), detached: true });
});
