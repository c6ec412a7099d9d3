import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { digestOf, type Digest } from '../spec/index.ts';
import type { ContentStore } from './store.ts';

/** What every ContentStore promises; `make` gives an empty one, and undo for afterwards. */
export function contentStoreSuite(
  name: string,
  make: () => { store: ContentStore; remove: () => void },
): void {
  const title = (text: string) => `${name}: ${text}`;
  const bytes = Buffer.from('the quick brown fox');
  const digest = digestOf(bytes);
  const absent: Digest = `sha256:${'0'.repeat(64)}`;

  async function using(body: (store: ContentStore) => Promise<void>): Promise<void> {
    const { store, remove } = make();
    try {
      await body(store);
    } finally {
      remove();
    }
  }

  const blobs = async (store: ContentStore) =>
    (await Array.fromAsync(store.list())).map((blob) => blob.digest);

  test(title('ContentStore.put() stores bytes once'), () =>
    using(async (store) => {
      assert.deepEqual(await store.put(bytes), { digest, sizeBytes: bytes.length });
      assert.deepEqual(await store.put(bytes), { digest, sizeBytes: bytes.length });
      assert.ok(store.has(digest));
      assert.deepEqual(store.stat(digest), { digest, sizeBytes: bytes.length });
      assert.deepEqual(await store.read(digest), bytes);
      assert.deepEqual(readFileSync(store.path(digest)), bytes);
      assert.deepEqual(await blobs(store), [digest]);
    }),
  );

  test(title('ContentStore throws not-found for what is not there'), () =>
    using(async (store) => {
      assert.equal(store.has(absent), false);
      assert.throws(() => store.stat(absent), { kind: 'not-found' });
      assert.throws(() => store.path(absent), { kind: 'not-found' });
      await assert.rejects(store.read(absent), { kind: 'not-found' });
      await store.delete(absent);
    }),
  );

  test(title('ContentStore refuses what is not a digest'), () =>
    using(async (store) => {
      assert.throws(() => store.has('sha256:../../etc/passwd'), { kind: 'invalid-parameter' });
      await assert.rejects(store.delete('sha256:..'), { kind: 'invalid-parameter' });
    }),
  );

  test(title('ContentStore.ingest() stores chunks, expected or not'), () =>
    using(async (store) => {
      for (const options of [{}, { expected: digest, expectedSizeBytes: bytes.length }]) {
        await using writer = await store.ingest(options);
        await writer.write(bytes.subarray(0, 5));
        await writer.write(bytes.subarray(5));
        assert.deepEqual(await writer.commit(), { digest, sizeBytes: bytes.length });
      }
      assert.deepEqual(await blobs(store), [digest]);
    }),
  );

  test(title('BlobWriter.write() takes chunks of all sizes, and ContentStore.sync() leaves them there'), () =>
    using(async (store) => {
      await using writer = await store.ingest();
      const chunks = [1, 70_000, 0, 1_100_000, 3].map((size, at) => Buffer.alloc(size, `${at}-`));
      for (let at = 0; at < 700; at += 1) chunks.push(Buffer.from(`small ${at}`));
      chunks.push(Buffer.alloc(18_000_000, 'large'));
      for (const chunk of chunks) await writer.write(chunk);
      const whole = Buffer.concat(chunks);
      assert.equal((await writer.commit()).sizeBytes, whole.length);
      await store.sync();
      assert.ok(readFileSync(store.path(digestOf(whole))).equals(whole));
      await store.delete(digestOf(whole));
      await store.sync();
    }),
  );

  test(title('BlobWriter.commit() rejects a digest mismatch'), () =>
    using(async (store) => {
      await using writer = await store.ingest({ expected: absent });
      await writer.write(bytes);
      await assert.rejects(writer.commit(), { kind: 'data-loss', code: 'digest-mismatch' });
      assert.deepEqual(await blobs(store), []);
    }),
  );

  test(title('BlobWriter rejects a size mismatch, too long as it is written'), () =>
    using(async (store) => {
      await using short = await store.ingest({ expectedSizeBytes: 100 });
      await short.write(bytes);
      await assert.rejects(short.commit(), { kind: 'data-loss', code: 'size-mismatch' });
      await using long = await store.ingest({ expectedSizeBytes: 3 });
      await assert.rejects(long.write(bytes), { kind: 'data-loss', code: 'size-mismatch' });
      assert.deepEqual(await blobs(store), []);
    }),
  );

  test(title('BlobWriter discards when disposed without commit, and ends with its commit'), () =>
    using(async (store) => {
      {
        await using writer = await store.ingest();
        await writer.write(bytes);
      }
      assert.deepEqual(await blobs(store), []);
      const writer = await store.ingest();
      await writer.commit();
      await assert.rejects(writer.write(bytes), { code: 'writer-closed' });
    }),
  );

  test(title('BlobWriter.write() stops when aborted'), () =>
    using(async (store) => {
      const controller = new AbortController();
      await using writer = await store.ingest({ signal: controller.signal });
      await writer.write(bytes);
      controller.abort();
      await assert.rejects(writer.write(bytes), { name: 'AbortError' });
      await assert.rejects(writer.commit(), { name: 'AbortError' });
    }),
  );

  test(title('ContentStore.delete() removes a blob'), () =>
    using(async (store) => {
      await store.put(bytes);
      await store.delete(digest);
      assert.equal(store.has(digest), false);
      assert.deepEqual(await blobs(store), []);
    }),
  );

  test(title('ContentStore.read() refuses more than 8 MiB'), () =>
    using(async (store) => {
      const { digest: large } = await store.put(Buffer.alloc(8 * 1024 * 1024 + 1));
      await assert.rejects(store.read(large), { code: 'blob-too-large' });
    }),
  );
}
