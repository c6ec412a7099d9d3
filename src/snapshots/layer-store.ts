import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { EngineError } from '../errors/index.ts';
import { digestHex, isDigest, type ChainId } from '../spec/index.ts';
import { diskUsageBytes, fileDiskBytes, writeFileAtomic } from '../sys/index.ts';
import type { Trash } from './trash.ts';
import { treeSizeBytes } from './tree-size.ts';

interface LayerMeta {
  chainId: ChainId;
  parent: ChainId | null;
  /** Counted on demand, as the next. */
  sizeBytes: number | null;
  /** Of the blocks of its files. */
  diskBytes: number | null;
  /**
   * The boot in which it was written, until its content is known to be on disk: after a power cut such a layer may have
   * empty files.
   */
  unsyncedBoot: string | null;
}

/** Hex digits of a chain id in a directory name: short, so that many layers fit into the options of one mount. */
const NAME_DIGITS = 16;
const HALF_MADE = '.new-';
/** Layers of one image come shortly after each other. */
const SYNC_AFTER_MS = 1000;

/**
 * The committed layers of a snapshotter: `<directory>/<16 hex>/{fs,meta.json}`. A layer's directory appears by one
 * rename, so what is there is whole.
 */
export class LayerStore {
  readonly #directory: string;
  readonly #trash: Trash;
  readonly #layers = new Map<ChainId, LayerMeta>();
  readonly #filling = new Map<ChainId, Promise<void>>();
  #syncTimer: NodeJS.Timeout | undefined;
  #syncing: Promise<void> | undefined;
  readonly #bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();

