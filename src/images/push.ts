import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { EngineError, isEngineError } from '../errors/index.ts';
import {
  RegistryError,
  sendUpload,
  uploadBlob,
  type Registries,
  type RegistryCredentials,
  type Repository,
} from '../registry/index.ts';
import {
  configPlatform,
  platformRank,
  familiarName,
  familiarReference,
  formatReference,
  mediaTypes,
  parseReference,
  repositoryName,
  type Descriptor,
  type DiffId,
  type Digest,
  type Platform,
  type Reference,
} from '../spec/index.ts';
import type { Naming } from './image-record.ts';
import { CompressedLayer } from './compress-layer.ts';
import type { ImageStore } from './image-store.ts';
import type { ImageProgress, PushOptions } from './images.ts';
import type { LayerSources } from './layer-sources.ts';
import type { Lease } from './leases.ts';
import { progressOf, throttled } from './progress-text.ts';
import { Slots, shortId } from './pull-downloads.ts';
import { pushIndex, putManifest, type Manifest } from './push-index.ts';

interface PushContext {
  repository: Repository;
  reference: Reference;
  lease: Lease;
  credentials: RegistryCredentials;
  tell: (progress: ImageProgress) => void;
  signal: AbortSignal;
  /** Stops what goes side by side. */
  failure: AbortController;
}

/** Pushes images: layers the repository has not, side by side, then configuration and manifest. */
export class ImagePush {
  readonly #store: ImageStore;
  readonly #registries: Registries;
  readonly #sources: LayerSources;
  readonly #slots: Slots;

  constructor(store: ImageStore, registries: Registries, sources: LayerSources) {
    this.#store = store;
    this.#registries = registries;
    this.#sources = sources;
    this.#slots = new Slots(registries.maxConcurrentUploads);
  }

