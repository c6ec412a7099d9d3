import { randomUUID } from 'node:crypto';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LayerUnpacker } from '../archive/index.ts';
import { LocalBuilder, applyChanges, type Builder } from '../builder/index.ts';
import { LocalContainers, buildSpec, commonSeccompPolicy, type Containers } from '../containers/index.ts';
import { LocalContentStore } from '../content/index.ts';
import { EngineError, errorMessage } from '../errors/index.ts';
import { MemoryEventBus, type EventBus } from '../events/index.ts';
import { LocalImages, type Images } from '../images/index.ts';
import { FileContainerLogs } from '../logs/index.ts';
import { BridgeNetworks, type BridgesOptions, NamesKeeper, type Networks } from '../network/index.ts';
import { openRecords, type Records } from '../records/index.ts';
import { Registries } from '../registry/index.ts';
import { ConmonRuntime } from '../runtime/index.ts';
import { openSnapshotter } from '../snapshots/index.ts';
import {
  LinuxCgroups,
  compileSeccompFilter,
  createNetlink,
  createSpawner,
  createWatcher,
  linuxSyscall,
  watchNetworkLosses,
  type ProcessSpawner,
} from '../sys/index.ts';
import { LocalVolumes, type Volumes } from '../volumes/index.ts';
import type { EngineFacts, EngineServices } from './engine.ts';
import { findProgram, readMachine } from './machine.ts';
import { ImageGc } from './image-gc.ts';
import { defaults, type EngineOptions } from './options.ts';
import { lockRoot } from './root-lock.ts';
import { openExecRoot } from './exec-root.ts';

/**
 * A container engine in this process. Containers outlive it: close() ends the engine's work, never the containers, and
 * the next open() on the same roots finds them again.
 */
export class LocalEngine implements EngineServices, AsyncDisposable {
  readonly containers: Containers;
  readonly images: Images;
  readonly volumes: Volumes;
  readonly networks: Networks;
  readonly events: EventBus;
  readonly builder: Builder;
  readonly registries: EngineServices['registries'];
  readonly #facts: () => EngineFacts;
  readonly #close: () => Promise<void>;
  #closed: Promise<void> | undefined;

  private constructor(
    services: Omit<EngineServices, 'facts'>,
    facts: () => EngineFacts,
    close: () => Promise<void>,
  ) {
    this.containers = services.containers;
    this.images = services.images;
    this.volumes = services.volumes;
    this.networks = services.networks;
    this.events = services.events;
    this.builder = services.builder;
    this.registries = services.registries;
    this.#facts = facts;
    this.#close = close;
  }

  /**
   * Opens the roots, restores what an earlier engine left there, and takes the lock.
   * @throws {EngineError} `unavailable` when another engine holds the root, or a program it needs is missing
   */
  static async open(options: EngineOptions = {}): Promise<LocalEngine> {
    const undo = new AsyncDisposableStack();
    try {
      const { services, facts } = await compose(options, undo);
      return new LocalEngine(services, facts, () => undo.disposeAsync());
    } catch (error) {
      await undo.disposeAsync();
      throw error;
    }
  }

  facts(): EngineFacts {
    return this.#facts();
  }

