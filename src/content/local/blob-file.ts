import type { FileHandle } from 'node:fs/promises';

/** Bytes collected for one system call. */
const BATCH_BYTES = 1024 * 1024;
/** Pieces of one system call; the kernel takes 1024. */
const BATCH_PIECES = 512;
/** Written since it was last brought to disk. */
const SYNC_BYTES = 16 * 1024 * 1024;

/**
 * A file that is appended to while the bytes before are on their way to the page cache, and those before them on their
 * way to the disk, so that little is left to wait for at the end.
 */
export class BlobFile {
  readonly handle: FileHandle;
  readonly #onWritten: ((sizeBytes: number) => void) | undefined;
  #writtenBytes = 0;
  #batch: Uint8Array[] = [];
  #batchBytes = 0;
  #unsyncedBytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #syncing: Promise<void> | undefined;
  /** The kernel tells an error of the disk once only. */
  #syncFailure: unknown;

  /** @param onWritten told how much was appended and is in the file */
  constructor(handle: FileHandle, onWritten?: (sizeBytes: number) => void) {
    this.handle = handle;
    this.#onWritten = onWritten;
  }

  /** Waits for the batch before, not for these bytes. */
  async append(chunk: Uint8Array): Promise<void> {
    if (chunk.length === 0) return;
    this.#batch.push(chunk);
    this.#batchBytes += chunk.length;
    if (this.#batchBytes < BATCH_BYTES && this.#batch.length < BATCH_PIECES) return;
    await this.#writing;
    this.#begin();
  }

  /** All bytes are in the file. */
  async flush(): Promise<void> {
    await this.#writing;
    this.#begin();
    await this.#writing;
  }

  /** For a file that is complete. */
  async syncAndClose(): Promise<void> {
    try {
      await this.#syncing;
      if (this.#syncFailure !== undefined) throw this.#syncFailure;
      await this.handle.sync();
    } finally {
      await this.handle.close();
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#writing, this.#syncing]);
    await this.handle.close();
  }

  #begin(): void {
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#unsyncedBytes += this.#batchBytes;
    this.#batch = [];
    this.#batchBytes = 0;
    this.#writing = this.#write(batch);
    // Whoever comes next is told.
    this.#writing.catch(() => undefined);
    if (this.#unsyncedBytes < SYNC_BYTES || this.#syncing !== undefined) return;
    this.#unsyncedBytes = 0;
    this.#syncing = this.handle
      .datasync()
      .catch((error: unknown) => (this.#syncFailure = error))
      .then(() => (this.#syncing = undefined));
  }

  async #write(batch: Uint8Array[]): Promise<void> {
    for (let rest = batch; rest.length > 0;) {
      let { bytesWritten } = await this.handle.writev(rest);
      this.#writtenBytes += bytesWritten;
      this.#onWritten?.(this.#writtenBytes);
      let at = 0;
      for (let first = rest[at]; first !== undefined && bytesWritten >= first.length; first = rest[at]) {
        bytesWritten -= first.length;
        at += 1;
      }
      const [partial, ...others] = rest.slice(at);
      rest = partial === undefined ? [] : [partial.subarray(bytesWritten), ...others];
    }
  }
}
