import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  symlinkSync,
} from 'node:fs';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { packTreeChanges, removeTree, treeChanges, type TreeChange } from '../archive/index.ts';
import { EngineError } from '../errors/index.ts';
import { isDigest, type ChainId } from '../spec/index.ts';
import { diskUsageBytes, type Syscall } from '../sys/index.ts';
import { makeInitTree } from './init-tree.ts';
import { LayerStore } from './layer-store.ts';
import type { SnapshotterParts } from './overlay-snapshotter.ts';
import type { Snapshotter } from './snapshotter.ts';
import { Trash } from './trash.ts';
import { treeSizeBytes } from './tree-size.ts';

const run = promisify(execFile);
const HALF_MADE = '.new-';
const NO_PARENT = 'none';

/**
 * Snapshots as plain copies, for file systems on which overlayfs cannot work: each layer and each active snapshot is a
 * whole tree (`layers/<short id>/fs`, `active/<key>/{root,parent}`), shared by reflink where the file system can.
 */
export class CopySnapshotter implements Snapshotter {
  readonly driver = 'vfs';
  readonly status: readonly (readonly [string, string])[];
  readonly #syscall: Syscall;
  readonly #active: string;
  readonly #scratchInit: string;
  readonly #trash: Trash;
  readonly #layers: LayerStore;

  constructor(parts: SnapshotterParts) {
    this.status = parts.status;
    this.#syscall = parts.syscall;
    this.#active = `${parts.directory}/active`;
    this.#scratchInit = `${parts.directory}/init`;
    mkdirSync(this.#active, { recursive: true, mode: 0o711 });
    this.#trash = new Trash(`${parts.directory}/trash`);
    this.#layers = new LayerStore(`${parts.directory}/layers`, this.#trash);
  }

  hasLayer(chainId: ChainId): boolean {
    return this.#layers.has(chainId);
  }

  createLayer(
    chainId: ChainId,
    parent: ChainId | null,
    fill: (directory: string, form: 'overlay' | 'merged') => Promise<void>,
  ): Promise<void> {
    return this.#layers.create(chainId, parent, async (directory) => {
      if (parent !== null) {
        await this.#layers.settled(parent);
        await copyTree(this.#layers.files(parent), directory);
      }
      await fill(directory, 'merged');
    });
  }

