import { execFile } from 'node:child_process';
import type { BlobInfo, BlobWriter, ContentStore } from '../content/index.ts';
import {
  chainIds,
  type ChainId,
  type Descriptor,
  type DiffId,
  type Digest,
  type ImageConfig,
} from '../spec/index.ts';
import { layerBlob } from './compose.ts';
import type { LayerRecord } from './image-record.ts';
import { createImage } from './create-image.ts';
import type { ImageStore } from './image-store.ts';
import type { Image, ImageForm } from './images.ts';
import type { LayerSource } from './layers.ts';
import type { PackedForms } from './packed-layers.ts';

/** Who holds the records that stand for trees; no id of a container looks like this. */
export const treeHolder = 'tree';

export interface TreeLayer {
  diffId: DiffId;
  chainId: ChainId;
  /** Bytes of the files in it. */
  sizeBytes: number;
}

/** A stack of layers that belongs to no image. The same layers are the same tree. */
export interface Tree {
  /** Names the tree as long as it is kept; no id of an image. */
  id: Digest;
  /** Bottom first. */
  layers: readonly TreeLayer[];
  /** Of the top layer; null for a tree without layers. */
  chainId: ChainId | null;
}

/** A layer that somebody else keeps. */
export interface RemoteLayer {
  diffId: DiffId;
  blob: Descriptor;
}

/** Brings a blob to the content store, verified. */
export type FetchLayer = (
  blob: Descriptor,
  to: { content: ContentStore; commit: (writer: BlobWriter) => Promise<BlobInfo>; signal: AbortSignal },
) => Promise<void>;

/** Layers as blobs for others, there until it is disposed. */
export interface PackedLayers extends AsyncDisposable {
  /** With OCI's media types. */
  readonly blobs: ReadonlyMap<DiffId, Descriptor>;
  /**
   * The file of one, which is made when it is first asked for.
   * @throws {EngineError} `not-found` when it becomes another one than it did earlier, by another version: known from then on
   */
  file(digest: Digest): Promise<string>;
}

/** Layers to stack more on: a tree, or an image for the files of it. */
export type LayerStack = Tree | Image;

/**
 * Trees are what the builder makes and keeps between builds. They are not listed as images, they survive the engine, and
 * their layers stay until the last tree and image with them is gone.
 */
export interface Trees {
  get(id: Digest): Tree | undefined;
  ids(): Digest[];
  /** Bottom first. */
  layersOf(stack: LayerStack): readonly DiffId[];
  /** Of the blocks that each layer of a tree takes on disk, with its blob: of all trees. */
  diskBytes(): Promise<Map<ChainId, number>>;
  /** An image's layers, or its lowest `count`, kept beyond the image. */
  keep(image: Pick<Image, 'id'>, count?: number): Promise<Tree>;
  /** A layer tar on top; null for none. `place` as of Images.createFromLayer(). */
  add(request: {
    below: LayerStack | null;
    layer: AsyncIterable<Uint8Array> | null;
    place?: (directory: string) => Promise<boolean>;
  }): Promise<Tree>;
  /** The layers `from` (index) and up of `upper` on top of those of `below`, without reading a file. */
  stack(below: LayerStack | null, upper: LayerStack, from?: number): Promise<Tree>;
  /**
   * A tree of layers that somebody else keeps, bottom first; those that are here, too, are not fetched.
   * @throws {EngineError} `data-loss` and `invalid-parameter` for a layer that is not what it is said to be; nothing is kept
   */
  fetch(layers: readonly RemoteLayer[], fetch: FetchLayer, signal: AbortSignal): Promise<Tree>;
  /** The layers of trees in the form that others get them; the same bytes each time. */
  pack(trees: readonly Tree[], form: ImageForm, signal: AbortSignal): Promise<PackedLayers>;
  /** An image of a tree's layers. The config's `rootfs` is made here. */
  image(tree: LayerStack | null, config: ImageConfig): Promise<Image>;
  /** Drops trees; unknown ids are no error. */
  remove(ids: readonly Digest[]): Promise<void>;
}

export class LocalTrees implements Trees {
  readonly #store: ImageStore;
  readonly #forms: PackedForms;

