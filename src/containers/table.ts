import { randomBytes } from 'node:crypto';
import type { UnpackLimits } from '../archive/index.ts';
import { EngineError, errorMessage } from '../errors/index.ts';
import type { EventBus } from '../events/index.ts';
import type { ApplyChanges, Images } from '../images/index.ts';
import type { ContainerLogs } from '../logs/index.ts';
import type { Networks } from '../network/index.ts';
import type { RecordCollection, Records } from '../records/index.ts';
import type { ContainerRuntime } from '../runtime/index.ts';
import type { Snapshotter } from '../snapshots/index.ts';
import type { RuntimeProcess, Ulimit } from '../spec/index.ts';
import type { Cgroups, ProcessSpawner, Syscall } from '../sys/index.ts';
import type { Volumes } from '../volumes/index.ts';
import type { ContainerRecord, ExecRecord } from './containers.ts';
import {
  buildExecProcess,
  buildSpec,
  readMachineFacts,
  type BuildExecProcess,
  type BuildSpec,
  type MachineFacts,
} from './oci-spec/index.ts';
import { ContainerEntry } from './entry.ts';
import { noSuchContainer } from './errors.ts';
import type { ExecEntry } from './exec.ts';
import { ContainerMounts } from './mounts/index.ts';
import { ContainerNames } from './names.ts';
import { Pauses } from './pauses.ts';

/** Long enough for a client's next request, short enough for nobody to wonder about what is still there. */
const cleanupDelayMs = 10;

/** The rooms that containers are composed from. */
export interface ContainersParts {
  records: Records;
  images: Images;
  snapshotter: Snapshotter;
  runtime: ContainerRuntime;
  networks: Networks;
  volumes: Volumes;
  events: EventBus;
  logs: ContainerLogs;
  cgroups: Cgroups;
  syscall: Syscall;
  spawner: ProcessSpawner;
  applyChanges: ApplyChanges;
  /** Replaced in tests; the room's own otherwise. */
  buildSpec?: BuildSpec;
  buildExecProcess?: BuildExecProcess;
}

/** What the engine decided for its containers. */
export interface ContainersOptions {
  /** Absolute; containers keep their files below `<dataRoot>/containers/<id>`. */
  dataRoot: string;
  execRoot: string;
  /** Where containers' cgroups go: `/coracle-…` (cgroupfs) or `system.slice` (systemd). */
  cgroupParent: string;
  runtimes: Readonly<Record<string, { path: string; args: readonly string[] }>>;
  defaultRuntime: string;
  /** Capabilities the engine itself may give, as `CAP_CHOWN`. */
  boundingCapabilities: readonly string[];
  /** tini or the like; null when the machine has none. */
  initPath: string | null;
  shmSizeBytes: number;
  ulimits: readonly Ulimit[];
  noNewPrivileges: boolean;
  /** For containers that name none themselves; empty: the host's. */
  dns: { servers: readonly string[]; search: readonly string[]; options: readonly string[] };
  /** `--link` gives the classic environment variables, as Docker did until version 29. */
  linkEnvironment: boolean;
  /** Default driver and options of containers that name none. */
  logDriver: string;
  logOptions: Readonly<Record<string, string>>;
  /** Seconds between a stop signal and SIGKILL when neither request nor container says. */
  stopTimeoutSeconds: number;
  /** The machine's, for containers without an image. */
  platform: { architecture: string; os: string; variant?: string };
  /** Of what is copied into a container. */
  archiveLimits?: UnpackLimits;
  /** Told of failures in work that nobody waits for. */
  onBackgroundError: (context: string, error: unknown) => void;
}

/**
 * The containers of this engine: in-memory truth, written through to the records with every change. Verbs (one per
 * file) work on it; it knows names, ids, events and the work that goes on in the background.
 */
export class ContainerTable {
  readonly parts: ContainersParts;
  readonly options: ContainersOptions;
  readonly mounts: ContainerMounts;
  readonly buildSpec: BuildSpec;
  readonly buildExecProcess: BuildExecProcess;
  readonly entries = new Map<string, ContainerEntry>();
  readonly execs = new Map<string, ExecEntry>();
  readonly names = new ContainerNames();
  /** Before the clean-up after a container. */
  readonly pauses = new Pauses(cleanupDelayMs);
  readonly #collection: RecordCollection<ContainerRecord>;
  readonly #execCollection: RecordCollection<ExecRecord>;
  #machine: MachineFacts | undefined;
  readonly #background = new Set<Promise<void>>();
  /** Set by close(): no automatic restart, no new work. */
  closing = false;
  /** One prune at a time. */
  pruning = false;

  constructor(parts: ContainersParts, options: ContainersOptions) {
    this.parts = parts;
    this.options = options;
    this.mounts = new ContainerMounts({
      volumes: parts.volumes,
      events: parts.events,
      syscall: parts.syscall,
      dataRoot: options.dataRoot,
      execRoot: options.execRoot,
    });
    this.buildSpec = parts.buildSpec ?? buildSpec;
    this.buildExecProcess = parts.buildExecProcess ?? buildExecProcess;
    this.#collection = parts.records.collection<ContainerRecord>('containers');
    this.#execCollection = parts.records.collection<ExecRecord>('execs');
  }

