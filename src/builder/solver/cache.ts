import type { RecordCollection, Records } from '../../records/index.ts';
import type { Digest } from '../../spec/index.ts';
import type { Tree, Trees } from '../../images/index.ts';

/** What a step gave when it was run. */
export interface CacheRecord {
  treeId: Digest;
  /** How many of the tree's layers the step made: 0 or 1, more for what was merged. */
  ownLayers: number;
  /** The step, for people. */
  description: string;
  /** What a copy read, as history shows it: `file:<digest>`. */
  source: string;
  createdAtMs: number;
  lastUsedAtMs: number;
  uses: number;
}

interface Alias {
  key: string;
}

/** A step without files was seen before. */
interface ConfigRecord {
  createdAtMs: number;
  lastUsedAtMs: number;
}

/**
 * From what a step was made from to the files it gave; durable. A key is made of contents, so that it means the same for
 * every build and every engine.
 */
export class BuildCache {
  readonly #steps: RecordCollection<CacheRecord>;
  /** Keys that are known before any content is read, to those made of contents. */
  readonly #aliases: RecordCollection<Alias>;
  readonly #configs: RecordCollection<ConfigRecord>;
  readonly #trees: Trees;
  readonly #pins = new Map<Digest, number>();
  /** How many records have a tree. */
  readonly #uses = new Map<Digest, number>();
  #removing: Promise<void> = Promise.resolve();

  constructor(records: Records, trees: Trees) {
    this.#steps = records.collection('build-steps');
    this.#aliases = records.collection('build-step-aliases');
    this.#configs = records.collection('build-configs');
    this.#trees = trees;
    for (const [, record] of this.#steps.entries()) this.#count(record.treeId, 1);
  }

  find(key: string): { tree: Tree; record: CacheRecord } | undefined {
    const record = this.#steps.get(key);
    if (record === undefined) return undefined;
    const tree = this.#trees.get(record.treeId);
    if (tree === undefined) {
      this.#delete(key, record);
      return undefined;
    }
    const used = { ...record, lastUsedAtMs: Date.now(), uses: record.uses + 1 };
    this.#steps.put(key, used);
    return { tree, record: used };
  }

  has(key: string): boolean {
    const record = this.#steps.get(key);
    return record !== undefined && this.#trees.get(record.treeId) !== undefined;
  }

  /** By a key that was given to alias(). */
  findAlias(alias: string): { key: string; tree: Tree; record: CacheRecord } | undefined {
    const known = this.#aliases.get(alias);
    if (known === undefined) return undefined;
    const found = this.find(known.key);
    if (found !== undefined) return { ...found, key: known.key };
    this.#aliases.delete(alias);
    return undefined;
  }

  alias(alias: string, key: string): void {
    this.#aliases.put(alias, { key });
  }

  /** Takes the place of what was known for the key. */
  put(
    key: string,
    made: Omit<CacheRecord, 'createdAtMs' | 'lastUsedAtMs' | 'uses'> & { createdAtMs?: number },
  ): CacheRecord {
    const now = Date.now();
    const record = { createdAtMs: now, ...made, lastUsedAtMs: now, uses: 0 };
    const before = this.#steps.get(key);
    this.#steps.put(key, record);
    this.#count(record.treeId, 1);
    if (before !== undefined) {
      this.#count(before.treeId, -1);
      this.#removeUnused([before.treeId]);
    }
    return record;
  }

  /** When a step that changes no file was first seen, ms since the epoch. */
  findConfig(key: string): number | undefined {
    const record = this.#configs.get(key);
    if (record === undefined) return undefined;
    this.#configs.put(key, { ...record, lastUsedAtMs: Date.now() });
    return record.createdAtMs;
  }

  putConfig(key: string): number {
    const now = Date.now();
    this.#configs.put(key, { createdAtMs: now, lastUsedAtMs: now });
    return now;
  }

  entries(): [key: string, record: CacheRecord][] {
    return this.#steps.entries();
  }

  /** A running build works on it: it is not removed. @returns the end of that */
  pin(treeId: Digest): () => void {
    this.#pins.set(treeId, (this.#pins.get(treeId) ?? 0) + 1);
    return () => {
      const left = (this.#pins.get(treeId) ?? 0) - 1;
      if (left > 0) this.#pins.set(treeId, left);
      else {
        this.#pins.delete(treeId);
        this.#removeUnused([treeId]);
      }
    };
  }

  isInUse(record: CacheRecord): boolean {
    return this.#pins.has(record.treeId);
  }

  /** Removes records, and their trees when no other record has them. Those in use stay. @returns keys of those removed */
  async forget(keys: readonly string[]): Promise<string[]> {
    const gone: string[] = [];
    const trees = new Set<Digest>();
    for (const key of keys) {
      const record = this.#steps.get(key);
      if (record === undefined || this.isInUse(record)) continue;
      this.#delete(key, record);
      trees.add(record.treeId);
      gone.push(key);
    }
    this.#removeUnused([...trees]);
    await this.#removing;
    return gone;
  }

  /** Drops records without files and what leads to them. */
  sweep(): void {
    for (const [key, record] of this.entries()) {
      if (this.#trees.get(record.treeId) === undefined) this.#delete(key, record);
    }
    for (const [alias, { key }] of this.#aliases.entries()) {
      if (this.#steps.get(key) === undefined) this.#aliases.delete(alias);
    }
  }

  /** Drops what nobody has asked for since a moment, ms since the epoch, of the steps that change no file. */
  sweepConfigs(unusedSinceMs: number): void {
    for (const [key, { lastUsedAtMs }] of this.#configs.entries()) {
      if (lastUsedAtMs < unusedSinceMs) this.#configs.delete(key);
    }
  }

  /** When no build runs: what a crash left. `isWhole` tells whether a tree's files are all there. */
  async recover(isWhole: (tree: Tree) => boolean): Promise<void> {
    const broken = this.#trees.ids().filter((id) => {
      const tree = this.#trees.get(id);
      return tree === undefined || !isWhole(tree);
    });
    await this.#trees.remove(broken);
    this.sweep();
    await this.#trees.remove(this.#trees.ids().filter((id) => !this.#uses.has(id)));
  }

  /** Resolves when all that was to be removed is. */
  async settled(): Promise<void> {
    await this.#removing;
  }

  #delete(key: string, record: CacheRecord): void {
    this.#steps.delete(key);
    this.#count(record.treeId, -1);
  }

  #count(treeId: Digest, by: 1 | -1): void {
    const uses = (this.#uses.get(treeId) ?? 0) + by;
    if (uses > 0) this.#uses.set(treeId, uses);
    else this.#uses.delete(treeId);
  }

  #removeUnused(ids: readonly Digest[]): void {
    const unused = ids.filter((id) => !this.#uses.has(id) && !this.#pins.has(id));
    if (unused.length === 0) return;
    // What cannot be removed now is at the next start.
    this.#removing = this.#removing.then(() => this.#trees.remove(unused)).catch(() => undefined);
  }
}
