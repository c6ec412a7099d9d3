import type { ExpansionLimits } from '../archive/index.ts';
import type { ContentStore } from '../content/index.ts';
import type { EventBus } from '../events/index.ts';
import type { Snapshotter } from '../snapshots/index.ts';
import type { Digest, ImageConfig, Platform, Reference } from '../spec/index.ts';
import { storeBytes } from './archive-files.ts';
import type { ImageCatalog } from './catalog.ts';
import type { ImageRecord, IndexRecord } from './image-record.ts';
import type { FoundImage } from './docker-archive.ts';
import { ImageLayers, type LayersOptions, type UnpackLayer } from './layers.ts';
import { Leases, type Lease, type Shared } from './leases.ts';

/** An image whose blobs and layers are all there and held, so that it can be recorded at once. */
export interface PreparedImage {
  id: Digest;
  config: ImageConfig;
  record: ImageRecord;
  references: Reference[];
  /** The index that the references stand for. */
  index?: Digest;
}

/** What the operations on images share: the stores, and the one way in which an image comes to be. */
export class ImageStore {
  readonly content: ContentStore;
  readonly snapshotter: Snapshotter;
  readonly catalog: ImageCatalog;
  readonly leases: Leases;
  readonly layers: ImageLayers;
  readonly archiveLimits: ExpansionLimits;
  readonly nowMs: () => number;
  /** What runs here. */
  readonly machine: Platform;
  readonly #events: EventBus;

  constructor(parts: {
    content: ContentStore;
    snapshotter: Snapshotter;
    catalog: ImageCatalog;
    events: EventBus;
    unpack: UnpackLayer;
    archiveLimits: ExpansionLimits;
    nowMs: () => number;
    machine: Platform;
  }) {
    this.content = parts.content;
    this.snapshotter = parts.snapshotter;
    this.catalog = parts.catalog;
    this.archiveLimits = parts.archiveLimits;
    this.nowMs = parts.nowMs;
    this.machine = parts.machine;
    this.#events = parts.events;
    this.layers = new ImageLayers(parts);
    this.leases = new Leases(
      (shared) => this.catalog.refersTo(shared),
      async (shared) => await this.#delete(shared),
    );
  }

  /** Stores config and manifest and unpacks the layers. */
  async prepare(lease: Lease, found: FoundImage, options: LayersOptions = {}): Promise<PreparedImage> {
    const { digest: id } = await storeBytes(this.content, lease, found.configBytes);
    if (found.manifest !== null) await storeBytes(this.content, lease, found.manifest.bytes);
    const layers = await this.layers.ensure(lease, found.layers, options);
    const manifest = found.manifest?.descriptor ?? null;
    const record: ImageRecord = {
      layers,
      manifest,
      ...(found.index === undefined ? {} : { indexes: [found.index] }),
      parent: found.parent,
      lastTaggedAtMs: null,
    };
    const { config, references, index } = found;
    return { id, config, record, references, ...(index === undefined ? {} : { index: index.digest }) };
  }

  /**
   * Records images, all or none, when their blobs are on disk. One that is there keeps what is known of it; one that came with a manifest gives it to
   * one that had none. Returns the images that lost a reference to a new one.
   */
  async commit(images: readonly PreparedImage[]): Promise<{ reference: Reference; previous: Digest }[]> {
    await this.content.sync();
    return this.catalog.transaction(() => {
      for (const { id, config, record } of images) {
        const known = this.catalog.record(id);
        if (known === undefined || known.heldBy !== undefined || known.manifest === null) {
          this.catalog.put(id, config, merge(known, record));
        } else if (known.manifest.digest === record.manifest?.digest && record.indexes !== undefined) {
          this.catalog.put(id, config, { ...known, indexes: union(known.indexes, record.indexes) });
        }
      }
      const moved: { reference: Reference; previous: Digest }[] = [];
      for (const { id, index, references } of images) {
        // One that had come with another manifest of the same configuration is not of this index.
        const isOf = this.catalog.record(id)?.indexes?.some(({ digest }) => digest === index) === true;
        const naming = { ids: [id], ...(isOf && index !== undefined ? { index } : {}) };
        for (const reference of references) {
          const previous = this.catalog.named(reference)?.ids ?? [];
          this.catalog.setReference(reference, naming, this.nowMs());
          const now = this.catalog.named(reference)?.ids ?? [];
          moved.push(
            ...previous.filter((old) => !now.includes(old)).map((old) => ({ reference, previous: old })),
          );
        }
      }
      return moved;
    });
  }

  /**
   * As Docker does, with the image's labels and a name: the reference for `tag`, else the id. The actor is the id; a
   * reference for `pull` and `push`.
   */
  publish(action: string, id: Digest, name: string, actor: string = id): void {
    const visible = this.catalog.ids().includes(id);
    const labels = visible ? (this.catalog.view(id).config.config?.Labels ?? {}) : {};
    this.#events.publish('image', action, actor, { ...labels, name });
  }

  /**
   * Blobs and layers that no image refers to: what a crash left. A layer that a container's tree lies on stays, whatever
   * became of the image's record.
   */
  async collectAll(): Promise<void> {
    const used = this.snapshotter.usedLayers();
    const free = this.snapshotter.layers().filter((chainId) => !used.has(chainId));
    const candidates: Shared[] = free.map((digest) => ({ kind: 'layer', digest }));
    for await (const { digest } of this.content.list()) candidates.push({ kind: 'blob', digest });
    await this.leases.collect(candidates);
  }

  async #delete({ kind, digest }: Shared): Promise<void> {
    if (kind === 'blob') await this.content.delete(digest);
    else if (this.snapshotter.hasLayer(digest)) await this.snapshotter.removeLayer(digest);
  }
}

function merge(known: ImageRecord | undefined, record: ImageRecord): ImageRecord {
  if (known === undefined) return record;
  return {
    ...record,
    parent: known.parent === '' ? record.parent : known.parent,
    lastTaggedAtMs: known.lastTaggedAtMs,
  };
}

function union(known: readonly IndexRecord[] = [], more: readonly IndexRecord[]): IndexRecord[] {
  const result = new Map(known.map((index) => [index.digest, index]));
  for (const index of more) {
    const kept = [...(result.get(index.digest)?.kept ?? []), ...(index.kept ?? [])];
    const unique = [...new Map(kept.map((one) => [one.digest, one])).values()];
    result.set(index.digest, { ...index, ...(unique.length === 0 ? {} : { kept: unique }) });
  }
  return [...result.values()];
}
