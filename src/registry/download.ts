import type { BlobInfo, BlobWriter, ContentStore } from '../content/index.ts';
import { isEngineError } from '../errors/index.ts';
import type { Descriptor } from '../spec/index.ts';
import type { Repository } from './repository.ts';
import { Backoff } from './retry.ts';
import { ConnectionError } from './transport.ts';

export interface DownloadOptions {
  content: ContentStore;
  /** Commits the writer; for callers that hold what they commit. */
  commit?: (writer: BlobWriter) => Promise<BlobInfo>;
  onProgress?: (receivedBytes: number) => void;
  /** All bytes are there; they are about to be verified. */
  onReceived?: () => void;
  /** A failure is waited out. */
  onRetry?: (delayMs: number) => void;
  signal?: AbortSignal;
}

/**
 * Streams a blob into the content store, verified on the way. After a dropped connection it goes on where it was, and so
 * it does with what an engine that was killed had received.
 * @throws {EngineError} `data-loss` when size or digest are not the descriptor's
 */
export async function downloadBlob(
  repository: Repository,
  descriptor: Descriptor,
  options: DownloadOptions,
): Promise<BlobInfo> {
  try {
    return await attempt(repository, descriptor, options, true);
  } catch (error) {
    // Bytes may have gone wrong on the way, or with the power while an earlier engine wrote them: all is fetched anew.
    if (!isEngineError(error) || error.kind !== 'data-loss') throw error;
    options.signal?.throwIfAborted();
    return await attempt(repository, descriptor, options, false);
  }
}

async function attempt(
  repository: Repository,
  descriptor: Descriptor,
  options: DownloadOptions,
  resume: boolean,
): Promise<BlobInfo> {
  const { content, signal, onProgress, onReceived, onRetry } = options;
  await using writer = await content.ingest({
    expected: descriptor.digest,
    expectedSizeBytes: descriptor.size,
    resume,
    ...(signal === undefined ? {} : { signal }),
  });
  const backoff = new Backoff(repository.retryOptions);
  let received = writer.sizeBytes;
  if (received > 0) onProgress?.(received);
  while (received < descriptor.size) {
    const before = received;
    try {
      const { offsetBytes, body } = await repository.blob(descriptor, received, signal);
      let skip = received - offsetBytes;
      try {
        for await (const piece of body as AsyncIterable<Buffer>) {
          const chunk = skip === 0 ? piece : piece.subarray(Math.min(skip, piece.length));
          skip -= piece.length - chunk.length;
          if (chunk.length === 0) continue;
          await writer.write(chunk);
          received += chunk.length;
          onProgress?.(received);
        }
      } catch (error) {
        signal?.throwIfAborted();
        throw isEngineError(error) ? error : new ConnectionError('unexpected EOF', 'ECONNRESET', error);
      } finally {
        body.destroy();
      }
      if (received < descriptor.size) throw new ConnectionError('unexpected EOF', 'ECONNRESET');
    } catch (error) {
      if (received > before) backoff.reset();
      await backoff.failed(error, signal, onRetry);
    }
  }
  onReceived?.();
  return await (options.commit ?? ((done: BlobWriter) => done.commit()))(writer);
}