  constructor(directory: string, trash: Trash) {
    this.#directory = directory;
    this.#trash = trash;
    mkdirSync(directory, { recursive: true, mode: 0o711 });
    for (const name of readdirSync(directory)) {
      if (name.startsWith(HALF_MADE)) continue;
      const meta = readMeta(`${directory}/${name}/meta.json`);
      // Written before a reset or power cut, and never synced: it must be unpacked again, and what it says of itself may
      // have been lost, too.
      const isLost =
        meta === undefined ||
        name !== directoryName(meta.chainId) ||
        (meta.unsyncedBoot !== null && meta.unsyncedBoot !== this.#bootId);
      if (isLost) this.#trash.discard(`${directory}/${name}`);
      else this.#layers.set(meta.chainId, meta);
    }
    if (this.#unsynced().length > 0) this.#syncSoon();
  }

  has(chainId: ChainId): boolean {
    return this.#layers.has(chainId);
  }

  list(): ChainId[] {
    return [...this.#layers.keys()];
  }

  /** The directory with the layer's own files. @throws {EngineError} `not-found` */
  files(chainId: ChainId): string {
    this.#meta(chainId);
    return `${this.#directory}/${directoryName(chainId)}/fs`;
  }

  /** A directory beside the layer's files, for what is derived from it. */
  companion(chainId: ChainId, name: string): string {
    return `${this.#directory}/${directoryName(chainId)}/${name}`;
  }

  /** The layer and all below it, top first. @throws {EngineError} `not-found` when one is missing. */
  chain(chainId: ChainId): ChainId[] {
    const chain: ChainId[] = [];
    for (let next: ChainId | null = chainId; next !== null; next = this.#meta(next).parent) chain.push(next);
    return chain;
  }

  /** The layers named and all that they lie on, as far as they are there. */
  below(tops: readonly (ChainId | null)[]): Set<ChainId> {
    const found = new Set<ChainId>();
    for (const top of tops) {
      for (let next = top; next !== null && !found.has(next); next = this.#layers.get(next)?.parent ?? null) {
        if (this.#layers.has(next)) found.add(next);
      }
    }
    return found;
  }

  /** Makes a layer by filling a directory; concurrent calls for one chain id share the first one's outcome. */
  create(
    chainId: ChainId,
    parent: ChainId | null,
    fill: (directory: string) => Promise<void>,
  ): Promise<void> {
    if (this.#layers.has(chainId)) return Promise.resolve();
    const running = this.#filling.get(chainId);
    if (running !== undefined) return running;
    // Registered before the first directory is there, for sweep().
    const made = Promise.resolve()
      .then(() => this.#fill(chainId, parent, fill))
      .finally(() => this.#filling.delete(chainId));
    this.#filling.set(chainId, made);
    return made;
  }

  /** Resolves when a layer that is being made is there. @throws {EngineError} `not-found` when nobody makes it. */
  async settled(chainId: ChainId): Promise<void> {
    // Whoever makes a stack of layers side by side calls for the lower ones first, but not in the same instant.
    for (let attempt = 0; attempt < 100 && !this.#layers.has(chainId); attempt += 1) {
      const running = this.#filling.get(chainId);
      if (running !== undefined) await running;
      else await new Promise((resolve) => setTimeout(resolve, 20));
    }
    this.#meta(chainId);
  }

  async sizeBytes(chainId: ChainId, count: () => Promise<number> = () => treeSizeBytes(this.files(chainId))) {
    const meta = this.#meta(chainId);
    if (meta.sizeBytes !== null) return meta.sizeBytes;
    meta.sizeBytes = await count();
    if (this.#layers.get(chainId) === meta) this.#write(meta);
    return meta.sizeBytes;
  }

  /** Its files, which do not change, are counted once; what is derived from them comes and goes. */
  async diskBytes(chainId: ChainId): Promise<number> {
    const meta = this.#meta(chainId);
    const directory = `${this.#directory}/${directoryName(chainId)}`;
    if (meta.diskBytes === null) {
      meta.diskBytes = await diskUsageBytes(`${directory}/fs`);
      if (this.#layers.get(chainId) === meta) this.#write(meta);
    }
    let total = meta.diskBytes;
    for (const name of existsSync(directory) ? readdirSync(directory) : []) {
      total += fileDiskBytes(`${directory}/${name}`);
      if (name !== 'fs') total += await diskUsageBytes(`${directory}/${name}`);
    }
    return total;
  }

  remove(chainId: ChainId): void {
    if (!this.#layers.delete(chainId)) return;
    this.#trash.discard(`${this.#directory}/${directoryName(chainId)}`);
  }

  /** Removes what is no whole layer, except what is being made now. */
  sweep(): void {
    const known = new Set([...this.#layers.keys()].map(directoryName));
    const making = new Set([...this.#filling.keys()].map(directoryName));
    for (const name of readdirSync(this.#directory)) {
      const id = name.startsWith(HALF_MADE) ? name.slice(HALF_MADE.length).split('-')[0] : undefined;
      if (known.has(name) || making.has(name) || (id !== undefined && making.has(id))) continue;
      this.#trash.discard(`${this.#directory}/${name}`);
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#syncTimer);
    await this.#syncing;
  }

  async #fill(
    chainId: ChainId,
    parent: ChainId | null,
    fill: (directory: string) => Promise<void>,
  ): Promise<void> {
    const name = directoryName(chainId);
    const half = `${this.#directory}/${HALF_MADE}${name}-${randomBytes(4).toString('hex')}`;
    mkdirSync(half, { mode: 0o711 });
    try {
      mkdirSync(`${half}/fs`, { mode: 0o755 });
      await fill(`${half}/fs`);
      const meta: LayerMeta = {
        chainId,
        parent,
        sizeBytes: null,
        diskBytes: null,
        unsyncedBoot: this.#bootId,
      };
      writeFileAtomic(`${half}/meta.json`, JSON.stringify(meta), { mode: 0o644 });
      renameSync(half, `${this.#directory}/${name}`);
      this.#layers.set(chainId, meta);
      this.#syncSoon();
    } catch (error) {
      this.#trash.discard(half);
      throw error;
    }
  }

  /**
   * Gets layers to disk in the background, all that are new with one sync: a user should not wait for the disk, nor lose
   * files by it.
   */
  #syncSoon(): void {
    if (this.#syncTimer !== undefined || this.#syncing !== undefined) return;
    this.#syncTimer = setTimeout(() => {
      this.#syncTimer = undefined;
      this.#syncing = this.#sync().finally(() => {
        this.#syncing = undefined;
      });
    }, SYNC_AFTER_MS);
    this.#syncTimer.unref();
  }

  async #sync(): Promise<void> {
    for (let batch = this.#unsynced(); batch.length > 0; batch = this.#unsynced()) {
      const failed = await new Promise<boolean>((resolve) => {
        execFile('sync', ['-f', this.#directory], (error) => resolve(error !== null));
      });
      if (failed) return;
      for (const meta of batch) {
        meta.unsyncedBoot = null;
        if (this.#layers.get(meta.chainId) === meta) this.#write(meta);
      }
    }
  }

  #unsynced(): LayerMeta[] {
    return [...this.#layers.values()].filter((meta) => meta.unsyncedBoot !== null);
  }

  #write(meta: LayerMeta): void {
    const path = `${this.#directory}/${directoryName(meta.chainId)}`;
    if (existsSync(path)) writeFileAtomic(`${path}/meta.json`, JSON.stringify(meta), { mode: 0o644 });
  }

  #meta(chainId: ChainId): LayerMeta {
    const meta = this.#layers.get(chainId);
    if (meta === undefined) throw new EngineError('not-found', `layer does not exist: ${chainId}`);
    return meta;
  }
}

function directoryName(chainId: ChainId): string {
  return digestHex(chainId).slice(0, NAME_DIGITS);
}

function readMeta(path: string): LayerMeta | undefined {
  try {
    const meta = JSON.parse(readFileSync(path, 'utf8')) as Partial<LayerMeta>;
    if (typeof meta.chainId !== 'string' || !isDigest(meta.chainId)) return undefined;
    const { parent, sizeBytes, diskBytes, unsyncedBoot } = meta;
    return {
      chainId: meta.chainId,
      parent: typeof parent === 'string' && isDigest(parent) ? parent : null,
      sizeBytes: typeof sizeBytes === 'number' ? sizeBytes : null,
      diskBytes: typeof diskBytes === 'number' ? diskBytes : null,
      unsyncedBoot: typeof unsyncedBoot === 'string' ? unsyncedBoot : null,
    };
  } catch {
    return undefined;
  }
}
