import { createReadStream } from 'node:fs';
import { writeTar, type TarSource } from '../archive/index.ts';
import {
  configPlatform,
  isSamePlatform,
  platformNotFound,
  digestHex,
  familiarName,
  familiarReference,
  formatReference,
  mediaTypes,
  parseAnyReference,
  type Descriptor,
  type Digest,
  type Platform,
  type Reference,
} from '../spec/index.ts';
import { noSuchImage } from './catalog.ts';
import type { Naming } from './image-record.ts';
import { badImage } from './image-config.ts';
import type { ImageStore } from './image-store.ts';
import { ownManifest } from './own-manifest.ts';

export interface SavedImage {
  naming: Naming;
  references: Reference[];
}

/**
 * What `docker save` is asked for: a name without tag means all tags of the repository; an id means the image without
 * names. With one platform that manifest alone, with several what there is of them.
 * @throws {EngineError} `not-found`
 */
export function imagesToSave(
  store: ImageStore,
  names: readonly string[],
  platforms: readonly Platform[] = [],
): SavedImage[] {
  const { catalog } = store;
  const chosen = new Map<string, SavedImage>();
  const add = (naming: Naming, name: string, reference?: Reference) => {
    const selected = select(store, naming, name, platforms);
    const key = `${selected.ids[0]} ${selected.index}`;
    const image = chosen.get(key) ?? { naming: selected, references: [] };
    chosen.set(key, image);
    if (reference === undefined || reference.digest !== undefined) return;
    const text = formatReference(reference);
    if (!image.references.some((other) => formatReference(other) === text)) image.references.push(reference);
  };
  for (const name of names) {
    const parsed = parseAnyReference(name);
    if (parsed.kind === 'digest') {
      add(catalog.naming(name), name);
      continue;
    }
    const { reference } = parsed;
    const nameOnly = reference.tag === undefined && reference.digest === undefined;
    const tagged = nameOnly ? catalog.repository(reference) : [];
    for (const found of tagged) add(found.naming, formatReference(found.reference), found.reference);
    if (tagged.length > 0) continue;
    const naming = catalog.naming(name);
    const exact = catalog.named(reference);
    if (!nameOnly && exact === undefined && familiarName(reference) !== 'sha256') {
      throw noSuchImage(familiarReference(reference));
    }
    add(naming, name, nameOnly || exact === undefined ? undefined : reference);
  }
  return [...chosen.values()];
}

function select(
  { catalog }: ImageStore,
  naming: Naming,
  name: string,
  platforms: readonly Platform[],
): Naming {
  const [only, ...more] = platforms;
  if (only === undefined) return naming;
  if (more.length === 0) return { ids: [catalog.resolve(name, only)] };
  const ids = naming.ids.filter((id) => {
    const own = configPlatform(catalog.view(id).config);
    return platforms.some((wanted) => isSamePlatform(own, wanted));
  });
  if (ids.length === 0) throw platformNotFound(name, only);
  return { ...naming, ids };
}

/**
 * The archive Docker 25 and later write: an OCI image layout that is a docker-archive too. Equal images give equal
 * bytes: files are sorted and have no times. What came with a manifest is written as it came, an index with those of its
 * images that are here; layers of other images uncompressed, so that their digests are the diff ids.
 */
export async function* saveImages(
  store: ImageStore,
  images: readonly SavedImage[],
  signal?: AbortSignal,
): AsyncIterable<Uint8Array> {
  await using lease = store.leases.open();
  for (const id of images.flatMap(({ naming }) => naming.ids)) {
    for (const shared of store.catalog.shared(id)) await lease.hold(shared);
  }
  const members = await new ArchiveMembers(store).collect(images);
  for await (const chunk of writeTar(members)) {
    signal?.throwIfAborted();
    yield chunk;
  }
}

class ArchiveMembers {
  readonly #store: ImageStore;
  readonly #files = new Map<string, TarSource>();

  constructor(store: ImageStore) {
    this.#store = store;
  }

