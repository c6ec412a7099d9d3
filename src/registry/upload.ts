import type { Readable } from 'node:stream';
import type { Digest } from '../spec/index.ts';
import type { Repository } from './repository.ts';
import { Backoff } from './retry.ts';

/** A blob as it is sent. */
export interface BlobUpload {
  digest: Digest;
  sizeBytes: number;
  /** Its bytes from the beginning; again when the upload begins again. */
  open: () => Readable;
}

/** Sends a blob. @throws {EngineError} */
export async function uploadBlob(
  repository: Repository,
  blob: BlobUpload,
  signal?: AbortSignal,
  onProgress?: (sentBytes: number) => void,
): Promise<void> {
  const open = (): Readable => {
    const stream = blob.open();
    let sent = 0;
    stream.on('data', (chunk: Uint8Array) => {
      sent += chunk.length;
      onProgress?.(sent);
    });
    // The listener must not set the stream flowing before it is piped.
    return stream.pause();
  };
  await sendUpload(repository, signal, (to) => repository.upload(to, { ...blob, open }, signal));
}

/** Has `send` do an upload. A broken one begins again: few registries can go on with one. @throws {EngineError} */
export async function sendUpload(
  repository: Repository,
  signal: AbortSignal | undefined,
  send: (to: URL) => Promise<void>,
): Promise<void> {
  const backoff = new Backoff(repository.retryOptions);
  for (;;) {
    try {
      await send(await repository.beginUpload(signal));
      return;
    } catch (error) {
      await backoff.failed(error, signal);
    }
  }
}