  async run(text: string, options: PushOptions): Promise<void> {
    const named = parseReference(text);
    if (named.digest !== undefined) {
      throw new EngineError('invalid-parameter', 'cannot push a digest reference');
    }
    const { credentials = {} } = options;
    const tell = (progress: ImageProgress): void => options.onProgress?.(progress);
    tell({ status: `The push refers to repository [${repositoryName(named)}]` });
    const repository = this.#registries.repository(named, {
      actions: 'pull,push',
      credentials,
    });
    const tagged = this.#tagged(named, options.allTags === true);
    const failure = new AbortController();
    const signal =
      options.signal === undefined ? failure.signal : AbortSignal.any([options.signal, failure.signal]);
    try {
      for (const { reference, naming } of tagged) {
        await using lease = this.#store.leases.open();
        const chosen = this.#choose(reference, naming, options.platform);
        const context = { repository, reference, lease, credentials, tell, signal, failure };
        await this.#pushOne(chosen, context);
      }
    } catch (error) {
      options.signal?.throwIfAborted();
      throw pushError(error);
    }
    const [first] = tagged;
    if (first === undefined) return;
    const all = options.allTags === true && named.tag === undefined;
    const shown = all ? familiarName(named) : familiarReference(first.reference);
    this.#store.publish('push', first.naming.ids[0] as Digest, familiarName(named), shown);
  }

  #tagged(named: Reference, all: boolean): { reference: Reference; naming: Naming }[] {
    const { catalog } = this.#store;
    const tags = catalog.repository(named).filter(({ reference }) => reference.digest === undefined);
    if (tags.length === 0) {
      throw new EngineError(
        'not-found',
        `An image does not exist locally with the tag: ${familiarName(named)}`,
      );
    }
    if (all && named.tag === undefined) return tags;
    const tag = named.tag ?? 'latest';
    const found = tags.filter(({ reference }) => reference.tag === tag);
    if (found.length === 0) {
      throw new EngineError('not-found', `tag does not exist: ${familiarReference({ ...named, tag })}`);
    }
    return found;
  }

  /** One platform alone when it is asked for. */
  #choose(reference: Reference, naming: Naming, platform: Platform | undefined): Naming {
    if (platform === undefined) return naming;
    return { ids: [this.#store.catalog.resolve(formatReference(reference), platform)] };
  }

  async #pushOne(naming: Naming, context: PushContext): Promise<void> {
    const { repository, reference, lease, tell, signal } = context;
    const { catalog } = this.#store;
    const { index } = naming;
    const id = naming.ids[0] as Digest;
    for (const shared of catalog.shared(id)) await lease.hold(shared);
    const own = await this.#pushContent(id, context);
    const whole =
      index === undefined
        ? undefined
        : await pushIndex(
            this.#store,
            { ids: naming.ids, index },
            {
              repository,
              reference,
              signal,
              pushImage: async (image) => (image === id ? own : await this.#pushContent(image, context)),
              pushBlob: (blob) => this.#pushBlob(repository, blob, signal),
              sourceOf: (from) => this.#registries.repository(from, { credentials: context.credentials }),
              hold: (shared) => lease.hold(shared),
            },
          );
    if (index !== undefined && whole === undefined) this.#checkAlone(naming);
    const { bytes, mediaType } = whole ?? own;
    const tag = reference.tag ?? 'latest';
    const digest = await putManifest(repository, tag, { bytes, mediaType }, signal);
    const { domain, path } = reference;
    catalog.transaction(() => {
      const named = { domain, path, digest };
      if (catalog.referenced(named) === id) return;
      catalog.setReference(named, whole === undefined ? { ids: [id] } : naming, this.#store.nowMs());
    });
    if (index !== undefined && whole === undefined) {
      const originalIndex = catalog.record(id)?.indexes?.find((one) => one.digest === index);
      const { kept: _, ...original } = originalIndex ?? {};
      tell({
        aux: {
          manifestPushedInsteadOfIndex: true,
          originalIndex: original,
          selectedManifest: { mediaType, digest, size: bytes.length },
        },
      });
    }
    tell({ status: `${tag}: digest: ${digest} size: ${bytes.length}` });
    tell({ progressDetail: {}, aux: { Tag: tag, Digest: digest, Size: bytes.length } });
  }

  /** In place of an index that is not all here goes the only platform that is, or this machine's. */
  #checkAlone({ ids }: Naming): void {
    const { config } = this.#store.catalog.view(ids[0] as Digest);
    if (ids.length === 1 || platformRank(configPlatform(config), this.#store.machine) >= 0) return;
    throw new EngineError('conflict', 'multiple matching manifests found but no specific platform requested');
  }

  async #pushBlob(repository: Repository, blob: Descriptor, signal: AbortSignal): Promise<void> {
    if (await repository.hasBlob(blob.digest, signal)) return;
    await this.#upload(repository, blob, signal);
  }

  /** Sees to it that the repository has an image's layers and configuration; gives its manifest. */
  async #pushContent(id: Digest, context: PushContext): Promise<Manifest> {
    const { repository, tell, signal, failure } = context;
    const { catalog, content } = this.#store;
    const { config } = catalog.view(id);
    const record = catalog.record(id);
    if (record === undefined) throw new EngineError('not-found', `No such image: ${id}`);
    const diffIds = config.rootfs.diff_ids;
    // Docker names the layers top first.
    for (const diffId of diffIds.toReversed()) tell(progressOf(shortId(diffId), 'Preparing'));
    const configBytes = await content.read(id);
    const original = record.manifest === null ? null : await content.read(record.manifest.digest);
    const pushed = await Promise.allSettled(
      diffIds.map(async (diffId, index) => {
        const stored = record.layers[index]?.blob;
        try {
          if (stored === undefined) throw new EngineError('data-loss', `layer ${diffId} is not there`);
          return await this.#pushLayer(diffId, stored, original !== null, context);
        } catch (error) {
          failure.abort(error);
          throw error;
        }
      }),
    );
    if (failure.signal.aborted) throw failure.signal.reason;
    signal.throwIfAborted();
    const layers = pushed.map((result) => (result as PromiseFulfilledResult<Descriptor>).value);
    await this.#pushBlob(
      repository,
      { mediaType: mediaTypes.dockerConfig, digest: id, size: configBytes.length },
      signal,
    );
    if (original === null || record.manifest === null) return encodeManifest(id, configBytes.length, layers);
    return { bytes: original, mediaType: record.manifest.mediaType };
  }

  /** Sees to it that the repository has a layer; gives its blob there. */
  async #pushLayer(
    diffId: DiffId,
    stored: Descriptor,
    asStored: boolean,
    context: PushContext,
  ): Promise<Descriptor> {
    const { repository, reference, tell, signal } = context;
    const id = shortId(diffId);
    const release = await this.#slots.take(signal, () => tell(progressOf(id, 'Waiting')));
    try {
      const isPlain = stored.digest === diffId;
      const sources = this.#sources.of(diffId).filter(({ domain }) => domain === reference.domain);
      const fits = (blob: Descriptor): boolean => (asStored ? blob.digest === stored.digest : true);
      const remember = (blob: Descriptor): Descriptor => {
        this.#sources.add(diffId, { blob, domain: reference.domain, path: reference.path });
        return blob;
      };
      const candidates = sources.filter(({ blob }) => fits(blob));
      const here = candidates.filter(({ path }) => path === reference.path).map(({ blob }) => blob);
      if (asStored || !isPlain) here.push(stored);
      const tried = new Set<Digest>();
      for (const blob of here) {
        if (tried.has(blob.digest)) continue;
        tried.add(blob.digest);
        if (!(await repository.hasBlob(blob.digest, signal))) continue;
        tell(progressOf(id, 'Layer already exists'));
        return remember(dockerLayer(blob, asStored));
      }
      for (const { blob, path } of candidates.filter((source) => source.path !== reference.path)) {
        if (!(await repository.mount(blob.digest, path, signal))) continue;
        tell(progressOf(id, `Mounted from ${path}`));
        return remember(dockerLayer(blob, asStored));
      }
      const report = throttled(stored.size, (current) =>
        tell(progressOf(id, 'Pushing', current, stored.size)),
      );
      let blob = stored;
      if (isPlain && !asStored) blob = await this.#uploadCompressed(repository, stored, signal, report);
      else await this.#upload(repository, stored, signal, report);
      tell(progressOf(id, 'Pushed'));
      return remember(dockerLayer(blob, asStored));
    } finally {
      release();
    }
  }

  async #upload(
    repository: Repository,
    { digest, size: sizeBytes }: Descriptor,
    signal: AbortSignal,
    onProgress?: (current: number) => void,
  ): Promise<void> {
    const path = this.#store.content.path(digest);
    const open = (start: number): Readable => createReadStream(path, { start, highWaterMark: 256 * 1024 });
    await uploadBlob(repository, { digest, sizeBytes, open }, signal, onProgress);
  }

  /** As Docker does, without waiting for the digest: what is compressed is on its way already. */
  async #uploadCompressed(
    repository: Repository,
    plain: Descriptor,
    signal: AbortSignal,
    report: (current: number) => void,
  ): Promise<Descriptor> {
    const layer = new CompressedLayer(this.#store.content.path(plain.digest), report);
    const blob = { open: () => layer.open(), digest: () => layer.descriptor.digest };
    await sendUpload(repository, signal, (to) => repository.uploadUnknown(to, blob, signal));
    return layer.descriptor;
  }
}

