import { gzip, zstd } from '../archive/index.ts';
import type { ContentStore } from '../content/index.ts';
import { mediaTypes, type Descriptor } from '../spec/index.ts';
import type { ImageForm } from './images.ts';
import type { Lease } from './leases.ts';

/** How a layer's tar is written. */
export type LayerForm = Pick<ImageForm, 'compression' | 'compressionLevel'>;

export const layerTypes: Readonly<Record<LayerForm['compression'], string>> = {
  uncompressed: mediaTypes.ociLayer,
  gzip: mediaTypes.ociLayerGzip,
  zstd: mediaTypes.ociLayerZstd,
};

/** A layer's tar in some form, as a blob that the lease holds. The same bytes each time. */
export async function writeLayer(
  content: ContentStore,
  lease: Lease,
  tar: AsyncIterable<Uint8Array>,
  { compression, compressionLevel }: LayerForm,
  signal?: AbortSignal,
): Promise<Descriptor> {
  await using writer = await content.ingest(signal === undefined ? {} : { signal });
  const compress = { uncompressed: undefined, gzip, zstd }[compression];
  for await (const chunk of compress?.(tar, compressionLevel) ?? tar) {
    signal?.throwIfAborted();
    await writer.write(chunk);
  }
  const { digest, sizeBytes } = await lease.commit(writer);
  return { mediaType: layerTypes[compression], digest, size: sizeBytes };
}
