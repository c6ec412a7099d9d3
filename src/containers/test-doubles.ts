import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EngineError } from '../errors/index.ts';
import { MemoryEventBus } from '../events/index.ts';
import type { Image, Images } from '../images/index.ts';
import type { ContainerLogs } from '../logs/index.ts';
import type { Networks } from '../network/index.ts';
import { memoryRecords, type Records } from '../records/index.ts';
import type {
  ContainerRuntime,
  RuntimeCreate,
  RuntimeExec,
  RuntimeExit,
  RuntimeStreams,
  RuntimeTask,
} from '../runtime/index.ts';
import type { Snapshotter } from '../snapshots/index.ts';
import {
  emptyContainerConfig,
  emptyHostConfig,
  type ContainerConfig,
  type EndpointSettings,
  type EventMessage,
  type HostConfig,
} from '../spec/index.ts';
import type { Cgroups, ProcessSpawner, Syscall } from '../sys/index.ts';
import type { Volumes } from '../volumes/index.ts';
import { LocalContainers } from './local-containers.ts';
import type { ContainersOptions, ContainersParts } from './table.ts';

/** A contract of which a test uses some members; the others throw when called. */
function partial<T extends object>(name: string, members: Partial<T>): T {
  return new Proxy(members as T, {
    get: (target, key) => {
      const value = (target as Record<string | symbol, unknown>)[key];
      if (value === undefined && typeof key === 'string' && key !== 'then') {
        return () => {
          throw new Error(`${name}.${key} is not part of this test double`);
        };
      }
      return value;
    },
  });
}

/** One process tree that a test feeds and ends. */
export class FakeTask implements RuntimeTask {
  readonly pid: number;
  readonly monitorPid: number;
  readonly exited: Promise<RuntimeExit>;
  readonly streams = new Set<FakeStreams>();
  readonly input: Buffer[] = [];
  inputClosed = false;
  size: [number, number] | null = null;
  ended = false;
  readonly #resolve: (exit: RuntimeExit) => void;

  constructor(pid: number) {
    this.pid = pid;
    this.monitorPid = pid + 1;
    const { promise, resolve } = Promise.withResolvers<RuntimeExit>();
    this.exited = promise;
    this.#resolve = resolve;
  }

  attach(): RuntimeStreams {
    const streams = new FakeStreams(this);
    this.streams.add(streams);
    if (this.ended) setImmediate(() => streams.end());
    return streams;
  }

  resize(rows: number, columns: number): Promise<void> {
    this.size = [rows, columns];
    return Promise.resolve();
  }

  write(stream: 'stdout' | 'stderr', text: string): void {
    for (const streams of this.streams) streams.push(stream, text);
  }

  end(exitCode: number, options: { oomKilled?: boolean } = {}): void {
    if (this.ended) return;
    this.ended = true;
    for (const streams of this.streams) streams.end();
    this.#resolve({ exitCode, exitedAtMs: Date.now(), oomKilled: options.oomKilled ?? false });
  }
}

class FakeStreams implements RuntimeStreams {
  onOutput: (stream: 'stdout' | 'stderr', chunk: Buffer) => void = () => undefined;
  onEnd: (error?: Error) => void = () => undefined;
  readonly #task: FakeTask;
  readonly #held: ['stdout' | 'stderr', string][] = [];
  #paused = false;
  #ended = false;

  constructor(task: FakeTask) {
    this.#task = task;
  }

  push(stream: 'stdout' | 'stderr', text: string): void {
    this.#held.push([stream, text]);
    this.#flow();
  }

  end(): void {
    this.#ended = true;
    this.#flow();
  }

  writeInput(chunk: Uint8Array): Promise<void> {
    this.#task.input.push(Buffer.from(chunk));
    return Promise.resolve();
  }

  closeInput(): void {
    this.#task.inputClosed = true;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#flow();
  }

  close(): void {
    this.#task.streams.delete(this);
  }

  #flow(): void {
    while (!this.#paused) {
      const next = this.#held.shift();
      if (next === undefined) break;
      this.onOutput(next[0], Buffer.from(next[1]));
    }
    if (this.#ended && !this.#paused && this.#task.streams.delete(this)) this.onEnd();
  }
}

