import type {
  Descriptor,
  ContainerConfig,
  Digest,
  EndpointSettings,
  Health,
  HostConfig,
  MountPoint,
  NetworkingConfig,
  Platform,
  PortBinding,
  Resources,
  RestartPolicy,
} from '../spec/index.ts';
import type { LogEntry, LogReadOptions } from '../logs/index.ts';
import type { NetworkSetup } from './network-setup.ts';

export type ContainerStatus =
  'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';

/** All that is known of a container, durable unless said otherwise. Names are without Docker's leading slash. */
export interface ContainerRecord {
  id: string;
  name: string;
  /** RFC 3339 with nanoseconds. */
  createdAt: string;
  imageId: Digest;
  /** What the user asked for, as shown in `ps`. */
  imageName: string;
  config: ContainerConfig;
  hostConfig: HostConfig;
  /** Entrypoint and command as they run. */
  path: string;
  args: string[];
  mounts: MountPoint[];
  /** Volumes made for this container alone, removed with `rm -v` and `--rm`. */
  anonymousVolumes: string[];
  networks: Record<string, EndpointSettings>;
  sandbox: { id: string; path: string } | null;
  /** By `--link` on the default bridge; absent: none. */
  links?: { target: string; alias: string }[];
  /** Published ports by `80/tcp`, as given at the start of this run; absent: none. */
  ports?: Record<string, PortBinding[]>;
  state: ContainerState;
  restartCount: number;
  /** Set by stop and kill: `unless-stopped` does not restart it with the engine. */
  stoppedByUser: boolean;
  /** With status `removing`: its anonymous volumes go, too. */
  removesVolumes?: boolean;
  platform: Platform;
  logPath: string;
  resolvConfPath: string;
  hostnamePath: string;
  hostsPath: string;
  /** What the runtime's spec said where inspect shows effective values. */
  cgroupsPath: string;
}

export interface ContainerState {
  status: ContainerStatus;
  /** 0 when not running. */
  pid: number;
  monitorPid: number;
  exitCode: number;
  error: string;
  oomKilled: boolean;
  /** RFC 3339 with nanoseconds; `0001-01-01T00:00:00Z` for never. */
  startedAt: string;
  finishedAt: string;
  health: Health | null;
}

export interface ContainerCreate {
  /** Without slash; absent: a generated one such as `brave_hopper`. */
  name?: string;
  config: ContainerConfig;
  hostConfig: HostConfig;
  networkingConfig: NetworkingConfig;
  platform?: Platform;
}

export type WaitCondition = 'not-running' | 'next-exit' | 'removed';

/** Docker's list filters, already parsed: name to values (`label` `a=b`, `status` `running` …). */
export type Filters = ReadonlyMap<string, readonly string[]>;

export interface AttachRequest {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  /** Replay the log first. */
  logs: boolean;
  /** Follow the live streams; false with logs: end after the replay. */
  stream: boolean;
  /** e.g. `ctrl-p,ctrl-q`; absent: the default. */
  detachKeys?: string;
}

/**
 * An attached client. The session may be opened before the container starts (created): output then begins with the
 * first byte. onEnd comes after the last output.
 */
export interface AttachSession {
  /** No framing by stream: one raw stream both ways. */
  readonly tty: boolean;
  onOutput: (stream: 'stdout' | 'stderr', chunk: Buffer) => void;
  onEnd: (reason: { detached: boolean; error?: Error }) => void;
  /** Begins delivery; set the two callbacks before. */
  begin(): void;
  writeInput(chunk: Uint8Array): Promise<void>;
  closeInput(): void;
  pause(): void;
  resume(): void;
  close(): void;
}

export interface ExecCreate {
  attachStdin: boolean;
  attachStdout: boolean;
  attachStderr: boolean;
  tty: boolean;
  detachKeys: string;
  env: string[] | null;
  cmd: string[];
  privileged: boolean;
  user: string;
  workingDir: string;
  /** Rows, columns. */
  consoleSize?: [number, number];
}

export interface ExecRecord {
  id: string;
  containerId: string;
  request: ExecCreate;
  running: boolean;
  exitCode: number | null;
  /** 0 when not running. */
  pid: number;
  canRemove: boolean;
}

export interface PathStat {
  name: string;
  sizeBytes: number;
  /** Go's os.FileMode bits, as Docker sends them. */
  mode: number;
  mtime: string;
  linkTarget: string;
}

/** A new image from a container. */
export interface CommitRequest {
  /** '' for an image without a name. */
  repository: string;
  tag: string;
  message: string;
  author: string;
  /** Dockerfile instructions such as `CMD ["sh"]`. */
  changes: readonly string[];
  /** Freezes a running container meanwhile. */
  pause: boolean;
  /** In place of the container's own configuration. */
  config?: ContainerConfig;
}

