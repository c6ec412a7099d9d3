import { digestOf, mediaTypes, type Descriptor, type Digest, type ImageManifest } from '../spec/index.ts';
import type { ImageStore } from './image-store.ts';
import type { Image } from './images.ts';

interface OwnManifest {
  descriptor: Descriptor;
  bytes: Buffer;
}

/** By the catalog's view, which is another one when anything changes. */
const known = new WeakMap<Image, OwnManifest>();

/**
 * The manifest of an image that came without one, as `save` writes it: layers uncompressed, so that it follows from the
 * image alone.
 */
export function ownManifest(store: ImageStore, id: Digest): OwnManifest {
  const view = store.catalog.view(id);
  const before = known.get(view);
  if (before !== undefined) return before;
  const { config } = view;
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
  known.set(view, { descriptor, bytes });
  return { descriptor, bytes };
}