/** A runtime whose containers do what the test says. State survives an engine that is dropped and made again. */
export class FakeRuntime implements ContainerRuntime {
  readonly name = 'fake';
  readonly tasks = new Map<string, FakeTask>();
  readonly execs = new Map<string, FakeTask>();
  readonly calls: string[] = [];
  readonly created: RuntimeCreate[] = [];
  readonly execRequests: RuntimeExec[] = [];
  /** Thrown by the next create or start. */
  failCreate: Error | null = null;
  failStart: Error | null = null;
  failExec: Error | null = null;
  /** What a container does when it is started. */
  onStart: (task: FakeTask) => void = () => undefined;
  onExec: (task: FakeTask) => void = () => undefined;
  /** What a signal does; by default SIGTERM and SIGKILL end it. */
  onKill: (task: FakeTask, signal: number) => void = (task, signal) => {
    if (signal === 9 || signal === 15) task.end(128 + signal);
  };
  #nextPid = 1000;

  create(request: RuntimeCreate): Promise<RuntimeTask> {
    this.calls.push('create');
    this.created.push(request);
    if (this.failCreate !== null) return Promise.reject(this.failCreate);
    if (this.tasks.has(request.id)) return Promise.reject(new Error('container exists'));
    const task = new FakeTask((this.#nextPid += 10));
    this.tasks.set(request.id, task);
    return Promise.resolve(task);
  }

  start(id: string): Promise<void> {
    this.calls.push('start');
    if (this.failStart !== null) return Promise.reject(this.failStart);
    this.onStart(this.task(id));
    return Promise.resolve();
  }

  kill(id: string, signal: number): Promise<void> {
    this.calls.push(`kill ${signal}`);
    const task = this.tasks.get(id);
    if (task === undefined || task.ended) {
      return Promise.reject(new EngineError('not-found', 'no such process'));
    }
    this.onKill(task, signal);
    return Promise.resolve();
  }

  pause(): Promise<void> {
    this.calls.push('pause');
    return Promise.resolve();
  }

  resume(): Promise<void> {
    this.calls.push('resume');
    return Promise.resolve();
  }

  update(): Promise<void> {
    this.calls.push('update');
    return Promise.resolve();
  }

  delete(id: string): Promise<void> {
    if (this.tasks.has(id)) this.calls.push('delete');
    this.tasks.get(id)?.end(137);
    this.tasks.delete(id);
    return Promise.resolve();
  }

  exec(request: RuntimeExec): Promise<RuntimeTask> {
    this.execRequests.push(request);
    if (this.failExec !== null) return Promise.reject(this.failExec);
    const task = new FakeTask((this.#nextPid += 10));
    this.execs.set(request.execId, task);
    setImmediate(() => this.onExec(task));
    return Promise.resolve(task);
  }

  deleteExec(_containerId: string, execId: string): Promise<void> {
    this.execs.delete(execId);
    return Promise.resolve();
  }

  adopt(id: string): Promise<RuntimeTask | undefined> {
    return Promise.resolve(this.tasks.get(id));
  }

  adoptExec(_containerId: string, execId: string): Promise<RuntimeTask | undefined> {
    return Promise.resolve(this.execs.get(execId));
  }

  known(): Promise<string[]> {
    return Promise.resolve([...this.tasks.keys()]);
  }

  reopenLog(): Promise<void> {
    return Promise.resolve();
  }

  version(): Promise<{ name: string; version: string; commit: string }> {
    return Promise.resolve({ name: 'fake', version: '1', commit: '' });
  }

  /** The task of a container that was created. */
  task(id: string): FakeTask {
    const task = this.tasks.get(id);
    if (task === undefined) throw new Error(`no task of ${id}`);
    return task;
  }
}

export const testImage: Image = {
  id: `sha256:${'1'.repeat(64)}`,
  config: {
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['sh'], Env: ['PATH=/bin'] },
    rootfs: { type: 'layers', diff_ids: [] },
  },
  manifest: null,
  tags: ['busybox:latest'],
  digests: [],
  sizeBytes: 1000,
  parent: '',
  lastTaggedAtMs: null,
  chainId: null,
};

/** All the rooms below containers, in memory but for one temporary directory. What "survives a crash" is kept apart. */
export class TestRooms implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'containers-'));
  readonly records: Records = memoryRecords();
  readonly runtime = new FakeRuntime();
  readonly events = new MemoryEventBus();
  readonly seen: EventMessage[] = [];
  readonly sandboxes = new Set<string>();
  readonly trees = new Set<string>();
  readonly mounted = new Set<string>();
  readonly backgroundErrors: string[] = [];
  image: Image = testImage;

  constructor() {
    this.events.subscribe((event) => this.seen.push(event));
  }