  /** Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const warmingDelayMs = 200;

/** Makes every room from the ones below it; whatever must end again is put on the stack as it is made. */
async function compose(
  options: EngineOptions,
  undo: AsyncDisposableStack,
): Promise<{ services: Omit<EngineServices, 'facts'>; facts: () => EngineFacts }> {
  const startedAt = new Date().toISOString();
  const dataRoot = options.dataRoot ?? defaults.dataRoot;
  const execRoot = options.execRoot ?? defaults.execRoot;
  const log = options.onLog ?? (() => undefined);
  const syscall = linuxSyscall();
  const spawner = createSpawner();
  const watcher = createWatcher();
  undo.defer(() => watcher.close());
  undo.defer(() => spawner.close());
  undo.use(lockRoot(syscall, dataRoot));
  undo.use(openExecRoot(execRoot));

  const runtimePath = required('crun', ['crun']);
  const conmonPath = required('conmon', ['conmon']);
  const cgroups = new LinuxCgroups({ syscall, driver: options.cgroupDriver });
  cgroups.ensureUsable();
  for (const note of cgroups.setup.notes) log('info', note);
  const machine = readMachine(cgroups.setup.version);
  const records = openRecords(`${dataRoot}/records.db`);
  undo.use(records);
  const id = engineId(records);

  const events = new MemoryEventBus();
  const snapshotter = await openSnapshotter({
    dataRoot,
    syscall,
    ...(options.storageDriver === undefined ? {} : { driver: options.storageDriver }),
  });
  undo.defer(() => snapshotter.close());
  const content = new LocalContentStore(`${dataRoot}/content`);
  const limited = options.archiveLimits === undefined ? {} : { archiveLimits: options.archiveLimits };
  const unpacker = new LayerUnpacker({ ...workerEntry(), limits: options.archiveLimits ?? {} });
  undo.defer(() => unpacker.close());
  const registries = new Registries({
    certificateDirectories: defaults.certificateDirectories,
    ...options.registries,
  });
  undo.use(registries);
  const images = new LocalImages({
    records,
    registries,
    content,
    snapshotter,
    events,
    unpackLayer: (request, options) => unpacker.unpack(request, options),
    applyChanges,
    ...limited,
  });
  await images.open();
  const volumes = new LocalVolumes({ records, events, syscall, dataRoot });
  const networks = new BridgeNetworks({
    syscall,
    netlink: createNetlink(syscall),
    spawner,
    watcher,
    records,
    events,
    execRoot,
    watchLosses: (onLosses) => watchNetworkLosses(syscall, watcher, onLosses),
    namesKeeper: new NamesKeeper({
      spawner,
      command: [process.execPath, beside('names-keeper'), dataRoot, execRoot],
      pidPath: join(execRoot, 'names-keeper.pid'),
    }),
    engineId: id,
    ...bridgesOptions(options),
  });
  await networks.open();
  undo.defer(() => networks.close());
  const runtimes = { crun: { path: runtimePath, args: [] as string[] }, ...otherRuntimes(options) };
  const defaultRuntime = options.defaultRuntime ?? 'crun';
  const chosen = runtimes[defaultRuntime as keyof typeof runtimes];
  if (chosen === undefined) {
    throw new EngineError(
      'invalid-parameter',
      `specified default runtime '${defaultRuntime}' does not exist`,
    );
  }
  const { driver } = cgroups.setup;
  const runtime = new ConmonRuntime({
    syscall,
    spawner,
    watcher,
    cgroups,
    execRoot,
    runtimePath: chosen.path,
    runtimeArgs: chosen.args,
    conmonPath,
    cgroupDriver: driver,
    compileSeccomp: compileSeccompFilter,
  });
  const initPath = findProgram(['tini-static', 'docker-init', 'tini']);
  const cgroupParent =
    options.cgroupParent ?? (driver === 'systemd' ? 'system.slice' : `/coracle-${id.slice(0, 8)}`);
  const platform = {
    architecture: machine.architecture,
    os: 'linux',
    ...(machine.variant === undefined ? {} : { variant: machine.variant }),
  };
  const containers = new LocalContainers(
    {
      records,
      images,
      snapshotter,
      runtime,
      networks,
      volumes,
      events,
      logs: new FileContainerLogs(),
      cgroups,
      syscall,
      spawner,
      applyChanges,
    },
    {
      dataRoot,
      execRoot,
      cgroupParent,
      runtimes,
      defaultRuntime,
      boundingCapabilities: machine.boundingCapabilities,
      initPath,
      shmSizeBytes: options.defaultShmSizeBytes ?? defaults.shmSizeBytes,
      ulimits: options.defaultUlimits ?? [],
      noNewPrivileges: options.noNewPrivileges ?? false,
      dns: { servers: [], search: [], options: [], ...options.dns },
      linkEnvironment: options.linkEnvironment ?? true,
      logDriver: options.logDriver ?? 'json-file',
      logOptions: options.logOptions ?? defaults.logOptions,
      stopTimeoutSeconds: defaults.stopTimeoutSeconds,
      platform,
      ...limited,
      onBackgroundError: (context, error) => log('error', `${context}: ${errorMessage(error)}`),
    },
  );
  await containers.open();
  undo.defer(async () => {
    await containers.close();
    await cgroups.restore();
  });

  const builder = new LocalBuilder(
    {
      records,
      images,
      snapshotter,
      runtime,
      networks,
      registries,
      events,
      cgroups,
      syscall,
      buildSpec,
      joinNetwork: (container) => containers.joinNetwork(container),
    },
    {
      dataRoot,
      execRoot,
      cgroupParent,
      boundingCapabilities: machine.boundingCapabilities,
      shmSizeBytes: options.defaultShmSizeBytes ?? defaults.shmSizeBytes,
      ulimits: options.defaultUlimits ?? [],
      noNewPrivileges: options.noNewPrivileges ?? false,
      platform,
      ...(options.buildCacheGc === undefined ? {} : { cacheGc: options.buildCacheGc }),
      refusedEntitlements: options.refusedEntitlements ?? [],
      ...limited,
      onBackgroundError: (context, error) => log('error', `${context}: ${errorMessage(error)}`),
    },
  );
  await builder.open();
  undo.defer(() => builder.close());

  if (options.imageGc !== undefined) {
    undo.use(new ImageGc({ images, containers, events, dataRoot, log }, options.imageGc));
  }

  // Whoever waits for the engine to open is answered first.
  const warming = setTimeout(
    () => runtime.warm(commonSeccompPolicy(machine.boundingCapabilities)),
    warmingDelayMs,
  ).unref();
  undo.defer(() => clearTimeout(warming));

  const versions = {
    runtime: await runtime.version(),
    monitor: await programVersion(spawner, conmonPath, /conmon version (\S+)/),
    init: initPath === null ? '' : await programVersion(spawner, initPath, /version (\S+)/),
  };
  const facts = (): EngineFacts => ({
    id,
    name: machine.hostname,
    dataRoot,
    execRoot,
    storageDriver: snapshotter.driver,
    storageStatus: snapshotter.status.map(([name, value]): [string, string] => [name, value]),
    cgroupDriver: driver,
    cgroupVersion: cgroups.setup.version,
    runtimes,
    defaultRuntime,
    runtimeVersion: versions.runtime,
    monitorVersion: versions.monitor,
    initPath,
    initVersion: versions.init,
    kernelVersion: machine.kernelVersion,
    operatingSystem: machine.operatingSystem,
    operatingSystemVersion: machine.operatingSystemVersion,
    architecture: machine.hardware,
    cpus: machine.cpus,
    memoryBytes: machine.memoryBytes,
    securityOptions: machine.securityOptions,
    warnings: [...cgroups.setup.notes, ...networks.notes],
    labels: [...(options.labels ?? [])],
    debug: options.debug ?? false,
    startedAt,
  });
  return { services: { containers, images, volumes, networks, events, builder, registries }, facts };
}

function otherRuntimes(options: EngineOptions): Record<string, { path: string; args: string[] }> {
  const table: Record<string, { path: string; args: string[] }> = {};
  const runc = findProgram(['runc']);
  if (runc !== null) table['runc'] = { path: runc, args: [] };
  for (const [name, runtime] of Object.entries(options.runtimes ?? {})) {
    table[name] = { path: findProgram([runtime.path]) ?? runtime.path, args: [...(runtime.args ?? [])] };
  }
  return table;
}

/** Path of a program of this room, which lies beside this file, in the bundle of the daemon, too. */
function beside(name: string): string {
  return fileURLToPath(new URL(`./${name}${extname(import.meta.url)}`, import.meta.url));
}

/** The bundle of the daemon has the worker's program beside it. */
function workerEntry(): { workerEntry?: URL } {
  return import.meta.url.endsWith('.mjs')
    ? { workerEntry: new URL('./unpack-worker.mjs', import.meta.url) }
    : {};
}

function required(what: string, names: readonly string[]): string {
  const path = findProgram(names);
  if (path === null) {
    throw new EngineError(
      'unavailable',
      `Cannot start the engine: ${what} is not installed (Debian package ${what})`,
    );
  }
  return path;
}

function bridgesOptions({ bridge = {} }: EngineOptions): BridgesOptions {
  const { name, pools: addressPools, ...rest } = bridge;
  return { bridge: name, addressPools, ...rest };
}

function engineId(records: Records): string {
  const collection = records.collection<string>('engine');
  const known = collection.get('id');
  if (known !== undefined) return known;
  const id = randomUUID();
  collection.put('id', id);
  return id;
}

async function programVersion(spawner: ProcessSpawner, path: string, pattern: RegExp): Promise<string> {
  const { stdout, stderr } = await spawner.run({ path, argv: [path, '--version'] });
  return pattern.exec(stdout + stderr)?.[1] ?? '';
}
