import { decompress, type ExpansionLimits } from '../archive/index.ts';
import {
  digestOf,
  hostPlatform,
  familiarReference,
  mediaTypes,
  parseReference,
  withDefaultTag,
  type Digest,
  type ImageConfig,
  type ImageRunConfig,
  type Reference,
} from '../spec/index.ts';
import { badImage, encodeImageConfig } from './image-config.ts';
import type { ImageStore } from './image-store.ts';
import type { Image, Images } from './images.ts';
import type { LayerSource } from './layers.ts';

type ImportOptions = Parameters<Images['import']>[1];
type CreateRequest = Parameters<Images['createFromLayer']>[0];

/** One tar, of any compression, as an image of one layer; the config has Docker's members. */
export async function importImage(
  store: ImageStore,
  archive: AsyncIterable<Uint8Array>,
  runConfig: ImageRunConfig,
  options: ImportOptions,
): Promise<Image> {
  const reference = options.reference === undefined ? undefined : parseTagReference(options.reference);
  const platform = options.platform ?? hostPlatform();
  if (platform.os !== hostPlatform().os) throw badImage('operating system is not supported');
  const created = new Date(store.nowMs()).toISOString();
  const comment = options.message || `Imported from ${options.source ?? '-'}`;
  const config: ImageConfig = {
    ...platform,
    created,
    comment,
    config: runConfig,
    rootfs: { type: 'layers', diff_ids: [] },
    history: [{ created, comment }],
  };
  const id = await createImage(store, {
    parent: null,
    layer: archive,
    config,
    limits: store.archiveLimits,
    ...(reference === undefined ? {} : { reference }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  if (reference !== undefined) store.publish('tag', id, familiarReference(reference));
  store.publish('import', id, id);
  return store.catalog.view(id);
}

/**
 * Stores a layer (kept uncompressed, so that its blob's digest is its diff id) and an image of the parent's layers and
 * this one. The config's `rootfs` is made here. With no layer the image differs from its parent by its config only.
 */
export async function createImage(
  store: ImageStore,
  request: Omit<CreateRequest, 'reference'> & {
    reference?: Reference;
    limits?: ExpansionLimits;
    signal?: AbortSignal;
    /** Between those of the parent and the new one. */
    layers?: readonly LayerSource[];
    /** The image is not recorded as a child of `parent`, whose layers it has. */
    hasNoParent?: boolean;
    /** A layer that holds nothing is none of the image's, and the last step of its history says so. */
    leavesEmptyOut?: boolean;
    /** See ImageRecord. */
    heldBy?: string[];
  },
): Promise<Digest> {
  await using lease = store.leases.open();
  // A layer of this engine's making is as large as it is.
  const { parent, layer, signal, limits = { maxRatio: Infinity } } = request;
  const layers: LayerSource[] = [];
  if (parent !== null) {
    for (const shared of store.catalog.shared(parent.id)) await lease.hold(shared);
    const record = store.catalog.record(parent.id);
    for (const [index, diffId] of parent.config.rootfs.diff_ids.entries()) {
      const blob = record?.layers[index]?.blob;
      if (blob === undefined)
        throw badImage(`Cannot create image: layer ${index} of its parent is not there`);
      layers.push({ diffId, blob });
    }
  }
  layers.push(...(request.layers ?? []));
  let isEmpty = false;
  if (layer !== null) {
    await using writer = await store.content.ingest(signal === undefined ? {} : { signal });
    for await (const chunk of decompress(layer, { limits })) await writer.write(chunk);
    const { digest, sizeBytes } = await lease.commit(writer);
    isEmpty = request.leavesEmptyOut === true && digest === emptyLayer;
    if (!isEmpty) {
      layers.push({
        diffId: digest,
        blob: { mediaType: mediaTypes.ociLayer, digest, size: sizeBytes },
        isNew: true,
        ...(request.place === undefined ? {} : { place: request.place }),
      });
    }
  }
  const config: ImageConfig = {
    ...request.config,
    ...(isEmpty ? { history: lastIsEmpty(request.config.history) } : {}),
    rootfs: { type: 'layers', diff_ids: layers.map((source) => source.diffId) },
  };
  const prepared = await store.prepare(
    lease,
    {
      configBytes: encodeImageConfig(config),
      config,
      layers,
      manifest: null,
      references: request.reference === undefined ? [] : [request.reference],
      parent: isParent(store, request) ? (parent?.id ?? '') : '',
    },
    signal === undefined ? {} : { signal },
  );
  if (request.heldBy !== undefined) prepared.record.heldBy = request.heldBy;
  await store.commit([prepared]);
  return prepared.id;
}

/** A tar of nothing. */
const emptyLayer = digestOf(Buffer.alloc(1024));

function lastIsEmpty(history: ImageConfig['history'] = []): NonNullable<ImageConfig['history']> {
  return history.map((step, at) => (at === history.length - 1 ? { ...step, empty_layer: true } : step));
}

/** One that was removed is nobody's parent, nor is it of a tree of the build cache. */
function isParent(
  { catalog }: ImageStore,
  { parent, hasNoParent, heldBy }: { parent: Image | null; hasNoParent?: boolean; heldBy?: string[] },
): boolean {
  if (hasNoParent === true || heldBy !== undefined || parent === null) return false;
  return catalog.ids().includes(parent.id);
}

/** A reference that can be given to an image here. @throws {EngineError} `invalid-parameter` */
export function parseTagReference(text: string): Reference {
  const reference = parseReference(text);
  if (reference.digest !== undefined) throw badImage('cannot import digest reference');
  if (reference.domain === 'docker.io' && reference.path === 'library/sha256') {
    throw badImage('refusing to create an ambiguous tag using digest algorithm as name');
  }
  return withDefaultTag(reference);
}
