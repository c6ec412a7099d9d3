import type { ExpansionLimits } from '../archive/index.ts';
import type { ContentStore } from '../content/index.ts';
import type { EventBus } from '../events/index.ts';
import type { Snapshotter } from '../snapshots/index.ts';
import type { Descriptor, Digest, ImageConfig, Reference } from '../spec/index.ts';
import { storeBytes } from './archive-files.ts';
import type { ImageCatalog, ImageRecord } from './catalog.ts';
import type { FoundImage } from './docker-archive.ts';
import { ImageLayers, type LayersOptions, type UnpackLayer } from './layers.ts';
import { Leases, type Lease, type Shared } from './leases.ts';

/** An image whose blobs and layers are all there and held, so that it can be recorded at once. */
export interface PreparedImage {
  id: Digest;
  config: ImageConfig;
  record: ImageRecord;
  references: Reference[];
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
  readonly #events: EventBus;

  constructor(parts: {
    content: ContentStore;
    snapshotter: Snapshotter;
    catalog: ImageCatalog;
    events: EventBus;
    unpack: UnpackLayer;
    archiveLimits: ExpansionLimits;
    nowMs: () => number;
  }) {
    this.content = parts.content;
    this.snapshotter = parts.snapshotter;
    this.catalog = parts.catalog;
    this.archiveLimits = parts.archiveLimits;
    this.nowMs = parts.nowMs;
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
    if (found.index !== undefined) await storeBytes(this.content, lease, found.index.bytes);
    const layers = await this.layers.ensure(lease, found.layers, options);
    const manifest = found.manifest?.descriptor ?? null;
    const record: ImageRecord = {
      layers,
      manifest,
      ...(found.index === undefined ? {} : { indexes: [found.index.descriptor] }),
      parent: found.parent,
      lastTaggedAtMs: null,
    };
    return { id, config: found.config, record, references: found.references };
  }

  /**
   * Records images, all or none. One that is there keeps what is known of it; one that came with a manifest gives it to
   * one that had none. Returns the images that lost a reference to a new one.
   */
  commit(images: readonly PreparedImage[]): { reference: Reference; previous: Digest }[] {
    return this.catalog.transaction(() => {
      const moved: { reference: Reference; previous: Digest }[] = [];
      for (const { id, config, record, references } of images) {
        const known = this.catalog.record(id);
        if (known === undefined || known.heldBy !== undefined || known.manifest === null) {
          this.catalog.put(id, config, merge(known, record));
        } else if (known.manifest.digest === record.manifest?.digest) {
          const indexes = union(known.indexes, record.indexes);
          if (indexes.length > (known.indexes?.length ?? 0))
            this.catalog.put(id, config, { ...known, indexes });
        }
        for (const reference of references) {
          const previous = this.catalog.referenced(reference);
          if (previous !== undefined && previous !== id) moved.push({ reference, previous });
          this.catalog.setReference(reference, id, this.nowMs());
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

  /** Blobs and layers that no image refers to: what a crash left. */
  async collectAll(): Promise<void> {
    const candidates: Shared[] = this.snapshotter.layers().map((digest) => ({ kind: 'layer', digest }));
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

function union(known: readonly Descriptor[] = [], more: readonly Descriptor[] = []): Descriptor[] {
  return [...known, ...more.filter(({ digest }) => known.every((other) => other.digest !== digest))];
}