/** Containers from creation to removal. Every method takes a name, an id, or a unique id prefix. */
export interface Containers {
  create(request: ContainerCreate): Promise<{ id: string; warnings: string[] }>;
  /** @throws {EngineError} `not-found` "No such container: x" */
  inspect(nameOrId: string): ContainerRecord;
  /**
   * The network of a running container, for another process to be in: with the files that belong to it.
   * @throws {EngineError} `not-found`; `conflict` when it does not run
   */
  joinNetwork(nameOrId: string): NetworkSetup;
  /** Newest first. Without `all` only running ones (unless a filter or limit says otherwise, as in Docker). */
  list(options: { all: boolean; limit?: number; filters?: Filters }): ContainerRecord[];
  /** @throws {EngineError} `not-modified` when it runs already */
  start(nameOrId: string, options?: { detachKeys?: string }): Promise<void>;
  stop(nameOrId: string, options: { signal?: string; timeoutSeconds?: number }): Promise<void>;
  restart(nameOrId: string, options: { signal?: string; timeoutSeconds?: number }): Promise<void>;
  kill(nameOrId: string, signal: string): Promise<void>;
  pause(nameOrId: string): Promise<void>;
  unpause(nameOrId: string): Promise<void>;
  rename(nameOrId: string, newName: string): void;
  update(
    nameOrId: string,
    change: Partial<Resources> & { RestartPolicy?: RestartPolicy },
  ): Promise<{ warnings: string[] }>;
  /**
   * Into another network, at once when it runs, else at its next start.
   * @throws {EngineError} `forbidden`, `conflict`, `invalid-parameter` with dockerd's texts
   */
  connectNetwork(nameOrId: string, network: string, settings: Partial<EndpointSettings>): Promise<void>;
  /** @param options.force also a container that is gone already */
  disconnectNetwork(nameOrId: string, network: string, options: { force: boolean }): Promise<void>;
  remove(nameOrId: string, options: { force: boolean; volumes: boolean; link: boolean }): Promise<void>;
  prune(filters: Filters): Promise<{ ids: string[]; spaceReclaimedBytes: number }>;
  /** Two steps, because Docker answers the headers before the wait ends: throws at once for an unknown container. */
  wait(
    nameOrId: string,
    condition: WaitCondition,
  ): { result: Promise<{ exitCode: number; error?: string }>; cancel(): void };
  attach(nameOrId: string, request: AttachRequest): Promise<AttachSession>;
  logs(nameOrId: string, options: LogReadOptions): { tty: boolean; entries: AsyncIterable<LogEntry[]> };
  resize(nameOrId: string, rows: number, columns: number): Promise<void>;
  /** `ps` on the host, filtered to the container. */
  top(nameOrId: string, psArguments: string): Promise<{ titles: string[]; processes: string[][] }>;
  changes(nameOrId: string): Promise<{ path: string; kind: 'modified' | 'added' | 'deleted' }[]>;
  /** What it was made from as `ps` shows it: the name, or the id when the name means another image now, or none. */
  imageName(nameOrId: string): string;
  /** The manifest of the image it was made from; undefined when the image is not known any more. */
  imageManifest(nameOrId: string): Descriptor | undefined;
  sizes(nameOrId: string): Promise<{ sizeRwBytes: number; sizeRootFsBytes: number }>;
  /** Of the blocks that what it wrote takes on disk, and its log and other files that the engine keeps for it. */
  diskBytes(nameOrId: string): Promise<number>;

  createExec(nameOrId: string, request: ExecCreate): Promise<string>;
  /** Starts it. With `attach` the session's streams; without (detach) resolves once it runs. */
  startExec(
    execId: string,
    options: { attach: boolean; tty: boolean; consoleSize?: [number, number] },
  ): Promise<AttachSession | undefined>;
  inspectExec(execId: string): ExecRecord;
  resizeExec(execId: string, rows: number, columns: number): Promise<void>;
  execIds(nameOrId: string): string[];

  statPath(nameOrId: string, path: string): Promise<PathStat>;
  /** A tar of the path, its base name as the root entry. */
  readArchive(
    nameOrId: string,
    path: string,
  ): Promise<{ stat: PathStat; archive: AsyncIterable<Uint8Array> }>;
  writeArchive(
    nameOrId: string,
    path: string,
    archive: AsyncIterable<Uint8Array>,
    options: { noOverwriteDirNonDir: boolean; copyUidGid: boolean },
  ): Promise<void>;
  /** @returns the image's id */
  commit(nameOrId: string, request: CommitRequest): Promise<Digest>;
  /** The whole root file system as a tar. */
  export(nameOrId: string): Promise<AsyncIterable<Uint8Array>>;
}
