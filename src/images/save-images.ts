import { writeTar, type TarSource } from '../archive/index.ts';
import {
  digestHex,
  digestOf,
  familiarName,
  familiarReference,
  formatReference,
  mediaTypes,
  parseAnyReference,
  type Descriptor,
  type Digest,
  type ImageManifest,
  type Reference,
} from '../spec/index.ts';
import { noSuchImage } from './catalog.ts';
import { badImage } from './image-config.ts';
import type { ImageStore } from './image-store.ts';

interface SavedImage {
  id: Digest;
  references: Reference[];
}

/**
 * What `docker save` is asked for: a name without tag means all tags of the repository; an id means the image without
 * names. @throws {EngineError} `not-found`
 */
export function imagesToSave(store: ImageStore, names: readonly string[]): SavedImage[] {
  const { catalog } = store;
  const chosen = new Map<Digest, SavedImage>();
  const add = (id: Digest, reference?: Reference) => {
    const image = chosen.get(id) ?? { id, references: [] };
    chosen.set(id, image);
    if (reference === undefined || reference.digest !== undefined) return;
    const text = formatReference(reference);
    if (!image.references.some((other) => formatReference(other) === text)) image.references.push(reference);
  };
  for (const name of names) {
    const parsed = parseAnyReference(name);
    if (parsed.kind === 'digest') {
      add(catalog.resolve(name));
      continue;
    }
    const { reference } = parsed;
    const nameOnly = reference.tag === undefined && reference.digest === undefined;
    const tagged = nameOnly ? catalog.repository(reference) : [];
    for (const found of tagged) add(found.id, found.reference);
    if (tagged.length > 0) continue;
    const id = catalog.resolve(name);
    const exact = catalog.referenced(reference);
    if (!nameOnly && exact === undefined && familiarName(reference) !== 'sha256') {
      throw noSuchImage(familiarReference(reference));
    }
    add(id, nameOnly || exact === undefined ? undefined : reference);
  }
  return [...chosen.values()];
}

/**
 * The archive Docker 25 and later write: an OCI image layout that is a docker-archive too. Equal images give equal
 * bytes: files are sorted and have no times. Layers are written uncompressed, as Docker does, so that their digests are
 * the diff ids.
 */
export async function* saveImages(
  store: ImageStore,
  images: readonly SavedImage[],
  signal?: AbortSignal,
): AsyncIterable<Uint8Array> {
  await using lease = store.leases.open();
  for (const { id } of images) {
    for (const shared of store.catalog.shared(id)) await lease.hold(shared);
  }
  const members = await archiveMembers(store, images);
  for await (const chunk of writeTar(members)) {
    signal?.throwIfAborted();
    yield chunk;
  }
}

async function archiveMembers(store: ImageStore, images: readonly SavedImage[]): Promise<TarSource[]> {
  const files = new Map<string, TarSource>();
  const addBytes = (path: string, bytes: Buffer) =>
    files.set(path, { path, type: 'file', mode: 0o644, sizeBytes: bytes.length, body: bytes });
  const blobPath = (digest: Digest) => `blobs/sha256/${digestHex(digest)}`;
  const dockerManifest: object[] = [];
  const index: Descriptor[] = [];
  const repositories: Record<string, Record<string, string>> = {};
  const ids = new Set(images.map((image) => image.id));
  for (const { id, references } of images) {
    const { config, parent } = store.catalog.view(id);
    const record = store.catalog.record(id);
    if (record === undefined) throw badImage(`Cannot save image ${id}: it has been removed`);
    const configBytes = await store.content.read(id);
    addBytes(blobPath(id), configBytes);
    const layers: Descriptor[] = [];
    for (const [at, layer] of record.layers.entries()) {
      const digest = config.rootfs.diff_ids[at] ?? layer.blob.digest;
      const path = blobPath(digest);
      layers.push({ mediaType: mediaTypes.ociLayer, digest, size: layer.tarSizeBytes });
      files.set(path, {
        path,
        type: 'file',
        mode: 0o644,
        sizeBytes: layer.tarSizeBytes,
        body: store.layers.tar(layer),
      });
    }
    const platform = {
      architecture: config.architecture,
      os: config.os,
      ...(config.variant ? { variant: config.variant } : {}),
    };
    const manifest: ImageManifest = {
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: mediaTypes.ociConfig, digest: id, size: configBytes.length },
      layers,
    };
    const manifestBytes = Buffer.from(JSON.stringify(manifest));
    const manifestDigest = digestOf(manifestBytes);
    addBytes(blobPath(manifestDigest), manifestBytes);
    const entry = {
      mediaType: mediaTypes.ociManifest,
      digest: manifestDigest,
      size: manifestBytes.length,
      platform,
    };
    for (const reference of references) {
      const tag = reference.tag ?? 'latest';
      index.push({
        ...entry,
        annotations: {
          'io.containerd.image.name': formatReference(reference),
          'org.opencontainers.image.ref.name': tag,
        },
      });
      const top = layers.at(-1);
      if (top !== undefined) (repositories[familiarName(reference)] ??= {})[tag] = digestHex(top.digest);
    }
    if (references.length === 0) index.push(entry);
    dockerManifest.push({
      Config: blobPath(id),
      RepoTags: references.length === 0 ? null : references.map(familiarReference),
      Layers: layers.map((layer) => blobPath(layer.digest)),
      ...(parent !== '' && ids.has(parent) ? { Parent: parent } : {}),
    });
  }
  addBytes('index.json', json({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: index }));
  addBytes('manifest.json', json(dockerManifest, '\n'));
  addBytes('oci-layout', json({ imageLayoutVersion: '1.0.0' }));
  if (Object.keys(repositories).length > 0) addBytes('repositories', json(repositories, '\n'));
  const sorted = [...files.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
  return [
    { path: 'blobs/', type: 'directory', mode: 0o755 },
    { path: 'blobs/sha256/', type: 'directory', mode: 0o755 },
    ...sorted,
  ];
}

function json(value: unknown, end = ''): Buffer {
  return Buffer.from(JSON.stringify(value) + end);
}
