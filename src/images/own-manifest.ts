import { digestOf, mediaTypes, type Descriptor, type Digest, type ImageManifest } from '../spec/index.ts';
import type { ImageStore } from './image-store.ts';

/**
 * The manifest of an image that came without one, as `save` writes it: layers uncompressed, so that it follows from the
 * image alone.
 */
export function ownManifest(store: ImageStore, id: Digest): { descriptor: Descriptor; bytes: Buffer } {
  const { config } = store.catalog.view(id);
  const records = store.catalog.record(id)?.layers ?? [];
  const layers = config.rootfs.diff_ids.map((digest, at): Descriptor => {
    return { mediaType: mediaTypes.ociLayer, digest, size: records[at]?.tarSizeBytes ?? 0 };
  });
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: id, size: store.content.stat(id).sizeBytes },
    layers,
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  const descriptor = { mediaType: mediaTypes.ociManifest, digest: digestOf(bytes), size: bytes.length };
  return { descriptor, bytes };
}
