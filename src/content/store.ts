import type { Digest } from '../spec/index.ts';

export interface BlobInfo {
  digest: Digest;
  sizeBytes: number;
}

/**
 * Content-addressed blobs, kept on disk in OCI layout (`blobs/sha256/<hex>`). A blob is there whole or not at all: bytes
 * are written to a temporary file, verified and renamed. After a power cut that holds for the blobs that were there when
 * sync() was called; others may have lost bytes, so that who keeps records calls it before it records a blob, and
 * removes at start what no record names.
 */
export interface ContentStore {
  has(digest: Digest): boolean;
  /** @throws {EngineError} `not-found` */
  stat(digest: Digest): BlobInfo;
  /** Path of the blob's file, for readers in worker threads. @throws {EngineError} `not-found` */
  path(digest: Digest): string;
  /** Whole blob in memory, verified; for manifests and configs (at most 8 MiB). */
  read(digest: Digest): Promise<Buffer>;
  /** Stores bytes in memory; idempotent. Returns their digest. */
  put(bytes: Uint8Array): Promise<BlobInfo>;
  /** Begins a blob of unknown or known digest; dispose without commit discards it. */
  ingest(options?: {
    expected?: Digest;
    expectedSizeBytes?: number;
    /**
     * With `expected`: goes on with what an engine that was killed had written of it; `sizeBytes` of the writer tells how
     * much that is.
     */
    resume?: boolean;
    /** Told how many bytes can be read from the writer's file now; not together with `resume`. */
    onWritten?: (sizeBytes: number) => void;
    signal?: AbortSignal;
  }): Promise<BlobWriter>;
  /** Resolves when all blobs committed before are on disk, also after a power cut. @throws when the disk failed. */
  sync(): Promise<void>;
  /** No error when it is not there. The caller knows that nothing refers to it. */
  delete(digest: Digest): Promise<void>;
  list(): AsyncIterable<BlobInfo>;
  /** Bytes of the blocks that blobs take on disk, and those of what is being written or was begun. */
  diskUsage(): Promise<{ blobs: Map<Digest, number>; unfinishedBytes: number }>;
  /**
   * Removes temporary files of ingests that a crash left; what can be resumed is kept for a day, the latest 10 GiB of it.
   * What is being written stays.
   */
  sweep(): Promise<void>;
}

export interface BlobWriter extends AsyncDisposable {
  /** The file that is written to, under this name until commit(); undefined where it is in memory. */
  readonly path: string | undefined;
  /** Bytes written so far. */
  readonly sizeBytes: number;
  /** Takes the bytes, which must not change until commit(); a failure to write them may be told by a later call. */
  write(chunk: Uint8Array): Promise<void>;
  /** @throws {EngineError} `data-loss` when digest or size are not the expected ones; nothing is stored then. */
  commit(): Promise<BlobInfo>;
}
