import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  rmdirSync,
  statSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { EngineError, errorMessage, isKind } from '../errors/index.ts';
import type { EventBus } from '../events/index.ts';
import type { RecordCollection, Records } from '../records/index.ts';
import type { Volume } from '../spec/index.ts';
import { diskUsageBytes, mountFlags, unmountFlags, type Syscall } from '../sys/index.ts';
import { anonymousLabel, pruneTest, volumeTest } from './filters.ts';
import { parseMountOptions } from './mount-options.ts';
import { checkVolumeOptions, mountHost, volumeMount, type VolumeMount } from './volume-options.ts';
import type { VolumeFilters, Volumes } from './volumes.ts';

/** What is kept of a volume. */
interface VolumeRecord {
  name: string;
  labels: Record<string, string>;
  options: Record<string, string> | null;
  /** RFC 3339, seconds, as Docker prints it. */
  createdAt: string;
}

export interface LocalVolumesParts {
  records: Records;
  events: EventBus;
  syscall: Pick<Syscall, 'mount' | 'unmount'>;
  /** Absolute; volumes live in `<dataRoot>/volumes/<name>/_data`. */
  dataRoot: string;
}

const driver = 'local';

/**
 * The `local` driver: a directory per volume, over which something is mounted when its options say so, from the first
 * container that acquires it until the last releases it. Mounts outlive the engine.
 */
export class LocalVolumes implements Volumes {
  readonly #root: string;
  readonly #events: EventBus;
  readonly #syscall: Pick<Syscall, 'mount' | 'unmount'>;
  readonly #collection: RecordCollection<VolumeRecord>;
  readonly #volumes = new Map<string, VolumeRecord>();
  readonly #referrers = new Map<string, Set<string>>();
  readonly #holders = new Map<string, Set<string>>();
  /** One mount or unmount of a volume at a time. */
  readonly #turns = new Map<string, Promise<unknown>>();
  #pruning = false;

