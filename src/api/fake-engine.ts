import { EngineError } from '../errors/index.ts';
import type {
  AttachSession,
  ContainerCreate,
  ContainerRecord,
  Containers,
  ExecRecord,
} from '../containers/index.ts';
import type { Builder } from '../builder/index.ts';
import type { EngineFacts, EngineServices } from '../engine/index.ts';
import { MemoryEventBus } from '../events/index.ts';
import type { Image, Images } from '../images/index.ts';
import type { LogEntry } from '../logs/index.ts';
import type { Networks } from '../network/index.ts';
import type { Volume } from '../spec/index.ts';
import type { Volumes } from '../volumes/index.ts';

/** A session for tests: echoes its input as standard output, can be made to refuse more output. */
export class FakeSession implements AttachSession {
  readonly tty: boolean;
  onOutput: (stream: 'stdout' | 'stderr', chunk: Buffer) => void = () => {};
  onEnd: (reason: { detached: boolean; error?: Error }) => void = () => {};
  readonly inputs: Buffer[] = [];
  begun = false;
  paused = false;
  closed = false;
  inputClosed = false;
  #onInputClosed: (() => void) | undefined;
  #onBegin: (() => void) | undefined;

  constructor(tty: boolean) {
    this.tty = tty;
  }

  begin(): void {
    this.begun = true;
    this.#onBegin?.();
  }
  whenBegun(): Promise<void> {
    return this.begun ? Promise.resolve() : new Promise((resolve) => (this.#onBegin = resolve));
  }
  writeInput(chunk: Uint8Array): Promise<void> {
    this.inputs.push(Buffer.from(chunk));
    return Promise.resolve();
  }
  closeInput(): void {
    this.inputClosed = true;
    this.#onInputClosed?.();
  }
  whenInputClosed(): Promise<void> {
    return this.inputClosed ? Promise.resolve() : new Promise((resolve) => (this.#onInputClosed = resolve));
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  close(): void {
    this.closed = true;
  }
}

const never = '0001-01-01T00:00:00Z';

/** Containers in memory; what runs is decided by the test. Methods not needed yet throw. */
export class FakeContainers {
  readonly records = new Map<string, ContainerRecord>();
  readonly calls: [method: string, ...args: unknown[]][] = [];
  readonly logEntries: LogEntry[] = [];
  readonly execs = new Map<string, ExecRecord>();
  session = new FakeSession(false);
  exit: ((exitCode: number) => void) | undefined;
  cancelled = 0;

  create(request: ContainerCreate): Promise<{ id: string; warnings: string[] }> {
    const id = (this.records.size + 1).toString(16).padStart(64, 'a');
    this.calls.push(['create', request]);
    this.records.set(id, {
      id,
      name: request.name ?? 'brave_hopper',
      createdAt: '2026-01-02T03:04:05.000000006Z',
      imageId: `sha256:${'1'.repeat(64)}`,
      imageName: request.config.Image,
      config: request.config,
      hostConfig: request.hostConfig,
      path: 'true',
      args: ['-a', 'b c'],
      mounts: [],
      anonymousVolumes: [],
      networks: {},
      sandbox: null,
      state: {
        status: 'created',
        pid: 0,
        monitorPid: 0,
        exitCode: 0,
        error: '',
        oomKilled: false,
        startedAt: never,
        finishedAt: never,
        health: null,
      },
      restartCount: 0,
      stoppedByUser: false,
      platform: { os: 'linux', architecture: 'amd64' },
      logPath: '',
      resolvConfPath: '',
      hostnamePath: '',
      hostsPath: '',
      cgroupsPath: '',
    });
    return Promise.resolve({ id, warnings: [] });
  }

  inspect(nameOrId: string): ContainerRecord {
    for (const record of this.records.values()) {
      if (record.name === nameOrId || record.id.startsWith(nameOrId)) return record;
    }
    throw new EngineError('not-found', `No such container: ${nameOrId}`);
  }

  list(): ContainerRecord[] {
    return [...this.records.values()];
  }

  start(nameOrId: string): Promise<void> {
    const { state } = this.inspect(nameOrId);
    if (state.status === 'running') throw new EngineError('not-modified', 'container already started');
    state.status = 'running';
    return Promise.resolve();
  }

  stop(nameOrId: string, options: unknown): Promise<void> {
    this.calls.push(['stop', this.inspect(nameOrId).id, options]);
    return Promise.resolve();
  }

  kill(nameOrId: string, signal: string): Promise<void> {
    this.calls.push(['kill', nameOrId, signal]);
    throw new EngineError('conflict', `container ${this.inspect(nameOrId).id} is not running`);
  }

  remove(nameOrId: string, options: unknown): Promise<void> {
    const { id } = this.inspect(nameOrId);
    this.calls.push(['remove', id, options]);
    this.records.delete(id);
    return Promise.resolve();
  }

  imageName(nameOrId: string): string {
    return this.inspect(nameOrId).imageName;
  }

  imageManifest(): undefined {
    return undefined;
  }

  wait(nameOrId: string): { result: Promise<{ exitCode: number }>; cancel(): void } {
    this.inspect(nameOrId);
    const { promise, resolve, reject } = Promise.withResolvers<{ exitCode: number }>();
    this.exit = (exitCode) => resolve({ exitCode });
    return {
      result: promise,
      cancel: () => {
        this.cancelled++;
        reject(new EngineError('cancelled', 'context canceled'));
      },
    };
  }

  attach(nameOrId: string, request: unknown): Promise<AttachSession> {
    this.inspect(nameOrId);
    this.calls.push(['attach', request]);
    return Promise.resolve(this.session);
  }

  logs(nameOrId: string, options: unknown): { tty: boolean; entries: AsyncIterable<LogEntry[]> } {
    const { config } = this.inspect(nameOrId);
    this.calls.push(['logs', options]);
    const batches = [this.logEntries];
    return {
      tty: config.Tty,
      entries: (async function* () {
        yield* batches;
      })(),
    };
  }

  execIds(): string[] {
    return [];
  }

  resize(nameOrId: string, rows: number, columns: number): Promise<void> {
    this.calls.push(['resize', nameOrId, rows, columns]);
    return Promise.resolve();
  }

  createExec(nameOrId: string, request: ExecRecord['request']): Promise<string> {
    const id = 'e'.repeat(64);
    this.execs.set(id, {
      id,
      containerId: this.inspect(nameOrId).id,
      request,
      running: false,
      exitCode: null,
      pid: 0,
      canRemove: false,
    });
    return Promise.resolve(id);
  }

  inspectExec(execId: string): ExecRecord {
    const found = this.execs.get(execId);
    if (found === undefined) throw new EngineError('not-found', `No such exec instance: ${execId}`);
    return found;
  }

  startExec(execId: string, options: unknown): Promise<AttachSession | undefined> {
    this.calls.push(['startExec', this.inspectExec(execId).id, options]);
    return Promise.resolve(this.session);
  }
}

export const fakeFacts: EngineFacts = {
  id: '00000000-0000-4000-8000-000000000000',
  name: 'host',
  dataRoot: '/data',
  execRoot: '/exec',
  storageDriver: 'overlay2',
  storageStatus: [],
  cgroupDriver: 'cgroupfs',
  cgroupVersion: 1,
  runtimes: { crun: { path: '/usr/bin/crun', args: [] } },
  defaultRuntime: 'crun',
  runtimeVersion: { name: 'crun', version: '1.8.1', commit: 'abc' },
  monitorVersion: '2.1.6',
  initPath: null,
  initVersion: '0.19.0',
  kernelVersion: '6.18',
  operatingSystem: 'Debian',
  operatingSystemVersion: '12',
  architecture: 'x86_64',
  cpus: 2,
  memoryBytes: 1 << 30,
  securityOptions: ['name=seccomp,profile=builtin'],
  warnings: [],
  labels: [],
  debug: false,
  startedAt: never,
};

/** An engine for the API's own tests: containers as above, empty stores, a real event bus. */
export interface FakeEngine extends EngineServices {
  readonly fake: FakeContainers;
}

export function fakeEngine(): FakeEngine {
  const fake = new FakeContainers();
  const images: Pick<Images, 'list' | 'get'> = {
    list: (): Image[] => [],
    get(name) {
      throw new EngineError('not-found', `No such image: ${name}`);
    },
  };
  const volumes: Pick<Volumes, 'list' | 'inspect'> = {
    list: (): Volume[] => [],
    inspect(name) {
      throw new EngineError('not-found', `get ${name}: no such volume`);
    },
  };
  const networks: Pick<Networks, 'list' | 'inspect'> = {
    list: () => [],
    inspect(name) {
      throw new EngineError('not-found', `network ${name} not found`);
    },
  };
  return {
    fake,
    containers: fake as unknown as Containers,
    images: images as Images,
    volumes: volumes as Volumes,
    networks: networks as Networks,
    events: new MemoryEventBus(),
    builder: {} as Builder,
    registries: {} as EngineServices['registries'],
    facts: () => fakeFacts,
  };
}
