import {
  mediaTypes,
  parseReference,
  withDefaultTag,
  type Digest,
  type ImageConfig,
  type Reference,
} from '../spec/index.ts';
import type { Descriptor } from '../spec/index.ts';
import type { Compression } from '../archive/index.ts';
import type { ArchiveFiles } from './archive-files.ts';
import type { IndexRecord } from './image-record.ts';
import { badImage, isObject, isTextList, parseImageConfig } from './image-config.ts';
import type { LayerSource } from './layers.ts';

/** An image found in an archive; its layer blobs are in the content store. */
export interface FoundImage {
  configBytes: Buffer;
  config: ImageConfig;
  layers: LayerSource[];
  manifest: { descriptor: Descriptor; bytes: Buffer } | null;
  /** The index that names it, stored and held with what is kept of it. */
  index?: IndexRecord;
  references: Reference[];
  /** Id of its parent, as the archive says. */
  parent: string;
}

const maxImages = 10_000;

/** Reads what `docker save` writes: `manifest.json` names a config and layer tars for each image. */
export async function readDockerArchive(files: ArchiveFiles): Promise<FoundImage[]> {
  const manifest = await files.json('manifest.json');
  if (!Array.isArray(manifest)) throw badImage('invalid archive: manifest.json is not a list');
  if (manifest.length > maxImages) {
    throw badImage(`invalid archive: manifest.json has more than ${maxImages} images`);
  }
  const found: FoundImage[] = [];
  for (const item of manifest as unknown[]) found.push(await readItem(files, item));
  return found;
}

/** The parents that it tells, by the ids of the images: an OCI layout cannot. */
export async function readParents(files: ArchiveFiles): Promise<Map<Digest, string>> {
  const parents = new Map<Digest, string>();
  const manifest = await files.json('manifest.json');
  for (const item of Array.isArray(manifest) ? (manifest as unknown[]) : []) {
    if (!isObject(item)) continue;
    const { Config: path, Parent: parent } = item;
    if (typeof path !== 'string' || typeof parent !== 'string' || !files.has(path)) continue;
    parents.set(files.describe(path).digest, parent);
  }
  return parents;
}

async function readItem(files: ArchiveFiles, item: unknown): Promise<FoundImage> {
  if (!isObject(item)) throw badImage('invalid archive: an entry of manifest.json is not an object');
  const { Config: configPath, Layers: layerPaths, RepoTags: tags, Parent: parent } = item;
  if (typeof configPath !== 'string') throw badImage('invalid archive: manifest.json has no Config');
  if (layerPaths !== undefined && layerPaths !== null && !isTextList(layerPaths)) {
    throw badImage('invalid archive: Layers in manifest.json is not a list of strings');
  }
  if (tags !== undefined && tags !== null && !isTextList(tags)) {
    throw badImage('invalid archive: RepoTags in manifest.json is not a list of strings');
  }
  const configBytes = await files.bytes(configPath);
  const config = parseImageConfig(configBytes);
  const diffIds = config.rootfs.diff_ids;
  const paths = layerPaths ?? [];
  if (paths.length !== diffIds.length) {
    throw badImage(
      `invalid manifest, layers length mismatch: expected ${paths.length}, got ${diffIds.length}`,
    );
  }
  const layers: LayerSource[] = [];
  for (const [index, path] of paths.entries()) {
    const { digest, sizeBytes } = await files.blob(path);
    const diffId = diffIds[index] ?? digest;
    const mediaType = digest === diffId ? mediaTypes.ociLayer : layerMediaType(files.compression(path));
    layers.push({ diffId, blob: { mediaType, digest, size: sizeBytes } });
  }
  return {
    configBytes,
    config,
    layers,
    manifest: null,
    references: (tags ?? []).map(parseTag),
    parent: typeof parent === 'string' ? parent : '',
  };
}

/** Other tools than Docker put compressed layers into such archives. */
function layerMediaType(compression: Compression): string {
  if (compression === 'gzip') return mediaTypes.ociLayerGzip;
  return compression === 'zstd' ? mediaTypes.ociLayerZstd : mediaTypes.ociLayer;
}

function parseTag(text: string): Reference {
  const reference = parseReference(text);
  if (reference.tag === undefined || reference.digest !== undefined) {
    throw badImage(`invalid tag "${text}"`);
  }
  return withDefaultTag(reference);
}
