import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { EngineError } from '../../errors/index.ts';
import type { RecordCollection, Records } from '../../records/index.ts';
import type { StepMount } from './run-mounts.ts';

type CacheMount = Extract<StepMount, { kind: 'cache' }>;

/** A directory behind `--mount=type=cache`. */
export interface CacheMountRecord {
  /** The mount's id. */
  id: string;
  /** Where it was mounted last. */
  target: string;
  createdAtMs: number;
  lastUsedAtMs: number;
  uses: number;
}

/** The directories behind `--mount=type=cache`, kept between builds: `<name>`, and `<name>-<n>` for private ones. */
export class CacheMounts {
  readonly #directory: string;
  readonly #records: RecordCollection<CacheMountRecord>;
  readonly #locks = new Map<string, Promise<void>>();
  /** How many steps use a directory, by name. */
  readonly #inUse = new Map<string, number>();
  /** Sizes by name, and after how many uses they were taken. */
  readonly #counted = new Map<string, { uses: number; sizeBytes: number }>();

  constructor(directory: string, records: Records) {
    this.#directory = directory;
    this.#records = records.collection('build-cache-mounts');
  }

  /** Removes what has no record, and records without a directory; when no build runs. */
  recover(): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o711 });
    const names = new Set(readdirSync(this.#directory));
    for (const [name] of this.#records.entries()) if (!names.delete(name)) this.#records.delete(name);
    for (const name of names) rmSync(`${this.#directory}/${name}`, { recursive: true, force: true });
  }

  /**
   * Takes a directory for a step: `shared` ones at once, `locked` ones when nobody else has it, `private` ones another
   * directory when it is taken.
   * @param seed what a new one begins with; '' for nothing
   */
  async take(
    mount: CacheMount,
    seed: string,
    signal: AbortSignal,
  ): Promise<{ path: string; release: () => void }> {
    const unlock = mount.sharing === 'locked' ? await this.#lock(mount.id, signal) : undefined;
    try {
      const name = this.#freeName(mount);
      const path = `${this.#directory}/${name}`;
      this.#inUse.set(name, (this.#inUse.get(name) ?? 0) + 1);
      const release = (): void => {
        const left = (this.#inUse.get(name) ?? 0) - 1;
        if (left > 0) this.#inUse.set(name, left);
        else this.#inUse.delete(name);
        unlock?.();
      };
      try {
        const now = Date.now();
        const known = this.#records.get(name);
        if (known === undefined || !existsSync(path)) await this.#make(path, mount, seed);
        this.#records.put(name, {
          id: mount.id,
          target: mount.target,
          createdAtMs: known?.createdAtMs ?? now,
          lastUsedAtMs: now,
          uses: (known?.uses ?? 0) + 1,
        });
        return { path, release };
      } catch (error) {
        release();
        throw error;
      }
    } catch (error) {
      unlock?.();
      throw error;
    }
  }

  list(): { name: string; record: CacheMountRecord; isInUse: boolean }[] {
    return this.#records
      .entries()
      .map(([name, record]) => ({ name, record, isInUse: this.#inUse.has(name) }));
  }

  /** Bytes on disk of each, by name. Those that nobody has used since are not counted again. */
  async sizesBytes(): Promise<Map<string, number>> {
    const entries = this.#records.entries();
    const stale = entries.filter(
      ([name, { uses }]) => this.#inUse.has(name) || this.#counted.get(name)?.uses !== uses,
    );
    const counted = await this.#count(stale.map(([name]) => name));
    for (const [name, { uses }] of stale) {
      // What a step works on may still grow.
      const settled = this.#inUse.has(name) ? -1 : uses;
      this.#counted.set(name, { uses: settled, sizeBytes: counted.get(name) ?? 0 });
    }
    return new Map(entries.map(([name]) => [name, this.#counted.get(name)?.sizeBytes ?? 0]));
  }

  async #count(names: readonly string[]): Promise<Map<string, number>> {
    if (names.length === 0) return new Map();
    const text = await new Promise<string>((resolve) => {
      // Files that vanish meanwhile make it fail, but not the rest wrong.
      execFile(
        'du',
        ['--summarize', '--block-size=1', '--', ...names],
        { cwd: this.#directory },
        (_error, stdout) => resolve(stdout),
      );
    });
    const lines = text.split('\n').map((line) => line.split('\t'));
    return new Map(lines.map(([size, name]) => [name ?? '', Number(size)]));
  }

  /** Removes one that no step uses. @returns false when it is used or not there */
  remove(name: string): boolean {
    if (this.#inUse.has(name) || this.#records.get(name) === undefined) return false;
    this.#records.delete(name);
    this.#counted.delete(name);
    rmSync(`${this.#directory}/${name}`, { recursive: true, force: true });
    return true;
  }

  #freeName(mount: CacheMount): string {
    // Another beginning makes another cache.
    const identity = mount.from === '' ? mount.id : `${mount.id}\0${mount.from}\0${mount.source}`;
    const base = createHash('sha256').update(identity).digest('hex').slice(0, 32);
    for (let copy = 0; ; copy += 1) {
      const name = copy === 0 ? base : `${base}-${copy}`;
      if (mount.sharing !== 'private' || !this.#inUse.has(name)) return name;
    }
  }

  async #make(path: string, mount: CacheMount, seed: string): Promise<void> {
    const half = `${path}.new`;
    rmSync(half, { recursive: true, force: true });
    mkdirSync(half, { recursive: true });
    chmodSync(half, mount.mode);
    chownSync(half, mount.uid, mount.gid);
    if (seed !== '') {
      await new Promise<void>((resolve, reject) => {
        execFile('cp', ['--archive', '--', `${seed}/.`, half], (error) => {
          if (error === null) resolve();
          else reject(new EngineError('internal', `Cannot fill cache ${mount.id}: ${error.message}`));
        });
      });
    }
    // A step that shares it may have made it meanwhile.
    if (existsSync(path)) rmSync(half, { recursive: true, force: true });
    else renameSync(half, path);
  }

  async #lock(id: string, signal: AbortSignal): Promise<() => void> {
    for (let held = this.#locks.get(id); held !== undefined; held = this.#locks.get(id)) {
      await unlessAborted(held, signal);
    }
    signal.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#locks.set(id, promise);
    return () => {
      if (this.#locks.get(id) === promise) this.#locks.delete(id);
      resolve();
    };
  }
}

async function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
