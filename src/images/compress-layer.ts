import { createReadStream } from 'node:fs';
import { gzip } from '../archive/index.ts';
import type { ContentStore } from '../content/index.ts';
import { mediaTypes, type Descriptor } from '../spec/index.ts';
import type { Lease } from './leases.ts';

/** The gzip form of a plain layer, as a blob that the lease holds. The same bytes each time. */
export async function compressLayer(
  content: ContentStore,
  lease: Lease,
  plain: Descriptor,
  signal: AbortSignal,
): Promise<Descriptor> {
  await using writer = await content.ingest({ signal });
  const source = createReadStream(content.path(plain.digest), { highWaterMark: 1024 * 1024 });
  for await (const chunk of gzip(source as AsyncIterable<Buffer>)) {
    signal.throwIfAborted();
    await writer.write(chunk);
  }
  const { digest, sizeBytes } = await lease.commit(writer);
  return { mediaType: mediaTypes.dockerLayerGzip, digest, size: sizeBytes };
}
