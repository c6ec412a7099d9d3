import {
  configPlatform,
  digestOf,
  familiarReference,
  mediaTypes,
  type Descriptor,
  type Digest,
  type ImageManifest,
  type Reference,
} from '../spec/index.ts';
import { storeBytes } from './archive-files.ts';
import { statementManifest } from './attestations.ts';
import { layerTypes, writeLayer } from './compress-layer.ts';
import { parseTagReference } from './create-image.ts';
import { badImage } from './image-config.ts';
import type { ImageRecord, IndexRecord, LayerRecord } from './image-record.ts';
import type { ImageStore } from './image-store.ts';
import type { ComposedImage, Composition, ImageForm } from './images.ts';
import type { Lease } from './leases.ts';

/** An image with its manifest in the form that is asked for. */
interface Written {
  id: Digest;
  manifest: Descriptor;
  layers: LayerRecord[];
}

/**
 * Writes images that are here as manifests of one form, and as one index when there are several of them or something is
 * stated about them; what comes of it stands for the names given. An image has one manifest: where it came with another
 * one already, the new one is kept with the target alone.
 */
export async function composeImages(store: ImageStore, request: Composition): Promise<Descriptor> {
  const { images, form, signal } = request;
  const references = request.references.map(parseTagReference);
  if (form.mediaTypes === 'docker' && form.compression === 'zstd') {
    throw badImage('exporter option "compression=zstd" conflicts with "oci-mediatypes=false"');
  }
  await using lease = store.leases.open();
  const written: Written[] = [];
  for (const image of images) written.push(await writeImage(store, lease, image, form, signal));
  const statements = await Promise.all(
    images.map(async (image, at) => {
      const subject = written[at]?.manifest.digest ?? '';
      return image.statements.length === 0
        ? undefined
        : await statementManifest(store.content, lease, { ...image, subject: subject as Digest });
    }),
  );
  const kept = statements.flatMap((one) => (one === undefined ? [] : [one.manifest, ...one.blobs]));
  const isIndex = images.length > 1 || kept.length > 0;
  const single = written[0]?.manifest;
  if (single === undefined) throw badImage('Cannot compose an image of nothing');
  const target = isIndex
    ? await writeIndex(store, lease, request, [
        ...written.map(({ manifest, id }, at): Descriptor => ({
          ...manifest,
          ...annotated(images[at]?.descriptorAnnotations ?? {}),
          platform: configPlatform(store.catalog.view(id).config),
        })),
        ...statements.flatMap((one) => (one === undefined ? [] : [one.manifest])),
      ])
    : single;
  await store.content.sync();
  record(store, { written, target, kept, isIndex, references });
  const first = written[0]?.id ?? '';
  for (const reference of references) store.publish('tag', first as Digest, familiarReference(reference));
  return target;
}

async function writeImage(
  store: ImageStore,
  lease: Lease,
  image: ComposedImage,
  form: ImageForm,
  signal: AbortSignal | undefined,
): Promise<Written> {
  const { catalog, content } = store;
  const { id } = image;
  for (const shared of catalog.shared(id)) await lease.hold(shared);
  const isOci = form.mediaTypes === 'oci';
  const layers: LayerRecord[] = [];
  for (const layer of catalog.record(id)?.layers ?? []) {
    const blob = await layerBlob(store, lease, layer, form, signal);
    layers.push({ ...layer, blob: { ...blob, mediaType: isOci ? ociType(blob) : dockerType(blob) } });
  }
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: isOci ? mediaTypes.ociManifest : mediaTypes.dockerManifest,
    config: {
      mediaType: isOci ? mediaTypes.ociConfig : mediaTypes.dockerConfig,
      digest: id,
      size: content.stat(id).sizeBytes,
    },
    layers: layers.map(({ blob }) => blob),
    ...annotated(image.annotations),
  };
  return { id, layers, manifest: await storeJson(store, lease, manifest) };
}

