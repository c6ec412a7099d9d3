import { EngineError } from '../errors/index.ts';
import {
  configPlatform,
  fittingPlatforms,
  formatPlatform,
  isSamePlatform,
  digestHex,
  formatReference,
  mediaTypes,
  parseReference,
  withDefaultTag,
  type Descriptor,
  type Digest,
  type Platform,
  type Reference,
} from '../spec/index.ts';
import type { ArchiveFiles } from './archive-files.ts';
import type { FoundImage } from './docker-archive.ts';
import { badImage, isObject, parseImageConfig } from './image-config.ts';
import type { LayerSource } from './layers.ts';
import { isIndex, parseAllEntries, parseDescriptor, parseManifest } from './manifests.ts';

const maxDepth = 8;
const plainLayers = new Set<string>([mediaTypes.ociLayer, mediaTypes.dockerLayer]);

/**
 * Reads an OCI image layout (image-spec v1.1 image-layout.md): the images of each entry of `index.json`. Of an index
 * come all that the layout has, or those of `platforms`, and what lies beside them.
 */
export async function readOciLayout(
  files: ArchiveFiles,
  machine: Platform,
  platforms: readonly Platform[] = [],
): Promise<FoundImage[]> {
  const found = new Map<Digest, FoundImage>();
  const alone: { descriptor: Descriptor; reference: Reference | null }[] = [];
  for (const entry of await layoutEntries(files)) {
    const reference = referenceOf(entry);
    if (!isIndex(entry)) {
      alone.push({ descriptor: entry, reference });
      continue;
    }
    const images = await new LayoutIndex(files, machine, platforms).read(entry);
    if (images.length === 0 && platforms.length === 0) {
      throw badImage(`invalid archive: it has no image of index ${entry.digest}`);
    }
    if (reference !== null) images[0]?.references.push(reference);
    for (const image of images) addImage(found, image);
  }
  for (const { descriptor, reference } of onePlatformEach(alone, machine)) {
    const image = await readManifest(files, descriptor);
    if (!isAsked(image, descriptor, platforms)) continue;
    if (reference !== null) image.references.push(reference);
    addImage(found, image);
  }
  if (found.size === 0 && platforms.length > 0) {
    const names = platforms.map(formatPlatform).join(' ');
    throw new EngineError('not-found', `requested platform(s) ([${names}]) not found`);
  }
  return [...found.values()];
}

/** Whether a layout says more than the docker-archive in the same file: an index, or layers as they are in a registry. */
export async function isOriginal(files: ArchiveFiles): Promise<boolean> {
  for (const entry of await layoutEntries(files)) {
    if (isIndex(entry)) return true;
    const { layers } = parseManifest(await blobBytes(files, entry), entry.digest);
    if (layers.some(({ mediaType }) => !plainLayers.has(mediaType))) return true;
  }
  return false;
}

async function layoutEntries(files: ArchiveFiles): Promise<Descriptor[]> {
  return manifestsOf(await files.json('index.json')).filter(isRunnable);
}

/** The same image may come by two entries, with a name each. */
function addImage(found: Map<Digest, FoundImage>, image: FoundImage): void {
  const digest = image.manifest?.descriptor.digest ?? '';
  const known = found.get(digest);
  if (known === undefined) found.set(digest, image);
  else known.references.push(...image.references);
}

/** One entry for each platform under one name is how some tools write a multi-platform image: this machine's is taken. */
function onePlatformEach<T extends { descriptor: Descriptor; reference: Reference | null }>(
  entries: readonly T[],
  machine: Platform,
): T[] {
  const groups = Map.groupBy(entries, ({ descriptor, reference }) =>
    reference === null ? descriptor.digest : formatReference(reference),
  );
  return [...groups.values()].flatMap((group) => {
    const platforms = group.map((entry) => ({ entry, ...platformMember(entry.descriptor) }));
    return fittingPlatforms(platforms, machine)[0]?.entry ?? group.slice(0, 1);
  });
}

function platformMember({ platform }: Descriptor): { platform?: Platform } {
  return platform === undefined ? {} : { platform };
}

function isAsked(image: FoundImage, { platform }: Descriptor, platforms: readonly Platform[]): boolean {
  const own = platform ?? configPlatform(image.config);
  return platforms.length === 0 || platforms.some((wanted) => isSamePlatform(own, wanted));
}

