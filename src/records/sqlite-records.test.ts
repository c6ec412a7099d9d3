import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isKind } from '../errors/index.ts';
import { memoryRecords, openRecords } from './index.ts';

test('RecordCollection keeps collections apart and lists by key', () => {
  using records = memoryRecords();
  const a = records.collection<{ n: number }>('a');
  const b = records.collection<{ n: number }>('b');
  a.put('y', { n: 2 });
  a.put('x', { n: 1 });
  b.put('x', { n: 9 });
  assert.deepEqual(a.entries(), [
    ['x', { n: 1 }],
    ['y', { n: 2 }],
  ]);
  a.put('x', { n: 3 });
  assert.deepEqual(a.get('x'), { n: 3 });
  a.delete('x');
  assert.equal(a.get('x'), undefined);
  assert.deepEqual(b.get('x'), { n: 9 });
});

test('Records.transaction() takes all back when the body throws, nested calls included', () => {
  using records = memoryRecords();
  const c = records.collection<number>('c');
  assert.throws(() =>
    records.transaction(() => {
      c.put('one', 1);
      records.transaction(() => c.put('two', 2));
      throw new Error('no');
    }),
  );
  assert.deepEqual(c.entries(), []);
  records.transaction(() => c.put('one', 1));
  assert.equal(c.get('one'), 1);
});

test('openRecords() finds what was written before, and refuses a damaged file', () => {
  const directory = mkdtempSync(join(tmpdir(), 'records-'));
  try {
    const path = join(directory, 'records.db');
    {
      using records = openRecords(path);
      records.collection<string>('c').put('k', 'v');
    }
    {
      using records = openRecords(path);
      assert.equal(records.collection<string>('c').get('k'), 'v');
    }
    const damaged = join(directory, 'damaged.db');
    writeFileSync(
      damaged,
      'not a database, not even nearly so, but long enough to look at its header'.repeat(20),
    );
    assert.throws(
      () => openRecords(damaged),
      (error) => isKind(error, 'data-loss'),
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});
