import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EngineError } from '../errors/index.ts';
import { digestHex, digestOf, parseDigest, type Digest } from '../spec/index.ts';
import {
  BlobVerifier,
  blobTooLarge,
  maxBlobInMemoryBytes,
  noSuchBlob,
  type Expectation,
} from './verifier.ts';
import type { BlobInfo, BlobWriter, ContentStore } from './store.ts';

/** A ContentStore that keeps nothing; for tests. Dispose it when path() was used: it writes files then. */
export function memoryContentStore(): ContentStore & Disposable {
  return new MemoryContentStore();
}

class MemoryContentStore implements ContentStore, Disposable {
  readonly #blobs = new Map<Digest, Buffer>();
  #directory: string | undefined;

  has(digest: Digest): boolean {
    return this.#blobs.has(parseDigest(digest));
  }

  stat(digest: Digest): BlobInfo {
    return { digest, sizeBytes: this.#get(digest).length };
  }

  path(digest: Digest): string {
    const bytes = this.#get(digest);
    this.#directory ??= mkdtempSync(join(tmpdir(), 'content-'));
    const file = join(this.#directory, digestHex(digest));
    writeFileSync(file, bytes);
    return file;
  }

  async read(digest: Digest): Promise<Buffer> {
    const bytes = this.#get(digest);
    if (bytes.length > maxBlobInMemoryBytes) throw blobTooLarge(digest, bytes.length);
    return Buffer.from(bytes);
  }

  async put(bytes: Uint8Array): Promise<BlobInfo> {
    const digest = digestOf(bytes);
    this.#blobs.set(digest, Buffer.from(bytes));
    return { digest, sizeBytes: bytes.length };
  }

  async ingest(options: Expectation & { signal?: AbortSignal } = {}): Promise<BlobWriter> {
    options.signal?.throwIfAborted();
    const verifier = new BlobVerifier(options);
    const chunks: Buffer[] = [];
    let closed = false;
    const check = () => {
      options.signal?.throwIfAborted();
      if (closed) {
        throw new EngineError('internal', 'Cannot write blob: its writer is closed', {
          code: 'writer-closed',
        });
      }
    };
    return {
      path: undefined,
      get sizeBytes() {
        return verifier.sizeBytes;
      },
      write: async (chunk) => {
        check();
        verifier.update(chunk);
        chunks.push(Buffer.from(chunk));
      },
      commit: async () => {
        check();
        const info = verifier.finish();
        closed = true;
        this.#blobs.set(info.digest, Buffer.concat(chunks));
        return info;
      },
      [Symbol.asyncDispose]: async () => {
        closed = true;
      },
    };
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  async delete(digest: Digest): Promise<void> {
    this.#blobs.delete(parseDigest(digest));
    if (this.#directory !== undefined) rmSync(join(this.#directory, digestHex(digest)), { force: true });
  }

  async *list(): AsyncIterable<BlobInfo> {
    for (const [digest, bytes] of this.#blobs) yield { digest, sizeBytes: bytes.length };
  }

  async diskUsage(): ReturnType<ContentStore['diskUsage']> {
    const blobs = new Map([...this.#blobs].map(([digest, bytes]) => [digest, bytes.length]));
    return { blobs, unfinishedBytes: 0 };
  }

  async sweep(): Promise<void> {
    // An ingest lives in the closure of its writer only.
  }

  [Symbol.dispose](): void {
    if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true, force: true });
  }

  #get(digest: Digest): Buffer {
    const bytes = this.#blobs.get(parseDigest(digest));
    if (bytes === undefined) throw noSuchBlob(digest);
    return bytes;
  }
}