  /** What the machine can limit, read once. */
  get machine(): MachineFacts {
    const { setup } = this.parts.cgroups;
    return (this.#machine ??= readMachineFacts({
      cgroupVersion: setup.version,
      cgroupDriver: setup.driver,
      boundingCapabilities: this.options.boundingCapabilities,
    }));
  }

  /** By name, id or unique id prefix. @throws {EngineError} `not-found`; `invalid-parameter` for an ambiguous prefix */
  resolve(nameOrId: string): ContainerEntry {
    if (nameOrId === '') throw new EngineError('invalid-parameter', 'No container name or ID supplied');
    const exact = this.entries.get(nameOrId);
    if (exact !== undefined) return exact;
    const owner = this.names.owner(nameOrId.startsWith('/') ? nameOrId.slice(1) : nameOrId);
    const named = owner === undefined ? undefined : this.entries.get(owner);
    if (named !== undefined) return named;
    const found = this.byPrefix(nameOrId);
    if (found === undefined) throw noSuchContainer(nameOrId);
    return found;
  }

  /** @throws {EngineError} `invalid-parameter` when several ids begin so */
  byPrefix(prefix: string): ContainerEntry | undefined {
    let found: ContainerEntry | undefined;
    for (const [id, entry] of this.entries) {
      if (!id.startsWith(prefix)) continue;
      if (found !== undefined) {
        throw new EngineError('invalid-parameter', `multiple IDs found with provided prefix: ${prefix}`);
      }
      found = entry;
    }
    return found;
  }

  newId(): string {
    for (;;) {
      const id = randomBytes(32).toString('hex');
      // A short id of digits alone would be taken for a number by some tools, as Docker's generator knows.
      if (/[a-f]/.test(id.slice(0, 12)) && this.byPrefix(id.slice(0, 12)) === undefined) return id;
    }
  }

  add(record: ContainerRecord): ContainerEntry {
    const entry = new ContainerEntry(record);
    this.entries.set(record.id, entry);
    return entry;
  }

  save(entry: ContainerEntry): void {
    if (!entry.removed) this.#collection.put(entry.id, entry.record);
  }

  /** The record is gone for good, and the name free. */
  forget(entry: ContainerEntry): void {
    entry.removed = true;
    this.#collection.delete(entry.id);
    this.entries.delete(entry.id);
    this.names.release(entry.record.name, entry.id);
  }

  storedRecords(): ContainerRecord[] {
    return this.#collection.entries().map(([, record]) => record);
  }

  /** Exec sessions are stored while they run, so that the next engine finds them. */
  saveExec(exec: ExecEntry): void {
    this.#execCollection.put(exec.record.id, exec.record);
  }

  forgetExec(id: string): void {
    this.#execCollection.delete(id);
  }

  storedExecs(): ExecRecord[] {
    return this.#execCollection.entries().map(([, record]) => record);
  }

  /** The OCI process as it was started. @throws {EngineError} `internal` when it never was */
  processOf(entry: ContainerEntry): RuntimeProcess {
    if (entry.process === null) throw new EngineError('internal', `Cannot find the process of ${entry.id}`);
    return entry.process;
  }

  /** A container's event: its labels, image and name, and what the action adds. */
  publish(entry: ContainerEntry, action: string, attributes: Record<string, string> = {}): void {
    const { record } = entry;
    this.parts.events.publish('container', action, record.id, {
      ...record.config.Labels,
      image: record.config.Image,
      name: record.name,
      ...attributes,
    });
  }

  /** Work that nobody waits for but close(). Never rejects. */
  inBackground(context: string, work: () => Promise<unknown>): Promise<void> {
    const done = (async () => {
      try {
        await work();
      } catch (error) {
        this.report(context, error);
      }
    })();
    this.#background.add(done);
    void done.finally(() => this.#background.delete(done));
    return done;
  }

  report(context: string, error: unknown): void {
    this.options.onBackgroundError(context, error instanceof Error ? error : new Error(errorMessage(error)));
  }

  async settleBackground(): Promise<void> {
    while (this.#background.size > 0) {
      this.pauses.endAll();
      await Promise.all(this.#background);
    }
  }

  directory(id: string): string {
    return `${this.options.dataRoot}/containers/${id}`;
  }

  runtimeOf(entry: ContainerEntry): { path: string; args: readonly string[] } | undefined {
    return this.runtimeByName(entry.record.hostConfig.Runtime);
  }

  /** @throws {EngineError} `invalid-parameter` for a name that is not registered */
  runtimeByName(name: string): { path: string; args: readonly string[] } | undefined {
    const wanted = name === '' ? this.options.defaultRuntime : name;
    const runtime = this.options.runtimes[wanted];
    if (runtime === undefined && name !== '' && name !== this.options.defaultRuntime) {
      throw new EngineError('invalid-parameter', `unknown or invalid runtime name: ${name}`);
    }
    return runtime;
  }
}
