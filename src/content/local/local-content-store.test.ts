import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestHex } from '../../spec/index.ts';
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
