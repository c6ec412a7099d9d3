import { createReadStream } from 'node:fs';
import { createGzip } from 'node:zlib';
import type { ContentStore } from '../content/index.ts';
import { mediaTypes, type Descriptor } from '../spec/index.ts';
import type { Lease } from './leases.ts';

/**
 * The gzip form of a plain layer, as a blob that the lease holds. The same bytes each time: without a name or time in
 * its head and at one fixed level.
 */
export async function compressLayer(
  content: ContentStore,
  lease: Lease,
  plain: Descriptor,
  signal: AbortSignal,
): Promise<Descriptor> {
  await using writer = await content.ingest({ signal });
  const source = createReadStream(content.path(plain.digest), { highWaterMark: 256 * 1024 });
  const gzip = createGzip({ level: 6, chunkSize: 256 * 1024 });
  source.on('error', (error) => gzip.destroy(error));
  source.pipe(gzip);
  try {
    for await (const chunk of gzip as AsyncIterable<Buffer>) {
      signal.throwIfAborted();
      await writer.write(chunk);
    }
  } finally {
    source.destroy();
    gzip.destroy();
  }
  const { digest, sizeBytes } = await lease.commit(writer);
  return { mediaType: mediaTypes.dockerLayerGzip, digest, size: sizeBytes };
}
