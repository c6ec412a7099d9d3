import { mkdirSync } from 'node:fs';
import { EngineError } from '../errors/index.ts';
import type { RuntimeTask } from '../runtime/index.ts';
import type { RuntimeMount } from '../spec/index.ts';
import { imageConfigOf } from './create.ts';
import type { ContainerRecord } from './containers.ts';
import type { ContainerEntry } from './entry.ts';
import { notRunning } from './errors.ts';
import { releaseRun, settleExit } from './exit.ts';
import { startHealth } from './health.ts';
import { linkEnvironment } from './links.ts';
import { logSettings } from './log-settings.ts';
import { finishNetwork, prepareNetwork } from './network-setup.ts';
import { removeLocked } from './remove.ts';
import { startFailure } from './start-failure.ts';
import type { ContainerTable } from './table.ts';
import { nowText, zeroTime } from './timestamp.ts';

/** @throws {EngineError} `not-modified` when it runs already; `conflict` when paused */
export async function startContainer(table: ContainerTable, entry: ContainerEntry): Promise<void> {
  await entry.lock.run(async () => {
    const { status } = entry.record.state;
    if (status === 'paused') {
      throw new EngineError('conflict', 'cannot start a paused container, try unpause instead');
    }
    if (entry.running) throw new EngineError('not-modified', 'container is already running');
    await startLocked(table, entry, { byUser: true });
  });
}

/**
 * Starts a container, whoever asked. The steps in order: root mounted, network namespace and endpoints, files, volumes,
 * runtime create (init waits), clients connected, runtime start, record. Until the record says `running` a crash is
 * undone by restore(), which finds runtime state without a running record.
 * @param byUser resets restart counting; false for automatic restarts
 */
export async function startLocked(
  table: ContainerTable,
  entry: ContainerEntry,
  options: { byUser: boolean },
): Promise<void> {
  const { record } = entry;
  if (entry.removed || entry.removing || record.state.status === 'dead') {
    throw new EngineError('conflict', 'container is marked for removal and cannot be started');
  }
  if (options.byUser) {
    entry.restart.reset();
    record.stoppedByUser = false;
  }
  entry.hurryCleanup();
  await entry.cleanup;
  let task: RuntimeTask;
  let startedAt: string;
  try {
    task = await createTask(table, entry);
    connectSessions(entry, task);
    startedAt = nowText();
    await table.parts.runtime.start(entry.id);
  } catch (error) {
    await failStart(table, entry, error);
    throw startFailure(error).error;
  }
  entry.task = task;
  Object.assign(record.state, {
    status: 'running',
    pid: task.pid,
    monitorPid: task.monitorPid,
    exitCode: 0,
    error: '',
    oomKilled: false,
    startedAt,
  });
  if (options.byUser) record.restartCount = 0;
  startHealth(table, entry);
  table.save(entry);
  table.publish(entry, 'start');
  watchExit(table, entry, task);
}

/** The end of this run, whenever it comes, is settled under the lock. */
export function watchExit(table: ContainerTable, entry: ContainerEntry, task: RuntimeTask): void {
  void task.exited.then((exit) => {
    if (table.closing) return;
    void table.inBackground(`exit of ${entry.id}`, () =>
      entry.lock.run(() => settleExit(table, entry, task, exit)),
    );
  });
}

