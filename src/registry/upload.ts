import type { Readable } from 'node:stream';
import type { Digest } from '../spec/index.ts';
import { RegistryError } from './registry-error.ts';
import type { BegunUpload, Repository } from './repository.ts';
import { Backoff } from './retry.ts';
import { ConnectionError } from './transport.ts';

/** A blob as it is sent. */
export interface BlobUpload {
  digest: Digest;
  sizeBytes: number;
  /** Its bytes from an offset on; again when the upload begins again. */
  open: (offsetBytes: number) => Readable;
}

/**
 * Sends a blob. After a dropped connection it goes on with what the registry has, where the registry keeps that (zot does,
 * Docker's does not), else it begins again.
 * @throws {EngineError}
 */
export async function uploadBlob(
  repository: Repository,
  blob: BlobUpload,
  signal?: AbortSignal,
  onProgress?: (sentBytes: number) => void,
): Promise<void> {
  const open = (offsetBytes: number): Readable => {
    const stream = blob.open(offsetBytes);
    let sent = offsetBytes;
    stream.on('data', (chunk: Uint8Array) => {
      sent += chunk.length;
      onProgress?.(sent);
    });
    // The listener must not set the stream flowing before it is piped.
    return stream.pause();
  };
  const backoff = new Backoff(repository.retryOptions);
  let mayGoOn = true;
  let begun: BegunUpload | undefined;
  for (;;) {
    try {
      begun ??= { to: await repository.beginUpload(signal), offsetBytes: 0 };
      await repository.upload(begun, { ...blob, open }, signal);
      return;
    } catch (error) {
      const { to, offsetBytes = 0 } = begun ?? {};
      begun = undefined;
      if (offsetBytes > 0 && error instanceof RegistryError) {
        // It did not have what it said, or wants no more of it.
        mayGoOn = false;
        continue;
      }
      await backoff.failed(error, signal);
      if (!mayGoOn || to === undefined || !(error instanceof ConnectionError)) continue;
      const status = await repository.uploadStatus(to, signal);
      if (status === undefined || status.offsetBytes > blob.sizeBytes) continue;
      if (status.offsetBytes > offsetBytes) backoff.reset();
      begun = status;
    }
  }
}

/** Has `send` do an upload of bytes that are made on the way; a broken one begins again. @throws {EngineError} */
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
