import { mediaTypes, type Descriptor, type Digest, type Platform } from '../spec/index.ts';
import { parseJson } from './image-config.ts';
import type { ImageStore } from './image-store.ts';
import type { AttestationStatement } from './images.ts';
import { parseAllEntries, parseManifest } from './manifests.ts';

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
  const record = catalog.record(id);
  const outer = record?.indexes?.find(({ digest }) => digest === index);
  if (outer?.mediaType !== mediaTypes.ociIndex || record?.manifest === null || record === undefined)
    return [];
  const found: AttestationStatement[] = [];
  // Indexes in the index are kept with it.
  const nested = (outer.kept ?? []).filter(({ mediaType }) => mediaType === mediaTypes.ociIndex);
  for (const { digest } of [outer, ...nested]) {
    const entries = attestationsOf(await content.read(digest), digest, record.manifest.digest);
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