async function createTask(table: ContainerTable, entry: ContainerEntry): Promise<RuntimeTask> {
  const { record } = entry;
  const { snapshotter, runtime, cgroups, networks } = table.parts;
  const rootPath = await snapshotter.mount(entry.id, { isDiscardable: record.hostConfig.AutoRemove });
  mkdirSync(table.directory(entry.id), { recursive: true, mode: 0o710 });
  const network = prepareNetwork(table, entry);
  const ownMounts = await table.mounts.acquire(record, {
    rootPath,
    populate: record.state.startedAt === zeroTime,
  });
  const { spec } = table.buildSpec({
    id: entry.id,
    config: withLinkEnvironment(table, record),
    hostConfig: record.hostConfig,
    imageConfig: imageConfigOf(table, entry),
    rootPath,
    entrypointAndCommand: [record.path, ...record.args],
    mounts: mergeFileMounts(ownMounts, network.mounts),
    namespacePaths: { ...network.namespacePaths, ...sharedNamespaces(table, entry) },
    cgroupsPath: record.cgroupsPath,
    cgroupVersion: cgroups.setup.version,
    hostname: network.hostname,
    boundingCapabilities: table.options.boundingCapabilities,
    ...initOf(table, entry),
    daemonDefaults: {
      shmSizeBytes: table.options.shmSizeBytes,
      ulimits: [...table.options.ulimits],
      noNewPrivileges: table.options.noNewPrivileges,
    },
  });
  entry.process = spec.process;
  cgroups.ensureUsable();
  const chosen = table.runtimeOf(entry);
  finishNetwork(table, entry);
  const created = runtime.create({
    id: entry.id,
    spec,
    ...(chosen === undefined ? {} : { runtime: chosen }),
    openStdin: record.config.OpenStdin,
    stdinOnce: record.config.StdinOnce,
    logPath: logSettings(record.hostConfig.LogConfig).written ? record.logPath : null,
    held: networks.portSockets(entry.id),
  });
  void created.catch(() => {}).then(() => networks.closePortSockets(entry.id));
  return created;
}

/** What links say comes first: the user's own variables win. */
function withLinkEnvironment(table: ContainerTable, record: ContainerRecord): ContainerRecord['config'] {
  const { config } = record;
  if (record.links === undefined || !table.options.linkEnvironment) return config;
  return { ...config, Env: [...linkEnvironment(table, record), ...(config.Env ?? [])] };
}

/** The user's own mount at /etc/hosts and the like wins over the engine's file. */
function mergeFileMounts(own: readonly RuntimeMount[], files: readonly RuntimeMount[]): RuntimeMount[] {
  const taken = new Set(own.map((mount) => mount.destination));
  return [...own, ...files.filter((mount) => !taken.has(mount.destination))];
}

function initOf(table: ContainerTable, entry: ContainerEntry): { initPath?: string } {
  if (entry.record.hostConfig.Init !== true) return {};
  const { initPath } = table.options;
  if (initPath === null) {
    throw new EngineError('unavailable', 'exec: "docker-init": executable file not found in $PATH');
  }
  return { initPath };
}

/** @throws {EngineError} `conflict` when the other container does not run; `not-found` */
function sharedNamespaces(table: ContainerTable, entry: ContainerEntry): { pid?: string; ipc?: string } {
  const { PidMode: pidMode, IpcMode: ipcMode } = entry.record.hostConfig;
  const paths: { pid?: string; ipc?: string } = {};
  if (pidMode.startsWith('container:')) {
    paths.pid = `/proc/${runningPid(table, pidMode, 'PID')}/ns/pid`;
  }
  if (ipcMode.startsWith('container:')) {
    const other = table.resolve(ipcMode.slice('container:'.length));
    const pid = runningPid(table, ipcMode, 'IPC');
    if (other.record.hostConfig.IpcMode !== 'shareable') {
      throw new EngineError(
        'conflict',
        `cannot join IPC of container ${other.id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
      );
    }
    paths.ipc = `/proc/${pid}/ns/ipc`;
  }
  return paths;
}

function runningPid(table: ContainerTable, mode: string, what: string): number {
  const other = table.resolve(mode.slice('container:'.length));
  if (!other.running) {
    throw new EngineError('conflict', `cannot join ${what} of a non running container: ${other.id}`);
  }
  if (other.record.state.status === 'restarting') throw notRunning(other.id);
  return other.record.state.pid;
}

function connectSessions(entry: ContainerEntry, task: RuntimeTask): void {
  for (const session of entry.sessions) session.connect(task.attach());
}

/** Everything taken back; the container stays as it was, with the reason in its state. */
async function failStart(table: ContainerTable, entry: ContainerEntry, error: unknown): Promise<void> {
  const { record } = entry;
  const failure = startFailure(error);
  record.state.error = failure.error.message;
  record.state.exitCode = failure.exitCode;
  if (entry.running) record.state.status = 'exited';
  entry.task = null;
  try {
    await table.parts.runtime.delete(entry.id);
  } catch (cleanup) {
    table.report(`undo start of ${entry.id}`, cleanup);
  }
  await releaseRun(table, entry);
  table.save(entry);
  for (const session of entry.sessions) session.abandon();
  if (record.hostConfig.AutoRemove) await removeLocked(table, entry, { volumes: true });
}
