import { EngineError } from '../errors/index.ts';
import { RegistryError, type Repository } from '../registry/index.ts';
import { digestOf, type Descriptor, type Digest, type Reference } from '../spec/index.ts';
import type { ImageStore } from './image-store.ts';
import type { Shared } from './leases.ts';
import { isIndex, parseAllEntries, parseManifest } from './manifests.ts';

export interface Manifest {
  bytes: Buffer;
  mediaType: string;
}

interface PushIndexParts {
  repository: Repository;
  /** Where it goes. */
  reference: Reference;
  signal: AbortSignal;
  /** Sees to an image's content, and gives the image's manifest. */
  pushImage: (id: Digest) => Promise<Manifest>;
  /** Sees to a blob that is here. */
  pushBlob: (blob: Descriptor) => Promise<void>;
  /** For reading from a repository of the same registry. */
  sourceOf: (reference: Reference) => Repository;
  hold: (shared: Shared) => Promise<void>;
}

/**
 * Makes an index complete in a repository, so that it can be tagged there unchanged: each of its manifests is there, or
 * comes from an image that is here, or is mounted from where the index was pulled.
 * @returns undefined when the repository cannot have all of it
 */
export async function pushIndex(
  store: ImageStore,
  naming: { ids: readonly Digest[]; index: Digest },
  parts: PushIndexParts,
): Promise<Manifest | undefined> {
  const { catalog } = store;
  const sources = naming.ids
    .flatMap((id) => catalog.references(id))
    .filter(({ digest }) => digest === naming.index);
  const descriptor = naming.ids
    .flatMap((id) => catalog.record(id)?.indexes ?? [])
    .find(({ digest }) => digest === naming.index);
  if (descriptor === undefined) return undefined;
  // A further manifest of an image that came with another one.
  if (!isIndex(descriptor)) return await pushKept(store, descriptor, parts);
  return await pushChildren(store, descriptor, sources, parts);
}

async function pushChildren(
  store: ImageStore,
  index: Descriptor,
  sources: readonly Reference[],
  parts: PushIndexParts,
): Promise<Manifest | undefined> {
  const { catalog, content } = store;
  const { repository, signal } = parts;
  const bytes = await content.read(index.digest);
  for (const child of parseAllEntries(bytes, index.digest)) {
    const image = catalog.byManifest(child.digest);
    if (image !== undefined) {
      for (const shared of catalog.shared(image)) await parts.hold(shared);
      await putManifest(repository, child.digest, await parts.pushImage(image), signal);
    } else if (content.has(child.digest)) {
      const manifest = isIndex(child)
        ? await pushChildren(store, child, sources, parts)
        : await pushKept(store, child, parts);
      if (manifest === undefined) return undefined;
      await putManifest(repository, child.digest, manifest, signal);
    } else if (!(await repository.hasManifest(child.digest, signal))) {
      if (!(await copyWithin(sources, child, parts))) return undefined;
    }
  }
  return { bytes, mediaType: index.mediaType };
}

/** An attestation, or what else a builder put beside the images. */
async function pushKept(
  { content }: ImageStore,
  child: Descriptor,
  { pushBlob }: PushIndexParts,
): Promise<Manifest | undefined> {
  const bytes = await content.read(child.digest);
  const { config, layers } = parseManifest(bytes, child.digest);
  for (const blob of [config, ...layers]) {
    if (!content.has(blob.digest)) return undefined;
    await pushBlob(blob);
  }
  return { bytes, mediaType: child.mediaType };
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
        isWhole &&= await repository.takeOver(digest, path, signal);
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
