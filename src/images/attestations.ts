import type { ContentStore } from '../content/index.ts';
import {
  digestHex,
  digestOf,
  mediaTypes,
  type Descriptor,
  type Digest,
  type Platform,
} from '../spec/index.ts';
import { storeBytes } from './archive-files.ts';
import { parseJson } from './image-config.ts';
import type { ImageStore } from './image-store.ts';
import type { AttestationStatement, ComposedImage } from './images.ts';
import type { Lease } from './leases.ts';
import { parseAllEntries, parseManifest } from './manifests.ts';
import { imageVariants } from './variants.ts';

const predicateType = 'in-toto.io/predicate-type';

/** The attestations that an index has for one of its manifests: manifests too, which name statements as layers. */
export function attestationsOf(index: Uint8Array, name: string, manifest: Digest): Descriptor[] {
  return parseAllEntries(index, name).filter(
    ({ annotations }) =>
      annotations?.['vnd.docker.reference.type'] === 'attestation-manifest' &&
      annotations['vnd.docker.reference.digest'] === manifest,
  );
}

/**
 * The in-toto statements about an image that came by an index and are here.
 * @param options.types only these predicate types; all when empty
 */
export async function attestationStatements(
  store: ImageStore,
  nameOrId: string,
  options: { platform?: Platform; types: readonly string[]; withStatement: boolean },
): Promise<AttestationStatement[]> {
  const { catalog, content } = store;
  const { index } = catalog.naming(nameOrId);
  const id = catalog.resolve(nameOrId, options.platform);
  const outer = catalog.record(id)?.indexes?.find(({ digest }) => digest === index);
  if (outer?.mediaType !== mediaTypes.ociIndex) return [];
  const variants = await imageVariants(store, { ids: [id], index: outer.digest });
  const subjects = variants.filter((one) => one.id === id).map(({ descriptor }) => descriptor.digest);
  const found: AttestationStatement[] = [];
  // Indexes in the index are kept with it.
  const nested = (outer.kept ?? []).filter(({ mediaType }) => mediaType === mediaTypes.ociIndex);
  for (const { digest } of [outer, ...nested]) {
    const bytes = await content.read(digest);
    const entries = subjects.flatMap((subject) => attestationsOf(bytes, digest, subject));
    for (const entry of entries.filter((one) => content.has(one.digest))) {
      const { layers } = parseManifest(await content.read(entry.digest), entry.digest);
      for (const descriptor of layers) {
        const type = descriptor.annotations?.[predicateType] ?? '';
        if (type === '' || (options.types.length > 0 && !options.types.includes(type))) continue;
        const bytes = options.withStatement ? await content.read(descriptor.digest) : undefined;
        found.push({
          descriptor,
          predicateType: type,
          ...(bytes === undefined ? {} : { statement: parseJson(bytes, `statement ${descriptor.digest}`) }),
        });
      }
    }
  }
  return found;
}

const nowhere: Platform = { architecture: 'unknown', os: 'unknown' };

/**
 * Writes statements about a manifest as BuildKit does: a manifest with them as its layers, which goes into the index beside
 * the one it is about.
 * @see docs/attestations/attestation-storage.md of BuildKit
 */
export async function statementManifest(
  content: ContentStore,
  lease: Lease,
  { statements, names, subject }: Pick<ComposedImage, 'statements' | 'names'> & { subject: Digest },
): Promise<{ manifest: Descriptor; blobs: Descriptor[] }> {
  const store = async (value: object, mediaType: string, indent?: number): Promise<Descriptor> => {
    const bytes = Buffer.from(JSON.stringify(value, null, indent));
    await storeBytes(content, lease, bytes);
    return { mediaType, digest: digestOf(bytes), size: bytes.length };
  };
  const about = (names.length === 0 ? ['_'] : names).map((name) => ({
    name,
    digest: { sha256: digestHex(subject) },
  }));
  const layers: Descriptor[] = [];
  for (const { predicateType: type, predicate } of statements) {
    const statement = {
      _type: 'https://in-toto.io/Statement/v1',
      predicateType: type,
      subject: about,
      predicate,
    };
    const layer = await store(statement, 'application/vnd.in-toto+json');
    layers.push({ ...layer, annotations: { [predicateType]: type } });
  }
  const config = await store(
    { ...nowhere, config: {}, rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) } },
    mediaTypes.ociConfig,
  );
  const mediaType = mediaTypes.ociManifest;
  const manifest = await store({ schemaVersion: 2, mediaType, config, layers }, mediaType, 2);
  const annotations = {
    'vnd.docker.reference.type': 'attestation-manifest',
    'vnd.docker.reference.digest': subject,
  };
  return { manifest: { ...manifest, annotations, platform: nowhere }, blobs: [config, ...layers] };
}