  [Symbol.dispose](): void {
    this.records[Symbol.dispose]();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Actions of container events so far, e.g. `create`, `die`. */
  actions(): string[] {
    return this.seen.filter((event) => event.Type === 'container').map((event) => event.Action);
  }

  containers(options: Partial<ContainersOptions> = {}): LocalContainers {
    return new LocalContainers(this.parts(), {
      dataRoot: this.directory,
      execRoot: this.directory,
      cgroupParent: '/test',
      runtimes: { fake: { path: '/bin/fake', args: [] } },
      defaultRuntime: 'fake',
      boundingCapabilities: [],
      initPath: null,
      shmSizeBytes: 64 << 20,
      ulimits: [],
      noNewPrivileges: false,
      dns: { servers: [], search: [], options: [] },
      linkEnvironment: true,
      logDriver: 'json-file',
      logOptions: {},
      stopTimeoutSeconds: 10,
      platform: { architecture: 'amd64', os: 'linux' },
      onBackgroundError: (context, error) => this.backgroundErrors.push(`${context}: ${String(error)}`),
      ...options,
    });
  }

  parts(): ContainersParts {
    return {
      records: this.records,
      runtime: this.runtime,
      events: this.events,
      applyChanges: (config) => config,
      images: this.#images(),
      snapshotter: this.#snapshotter(),
      networks: this.#networks(),
      volumes: partial<Volumes>('volumes', { unrefer: () => undefined, refer: () => undefined }),
      logs: partial<ContainerLogs>('logs', {
        remove: () => Promise.resolve(),
        sizeBytes: () => 0,
        read: async function* () {
          yield [{ stream: 'stdout', timeNs: 1n, data: Buffer.from('earlier\n') }];
        },
      }),
      cgroups: partial<Cgroups>('cgroups', {
        setup: { mode: 'unified', version: 2, driver: 'cgroupfs', notes: [] },
        ensureUsable: () => undefined,
        children: () => [],
        processes: () => [],
      }),
      syscall: partial<Syscall>('syscall', {
        kill: (pid) => {
          for (const task of this.runtime.execs.values()) if (task.pid === pid) task.end(137);
        },
      }),
      spawner: partial<ProcessSpawner>('spawner', {}),
    };
  }

  #images(): Images {
    const known = (name: string): boolean =>
      ['busybox', 'busybox:latest', this.image.id].includes(name) || this.image.id.startsWith(name);
    return partial<Images>('images', {
      has: known,
      list: () => [this.image],
      ofContainer: (id) => (id === this.image.id ? this.image : undefined),
      manifestOf: () => undefined,
      platforms: (name) => (known(name) ? [this.image.id] : []),
      get: (name) => {
        if (!known(name)) throw new EngineError('not-found', `No such image: ${name}:latest`);
        return this.image;
      },
    });
  }

  #snapshotter(): Snapshotter {
    const path = (key: string): string => join(this.directory, 'trees', key);
    return partial<Snapshotter>('snapshotter', {
      driver: 'test',
      prepare: (key) => {
        this.trees.add(key);
        mkdirSync(path(key), { recursive: true });
        return Promise.resolve();
      },
      mount: (key) => {
        this.mounted.add(key);
        return Promise.resolve(path(key));
      },
      unmount: (key) => {
        this.mounted.delete(key);
        return Promise.resolve();
      },
      remove: (key) => {
        this.mounted.delete(key);
        this.trees.delete(key);
        return Promise.resolve();
      },
      describe: (key) => ({ rootPath: path(key), data: {} }),
      usageBytes: () => Promise.resolve(10),
      diskBytes: () => Promise.resolve(4096),
      sweep: (keep) => {
        for (const key of this.trees) if (!keep.has(key)) this.trees.delete(key);
        return Promise.resolve();
      },
    });
  }

  #networks(): Networks {
    return partial<Networks>('networks', {
      rename: () => {},
      createSandbox: (id) => {
        this.sandboxes.add(id);
        return { id, path: `/netns/${id}` };
      },
      sandbox: (id) => (this.sandboxes.has(id) ? { id, path: `/netns/${id}` } : undefined),
      removeSandbox: (id) => void this.sandboxes.delete(id),
      attach: (request) => ({
        ...(request.settings as EndpointSettings),
        NetworkID: 'n'.repeat(64),
        EndpointID: 'e'.repeat(64),
        IPAddress: '10.0.0.2',
      }),
      sweep: (keep) => {
        for (const id of this.sandboxes) if (!keep.has(id)) this.sandboxes.delete(id);
      },
      portSockets: () => [],
      closePortSockets: () => {},
      checkEndpoint: () => {},
      changeLinks: () => {},
      driverOf: () => 'bridge',
      hostGateway: () => ['10.0.0.1'],
    });
  }
}

export function testConfig(change: Partial<ContainerConfig> = {}): ContainerConfig {
  return emptyContainerConfig({ Image: 'busybox', ...change });
}

export function testHostConfig(change: Partial<HostConfig> = {}): HostConfig {
  return emptyHostConfig({ NetworkMode: 'default', IpcMode: '', ...change });
}
