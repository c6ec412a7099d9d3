import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind } from '../errors/index.ts';
import { DetachScanner, parseDetachKeys } from './detach-keys.ts';

for (const [text, keys] of [
  ['', [16, 17]],
  ['ctrl-p,ctrl-q', [16, 17]],
  ['a', [97]],
  ['ctrl-@', [0]],
  ['ctrl-a,x,ctrl-[', [1, 120, 27]],
  ['ctrl-_', [31]],
] as [string, number[]][]) {
  test(`parseDetachKeys() reads '${text}'`, () => assert.deepEqual([...parseDetachKeys(text)], keys));
}

test('parseDetachKeys() refuses what is no key', () => {
  for (const text of ['ctrl-', 'ctrl-1', 'abc', 'a,,b', 'ctrl-A']) {
    assert.throws(
      () => parseDetachKeys(text),
      (error) => isKind(error, 'invalid-parameter'),
      text,
    );
  }
});

test('DetachScanner.push() passes on a sequence that breaks off, and nothing after a whole one', () => {
  const scanner = new DetachScanner([16, 17]);
  assert.deepEqual(scanner.push(Buffer.from([1, 16])), { data: Buffer.from([1]), detached: false });
  assert.deepEqual(scanner.push(Buffer.from([16, 2])), { data: Buffer.from([16, 16, 2]), detached: false });
  assert.deepEqual(scanner.push(Buffer.from([16, 17, 3])), { data: Buffer.from([]), detached: true });
});

test('DetachScanner.flush() gives what was held back', () => {
  const scanner = new DetachScanner([16, 17]);
  scanner.push(Buffer.from([16]));
  assert.deepEqual(scanner.flush(), Buffer.from([16]));
  assert.deepEqual(scanner.flush(), Buffer.from([]));
});
