import { EngineError } from '../errors/index.ts';
import {
  RegistryError,
  asManifest,
  isSchema1,
  type FetchedManifest,
  type Registries,
  type Repository,
} from '../registry/index.ts';
import {
  configPlatform,
  fittingPlatforms,
  formatPlatform,
  platformRank,
  chainIds,
  familiarName,
  familiarReference,
  mediaTypes,
  parseReference,
  type Descriptor,
  type Digest,
  type ImageConfig,
  type Reference,
} from '../spec/index.ts';
import type { IndexRecord } from './image-record.ts';
import type { FoundImage } from './docker-archive.ts';
import { badImage, parseImageConfig } from './image-config.ts';
import { storeBytes } from './archive-files.ts';
import { attestationsOf } from './attestations.ts';
import type { ImageStore, PreparedImage } from './image-store.ts';
import type { ImageProgress, PullOptions } from './images.ts';
import type { LayerSource } from './layers.ts';
import type { LayerSources } from './layer-sources.ts';
import type { Lease } from './leases.ts';
import { isIndex, parseIndexEntries, parseManifest } from './manifests.ts';
import { progressOf } from './progress-text.ts';
import { LayerDownloads, shortId } from './pull-downloads.ts';
import { pullError, schema1Refused } from './pull-errors.ts';

const maxIndexDepth = 4;
const maxAttestationBytes = 64 * 1024 * 1024;

interface Chosen {
  manifest: FetchedManifest;
  /** The indexes that led to it, the outermost first. */
  indexes: FetchedManifest[];
}

interface PullContext {
  lease: Lease;
  options: PullOptions;
  tell: (progress: ImageProgress) => void;
}

/** Pulls images: manifest, configuration, then layers side by side, each unpacked as soon as it is there. */
export class ImagePull {
  readonly #store: ImageStore;
  readonly #registries: Registries;
  readonly #sources: LayerSources;
  readonly #downloads: LayerDownloads;

  constructor(store: ImageStore, registries: Registries, sources: LayerSources) {
    this.#store = store;
    this.#sources = sources;
    this.#registries = registries;
    this.#downloads = new LayerDownloads(store, registries.maxConcurrentDownloads);
  }