/** Reads one index with those in it. */
class LayoutIndex {
  readonly #files: ArchiveFiles;
  readonly #machine: Platform;
  readonly #platforms: readonly Platform[];
  readonly #images: FoundImage[] = [];
  readonly #kept: Descriptor[] = [];
  /** Indexes of many times the same index would take for ever. */
  readonly #seen = new Set<Digest>();

  constructor(files: ArchiveFiles, machine: Platform, platforms: readonly Platform[]) {
    this.#files = files;
    this.#machine = machine;
    this.#platforms = platforms;
  }

  /** The image for this machine first. */
  async read(index: Descriptor): Promise<FoundImage[]> {
    await this.#descend(index, 0);
    const { mediaType, digest, size } = index;
    await this.#files.blob(blobPath(index));
    const kept = this.#kept.length === 0 ? {} : { kept: this.#kept };
    for (const image of this.#images) image.index = { mediaType, digest, size, ...kept };
    const best = fittingPlatforms(
      this.#images.map((image) => ({ image, platform: configPlatform(image.config) })),
      this.#machine,
    )[0]?.image;
    return best === undefined ? this.#images : [best, ...this.#images.filter((image) => image !== best)];
  }

  async #descend(index: Descriptor, depth: number): Promise<void> {
    if (depth === maxDepth) throw badImage(`invalid archive: indexes are nested more than ${maxDepth} deep`);
    for (const child of parseAllEntries(await blobBytes(this.#files, index), index.digest)) {
      // An index names more than an archive has to have.
      if (!this.#files.has(blobPath(child)) || this.#seen.has(child.digest)) continue;
      if (isIndex(child)) {
        this.#seen.add(child.digest);
        await this.#keep([child]);
        await this.#descend(child, depth + 1);
      } else if (!isRunnable(child)) {
        await this.#keepManifest(child);
      } else if (await this.#isWhole(child)) {
        const image = await readManifest(this.#files, child);
        if (isAsked(image, child, this.#platforms)) this.#images.push(image);
      }
    }
  }

  async #isWhole(manifest: Descriptor): Promise<boolean> {
    const { config, layers } = parseManifest(await blobBytes(this.#files, manifest), manifest.digest);
    return [config, ...layers].every((blob) => this.#files.has(blobPath(blob)));
  }

  /** An attestation, or what else a builder put beside the images. */
  async #keepManifest(manifest: Descriptor): Promise<void> {
    if (!(await this.#isWhole(manifest))) return;
    const { config, layers } = parseManifest(await blobBytes(this.#files, manifest), manifest.digest);
    await this.#keep([manifest, config, ...layers]);
  }

  async #keep(blobs: readonly Descriptor[]): Promise<void> {
    for (const { mediaType, digest, size } of blobs) {
      const path = blobPath({ digest });
      checkBlob(this.#files, { digest, size }, path);
      await this.#files.blob(path);
      this.#kept.push({ mediaType, digest, size });
    }
  }
}

async function readManifest(files: ArchiveFiles, descriptor: Descriptor): Promise<FoundImage> {
  const bytes = await blobBytes(files, descriptor);
  const { config: configDescriptor, layers: layerDescriptors } = parseManifest(bytes, descriptor.digest);
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

function checkBlob(files: ArchiveFiles, descriptor: Pick<Descriptor, 'digest' | 'size'>, path: string): void {
  const { digest, sizeBytes } = files.describe(path);
  if (digest !== descriptor.digest) throw badImage(`invalid archive: ${path} has digest ${digest}`);
  if (sizeBytes !== descriptor.size) {
    throw badImage(`invalid archive: ${path} has ${sizeBytes} bytes instead of ${descriptor.size}`);
  }
}

function blobPath(descriptor: Pick<Descriptor, 'digest'>): string {
  return `blobs/sha256/${digestHex(descriptor.digest)}`;
}

function manifestsOf(value: unknown): Descriptor[] {
  const list = isObject(value) ? value['manifests'] : undefined;
  if (!Array.isArray(list)) throw badImage('invalid archive: index.json has no list of manifests');
  return (list as unknown[]).map((item) => parseDescriptor(item, 'index.json of the archive'));
}

/** Not an attestation that a builder put beside the image. */
function isRunnable({ platform, annotations }: Descriptor): boolean {
  if (annotations?.['vnd.docker.reference.type'] !== undefined) return false;
  return platform?.architecture !== 'unknown';
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
