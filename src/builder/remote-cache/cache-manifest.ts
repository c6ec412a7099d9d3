import {
  dockerType,
  isIndex,
  parseAllEntries,
  parseManifest,
  type PackedLayers,
  type RemoteLayer,
} from '../../images/index.ts';
import {
  digestOf,
  isDigest,
  mediaTypes,
  type Descriptor,
  type DiffId,
  type Digest,
} from '../../spec/index.ts';
import type { CacheConfig } from './cache-config.ts';
import type { CacheExport } from './options.ts';

export const cacheConfigType = 'application/vnd.buildkit.cacheconfig.v0';

/** Where BuildKit, as containerd, says what a layer is without compression. */
const UNCOMPRESSED = 'containerd.io/uncompressed';

/** A document with what names it. */
export interface Document {
  descriptor: Descriptor;
  bytes: Buffer;
}

/** A cache as it is kept: layers, configuration, and the manifest that names both. */
export interface EncodedCache {
  layers: readonly Descriptor[];
  config: Document;
  manifest: Document;
}

/** The same for the same cache. */
export function encodeCache(
  config: CacheConfig,
  { blobs }: Pick<PackedLayers, 'blobs'>,
  { isManifest, form }: Pick<CacheExport, 'isManifest' | 'form'>,
): EncodedCache {
  const hasOciTypes = form.mediaTypes === 'oci';
  const diffIds = new Map<Digest, { diffId: DiffId; blob: Descriptor }>();
  for (const [diffId, blob] of blobs) diffIds.set(blob.digest, { diffId, blob });
  const used = [...new Set(config.layers.map(({ blob }) => blob))];
  const layers = used.flatMap((digest): Descriptor[] => {
    const known = diffIds.get(digest);
    if (known === undefined) return [];
    const mediaType = hasOciTypes ? known.blob.mediaType : dockerType(known.blob);
    return [{ mediaType, digest, size: known.blob.size, annotations: { [UNCOMPRESSED]: known.diffId } }];
  });
  const configDocument = document(config, cacheConfigType);
  const { descriptor } = configDocument;
  const mediaType = isManifest
    ? mediaTypes.ociManifest
    : hasOciTypes
      ? mediaTypes.ociIndex
      : mediaTypes.dockerIndex;
  const head = { schemaVersion: 2, mediaType };
  const manifest = isManifest
    ? { ...head, config: descriptor, layers }
    : { ...head, manifests: [...layers, descriptor] };
  return { layers, config: configDocument, manifest: document(manifest, mediaType) };
}

function document(value: object, mediaType: string): Document {
  const bytes = Buffer.from(JSON.stringify(value));
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes };
}

/** Reads a manifest from outside; undefined when it is of something else than a cache. @throws {EngineError} `invalid-parameter` */
export function readCacheManifest({
  descriptor,
  bytes,
}: Document): { config: Descriptor; layers: ReadonlyMap<string, RemoteLayer> } | undefined {
  const entries = isIndex(descriptor)
    ? parseAllEntries(bytes, descriptor.digest)
    : Object.values(parseManifest(bytes, descriptor.digest)).flat();
  const config = entries.find(({ mediaType }) => mediaType === cacheConfigType);
  if (config === undefined) return undefined;
  const layers = entries.flatMap((blob): [string, RemoteLayer][] => {
    const diffId = blob.annotations?.[UNCOMPRESSED] ?? '';
    return isDigest(diffId) ? [[blob.digest, { diffId, blob }]] : [];
  });
  return { config, layers: new Map(layers) };
}