/** Layers that came compressed stay as they came, unless another form is insisted on. */
export async function layerBlob(
  store: ImageStore,
  lease: Lease,
  layer: LayerRecord,
  form: ImageForm,
  signal: AbortSignal | undefined,
): Promise<Descriptor> {
  const { digest, size } = layer.blob;
  const wanted = layerTypes[form.compression];
  const isPlain = ociType(layer.blob) === mediaTypes.ociLayer;
  const stays = ociType(layer.blob) === wanted ? form.compressionLevel === undefined : !isPlain;
  if (form.compression === 'uncompressed' && isPlain) return { mediaType: wanted, digest, size };
  if (stays && form.forceCompression !== true) return { mediaType: ociType(layer.blob), digest, size };
  return await writeLayer(store.content, lease, store.layers.tar(layer), form, signal);
}

const dockerTypes: Readonly<Record<string, string>> = {
  [mediaTypes.ociLayer]: mediaTypes.dockerLayer,
  [mediaTypes.ociLayerGzip]: mediaTypes.dockerLayerGzip,
};

export function dockerType({ mediaType }: Descriptor): string {
  const type = dockerTypes[mediaType] ?? mediaType;
  if (type === mediaTypes.ociLayerZstd) {
    throw badImage('Cannot write an image with zstd layers as a manifest of Docker: take OCI’s media types');
  }
  return type;
}

function ociType({ mediaType }: Descriptor): string {
  return Object.keys(dockerTypes).find((oci) => dockerTypes[oci] === mediaType) ?? mediaType;
}

async function writeIndex(
  store: ImageStore,
  lease: Lease,
  { form, indexAnnotations }: Composition,
  manifests: Descriptor[],
): Promise<Descriptor> {
  const mediaType = form.mediaTypes === 'oci' ? mediaTypes.ociIndex : mediaTypes.dockerIndex;
  const index = { schemaVersion: 2, mediaType, manifests, ...annotated(indexAnnotations) };
  return await storeJson(store, lease, index);
}

/** As BuildKit writes documents. */
async function storeJson(
  store: ImageStore,
  lease: Lease,
  document: { mediaType?: string },
): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(document, null, 2));
  await storeBytes(store.content, lease, bytes);
  return { mediaType: document.mediaType ?? '', digest: digestOf(bytes), size: bytes.length };
}

function annotated(annotations: Readonly<Record<string, string>>): { annotations?: Record<string, string> } {
  return Object.keys(annotations).length === 0 ? {} : { annotations: { ...annotations } };
}

function record(
  { catalog, nowMs }: ImageStore,
  made: {
    written: readonly Written[];
    target: Descriptor;
    kept: Descriptor[];
    isIndex: boolean;
    references: Reference[];
  },
): void {
  const { written, target, references } = made;
  catalog.transaction(() => {
    const others: Descriptor[] = [];
    for (const { id, manifest, layers } of written) {
      const known = catalog.record(id);
      if (known === undefined) throw badImage(`Cannot compose image ${id}: it has been removed`);
      if ((known.manifest?.digest ?? manifest.digest) === manifest.digest) {
        catalog.put(id, catalog.view(id).config, { ...known, manifest, layers });
      } else others.push(manifest, ...layers.map(({ blob }) => blob));
    }
    // A lone manifest that its image already has needs nothing to keep it.
    const isOwn = !made.isIndex && others.length === 0;
    const kept = [...made.kept, ...others];
    const index: IndexRecord = { ...target, ...(kept.length === 0 ? {} : { kept }) };
    if (!isOwn) {
      for (const { id } of written) {
        catalog.put(id, catalog.view(id).config, withIndex(catalog.record(id), index));
      }
    }
    const ids = written.map(({ id }) => id);
    for (const reference of references) {
      catalog.setReference(reference, isOwn ? { ids } : { ids, index: target.digest }, nowMs());
    }
  });
}

function withIndex(record: ImageRecord | undefined, index: IndexRecord): ImageRecord {
  if (record === undefined) throw badImage('Cannot compose an image that has been removed');
  const others = (record.indexes ?? []).filter(({ digest }) => digest !== index.digest);
  return { ...record, indexes: [...others, index] };
}