  constructor(parts: LocalVolumesParts) {
    this.#root = join(parts.dataRoot, 'volumes');
    this.#events = parts.events;
    this.#syscall = parts.syscall;
    this.#collection = parts.records.collection<VolumeRecord>('volumes');
    for (const [name, record] of this.#collection.entries()) this.#volumes.set(name, record);
    mkdirSync(this.#root, { recursive: true, mode: 0o701 });
    this.#repair();
  }

  async create(request: Parameters<Volumes['create']>[0]): Promise<Volume> {
    const name = request.name || randomBytes(32).toString('hex');
    const asked = request.driver ?? '';
    const options = request.options ?? {};
    try {
      if (asked !== '' && asked !== driver)
        throw new EngineError(
          'not-found',
          `error looking up volume plugin ${asked}: plugin "${asked}" not found`,
        );
      checkName(name);
      checkVolumeOptions(options);
    } catch (error) {
      // Docker names the operation in front.
      if (error instanceof EngineError) throw new EngineError(error.kind, `create ${name}: ${error.message}`);
      throw error;
    }
    const existing = this.#volumes.get(name);
    if (existing !== undefined) return this.#describe(existing);

    const record: VolumeRecord = {
      name,
      labels: { ...request.labels },
      options: Object.keys(options).length === 0 ? null : { ...options },
      createdAt: secondsText(new Date()),
    };
    if (!request.name || request.anonymous === true) record.labels[anonymousLabel] = '';
    // A directory of this name without a record is what a crash left of a creation or a removal.
    mkdirSync(join(this.#root, name), { recursive: true, mode: 0o701 });
    mkdirSync(this.#path(name), { recursive: true, mode: 0o755 });
    try {
      this.#collection.put(name, record);
    } catch (error) {
      await rm(join(this.#root, name), { recursive: true, force: true });
      throw error;
    }
    this.#volumes.set(name, record);
    this.#events.publish('volume', 'create', name, { driver });
    return this.#describe(record);
  }

  list(filters: VolumeFilters = new Map()): Volume[] {
    const test = volumeTest(filters, (name) => this.referrers(name).length > 0);
    return [...this.#volumes.values()]
      .map((record) => this.#describe(record))
      .filter(test)
      .toSorted((a, b) => (a.Name < b.Name ? -1 : 1));
  }

  inspect(name: string): Volume {
    return this.#describe(this.#record(name));
  }

  async remove(name: string, force: boolean): Promise<void> {
    let record: VolumeRecord;
    try {
      record = this.#record(name);
    } catch (error) {
      if (force && isKind(error, 'not-found')) return;
      throw error;
    }
    await this.#inTurn(name, async () => {
      if (this.#volumes.get(name) !== record) return;
      const users = new Set([...this.referrers(name), ...(this.#holders.get(name) ?? [])]);
      if (users.size > 0)
        throw new EngineError('conflict', `remove ${name}: volume is in use - [${[...users].join(', ')}]`);
      if (volumeMount(record.options) !== undefined) this.#unmount(name);
      await this.#discard(record);
      this.#events.publish('volume', 'destroy', name, { driver });
    });
  }

  /** Moves the files out of the way first, so that the name is free at once and never leads to half a volume. */
  async #discard(record: VolumeRecord): Promise<void> {
    const { name } = record;
    const directory = join(this.#root, name);
    // No volume's name begins with a dot; what a crash leaves here goes at the next start.
    const discarded = join(this.#root, `.${name.slice(0, 200)}-${randomBytes(4).toString('hex')}`);
    const moved = existsSync(directory);
    if (moved) renameSync(directory, discarded);
    this.#collection.delete(name);
    this.#volumes.delete(name);
    try {
      if (moved) await rm(discarded, { recursive: true, force: true });
    } catch (error) {
      if (!this.#volumes.has(name)) {
        renameSync(discarded, directory);
        this.#collection.put(name, record);
        this.#volumes.set(name, record);
      }
      throw new EngineError(
        'internal',
        `remove ${name}: error removing volume path '${this.#path(name)}': ${errorMessage(error)}`,
        { cause: error },
      );
    }
  }

  async prune(filters: VolumeFilters): Promise<{ names: string[]; spaceReclaimedBytes: number }> {
    const test = pruneTest(filters);
    if (this.#pruning) throw new EngineError('conflict', 'a prune operation is already running');
    this.#pruning = true;
    const names: string[] = [];
    let spaceReclaimedBytes = 0;
    try {
      for (const volume of this.list().filter(test)) {
        if (volumeMount(volume.Options) !== undefined || this.referrers(volume.Name).length > 0) continue;
        const sizeBytes = await diskUsageBytes(volume.Mountpoint);
        try {
          await this.remove(volume.Name, false);
        } catch (error) {
          // Somebody took or removed it meanwhile.
          if (isKind(error, 'conflict') || isKind(error, 'not-found')) continue;
          throw error;
        }
        names.push(volume.Name);
        spaceReclaimedBytes += sizeBytes;
      }
    } finally {
      this.#pruning = false;
    }
    this.#events.publish('volume', 'prune', '', { reclaimed: String(spaceReclaimedBytes) });
    return { names, spaceReclaimedBytes };
  }

  async acquire(name: string, containerId: string): Promise<string> {
    const record = this.#record(name);
    const mount = volumeMount(record.options);
    const holders = this.#holdersOf(name);
    if (mount === undefined) {
      holders.add(containerId);
      return this.#path(name);
    }
    await this.#inTurn(name, async () => {
      if (holders.size === 0 && !isMountPoint(this.#path(name))) await this.#mount(name, mount);
      holders.add(containerId);
    });
    return this.#path(name);
  }

  async release(name: string, containerId: string): Promise<void> {
    const holders = this.#holders.get(name);
    if (holders === undefined || !holders.delete(containerId) || holders.size > 0) return;
    const record = this.#volumes.get(name);
    if (record === undefined || volumeMount(record.options) === undefined) return;
    await this.#inTurn(name, async () => {
      // Another container may have come while we waited.
      if (holders.size === 0) this.#unmount(name);
      return Promise.resolve();
    });
  }

  refer(name: string, containerId: string): void {
    let ids = this.#referrers.get(name);
    if (ids === undefined) this.#referrers.set(name, (ids = new Set()));
    ids.add(containerId);
  }

  unrefer(name: string, containerId: string): void {
    const ids = this.#referrers.get(name);
    if (ids?.delete(containerId) === true && ids.size === 0) this.#referrers.delete(name);
  }

  referrers(name: string): string[] {
    return [...(this.#referrers.get(name) ?? [])];
  }

  async diskBytes(name: string): Promise<number> {
    this.#record(name);
    return diskUsageBytes(this.#path(name));
  }

  /**
   * Puts right what a crash left: a removal that was begun is finished; a directory without a record is one that was being
   * made, when it is empty; files without a record are somebody's, and become a volume again.
   */
  #repair(): void {
    for (const name of this.#volumes.keys()) {
      if (existsSync(join(this.#root, name))) continue;
      this.#collection.delete(name);
      this.#volumes.delete(name);
    }
    for (const name of readdirSync(this.#root)) {
      if (this.#volumes.has(name)) continue;
      const directory = join(this.#root, name);
      if (name.startsWith('.')) rmSync(directory, { recursive: true, force: true });
      else if (!removeEmpty(this.#path(name)) || !removeEmpty(directory)) this.#adopt(name);
    }
  }

  #adopt(name: string): void {
    if (!existsSync(this.#path(name))) return;
    const createdAt = secondsText(statSync(join(this.#root, name)).mtime);
    const record: VolumeRecord = { name, labels: {}, options: null, createdAt };
    this.#collection.put(name, record);
    this.#volumes.set(name, record);
  }

  #record(name: string): VolumeRecord {
    const record = this.#volumes.get(name);
    if (record === undefined) throw new EngineError('not-found', `get ${name}: no such volume`);
    return record;
  }

  #describe(record: VolumeRecord): Volume {
    return {
      CreatedAt: record.createdAt,
      Driver: driver,
      Labels: Object.keys(record.labels).length === 0 ? null : { ...record.labels },
      Mountpoint: this.#path(record.name),
      Name: record.name,
      Options: record.options === null ? null : { ...record.options },
      Scope: 'local',
    };
  }

  #path(name: string): string {
    return join(this.#root, name, '_data');
  }

  #holdersOf(name: string): Set<string> {
    let holders = this.#holders.get(name);
    if (holders === undefined) this.#holders.set(name, (holders = new Set()));
    return holders;
  }

  async #inTurn(name: string, work: () => Promise<void>): Promise<void> {
    const before = this.#turns.get(name) ?? Promise.resolve();
    const turn = before.then(work, work);
    this.#turns.set(name, turn);
    try {
      await turn;
    } finally {
      if (this.#turns.get(name) === turn) this.#turns.delete(name);
    }
  }

  async #mount(name: string, mount: VolumeMount): Promise<void> {
    const { flags, propagation, data } = parseMountOptions(await withAddress(mount));
    const path = this.#path(name);
    if (!existsSync(path)) mkdirSync(path, { recursive: true, mode: 0o755 });
    try {
      this.#syscall.mount(mount.device, path, mount.type, flags, data === '' ? null : data);
      // A bind mount takes its other flags only from a second call.
      const later = flags & ~(mountFlags.bind | mountFlags.recursive);
      if ((flags & mountFlags.bind) !== 0 && later !== 0)
        this.#syscall.mount('none', path, null, flags | mountFlags.remount, null);
      if (propagation !== 0) this.#syscall.mount('none', path, null, propagation, null);
    } catch (error) {
      if (isMountPoint(path)) this.#syscall.unmount(path, unmountFlags.detach);
      const text = errorMessage(error).replace(/password=[^,\s]*/g, 'password=********');
      throw new EngineError('internal', `failed to mount local volume: ${text}`, { cause: error });
    }
  }

  #unmount(name: string): void {
    const path = this.#path(name);
    if (isMountPoint(path)) this.#syscall.unmount(path, unmountFlags.detach);
  }
}

function secondsText(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z');
}

/** False when there is something in it, or mounted over it. */
function removeEmpty(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

function checkName(name: string): void {
  if (name.length === 1)
    throw new EngineError(
      'invalid-parameter',
      'volume name is too short, names should be at least two alphanumeric characters',
    );
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name) || name.length > 255)
    throw new EngineError(
      'invalid-parameter',
      `${JSON.stringify(name)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    );
}

async function withAddress(mount: VolumeMount): Promise<string> {
  const host = mountHost(mount);
  if (host === undefined || isIP(host) !== 0) return mount.options;
  try {
    const { address } = await lookup(host);
    return mount.options.replace(`addr=${host}`, `addr=${address}`);
  } catch (error) {
    throw new EngineError(
      'internal',
      `error resolving passed in network volume address: ${errorMessage(error)}`,
    );
  }
}

/** By the kernel's list: a bind mount within one file system shows nowhere else. */
function isMountPoint(path: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .some((line) => unescapeMountPath(line.split(' ')[4] ?? '') === path);
}

function unescapeMountPath(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
