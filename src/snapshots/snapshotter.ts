import type { ChainId } from '../spec/index.ts';

/**
 * File trees. A *layer* is committed, immutable and named by its chain id; an *active* snapshot is a container's (or
 * build step's) writable tree on top of a layer, named by a key of its owner (64 hex). Records are rebuilt from the
 * directories themselves, so a crash at any moment leaves each layer and active snapshot whole or absent after sweep().
 */
export interface Snapshotter {
  /** Docker's driver name: `overlay2`, `vfs`. */
  readonly driver: string;
  /** Docker's `DriverStatus` lines, and why this driver was chosen. */
  readonly status: readonly (readonly [string, string])[];
  hasLayer(chainId: ChainId): boolean;
  /**
   * Makes a layer: `fill` gets an empty directory and writes the layer's own entries to it (overlay form: whiteouts are
   * 0/0 character devices, opaque directories carry trusted.overlay.opaque). Atomic; concurrent calls for one chain id
   * share one fill. The parent may still be in the making by another call, which a copying snapshotter waits for. For it the directory holds the parent's files already and `fill` gets
   * `form: 'merged'`, in which whiteouts are deletions.
   */
  createLayer(
    chainId: ChainId,
    parent: ChainId | null,
    fill: (directory: string, form: 'overlay' | 'merged') => Promise<void>,
  ): Promise<void>;
  /** Bytes on disk of the layer's own entries, counted once and kept. */
  layerSizeBytes(chainId: ChainId): Promise<number>;
  /** Of the blocks that the layer takes on disk with all that is kept for it. */
  layerDiskBytes(chainId: ChainId): Promise<number>;
  /** The caller knows that no image, layer or active snapshot needs it. */
  removeLayer(chainId: ChainId): Promise<void>;
  layers(): ChainId[];
  /** Directories for a reader of a layer chain, top first. */
  layerDirectories(chainId: ChainId): string[];

  /** Makes the writable tree; synchronous and cheap (three mkdirs) for overlay. Throws `already-exists`. */
  prepare(key: string, parent: ChainId | null): Promise<void>;
  /**
   * Mounts it (idempotent) and returns the root's path. What is `isDiscardable` need not survive a power cut: it is
   * never synced, which spares its unmount the wait for everybody's dirty pages.
   */
  mount(key: string, options?: { isDiscardable?: boolean }): Promise<string>;
  /** No error when not mounted. */
  unmount(key: string): Promise<void>;
  /** Unmounts and deletes; no error when gone. */
  remove(key: string): Promise<void>;
  active(): string[];
  /** The layers that active snapshots are made of. */
  usedLayers(): Set<ChainId>;
  /** Where a container's root is mounted, and Docker's `GraphDriver.Data` members. */
  describe(key: string): { rootPath: string; data: Record<string, string> };
  /** What changed against the parent, sorted by path as Docker sorts it. */
  changes(key: string): Promise<{ path: string; kind: 'modified' | 'added' | 'deleted' }[]>;
  /** The changes as a layer tar (whiteouts as `.wh.` names), for commit and build. Must not change meanwhile. */
  diff(key: string): AsyncIterable<Uint8Array>;
  /**
   * Unmounts the snapshot and moves what was written to it, in overlay form, into an empty directory; the snapshot is good
   * for remove() alone then. False, and nothing moved, when that is another file system; absent where trees are copies.
   */
  takeChanges?(key: string, directory: string): Promise<boolean>;
  /** Bytes written to the active snapshot. */
  usageBytes(key: string): Promise<number>;
  /** Of the blocks that the active snapshot takes on disk. */
  diskBytes(key: string): Promise<number>;
  /** Removes half-made layers and whatever is not in `keep` (keys of active snapshots); called at start. */
  sweep(keep: ReadonlySet<string>): Promise<void>;
  /** Waits for deletions in the background. Mounts stay: containers go on without the engine. */
  close(): Promise<void>;
}
