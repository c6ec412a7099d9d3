import { EngineError } from '../errors/index.ts';
import type { ExpansionLimits } from '../archive/index.ts';
import type { ContentStore } from '../content/index.ts';
import type { EventBus } from '../events/index.ts';
import type { Records } from '../records/index.ts';
import type { Registries } from '../registry/index.ts';
import type { Snapshotter } from '../snapshots/index.ts';
import {
  chainIds,
  familiarReference,
  withTag,
  type Descriptor,
  type Platform,
  configPlatform,
} from '../spec/index.ts';
import { machinePlatform } from '../sys/index.ts';
import { attestationStatements } from './attestations.ts';
import { bootstrapImage } from './bootstrap/bootstrap.ts';
import { ImageCatalog } from './catalog.ts';
import { composeImages } from './compose.ts';
import { createImage, importImage, parseTagReference } from './create-image.ts';
import { imageHistory } from './history.ts';
import { parseImageConfig } from './image-config.ts';
import { ImageStore } from './image-store.ts';
import { ImageGarbage } from './collect-images.ts';
import type {
  ApplyChanges,
  Image,
  ImageCollection,
  Images,
  PullOptions,
  PushOptions,
  RemovedImage,
} from './images.ts';
import type { UnpackLayer } from './layers.ts';
import { loadImages } from './load-images.ts';
import { imagesDiskBlocks, imagesDiskUsage } from './disk-usage.ts';
import { ownManifest } from './own-manifest.ts';
import { PackedForms } from './packed-layers.ts';
import { pruneImages } from './prune-images.ts';
import { ImagePull } from './pull.ts';
import { ImagePush } from './push.ts';
import { LayerSources } from './layer-sources.ts';
import { ImageRemoval } from './remove-image.ts';
import { imagesToSave, saveImages } from './save-images.ts';
import { imageTarget, imageVariants } from './variants.ts';
import { LocalTrees, treeHolder, type Trees } from './trees.ts';

export interface LocalImagesParts {
  content: ContentStore;
  snapshotter: Snapshotter;
  records: Records;
  events: EventBus;
  unpackLayer: UnpackLayer;
  applyChanges: ApplyChanges;
  /** Without them nothing can be pulled or pushed. */
  registries?: Registries;
  /** Of archives that are loaded or imported. */
  archiveLimits?: ExpansionLimits;
  /** What is chosen of several platforms; this machine's when absent. */
  machine?: Platform;
  /** Milliseconds since the epoch; the machine's clock when absent. */
  nowMs?: () => number;
}

/**
 * The images of one engine: configs, manifests and layers as blobs, unpacked layers in the snapshotter, references and
 * what else must last in records. An image is recorded when all it refers to is whole on disk; what is not referred to
 * goes when the operation that made it ends, or at open().
 */
export class LocalImages implements Images {
  readonly trees: Trees;
  readonly #store: ImageStore;
  readonly #events: EventBus;
  readonly #applyChanges: ApplyChanges;
  readonly #garbage: ImageGarbage;
  readonly #packedForms: PackedForms;
  #sources: LayerSources | undefined;
  #pruning = false;
  readonly #pull: ImagePull | undefined;
  readonly #push: ImagePush | undefined;

