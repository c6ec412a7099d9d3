import { configPlatform } from '../spec/index.ts';
import type { Descriptor, Digest, Platform } from '../spec/index.ts';
import type { Naming } from './image-record.ts';
import type { ImageStore } from './image-store.ts';
import type { ImageVariant } from './images.ts';
import { isIndex, parseAllEntries, parseManifest } from './manifests.ts';
import { ownManifest } from './own-manifest.ts';

/** What a name stands for. */
export function imageTarget(store: ImageStore, naming: Naming): Descriptor {
  const id = naming.ids[0] as Digest;
  const record = store.catalog.record(id);
  const index = record?.indexes?.find(({ digest }) => digest === naming.index);
  const { mediaType, digest, size } = index ?? record?.manifest ?? ownManifest(store, id).descriptor;
  return { mediaType, digest, size };
}

/** Every manifest reachable from what a name stands for, here or not. */
export async function imageVariants(store: ImageStore, naming: Naming): Promise<ImageVariant[]> {
  const target = imageTarget(store, naming);
  if (!isIndex(target)) return [await imageVariant(store, target, naming.ids[0])];
  const variants: ImageVariant[] = [];
  for (const child of await manifestsOf(store, target)) variants.push(await variantOf(store, child));
  return variants;
}

/** With those of indexes in the index. */
async function manifestsOf(store: ImageStore, index: Descriptor): Promise<Descriptor[]> {
  const children = parseAllEntries(await store.content.read(index.digest), index.digest);
  const found: Descriptor[] = [];
  for (const child of children) {
    if (!isIndex(child)) found.push(child);
    else if (store.content.has(child.digest)) found.push(...(await manifestsOf(store, child)));
  }
  return found;
}

async function variantOf(store: ImageStore, child: Descriptor): Promise<ImageVariant> {
  const { annotations, platform } = child;
  const isAttestation = annotations?.['vnd.docker.reference.type'] === 'attestation-manifest';
  if (!isAttestation && !isUnknown(platform)) {
    return await imageVariant(
      store,
      child,
      store.catalog.byManifest(child.digest) ?? (await keptImage(store, child)),
    );
  }
  const { isWhole, bytes } = await presentContent(store, child);
  const subject = annotations?.['vnd.docker.reference.digest'];
  return {
    kind: isAttestation && subject !== undefined ? 'attestation' : 'unknown',
    descriptor: child,
    isAvailable: isWhole,
    contentBytes: bytes,
    ...(subject === undefined ? {} : { subject }),
  };
}

/** The image of a manifest that is kept beside the one it came with. */
async function keptImage(
  { catalog, content }: ImageStore,
  manifest: Descriptor,
): Promise<Digest | undefined> {
  if (!content.has(manifest.digest)) return undefined;
  const { config } = parseManifest(await content.read(manifest.digest), manifest.digest);
  return catalog.ids().find((id) => id === config.digest);
}

async function imageVariant(
  store: ImageStore,
  descriptor: Descriptor,
  id: Digest | undefined,
): Promise<ImageVariant> {
  const { catalog, content } = store;
  const own = id === undefined ? undefined : catalog.view(id);
  const record = id === undefined ? undefined : catalog.record(id);
  const platform = descriptor.platform ?? (own && configPlatform(own.config));
  const blobs = record?.layers.map(({ blob }) => blob.size) ?? [];
  const isWhole = own !== undefined;
  const bytes = isWhole
    ? [descriptor.size, content.stat(own.id).sizeBytes, ...blobs].reduce((sum, size) => sum + size, 0)
    : (await presentContent(store, descriptor)).bytes;
  return {
    kind: 'image',
    descriptor,
    isAvailable: isWhole,
    contentBytes: bytes,
    unpackedBytes: own?.sizeBytes ?? 0,
    ...(platform === undefined ? {} : { platform }),
    ...(id === undefined ? {} : { id }),
  };
}

/** How much is here of a manifest and what it names. */
async function presentContent(
  { content }: ImageStore,
  manifest: Descriptor,
): Promise<{ isWhole: boolean; bytes: number }> {
  if (!content.has(manifest.digest)) return { isWhole: false, bytes: 0 };
  const { config, layers } = parseManifest(await content.read(manifest.digest), manifest.digest);
  const blobs = [config, ...layers];
  const here = blobs.filter(({ digest }) => content.has(digest));
  const bytes = here.reduce((sum, { size }) => sum + size, manifest.size);
  return { isWhole: here.length === blobs.length, bytes };
}

function isUnknown(platform: Platform | undefined): boolean {
  return platform?.os === 'unknown' && platform.architecture === 'unknown';
}