/** In the manifest made here each layer has Docker's media type; in the one it came with it keeps its own. */
function dockerLayer(blob: Descriptor, asStored: boolean): Descriptor {
  if (asStored) return blob;
  const isZstd = blob.mediaType === mediaTypes.ociLayerZstd;
  const mediaType = isZstd ? mediaTypes.ociLayerZstd : mediaTypes.dockerLayerGzip;
  return { mediaType, digest: blob.digest, size: blob.size };
}

/** Docker's schema 2 manifest, written as Docker writes it; OCI's when a layer has a form that Docker's has no name for. */
function encodeManifest(id: Digest, configSize: number, layers: readonly Descriptor[]): Manifest {
  const isOci = layers.some(({ mediaType }) => mediaType === mediaTypes.ociLayerZstd);
  const mediaType = isOci ? mediaTypes.ociManifest : mediaTypes.dockerManifest;
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: {
      mediaType: isOci ? mediaTypes.ociConfig : mediaTypes.dockerConfig,
      size: configSize,
      digest: id,
    },
    layers: layers.map((layer) => ({
      mediaType:
        isOci && layer.mediaType === mediaTypes.dockerLayerGzip ? mediaTypes.ociLayerGzip : layer.mediaType,
      size: layer.size,
      digest: layer.digest,
    })),
  };
  return { bytes: Buffer.from(JSON.stringify(manifest, null, 3)), mediaType };
}

function pushError(error: unknown): unknown {
  const remote = isEngineError(error) && (error.kind === 'unavailable' || error instanceof RegistryError);
  return remote ? new EngineError('internal', error.message, { code: error.code, cause: error }) : error;
}
