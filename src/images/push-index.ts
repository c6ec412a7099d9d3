import { EngineError } from '../errors/index.ts';
import { RegistryError, type Repository } from '../registry/index.ts';
import { digestOf, type Descriptor, type Digest, type Reference } from '../spec/index.ts';
import type { ImageStore } from './image-store.ts';
import type { Shared } from './leases.ts';
import { parseAllEntries, parseManifest } from './manifests.ts';

export interface Manifest {
  bytes: Buffer;
  mediaType: string;
}

interface PushIndexParts {
  repository: Repository;
  reference: Reference;
  signal: AbortSignal;
  /** The manifest of the image itself, whose content is there already. */
  own: Manifest;
  /** Sees to the content of another image that is here. */
  other: (id: Digest) => Promise<Manifest>;
  /** For reading from a repository of the same registry. */
  sourceOf: (reference: Reference) => Repository;
  hold: (shared: Shared) => Promise<void>;
}

/**
 * Makes the index that an image was pulled with complete in another repository, so that it can be tagged there unchanged:
 * each of its manifests is there, or comes from an image that is here, or is mounted from where the index was pulled.
 * @returns undefined when the image was not pulled by one index alone, or the repository cannot have all of it
 */
export async function pushIndex(
  store: ImageStore,
  id: Digest,
  parts: PushIndexParts,
): Promise<Manifest | undefined> {
  const { repository, signal, own } = parts;
  const { catalog, content } = store;
  const [index, ...others] = catalog.record(id)?.indexes ?? [];
  if (index === undefined || others.length > 0) return undefined;
  const references = catalog.references(id).filter(({ digest }) => digest !== undefined);
  // Named by its manifest alone somewhere: which of the two a tag stands for cannot be told.
  if (references.some(({ digest }) => digest !== index.digest)) return undefined;
  const bytes = await content.read(index.digest);
  for (const child of parseAllEntries(bytes, index.digest)) {
    if (child.digest === digestOf(own.bytes)) {
      await putManifest(repository, child.digest, own, signal);
      continue;
    }
    const image = catalog.ids().find((other) => catalog.record(other)?.manifest?.digest === child.digest);
    if (image !== undefined) {
      for (const shared of catalog.shared(image)) await parts.hold(shared);
      await putManifest(repository, child.digest, await parts.other(image), signal);
      continue;
    }
    if (await repository.hasManifest(child.digest, signal)) continue;
    const copied = await copyWithin(references, child, parts);
    if (!copied) return undefined;
  }
  return { bytes, mediaType: index.mediaType };
}

/** Copies a manifest and mounts its blobs from another repository of the registry. */
async function copyWithin(
  references: readonly Reference[],
  child: Descriptor,
  { repository, reference, signal, sourceOf }: PushIndexParts,
): Promise<boolean> {
  const sources = references.filter(
    ({ domain, path }) => domain === reference.domain && path !== reference.path,
  );
  for (const { domain, path } of sources) {
    try {
      const { bytes, descriptor } = await sourceOf({ domain, path }).manifest(child.digest, signal);
      const { config, layers } = parseManifest(bytes, child.digest);
      let isWhole = true;
      for (const { digest } of [config, ...layers]) {
        isWhole &&=
          (await repository.hasBlob(digest, signal)) ||
          (await repository.beginUpload({ digest, from: path }, signal)) === null;
      }
      if (!isWhole) continue;
      await putManifest(repository, child.digest, { bytes, mediaType: descriptor.mediaType }, signal);
      return true;
    } catch (error) {
      // Not there any more, or not to be read with these credentials.
      if (!(error instanceof RegistryError) || error.isTemporary) throw error;
    }
  }
  return false;
}

/** @throws {EngineError} `data-loss` when the registry took it for something else */
export async function putManifest(
  repository: Repository,
  tagOrDigest: string,
  { bytes, mediaType }: Manifest,
  signal: AbortSignal,
): Promise<Digest> {
  const digest = await repository.putManifest(tagOrDigest, mediaType, bytes, signal);
  if (digest === digestOf(bytes)) return digest;
  throw new EngineError('data-loss', `the registry stored another manifest than was sent: ${digest}`);
}