  layerSizeBytes(chainId: ChainId): Promise<number> {
    return this.#layers.sizeBytes(chainId, async () => {
      const [, parent] = this.#layers.chain(chainId);
      const lower = parent === undefined ? [] : [this.#layers.files(parent)];
      return this.#changedBytes(this.#layers.files(chainId), lower);
    });
  }

  layerDiskBytes(chainId: ChainId): Promise<number> {
    return this.#layers.diskBytes(chainId);
  }

  removeLayer(chainId: ChainId): Promise<void> {
    this.#layers.remove(chainId);
    return Promise.resolve();
  }

  layers(): ChainId[] {
    return this.#layers.list();
  }

  /** One directory: it holds the layers below too. */
  layerDirectories(chainId: ChainId): string[] {
    this.#layers.chain(chainId);
    return [this.#layers.files(chainId)];
  }

  async prepare(key: string, parent: ChainId | null): Promise<void> {
    const directory = this.#directory(key);
    if (existsSync(directory)) throw new EngineError('already-exists', `snapshot ${key} exists already`);
    const lower = this.#lowerDirectories(parent);
    const half = `${this.#active}/${HALF_MADE}${key}-${randomBytes(4).toString('hex')}`;
    try {
      mkdirSync(half, { mode: 0o711 });
      const root = `${half}/root`;
      mkdirSync(root, { mode: 0o755 });
      chmodSync(root, 0o755);
      for (const tree of lower.toReversed()) {
        if (tree === lower[0]) clearWayFor(tree, root);
        await copyTree(tree, root);
      }
      symlinkSync(parent ?? NO_PARENT, `${half}/parent`);
      if (existsSync(directory)) throw new EngineError('already-exists', `snapshot ${key} exists already`);
      renameSync(half, directory);
    } catch (error) {
      this.#trash.discard(half);
      throw error;
    }
  }

  async mount(key: string): Promise<string> {
    return `${this.#existing(key)}/root`;
  }

  unmount(): Promise<void> {
    return Promise.resolve();
  }

  async remove(key: string): Promise<void> {
    this.#trash.discard(this.#directory(key));
  }

  active(): string[] {
    return readdirSync(this.#active).filter((name) => !name.startsWith(HALF_MADE));
  }

  usedLayers(): Set<ChainId> {
    return this.#layers.below(this.active().map((key) => this.#parent(key)));
  }

  describe(key: string): { rootPath: string; data: Record<string, string> } {
    return { rootPath: `${this.#existing(key)}/root`, data: {} };
  }

  async changes(key: string): Promise<TreeChange[]> {
    const { root, lower } = this.#trees(key);
    return treeChanges(this.#syscall, root, lower, { complete: true });
  }

  async *diff(key: string): AsyncIterable<Uint8Array> {
    yield* packTreeChanges(this.#syscall, this.#trees(key).root, await this.changes(key));
  }

  async usageBytes(key: string): Promise<number> {
    const { root, lower } = this.#trees(key);
    return this.#changedBytes(root, lower);
  }

  /** The whole tree: it is a copy. */
  async diskBytes(key: string): Promise<number> {
    return diskUsageBytes(this.#trees(key).root);
  }

  async sweep(keep: ReadonlySet<string>): Promise<void> {
    for (const name of readdirSync(this.#active)) {
      if (name.startsWith(HALF_MADE) || !keep.has(name)) this.#trash.discard(`${this.#active}/${name}`);
    }
    this.#layers.sweep();
    this.#trash.sweep();
  }

  async close(): Promise<void> {
    await Promise.all([this.#trash.drain(), this.#layers.close()]);
  }

  #directory(key: string): string {
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]*$/.test(key))
      throw new EngineError('invalid-parameter', `bad snapshot key ${key}`);
    return `${this.#active}/${key}`;
  }

  #existing(key: string): string {
    const directory = this.#directory(key);
    if (!existsSync(directory)) throw new EngineError('not-found', `snapshot does not exist: ${key}`);
    return directory;
  }

  #trees(key: string): { root: string; lower: string[] } {
    const directory = this.#existing(key);
    return { root: `${directory}/root`, lower: this.#lowerDirectories(this.#parent(key)) };
  }

  #parent(key: string): ChainId | null {
    const text = readlinkSync(`${this.#directory(key)}/parent`);
    return isDigest(text) ? text : null;
  }

  #lowerDirectories(parent: ChainId | null): string[] {
    const layers = parent === null ? [] : this.layerDirectories(parent);
    const init = parent === null ? this.#scratchInit : this.#layers.companion(parent, 'init');
    if (!existsSync(init)) {
      makeInitTree(init, (relative) => {
        const path = layers[0] ?? init;
        return lstatSync(relative === '' ? path : `${path}/${relative}`, { throwIfNoEntry: false });
      });
    }
    return [init, ...layers];
  }

  async #changedBytes(root: string, lower: readonly string[]): Promise<number> {
    if (lower.length === 0) return treeSizeBytes(root);
    let total = 0;
    for (const { path, kind } of await treeChanges(this.#syscall, root, lower, { complete: true })) {
      if (kind === 'deleted') continue;
      const stat = lstatSync(`${root}${path}`, { throwIfNoEntry: false });
      if (stat !== undefined && !stat.isDirectory()) total += stat.size;
    }
    return total;
  }
}

/** With owners, times, links, devices, holes and extended attributes. */
async function copyTree(from: string, to: string): Promise<void> {
  await run('cp', ['-a', '--reflink=auto', '--', `${from}/.`, to]);
}

/** Removes what the copy of a tree could not be laid over: cp(1) would write through symlinks. */
function clearWayFor(tree: string, root: string): void {
  for (const entry of readdirSync(tree, { withFileTypes: true })) {
    const path = `${root}/${entry.name}`;
    const here = lstatSync(path, { throwIfNoEntry: false });
    if (here === undefined) continue;
    if (entry.isDirectory() && here.isDirectory()) clearWayFor(`${tree}/${entry.name}`, path);
    else removeTree(path);
  }
}
