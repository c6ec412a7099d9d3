import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryContentStore } from '../content/index.ts';
import { digestOf } from '../spec/index.ts';
import { Leases, type Shared } from './leases.ts';

const bytes = Buffer.from('shared');
const blob: Shared = { kind: 'blob', digest: digestOf(bytes) };
const layer: Shared = { kind: 'layer', digest: blob.digest };

function setUp(): { leases: Leases; removed: Shared[]; referenced: Set<string> } {
  const removed: Shared[] = [];
  const referenced = new Set<string>();
  const leases = new Leases(
    ({ kind }) => referenced.has(kind),
    async (shared) => {
      await new Promise((resolve) => setTimeout(resolve, 2));
      removed.push(shared);
    },
  );
  return { leases, removed, referenced };
}

test('Lease removes what it held and nothing refers to, upper things first', async () => {
  const { leases, removed, referenced } = setUp();
  {
    await using lease = leases.open();
    await lease.hold(blob);
    await lease.hold(layer);
  }
  assert.deepEqual(removed, [layer, blob]);
  referenced.add('blob');
  {
    await using lease = leases.open();
    await lease.hold(blob);
  }
  assert.equal(removed.length, 2);
});

test('Leases.collect() leaves what another lease holds, until the last one ends', async () => {
  const { leases, removed } = setUp();
  const first = leases.open();
  const second = leases.open();
  await first.hold(blob);
  await second.hold(blob);
  await leases.collect([blob]);
  await first[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
  assert.deepEqual(removed, []);
  await second[Symbol.asyncDispose]();
  assert.deepEqual(removed, [blob]);
});

test('Lease.commit() waits for a removal of the same blob, so that the blob is there afterwards', async () => {
  const content = memoryContentStore();
  const leases = new Leases(
    () => false,
    async (shared) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      await content.delete(shared.digest);
    },
  );
  await content.put(bytes);
  const removal = leases.collect([blob]);
  await using lease = leases.open();
  await using writer = await content.ingest();
  await writer.write(bytes);
  await lease.commit(writer);
  await removal;
  await leases.collect([blob]);
  assert.ok(content.has(blob.digest));
});

test('Leases goes on after a removal that failed', async () => {
  let fails = true;
  const leases = new Leases(
    () => false,
    async () => {
      if (fails) throw new Error('disk');
    },
  );
  await assert.rejects(leases.collect([blob]), /disk/);
  fails = false;
  await leases.collect([blob]);
});