  async run(text: string, options: PullOptions): Promise<void> {
    const named = parseReference(text);
    const { digest, tag } = named;
    const all = options.allTags === true && tag === undefined && digest === undefined;
    const reference = tag === undefined && digest === undefined && !all ? { ...named, tag: 'latest' } : named;
    const repository = this.#registries.repository(
      named,
      options.credentials === undefined ? {} : { credentials: options.credentials },
    );
    const tell = (progress: ImageProgress): void => options.onProgress?.(progress);
    await this.#store.content.sweep();
    try {
      let isNew = false;
      let last: Digest | undefined;
      const references = all
        ? (await repository.tags(options.signal)).map((name) => ({ ...named, tag: name }))
        : [reference];
      for (const one of references) {
        const pulled = await this.#pullOne(repository, one, options, tell);
        isNew ||= pulled.isNew;
        last = pulled.id;
      }
      const shown = familiarReference(reference);
      tell({
        status: isNew
          ? `Status: Downloaded newer image for ${shown}`
          : `Status: Image is up to date for ${shown}`,
      });
      if (last !== undefined) this.#store.publish('pull', last, familiarName(named), shown);
    } catch (error) {
      options.signal?.throwIfAborted();
      throw pullError(error, reference);
    }
  }

  async #pullOne(
    repository: Repository,
    reference: Reference,
    options: PullOptions,
    tell: (progress: ImageProgress) => void,
  ): Promise<{ id: Digest; isNew: boolean }> {
    const asked = reference.digest ?? reference.tag ?? 'latest';
    await using lease = this.#store.leases.open();
    const context = { lease, options, tell };
    const top = await this.#top(repository, reference, context);
    tell({ status: `Pulling from ${reference.path}`, id: asked });
    if (isSchema1(top.descriptor.mediaType)) throw schema1Refused(reference);
    const chosen = await this.#choose(repository, top, context);
    const { domain, path } = reference;
    const { digest } = top.descriptor;
    const references: Reference[] = [{ domain, path, digest }];
    if (reference.tag !== undefined && reference.digest === undefined) {
      references.unshift({ domain, path, tag: reference.tag });
    }
    const index = await this.#storeIndexes(chosen, lease);
    const prepared = (await this.#known(chosen, lease)) ?? (await this.#fetch(repository, chosen, context));
    if (index !== undefined && prepared.record.manifest?.digest === chosen.manifest.descriptor.digest) {
      const kept = [...(index.kept ?? []), ...(await this.#fetchAttestations(repository, chosen, context))];
      prepared.record = { ...prepared.record, indexes: [kept.length === 0 ? index : { ...index, kept }] };
      prepared.index = index.digest;
    }
    const { catalog } = this.#store;
    // One that names it already is left alone: it was not tagged now.
    prepared.references = references.filter((one) => {
      const naming = catalog.named(one);
      return naming === undefined || naming.index !== prepared.index || !naming.ids.includes(prepared.id);
    });
    const isNew = prepared.references.length > 0;
    await this.#store.commit([prepared]);
    tell({ status: `Digest: ${digest}` });
    this.#warnOfPlatform(reference, prepared.config, options, tell);
    return { id: prepared.id, isNew };
  }

  /** What a reference stands for. When that may be here it is only looked at: registries limit how often they are pulled from. */
  async #top(
    repository: Repository,
    reference: Reference,
    { lease, options }: PullContext,
  ): Promise<FetchedManifest> {
    const asked = reference.digest ?? reference.tag ?? 'latest';
    if (this.#store.catalog.named(reference) !== undefined) {
      const found = await repository.resolve(asked, options.signal).catch((error: unknown) => {
        // The whole answer says what is wrong.
        if (error instanceof RegistryError && !error.isTemporary) return undefined;
        throw error;
      });
      const here = found && (await this.#here(found.digest, found.mediaType, lease));
      if (here !== undefined) return here;
    }
    return await repository.manifest(asked, options.signal);
  }

  async #here(digest: Digest, mediaType: string, lease: Lease): Promise<FetchedManifest | undefined> {
    const { content } = this.#store;
    await lease.hold({ kind: 'blob', digest });
    return content.has(digest) ? asManifest(await content.read(digest), digest, mediaType) : undefined;
  }

  /** An image that is here with its layers needs nothing but the name. */
  async #known({ manifest }: Chosen, lease: Lease): Promise<PreparedImage | undefined> {
    const { catalog, content, snapshotter } = this.#store;
    const { digest: id } = parseManifest(manifest.bytes, manifest.descriptor.digest).config;
    await lease.hold({ kind: 'blob', digest: id });
    const record = catalog.record(id);
    if (record === undefined || !catalog.ids().includes(id)) return undefined;
    for (const shared of catalog.shared(id)) {
      await lease.hold(shared);
      const isHere =
        shared.kind === 'blob' ? content.has(shared.digest) : snapshotter.hasLayer(shared.digest);
      if (!isHere) return undefined;
    }
    return { id, config: catalog.view(id).config, record, references: [] };
  }

  /** What `push` and `save` need to give the image on as it came. */
  async #storeIndexes({ indexes }: Chosen, lease: Lease): Promise<IndexRecord | undefined> {
    const [outer, ...inner] = indexes;
    if (outer === undefined) return undefined;
    for (const { bytes } of indexes) await storeBytes(this.#store.content, lease, bytes);
    if (inner.length === 0) return outer.descriptor;
    return { ...outer.descriptor, kept: inner.map(({ descriptor }) => descriptor) };
  }

  /** What is stated of the image: it comes along, but an image is as good without. */
  async #fetchAttestations(
    repository: Repository,
    { manifest, indexes }: Chosen,
    { lease, options }: PullContext,
  ): Promise<Descriptor[]> {
    const index = indexes.at(-1);
    if (index === undefined) return [];
    const { content } = this.#store;
    const signal = options.signal ?? new AbortController().signal;
    const kept: Descriptor[] = [];
    for (const entry of attestationsOf(index.bytes, index.descriptor.digest, manifest.descriptor.digest)) {
      try {
        await lease.hold({ kind: 'blob', digest: entry.digest });
        const bytes = content.has(entry.digest)
          ? await content.read(entry.digest)
          : (await repository.manifest(entry.digest, signal)).bytes;
        const { config, layers } = parseManifest(bytes, entry.digest);
        const blobs = [config, ...layers];
        if (blobs.reduce((sum, { size }) => sum + size, 0) > maxAttestationBytes) continue;
        for (const blob of blobs) {
          await this.#downloads.fetch(repository, blob, { lease, report: () => undefined, signal });
        }
        await storeBytes(content, lease, bytes);
        kept.push(...[entry, ...blobs].map(({ mediaType, digest, size }) => ({ mediaType, digest, size })));
      } catch {
        // Whoever asks for the image's attestations finds none.
        options.signal?.throwIfAborted();
      }
    }
    return kept;
  }

  async #fetch(repository: Repository, { manifest }: Chosen, context: PullContext): Promise<PreparedImage> {
    const { lease, options, tell } = context;
    const { signal } = options;
    const { image, layers } = await this.#image(repository, manifest, context);
    const prepared = await this.#store.prepare(lease, image, {
      ...(signal === undefined ? {} : { signal }),
      onUnpack: (at, current, total) => {
        if (layers[at]?.isNew === true) tell(progressOf(layers[at].id, 'Extracting', current, total));
      },
      onLayer: (at) => {
        if (layers[at]?.isNew === true) tell(progressOf(layers[at].id, 'Pull complete'));
      },
    });
    const { domain, path } = repository.reference;
    for (const { diffId, blob } of image.layers) this.#sources.add(diffId, { blob, domain, path });
    return prepared;
  }

  /** Follows an index, and one in it, to the manifest for the platform. */
  async #choose(
    repository: Repository,
    top: FetchedManifest,
    { lease, options: { platform: wanted = this.#store.machine, signal } }: PullContext,
  ): Promise<Chosen> {
    let at = top;
    const indexes: FetchedManifest[] = [];
    while (isIndex(at.descriptor)) {
      if (indexes.length === maxIndexDepth)
        throw badImage(`indexes are nested more than ${maxIndexDepth} deep`);
      const entries = parseIndexEntries(at.bytes, at.descriptor.digest);
      const [best] = fittingPlatforms(entries, wanted);
      if (best === undefined) {
        throw new EngineError(
          'not-found',
          `no matching manifest for ${formatPlatform(wanted)} in the manifest list entries`,
          { code: 'no-matching-manifest' },
        );
      }
      indexes.push(at);
      at =
        (await this.#here(best.digest, best.mediaType, lease)) ??
        (await repository.manifest(best.digest, signal));
    }
    return { manifest: at, indexes };
  }

  async #image(
    repository: Repository,
    manifest: FetchedManifest,
    context: PullContext,
  ): Promise<{ image: FoundImage; layers: { id: string; isNew: boolean }[] }> {
    const { lease, options, tell } = context;
    const { content, snapshotter } = this.#store;
    const { config: configDescriptor, layers } = parseManifest(manifest.bytes, manifest.descriptor.digest);
    checkConfigType(configDescriptor);
    await lease.hold({ kind: 'blob', digest: configDescriptor.digest });
    const configBytes = content.has(configDescriptor.digest)
      ? await content.read(configDescriptor.digest)
      : await repository.blobBytes(configDescriptor, options.signal);
    const config = parseImageConfig(configBytes);
    const diffIds = config.rootfs.diff_ids;
    if (layers.length !== diffIds.length) {
      throw badImage("layers from manifest don't match image configuration");
    }
    const chain = chainIds(diffIds);
    const states = layers.map((blob, index) => ({
      id: shortId(blob.digest),
      isNew: !(content.has(blob.digest) && snapshotter.hasLayer(chain[index] ?? '')),
    }));
    for (const { id, isNew } of states) tell(progressOf(id, isNew ? 'Pulling fs layer' : 'Already exists'));
    const sources = layers.map((blob, index): LayerSource => {
      const report = states[index]?.isNew === true ? tell : () => undefined;
      const ready = (signal: AbortSignal): Promise<void> =>
        this.#downloads.fetch(repository, blob, { lease, report, signal });
      return { diffId: diffIds[index] ?? blob.digest, blob, ready };
    });
    const { descriptor, bytes } = manifest;
    return {
      image: {
        configBytes,
        config,
        layers: sources,
        manifest: { descriptor, bytes },
        references: [],
        parent: '',
      },
      layers: states,
    };
  }

  #warnOfPlatform(
    reference: Reference,
    config: ImageConfig,
    { platform }: PullOptions,
    tell: (progress: ImageProgress) => void,
  ): void {
    if (platform === undefined) return;
    const actual = configPlatform(config);
    if (platformRank(actual, platform) >= 0) return;
    tell({
      status: `WARNING: image with reference ${familiarReference(reference)} was found but its platform (${formatPlatform(actual)}) does not match the specified platform (${formatPlatform(platform)})`,
    });
  }
}

const configTypes = new Set<string>([
  mediaTypes.ociConfig,
  mediaTypes.dockerConfig,
  // Written by old registries and tools.
  'application/octet-stream',
  'text/html',
  '',
]);

/** Other artifacts than images live in registries too. */
function checkConfigType({ mediaType }: Descriptor): void {
  if (configTypes.has(mediaType)) return;
  const kind = mediaType === 'application/vnd.docker.plugin.v1+json' ? 'plugin' : 'unknown';
  throw badImage(`Encountered remote ${JSON.stringify(mediaType)}(${kind}) when fetching`);
}