  constructor(store: ImageStore, forms: PackedForms) {
    this.#store = store;
    this.#forms = forms;
  }

  get(id: Digest): Tree | undefined {
    const { catalog } = this.#store;
    const record = catalog.record(id);
    if (record?.heldBy?.includes(treeHolder) !== true) return undefined;
    const diffIds = catalog.view(id).config.rootfs.diff_ids;
    const layers = chainIds(diffIds).map((chainId, index) => ({
      diffId: diffIds[index] ?? chainId,
      chainId,
      sizeBytes: record.layers[index]?.sizeBytes ?? 0,
    }));
    return { id, layers, chainId: layers.at(-1)?.chainId ?? null };
  }

  ids(): Digest[] {
    return this.#store.catalog.held().flatMap(([id, users]) => (users.includes(treeHolder) ? [id] : []));
  }

  async diskBytes(): Promise<Map<ChainId, number>> {
    const { catalog, content, snapshotter } = this.#store;
    const { blobs } = await content.diskUsage();
    const bytes = new Map<ChainId, number>();
    for (const id of this.ids()) {
      const records = catalog.record(id)?.layers ?? [];
      for (const [index, { chainId }] of (this.get(id)?.layers ?? []).entries()) {
        if (bytes.has(chainId)) continue;
        const digest = records[index]?.blob.digest ?? '';
        const unpacked = snapshotter.hasLayer(chainId) ? await snapshotter.layerDiskBytes(chainId) : 0;
        bytes.set(chainId, unpacked + (blobs.get(digest) ?? 0));
      }
    }
    return bytes;
  }

  layersOf({ id }: LayerStack): readonly DiffId[] {
    return this.#store.catalog.view(id).config.rootfs.diff_ids;
  }

  async keep(image: Pick<Image, 'id'>, count = Infinity): Promise<Tree> {
    return await this.#make(this.#layers(image).slice(0, count));
  }