  constructor(parts: LocalImagesParts) {
    this.#events = parts.events;
    this.#applyChanges = parts.applyChanges;
    const machine = parts.machine ?? machinePlatform();
    this.#store = new ImageStore({
      content: parts.content,
      snapshotter: parts.snapshotter,
      events: parts.events,
      catalog: new ImageCatalog(parts.records, machine),
      machine,
      unpack: parts.unpackLayer,
      archiveLimits: parts.archiveLimits ?? {},
      nowMs: parts.nowMs ?? Date.now,
    });
    const { registries, records } = parts;
    this.#packedForms = new PackedForms(records);
    this.trees = new LocalTrees(this.#store, this.#packedForms);
    this.#garbage = new ImageGarbage(this.#store, records);
    if (registries === undefined) return;
    const sources = new LayerSources(records);
    this.#sources = sources;
    this.#pull = new ImagePull(this.#store, registries, sources);
    this.#push = new ImagePush(this.#store, registries, sources);
  }

  /** Reads the records, and removes what a crash left on disk. Containers' snapshots must be swept already. */
  async open(): Promise<void> {
    const { content, catalog, snapshotter } = this.#store;
    await content.sweep();
    await catalog.open(async (id) => parseImageConfig(await content.read(id)));
    const active = snapshotter.active();
    for (const [id, users] of catalog.held()) {
      const left = users.filter((user) => user === treeHolder || active.some((key) => key.startsWith(user)));
      await this.#release(id, left);
    }
    await this.#store.collectAll();
    await this.#unpackMissing();
    this.#sources?.keep(catalog.diffIds());
    this.#packedForms.keep(catalog.diffIds());
    this.#events.subscribe((event) => {
      if (event.Type !== 'container') return;
      if (event.Action === 'create') this.#containerMade(event.Actor.Attributes['image'] ?? '');
      if (event.Action === 'destroy') this.#containerRemoved(event.Actor.ID);
    });
  }

  list(): Image[] {
    const { catalog } = this.#store;
    const created = (image: Image) => image.config.created ?? '';
    return catalog
      .ids()
      .filter((id) => catalog.isForemost(id))
      .map((id) => catalog.view(id))
      .sort((a, b) => (created(a) < created(b) ? 1 : -1));
  }

  get(nameOrId: string, platform?: Platform): Image {
    return this.#store.catalog.view(this.#store.catalog.resolve(nameOrId, platform));
  }

  has(nameOrId: string, platform?: Platform): boolean {
    try {
      this.#store.catalog.resolve(nameOrId, platform);
      return true;
    } catch {
      return false;
    }
  }

  ofContainer(id: string): Image | undefined {
    const { catalog } = this.#store;
    return catalog.record(id as Image['id']) === undefined ? undefined : catalog.view(id as Image['id']);
  }

  manifestOf(id: string): Descriptor | undefined {
    const image = this.ofContainer(id);
    if (image === undefined) return undefined;
    const { mediaType, digest, size } = image.manifest ?? ownManifest(this.#store, image.id).descriptor;
    return { mediaType, digest, size, platform: configPlatform(image.config) };
  }

  target(nameOrId: string, platform?: Platform): Descriptor {
    const { catalog } = this.#store;
    const naming =
      platform === undefined ? catalog.naming(nameOrId) : { ids: [catalog.resolve(nameOrId, platform)] };
    return imageTarget(this.#store, naming);
  }

  async variants(nameOrId: string): ReturnType<Images['variants']> {
    return await imageVariants(this.#store, this.#store.catalog.naming(nameOrId));
  }

  async attestations(
    nameOrId: string,
    options: Parameters<Images['attestations']>[1],
  ): ReturnType<Images['attestations']> {
    return await attestationStatements(this.#store, nameOrId, options);
  }

  platforms(nameOrId: string): Image['id'][] {
    return this.has(nameOrId) ? this.#store.catalog.naming(nameOrId).ids : [];
  }

  async tag(nameOrId: string, repository: string, tag: string): Promise<void> {
    const { catalog, nowMs } = this.#store;
    const naming = catalog.naming(nameOrId);
    const named = parseTagReference(repository);
    const reference = tag === '' ? named : withTag(named, tag);
    catalog.transaction(() => catalog.setReference(reference, naming, nowMs()));
    this.#store.publish('tag', catalog.resolve(nameOrId), familiarReference(reference));
  }

  async remove(nameOrId: string, options: Parameters<Images['remove']>[1]): Promise<RemovedImage[]> {
    return await new ImageRemoval(this.#store, options).run(nameOrId);
  }

  async prune(options: Parameters<Images['prune']>[0]): ReturnType<Images['prune']> {
    if (this.#pruning) throw new EngineError('conflict', 'a prune operation is already running');
    this.#pruning = true;
    const result = await pruneImages(this.#store, options).finally(() => (this.#pruning = false));
    this.#events.publish('image', 'prune', '', { reclaimed: String(result.spaceReclaimedBytes) });
    return result;
  }

  async collect(options: ImageCollection): ReturnType<Images['collect']> {
    const result = await this.#garbage.collect(options);
    if (result.removed.length > 0) {
      this.#events.publish('image', 'prune', '', { reclaimed: String(result.spaceReclaimedBytes) });
    }
    return result;
  }

  diskUsage(): ReturnType<Images['diskUsage']> {
    return imagesDiskUsage(this.#store);
  }

  async diskBlocks(): ReturnType<Images['diskBlocks']> {
    return await imagesDiskBlocks(this.#store);
  }

  async load(
    archive: AsyncIterable<Uint8Array>,
    options: Parameters<Images['load']>[1],
  ): ReturnType<Images['load']> {
    return await loadImages(this.#store, archive, options);
  }

  save(names: readonly string[], options: Parameters<Images['save']>[1]): AsyncIterable<Uint8Array> {
    const images = imagesToSave(this.#store, names, options.platforms);
    for (const { naming } of images) {
      const [id = ''] = naming.ids;
      this.#store.publish('save', id, id);
    }
    return saveImages(this.#store, images, options.signal);
  }

  async import(archive: AsyncIterable<Uint8Array>, options: Parameters<Images['import']>[1]): Promise<Image> {
    return await importImage(this.#store, archive, this.#applyChanges({}, options.changes ?? []), options);
  }

  async createFromLayer(request: Parameters<Images['createFromLayer']>[0]): Promise<Image> {
    const { reference: text, ...rest } = request;
    const reference = text === undefined ? undefined : parseTagReference(text);
    const id = await createImage(this.#store, {
      ...rest,
      leavesEmptyOut: true,
      ...(reference === undefined ? {} : { reference }),
    });
    this.#store.publish('create', id, id);
    if (reference !== undefined) this.#store.publish('tag', id, familiarReference(reference));
    return this.#store.catalog.view(id);
  }

  async compose(composition: Parameters<Images['compose']>[0]): Promise<Descriptor> {
    return await composeImages(this.#store, composition);
  }

  async bootstrap(name: string, options: Parameters<Images['bootstrap']>[1]): Promise<Image> {
    return await bootstrapImage(this.#store, name, options);
  }

  async pull(reference: string, options: PullOptions): Promise<void> {
    if (this.#pull === undefined) throw noRegistries('pull', reference);
    await this.#pull.run(reference, options);
  }

  async push(reference: string, options: PushOptions): Promise<void> {
    if (this.#push === undefined) throw noRegistries('push', reference);
    await this.#push.run(reference, options);
  }

  history(nameOrId: string, platform?: Platform): ReturnType<Images['history']> {
    const { catalog } = this.#store;
    return imageHistory(catalog, catalog.resolve(nameOrId, platform, true));
  }

  /** Layers lost with the snapshotter's directory, or never made by this snapshotter, come again from their blobs. */
  async #unpackMissing(): Promise<void> {
    const { catalog, snapshotter, leases, layers } = this.#store;
    // Also for containers of images that were removed, and for the build cache.
    for (const id of [...catalog.ids(), ...catalog.held().map(([held]) => held)]) {
      const { config } = catalog.view(id);
      if (chainIds(config.rootfs.diff_ids).every((chainId) => snapshotter.hasLayer(chainId))) continue;
      await using lease = leases.open();
      const records = catalog.record(id)?.layers ?? [];
      const sources = records.map(({ blob }, index) => ({
        diffId: config.rootfs.diff_ids[index] ?? blob.digest,
        blob,
      }));
      // An image that cannot be repaired stays listed, so that it can be seen and removed.
      await layers.ensure(lease, sources, {}).catch(() => undefined);
    }
  }

  /** A container that is gone before anybody looks has used its image, too. */
  #containerMade(image: string): void {
    if (image === '') return;
    const { catalog } = this.#store;
    try {
      for (const id of catalog.naming(image).ids) this.#garbage.used(id);
    } catch {
      // The name was taken away in this very moment.
    }
  }

  #containerRemoved(containerId: string): void {
    for (const [id, users] of this.#store.catalog.held()) {
      if (!users.includes(containerId)) continue;
      // What stays behind when this fails goes at the next open().
      this.#release(
        id,
        users.filter((user) => user !== containerId),
      ).catch(() => undefined);
    }
  }

  /** Drops an image that was removed while containers used it, when none does any more. */
  async #release(id: Image['id'], users: string[]): Promise<void> {
    const { catalog, leases } = this.#store;
    const record = catalog.record(id);
    if (record?.heldBy === undefined) return;
    if (users.length > 0) {
      const { config } = catalog.view(id);
      catalog.transaction(() => catalog.put(id, config, { ...record, heldBy: users }));
      return;
    }
    const garbage = catalog.shared(id);
    catalog.transaction(() => catalog.delete(id));
    await leases.collect(garbage);
  }
}

function noRegistries(verb: string, reference: string): EngineError {
  return new EngineError(
    'unavailable',
    `Cannot ${verb} ${reference}: the engine was opened without registries`,
  );
}
