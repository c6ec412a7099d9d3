import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestHex, digestOf } from '../../spec/index.ts';
import { contentStoreSuite } from '../suite.ts';
import { LocalContentStore } from './local-content-store.ts';

function temporaryRoot(): { root: string; remove: () => void } {
  const root = mkdtempSync(join(tmpdir(), 'content-'));
  return { root, remove: () => rmSync(root, { recursive: true }) };
}

contentStoreSuite('local', () => {
  const { root, remove } = temporaryRoot();
  return { store: new LocalContentStore(root), remove };
});

test('LocalContentStore keeps an OCI image layout', async () => {
  const { root, remove } = temporaryRoot();
  try {
    const { digest } = await new LocalContentStore(root).put(Buffer.from('x'));
    assert.equal(readFileSync(join(root, 'oci-layout'), 'utf8'), '{"imageLayoutVersion":"1.0.0"}');
    assert.equal(readFileSync(join(root, 'blobs/sha256', digestHex(digest)), 'utf8'), 'x');
    assert.deepEqual(readdirSync(join(root, 'ingest')), []);
    assert.ok(new LocalContentStore(root).has(digest));
  } finally {
    remove();
  }
});

test('LocalContentStore.sweep() removes what a crash left', async () => {
  const { root, remove } = temporaryRoot();
  try {
    const store = new LocalContentStore(root);
    writeFileSync(join(root, 'ingest', 'half'), 'half a bl');
    await store.sweep();
    assert.deepEqual(readdirSync(join(root, 'ingest')), []);
  } finally {
    remove();
  }
});

test('LocalContentStore.read() finds a blob changed on disk', async () => {
  const { root, remove } = temporaryRoot();
  try {
    const store = new LocalContentStore(root);
    const { digest } = await store.put(Buffer.from('true'));
    writeFileSync(join(root, 'blobs/sha256', digestHex(digest)), 'fals');
    await assert.rejects(store.read(digest), { kind: 'data-loss' });
  } finally {
    remove();
  }
});

test('LocalContentStore.ingest() goes on with what a crash left, and starts anew when that was wrong', async () => {
  const { root, remove } = temporaryRoot();
  try {
    const bytes = Buffer.from('the quick brown fox');
    const expected = digestOf(bytes);
    const part = join(root, 'ingest', `part-${digestHex(expected)}`);
    const store = new LocalContentStore(root);
    writeFileSync(part, bytes.subarray(0, 7));
    await store.sweep();
    const options = { expected, expectedSizeBytes: bytes.length };
    {
      await using writer = await store.ingest({ ...options, resume: true });
      assert.equal(writer.sizeBytes, 7);
      await using second = await store.ingest({ ...options, resume: true });
      assert.equal(second.sizeBytes, 0, 'one writer only goes on with a file');
      await writer.write(bytes.subarray(7));
      await writer.commit();
    }
    assert.deepEqual(await store.read(expected), bytes);
    assert.deepEqual(readdirSync(join(root, 'ingest')), []);

    await store.delete(expected);
    writeFileSync(part, 'something else that is too long');
    await using long = await store.ingest({ ...options, resume: true });
    assert.equal(long.sizeBytes, 0);
    await long[Symbol.asyncDispose]();
    writeFileSync(part, 'wrong');
    await using anew = await store.ingest({ ...options, resume: false });
    assert.equal(anew.sizeBytes, 0);
    await anew.write(bytes);
    await anew.commit();
    assert.deepEqual(readdirSync(join(root, 'ingest')), []);
  } finally {
    remove();
  }
});

test('LocalContentStore.sweep() leaves what is being written, and the latest of what can be gone on with', async () => {
  const { root, remove } = temporaryRoot();
  try {
    const store = new LocalContentStore(root, { resumableMaxBytes: 10 });
    const [now, old, older] = ['a', 'b', 'c'].map((letter) => `part-${letter.repeat(64)}`) as [
      string,
      string,
      string,
    ];
    for (const [name, age] of [
      [now, 0],
      [old, 10],
      [older, 20],
    ] as const) {
      const path = join(root, 'ingest', name);
      writeFileSync(path, '12345');
      utimesSync(path, Date.now() / 1000 - age, Date.now() / 1000 - age);
    }
    await using writer = await store.ingest();
    await writer.write(Buffer.from('going on'));
    await store.sweep();
    const left = readdirSync(join(root, 'ingest'));
    assert.equal(left.length, 3);
    assert.ok(left.includes(now) && left.includes(old));
    assert.equal((await writer.commit()).sizeBytes, 8);
  } finally {
    remove();
  }
});

test('LocalContentStore.sweep() removes what was not gone on with for a day', async () => {
  const { root, remove } = temporaryRoot();
  try {
    const part = join(root, 'ingest', `part-${'0'.repeat(64)}`);
    const store = new LocalContentStore(root);
    writeFileSync(part, 'x');
    await store.sweep();
    assert.equal(readdirSync(join(root, 'ingest')).length, 1);
    const before = Date.now() / 1000 - 25 * 60 * 60;
    utimesSync(part, before, before);
    await store.sweep();
    assert.deepEqual(readdirSync(join(root, 'ingest')), []);
  } finally {
    remove();
  }
});