  async add({ below, layer, place }: Parameters<Trees['add']>[0]): Promise<Tree> {
    const parent = below === null ? null : this.#store.catalog.view(below.id);
    const made = await createImage(this.#store, {
      parent,
      layer,
      ...(place === undefined ? {} : { place }),
      config: treeConfig(),
      heldBy: [treeHolder],
    });
    return this.#known(made);
  }

  async stack(below: LayerStack | null, upper: LayerStack, from = 0): Promise<Tree> {
    const lower = below === null ? [] : this.#layers(below);
    const { config } = this.#store.catalog.view(upper.id);
    const chain = chainIds(config.rootfs.diff_ids);
    const moved = this.#layers(upper).map((source, index): LayerSource => {
      const original = chain[index];
      return original === undefined
        ? source
        : { ...source, place: (directory) => this.#linkLayer(original, directory) };
    });
    return await this.#make([...lower, ...moved.slice(from)]);
  }

  async fetch(layers: readonly RemoteLayer[], fetch: FetchLayer, signal: AbortSignal): Promise<Tree> {
    const { catalog, content, leases } = this.#store;
    await using lease = leases.open();
    const chain = chainIds(layers.map(({ diffId }) => diffId));
    const fetched = new Map<Digest, Promise<void>>();
    const commit = (writer: BlobWriter): Promise<BlobInfo> => lease.commit(writer);
    const sources: LayerSource[] = [];
    for (const [index, { diffId, blob }] of layers.entries()) {
      const here = catalog.layer(chain[index] ?? diffId)?.blob ?? blob;
      await lease.hold({ kind: 'blob', digest: here.digest });
      if (content.has(here.digest)) {
        sources.push({ diffId, blob: here });
        continue;
      }
      const ready = async (stop: AbortSignal): Promise<void> => {
        const known = fetched.get(blob.digest) ?? fetch(blob, { content, commit, signal: stop });
        fetched.set(blob.digest, known);
        await known;
      };
      sources.push({ diffId, blob, ready });
    }
    return await this.#make(sources, signal);
  }

  async pack(trees: readonly Tree[], form: ImageForm, signal: AbortSignal): Promise<PackedLayers> {
    const { catalog, content, leases } = this.#store;
    await using stack = new AsyncDisposableStack();
    const lease = stack.use(leases.open());
    const blobs = new Map<DiffId, Descriptor>();
    const makers = new Map<Digest, () => Promise<Descriptor>>();
    for (const { id, layers } of trees) {
      const records = catalog.record(id)?.layers ?? [];
      for (const [index, { diffId }] of layers.entries()) {
        const record = records[index];
        if (record === undefined || blobs.has(diffId)) continue;
        await lease.hold({ kind: 'blob', digest: record.blob.digest });
        const make = async (): Promise<Descriptor> => {
          const made = await layerBlob(this.#store, lease, record, form, signal);
          this.#forms.put(diffId, form, made);
          return made;
        };
        const known = record.blob.digest === diffId ? this.#forms.get(diffId, form) : undefined;
        const blob = known ?? (await make());
        if (known !== undefined) await lease.hold({ kind: 'blob', digest: known.digest });
        blobs.set(diffId, blob);
        makers.set(blob.digest, make);
      }
    }
    const held = stack.move();
    return {
      blobs,
      async file(digest) {
        if (!content.has(digest)) await makers.get(digest)?.();
        return content.path(digest);
      },
      [Symbol.asyncDispose]: () => held.disposeAsync(),
    };
  }

  async image(tree: LayerStack | null, config: ImageConfig): Promise<Image> {
    const parent = tree === null ? null : this.#store.catalog.view(tree.id);
    const id = await createImage(this.#store, { parent, layer: null, config, hasNoParent: true });
    this.#store.publish('create', id, id);
    return this.#store.catalog.view(id);
  }

  async remove(ids: readonly Digest[]): Promise<void> {
    const { catalog, leases } = this.#store;
    const gone = ids.filter((id) => catalog.record(id)?.heldBy?.includes(treeHolder) === true);
    if (gone.length === 0) return;
    const garbage = gone.flatMap((id) => catalog.shared(id));
    catalog.transaction(() => {
      for (const id of gone) catalog.delete(id);
    });
    // Upper layers come before those they lie on, whichever tree named them first.
    const depth = new Map(garbage.map(({ digest }) => [digest, this.#depth(digest)]));
    await leases.collect(garbage.toSorted((a, b) => (depth.get(b.digest) ?? 0) - (depth.get(a.digest) ?? 0)));
  }

  #depth(digest: Digest): number {
    const { snapshotter } = this.#store;
    return snapshotter.hasLayer(digest) ? snapshotter.layerDirectories(digest).length : 0;
  }

  #layers({ id }: Pick<Image, 'id'>): LayerSource[] {
    const { catalog } = this.#store;
    const records: LayerRecord[] = catalog.record(id)?.layers ?? [];
    return catalog
      .view(id)
      .config.rootfs.diff_ids.flatMap((diffId, index) =>
        records[index] === undefined ? [] : [{ diffId, blob: records[index].blob }],
      );
  }

  async #make(layers: readonly LayerSource[], signal?: AbortSignal): Promise<Tree> {
    const id = await createImage(this.#store, {
      parent: null,
      layer: null,
      layers,
      config: treeConfig(),
      heldBy: [treeHolder],
      ...(signal === undefined ? {} : { signal }),
    });
    return this.#known(id);
  }

  #known(id: Digest): Tree {
    const tree = this.get(id);
    if (tree === undefined) throw new Error(`the tree ${id} is not there`);
    return tree;
  }

  /** The same layer on others: its files get second names. */
  async #linkLayer(chainId: ChainId, directory: string): Promise<boolean> {
    const { snapshotter } = this.#store;
    if (snapshotter.driver !== 'overlay2' || !snapshotter.hasLayer(chainId)) return false;
    const source = snapshotter.layerDirectories(chainId)[0] ?? '';
    return await new Promise((resolve) => {
      execFile('cp', ['--archive', '--link', '--', `${source}/.`, directory], (error) =>
        resolve(error === null),
      );
    });
  }
}

/** The same for every tree, so that its id tells the layers and nothing else. */
function treeConfig(): ImageConfig {
  return { architecture: '', os: '', config: {}, rootfs: { type: 'layers', diff_ids: [] }, history: [] };
}
