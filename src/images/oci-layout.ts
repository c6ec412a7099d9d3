import {
  digestHex,
  isDigest,
  mediaTypes,
  parseReference,
  withDefaultTag,
  type Descriptor,
  type Platform,
  type Reference,
} from '../spec/index.ts';
import type { ArchiveFiles } from './archive-files.ts';
import type { FoundImage } from './docker-archive.ts';
import {
  badImage,
  hostPlatform,
  isObject,
  parseImageConfig,
  parseJson,
  type JsonObject,
} from './image-config.ts';
import type { LayerSource } from './layers.ts';
import { checkKind } from './manifests.ts';

const maxDepth = 8;

/** Reads an OCI image layout (image-spec v1.1 image-layout.md): one image for each entry of `index.json`. */
export async function readOciLayout(files: ArchiveFiles, platform?: Platform): Promise<FoundImage[]> {
  const index = await files.json('index.json');
  const entries = descriptors(index, 'manifests', 'index.json').filter(isRunnable);
  const wanted = platform ?? hostPlatform();
  const chosen: { descriptor: Descriptor; reference: Reference | null }[] = [];
  for (const entry of entries) {
    const descriptor = await chooseManifest(files, entry, wanted, 0);
    if (descriptor !== undefined) chosen.push({ descriptor, reference: referenceOf(entry) });
  }
  // One entry for each platform under one name is how some tools write a multi-platform image.
  const fitting = chosen.filter(({ descriptor }) => fits(descriptor.platform, wanted));
  const images = new Map<string, FoundImage>();
  for (const { descriptor, reference } of fitting.length > 0 || platform !== undefined ? fitting : chosen) {
    const image = images.get(descriptor.digest) ?? (await readManifest(files, descriptor));
    images.set(descriptor.digest, image);
    if (reference !== null) image.references.push(reference);
  }
  if (images.size === 0) {
    const name = [wanted.os, wanted.architecture, wanted.variant].filter(Boolean).join('/');
    throw badImage(`invalid archive: it has no image for platform ${name}`);
  }
  return [...images.values()];
}

/** Follows nested indexes to the manifest that fits the platform best; undefined when none does. */
async function chooseManifest(
  files: ArchiveFiles,
  descriptor: Descriptor,
  wanted: Platform,
  depth: number,
): Promise<Descriptor | undefined> {
  if (!isIndex(descriptor)) return descriptor;
  if (depth === maxDepth) throw badImage(`invalid archive: indexes are nested more than ${maxDepth} deep`);
  const value = parseJson(await blobBytes(files, descriptor), `index ${descriptor.digest}`);
  checkKind(value, 'index', `index ${descriptor.digest}`);
  const candidates = descriptors(value, 'manifests', `index ${descriptor.digest}`).filter(
    (candidate) => isRunnable(candidate) && fits(candidate.platform, wanted),
  );
  candidates.sort((a, b) => score(b.platform, wanted) - score(a.platform, wanted));
  for (const candidate of candidates) {
    const found = await chooseManifest(files, candidate, wanted, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function readManifest(files: ArchiveFiles, descriptor: Descriptor): Promise<FoundImage> {
  const what = `manifest ${descriptor.digest}`;
  const bytes = await blobBytes(files, descriptor);
  const manifest = parseJson(bytes, what);
  checkKind(manifest, 'manifest', what);
  const layerDescriptors = descriptors(manifest, 'layers', what);
  const configDescriptor = parseDescriptor((manifest as JsonObject)['config'], what);
  const configBytes = await blobBytes(files, configDescriptor);
  const config = parseImageConfig(configBytes);
  const diffIds = config.rootfs.diff_ids;
  if (layerDescriptors.length !== diffIds.length) {
    throw badImage(
      `invalid manifest, layers length mismatch: expected ${layerDescriptors.length}, got ${diffIds.length}`,
    );
  }
  const layers: LayerSource[] = [];
  for (const [index, layer] of layerDescriptors.entries()) {
    const path = blobPath(layer);
    checkBlob(files, layer, path);
    await files.blob(path);
    layers.push({ diffId: diffIds[index] ?? layer.digest, blob: layer });
  }
  return { configBytes, config, layers, manifest: { descriptor, bytes }, references: [], parent: '' };
}

async function blobBytes(files: ArchiveFiles, descriptor: Descriptor): Promise<Buffer> {
  const path = blobPath(descriptor);
  checkBlob(files, descriptor, path);
  return await files.bytes(path);
}

function checkBlob(files: ArchiveFiles, descriptor: Descriptor, path: string): void {
  const { digest, sizeBytes } = files.describe(path);
  if (digest !== descriptor.digest) throw badImage(`invalid archive: ${path} has digest ${digest}`);
  if (sizeBytes !== descriptor.size) {
    throw badImage(`invalid archive: ${path} has ${sizeBytes} bytes instead of ${descriptor.size}`);
  }
}

function blobPath(descriptor: Descriptor): string {
  return `blobs/sha256/${digestHex(descriptor.digest)}`;
}

function descriptors(value: unknown, member: 'manifests' | 'layers', what: string): Descriptor[] {
  const list = isObject(value) ? value[member] : undefined;
  if (!Array.isArray(list)) throw badImage(`invalid archive: ${what} has no list of ${member}`);
  return (list as unknown[]).map((item) => parseDescriptor(item, what));
}

function parseDescriptor(value: unknown, what: string): Descriptor {
  if (!isObject(value)) throw badImage(`invalid archive: a descriptor in ${what} is not an object`);
  const { mediaType, digest, size, platform, annotations } = value;
  if (typeof digest !== 'string' || !isDigest(digest)) {
    throw badImage(`invalid archive: a descriptor in ${what} has no sha256 digest`);
  }
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw badImage(`invalid archive: the size of ${digest} in ${what} is not a count of bytes`);
  }
  return {
    mediaType: typeof mediaType === 'string' ? mediaType : '',
    digest,
    size,
    ...(isPlatform(platform) ? { platform } : {}),
    ...(isTexts(annotations) ? { annotations } : {}),
  };
}

function isPlatform(value: unknown): value is Platform {
  return isObject(value) && typeof value['os'] === 'string' && typeof value['architecture'] === 'string';
}

function isTexts(value: unknown): value is Record<string, string> {
  return isObject(value) && Object.values(value).every((text) => typeof text === 'string');
}

function isIndex({ mediaType }: Descriptor): boolean {
  return mediaType === mediaTypes.ociIndex || mediaType === mediaTypes.dockerIndex;
}

/** Not an attestation that a builder put beside the image. */
function isRunnable({ platform, annotations }: Descriptor): boolean {
  if (annotations?.['vnd.docker.reference.type'] !== undefined) return false;
  return platform?.architecture !== 'unknown';
}

function fits(platform: Platform | undefined, wanted: Platform): boolean {
  return (
    platform === undefined || (platform.os === wanted.os && platform.architecture === wanted.architecture)
  );
}

function score(platform: Platform | undefined, wanted: Platform): number {
  if (platform === undefined) return 0;
  if (platform.variant === wanted.variant) return 2;
  return platform.variant === undefined ? 1 : 0;
}

/** The full name containerd writes, or a reference name that is more than a tag. */
function referenceOf({ annotations }: Descriptor): Reference | null {
  const full = annotations?.['io.containerd.image.name'];
  const short = annotations?.['org.opencontainers.image.ref.name'];
  const text = full ?? (short !== undefined && /[:/]/.test(short) ? short : undefined);
  if (text === undefined) return null;
  const reference = withDefaultTag(parseReference(text));
  return reference.tag === undefined ? null : reference;
}