  async collect(images: readonly SavedImage[]): Promise<TarSource[]> {
    const { catalog } = this.#store;
    const dockerManifest: object[] = [];
    const index: Descriptor[] = [];
    const repositories: Record<string, Record<string, string>> = {};
    const ids = new Set(images.flatMap(({ naming }) => naming.ids));
    for (const { naming, references } of images) {
      const [id = ''] = naming.ids;
      const written = await Promise.all(naming.ids.map((one) => this.#addImage(one)));
      const [foremost] = written;
      if (foremost === undefined) continue;
      const entry = naming.index === undefined ? foremost.entry : await this.#addIndex(id, naming.index);
      for (const reference of references) {
        const tag = reference.tag ?? 'latest';
        index.push({
          ...entry,
          annotations: {
            'io.containerd.image.name': formatReference(reference),
            'org.opencontainers.image.ref.name': tag,
          },
        });
        const top = foremost.layers.at(-1);
        if (top !== undefined) (repositories[familiarName(reference)] ??= {})[tag] = digestHex(top);
      }
      if (references.length === 0) index.push(entry);
      const { parent } = catalog.view(id);
      dockerManifest.push({
        Config: blobPath(id),
        RepoTags: references.length === 0 ? null : references.map(familiarReference),
        Layers: foremost.layers.map(blobPath),
        ...(parent !== '' && ids.has(parent) ? { Parent: parent } : {}),
      });
    }
    this.#addBytes(
      'index.json',
      json({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: index }),
    );
    this.#addBytes('manifest.json', json(dockerManifest, '\n'));
    this.#addBytes('oci-layout', json({ imageLayoutVersion: '1.0.0' }));
    if (Object.keys(repositories).length > 0) {
      this.#addBytes('repositories', json(repositories, '\n'));
    }
    const sorted = [...this.#files.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
    return [
      { path: 'blobs/', type: 'directory', mode: 0o755 },
      { path: 'blobs/sha256/', type: 'directory', mode: 0o755 },
      ...sorted,
    ];
  }

  /** An image's blobs; gives its entry for an index, and the digests of its layers as they are written. */
  async #addImage(id: Digest): Promise<{ entry: Descriptor; layers: Digest[] }> {
    const { catalog, content } = this.#store;
    const record = catalog.record(id);
    if (record === undefined) throw badImage(`Cannot save image ${id}: it has been removed`);
    const { config } = catalog.view(id);
    this.#addBytes(blobPath(id), await content.read(id));
    const original = record.manifest;
    const own = original === null ? ownManifest(this.#store, id) : null;
    const bytes = own?.bytes ?? (await content.read((original as Descriptor).digest));
    const { mediaType, digest, size } = own?.descriptor ?? (original as Descriptor);
    this.#addBytes(blobPath(digest), bytes);
    const layers = record.layers.map((layer, at) => {
      if (own === null) return this.#addBlob(layer.blob);
      const diffId = config.rootfs.diff_ids[at] ?? layer.blob.digest;
      this.#add(blobPath(diffId), layer.tarSizeBytes, this.#store.layers.tar(layer));
      return diffId;
    });
    const platform = {
      architecture: config.architecture,
      os: config.os,
      ...(config.variant ? { variant: config.variant } : {}),
    };
    return { entry: { mediaType, digest, size, platform }, layers };
  }

  /** An index, and what is kept beside the images. */
  async #addIndex(id: Digest, digest: Digest): Promise<Descriptor> {
    const { catalog, content } = this.#store;
    const found = catalog.record(id)?.indexes?.find((index) => index.digest === digest);
    if (found === undefined) throw badImage(`Cannot save image ${id}: index ${digest} is not there`);
    this.#addBytes(blobPath(digest), await content.read(digest));
    for (const blob of found.kept ?? []) this.#addBlob(blob);
    return { mediaType: found.mediaType, digest, size: found.size };
  }

  #addBlob({ digest, size }: Descriptor): Digest {
    this.#add(
      blobPath(digest),
      size,
      fileBytes(() => this.#store.content.path(digest)),
    );
    return digest;
  }

  #addBytes(path: string, bytes: Buffer): void {
    this.#add(path, bytes.length, bytes);
  }

  #add(path: string, sizeBytes: number, body: Exclude<TarSource['body'], undefined>): void {
    this.#files.set(path, { path, type: 'file', mode: 0o644, sizeBytes, body });
  }
}

/** Opens the file when its turn comes. */
async function* fileBytes(path: () => string): AsyncIterable<Uint8Array> {
  yield* createReadStream(path(), { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>;
}

function blobPath(digest: Digest): string {
  return `blobs/sha256/${digestHex(digest)}`;
}

function json(value: unknown, end = ''): Buffer {
  return Buffer.from(JSON.stringify(value) + end);
}
