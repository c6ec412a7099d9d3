import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  type Stats,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { EngineError } from '../errors/index.ts';
import { isDigest, type ChainId } from '../spec/index.ts';
import type { Syscall } from '../sys/index.ts';
import { makeInitTree } from './init-tree.ts';
import { LayerStore } from './layer-store.ts';
import { Trash } from './trash.ts';

export interface SnapshotterParts {
  /** `<data root>/overlay2` or `<data root>/vfs`. */
  directory: string;
  syscall: Syscall;
  status: readonly (readonly [string, string])[];
}

const HALF_MADE = '.new-';
const NO_PARENT = 'none';

/**
 * What snapshotters share whose layers are directories: `layers/`, and `active/<key>/` with a symlink `parent` whose text is
 * the chain id of the layer below.
 */
export abstract class LayeredSnapshotter {
  readonly status: readonly (readonly [string, string])[];
  protected readonly syscall: Syscall;
  protected readonly store: LayerStore;
  protected readonly trash: Trash;
  readonly #active: string;
  readonly #scratchInit: string;

  constructor(parts: SnapshotterParts) {
    this.status = parts.status;
    this.syscall = parts.syscall;
    this.#active = `${parts.directory}/active`;
    this.#scratchInit = `${parts.directory}/init`;
    mkdirSync(this.#active, { recursive: true, mode: 0o711 });
    this.trash = new Trash(`${parts.directory}/trash`);
    this.store = new LayerStore(`${parts.directory}/layers`, this.trash);
  }

  /** Top first; what a tree on this layer is made of. */
  abstract layerDirectories(chainId: ChainId): string[];
  abstract remove(key: string): Promise<void>;

  hasLayer(chainId: ChainId): boolean {
    return this.store.has(chainId);
  }

  layerDiskBytes(chainId: ChainId): Promise<number> {
    return this.store.diskBytes(chainId);
  }

  removeLayer(chainId: ChainId): Promise<void> {
    this.store.remove(chainId);
    return Promise.resolve();
  }

  layers(): ChainId[] {
    return this.store.list();
  }

  active(): string[] {
    return readdirSync(this.#active).filter((name) => !name.startsWith(HALF_MADE));
  }

  usedLayers(): Set<ChainId> {
    // One that the engine died over while it removed it may be without its parent.
    const whole = this.active().filter((key) => isLink(`${this.directory(key)}/parent`));
    return this.store.below(whole.map((key) => this.parent(key)));
  }

  async sweep(keep: ReadonlySet<string>): Promise<void> {
    for (const name of readdirSync(this.#active)) {
      if (name.startsWith(HALF_MADE)) this.trash.discard(`${this.#active}/${name}`);
      else if (!keep.has(name)) await this.remove(name);
    }
    this.store.sweep();
    this.trash.sweep();
  }

  async close(): Promise<void> {
    await Promise.all([this.trash.drain(), this.store.close()]);
  }

  protected directory(key: string): string {
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]*$/.test(key))
      throw new EngineError('invalid-parameter', `bad snapshot key ${key}`);
    return `${this.#active}/${key}`;
  }

  protected existing(key: string): string {
    const directory = this.directory(key);
    if (!existsSync(directory)) throw new EngineError('not-found', `snapshot does not exist: ${key}`);
    return directory;
  }

  protected parent(key: string): ChainId | null {
    const text = readlinkSync(`${this.directory(key)}/parent`);
    return isDigest(text) ? text : null;
  }

  /** All below an active snapshot, top first: the init tree of the image, then its layers. */
  protected lowerDirectories(parent: ChainId | null): string[] {
    const layers = parent === null ? [] : this.layerDirectories(parent);
    const init = parent === null ? this.#scratchInit : this.store.companion(parent, 'init');
    if (!existsSync(init)) makeInitTree(init, (relative) => topmost(layers, relative));
    return [init, ...layers];
  }

  /** A new active snapshot, there as a whole or not at all. @param fill makes what is in its directory */
  protected async make(
    key: string,
    parent: ChainId | null,
    fill: (directory: string, lower: readonly string[]) => Promise<void> | void,
  ): Promise<void> {
    const directory = this.directory(key);
    const refuseTaken = (): void => {
      if (existsSync(directory)) throw new EngineError('already-exists', `snapshot ${key} exists already`);
    };
    refuseTaken();
    const lower = this.lowerDirectories(parent);
    const half = `${this.#active}/${HALF_MADE}${key}-${randomBytes(4).toString('hex')}`;
    try {
      mkdirSync(half, { mode: 0o711 });
      await fill(half, lower);
      symlinkSync(parent ?? NO_PARENT, `${half}/parent`);
      refuseTaken();
      renameSync(half, directory);
    } catch (error) {
      this.trash.discard(half);
      throw error;
    }
  }
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

function topmost(layers: readonly string[], relative: string): Stats | undefined {
  for (const layer of layers) {
    const stat = lstatSync(relative === '' ? layer : `${layer}/${relative}`, { throwIfNoEntry: false });
    if (stat !== undefined) return stat;
  }
  return undefined;
}
