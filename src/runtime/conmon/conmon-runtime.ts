import { closeSync, existsSync, mkdirSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { EngineError, isEngineError, ProcessError } from '../../errors/index.ts';
import type { RuntimeResources, SeccompPolicy } from '../../spec/index.ts';
import {
  warmCgroupMoves,
  type Cgroups,
  type DescriptorWatcher,
  type ProcessSpawner,
  type Syscall,
} from '../../sys/index.ts';
import type { ContainerRuntime, RuntimeCreate, RuntimeExec, RuntimeTask } from '../container-runtime.ts';
import { OciCommand, type OciProgram } from '../oci/oci-command.ts';
import { startThroughFifo } from '../oci/crun-start.ts';
import { programVersion } from '../oci/program-version.ts';
import { createError, execError, operationError } from '../oci/runtime-errors.ts';
import { startDirectExec } from '../exec/direct-exec.ts';
import { Bundle } from './bundle.ts';
import { startConmon } from './conmon-process.ts';
import { ConmonTask, conmonHub, type TaskServices } from './conmon-task.ts';
import { SeccompAnnotation, type CompileSeccomp } from './seccomp-annotation.ts';

const SIGKILL = 9;
const endTimeoutMs = 10_000;
const reopenTimeoutMs = 2000;

export interface ConmonRuntimeOptions {
  syscall: Syscall;
  spawner: ProcessSpawner;
  watcher: DescriptorWatcher;
  cgroups: Pick<
    Cgroups,
    'ensureUsable' | 'processes' | 'oomKills' | 'watchOomKills' | 'oomKillsAround' | 'remove'
  >;
  /** On tmpfs: bundles below `containers`, the OCI runtimes' state below `runtimes`. */
  execRoot: string;
  /** Default /usr/bin/crun. */
  runtimePath?: string;
  runtimeArgs?: readonly string[];
  /** Default /usr/bin/conmon. */
  conmonPath?: string;
  cgroupDriver: 'cgroupfs' | 'systemd';
  /** Compiles seccomp policies ahead for crun; absent: crun compiles them itself, each time. */
  compileSeccomp?: CompileSeccomp;
}

/** 128 + SIGKILL: how the OOM killer ends a container. */
const exitByKill = 137;

/** What a restarted engine must know of a container, in its bundle. */
interface BundleState {
  cgroupsPath: string;
  closesStdin: boolean;
  logPath: string | null;
  program: OciProgram;
}

/** ContainerRuntime by one conmon per container around an OCI runtime's command line. */
export class ConmonRuntime implements ContainerRuntime {
  readonly name: string;
  readonly #options: ConmonRuntimeOptions;
  readonly #program: OciProgram;
  readonly #containersRoot: string;
  readonly #seccomp: SeccompAnnotation | undefined;
  readonly #tasks = new Map<string, ConmonTask>();
  /** Exec sessions that may hold output for a client yet to come. */
  readonly #sessions = new Map<string, { abandon(): void }>();

  constructor(options: ConmonRuntimeOptions) {
    this.#options = options;
    this.#program = { path: options.runtimePath ?? '/usr/bin/crun', args: options.runtimeArgs ?? [] };
    this.name = this.#program.path.slice(this.#program.path.lastIndexOf('/') + 1);
    this.#containersRoot = join(options.execRoot, 'containers');
    this.#seccomp =
      options.compileSeccomp === undefined ? undefined : new SeccompAnnotation(options.compileSeccomp);
  }

  /** Does ahead of the first create what takes long the first time; the policy must not change afterwards. */
  warm(policy: SeccompPolicy): void {
    this.#seccomp?.prepare(policy);
    void this.#oci(this.#program).executable;
  }

  async create(request: RuntimeCreate): Promise<RuntimeTask> {
    const { id, spec } = request;
    const { cgroups } = this.#options;
    const terminal = spec.process.terminal;
    const state: BundleState = {
      cgroupsPath: spec.linux.cgroupsPath,
      // A terminal has no end of input: closing its master for input would only shut out later clients.
      closesStdin: request.openStdin && request.stdinOnce && !terminal,
      logPath: request.logPath,
      program: request.runtime ?? this.#program,
    };
    const oci = this.#oci(state.program);
    cgroups.ensureUsable();
    cgroups.watchOomKills(spec.linux.cgroupsPath);
    void warmCgroupMoves();
    const bundle = this.#bundle(id);
    bundle.create();
    try {
      bundle.writeConfig(oci.isCrun && this.#seccomp !== undefined ? this.#seccomp.apply(spec) : spec);
      bundle.writeState(state);
      const { monitor, result } = await startConmon(
        {
          id,
          bundle,
          oci,
          conmonPath: this.#options.conmonPath ?? '/usr/bin/conmon',
          systemdCgroup: this.#options.cgroupDriver === 'systemd',
          terminal,
          openStdin: request.openStdin,
          closesStdin: state.closesStdin,
          logPath: request.logPath,
          temporaryDirectory: this.#options.execRoot,
          held: request.held ?? [],
        },
        this.#options,
      );
      if ('error' in result) {
        await monitor.exited;
        throw createError(result.error, spec.process.args[0]);
      }
      bundle.writeFirst(result.pid);
      const task = new ConmonTask({
        pid: result.pid,
        isRunning: true,
        monitorPid: monitor.pid,
        monitorGone: monitor.exited,
        bundle,
        hub: conmonHub(bundle, this.#options.watcher, state.closesStdin),
        services: this.#taskServices(state),
      });
      this.#tasks.set(id, task);
      return task;
    } catch (error) {
      try {
        await this.#removeState(id, oci, state);
        bundle.remove();
      } catch (cleanupError) {
        throw new AggregateError(
          [error, cleanupError],
          isEngineError(error) ? error.message : String(error),
          {
            cause: error,
          },
        );
      }
      throw error;
    }
  }

  async start(id: string): Promise<void> {
    const { oci } = this.#found(id);
    if (oci.isCrun && startThroughFifo(join(oci.stateRoot, id, 'exec.fifo'))) return;
    await this.#run('start', oci, 'start', id);
  }

  async kill(id: string, signal: number, options: { all?: boolean } = {}): Promise<void> {
    const task = this.#tasks.get(id);
    if (task === undefined || task.isEnded) throw notRunning(id);
    if (options.all === true) {
      const state = this.#bundle(id).readState() as BundleState;
      for (const pid of this.#options.cgroups.processes(state.cgroupsPath)) this.#killQuietly(pid, signal);
      return;
    }
    try {
      task.kill(signal);
    } catch (error) {
      if (isEngineError(error) && error.code === 'ESRCH') throw notRunning(id);
      throw error;
    }
    await Promise.resolve();
  }

  async pause(id: string): Promise<void> {
    await this.#run('pause', this.#found(id).oci, 'pause', id);
  }

  async resume(id: string): Promise<void> {
    await this.#run('resume', this.#found(id).oci, 'resume', id);
  }

  async update(id: string, resources: RuntimeResources): Promise<void> {
    const { oci } = this.#found(id);
    const path = join(this.#bundle(id).path, 'resources.json');
    try {
      const fd = openSync(path, 'w', 0o600);
      try {
        writeSync(fd, JSON.stringify(resources));
      } finally {
        closeSync(fd);
      }
      await this.#run('update', oci, 'update', '--resources', path, id);
    } finally {
      rmSync(path, { force: true });
    }
  }

  async delete(id: string): Promise<void> {
    const bundle = this.#bundle(id);
    const state = bundle.readState() as BundleState | undefined;
    const task = this.#tasks.get(id);
    if (task !== undefined && !task.isEnded) await this.#end(task);
    await this.#removeState(id, this.#oci(state?.program ?? this.#program), state);
    bundle.remove();
    this.#tasks.delete(id);
  }

  async exec(request: RuntimeExec): Promise<RuntimeTask> {
    const { containerId, execId } = request;
    const { oci, state } = this.#found(containerId);
    if (this.#tasks.get(containerId)?.isEnded !== false) throw notRunning(containerId);
    const bundle = this.#execBundle(containerId, execId);
    bundle.create();
    try {
      bundle.writeConfig(request.process);
      this.#options.cgroups.ensureUsable();
      void warmCgroupMoves();
      const task =
        oci.isCrun && request.attached
          ? await startDirectExec(request, bundle, oci, this.#options)
          : await this.#monitoredExec(request, bundle, oci, state);
      this.#sessions.set(execId, task);
      return task;
    } catch (error) {
      bundle.remove();
      throw error;
    }
  }

  /** Under a conmon of its own: it goes on and its exit code is kept while the engine is away. */
  async #monitoredExec(
    request: RuntimeExec,
    bundle: Bundle,
    oci: OciCommand,
    container: BundleState,
  ): Promise<ConmonTask> {
    const { terminal } = request.process;
    const closesStdin = request.openStdin && !terminal;
    bundle.writeState({ ...container, closesStdin, logPath: null } satisfies BundleState);
    const hub = conmonHub(bundle, this.#options.watcher, closesStdin);
    const { monitor, result } = await startConmon(
      {
        id: request.containerId,
        bundle,
        oci,
        conmonPath: this.#options.conmonPath ?? '/usr/bin/conmon',
        systemdCgroup: this.#options.cgroupDriver === 'systemd',
        terminal,
        openStdin: request.openStdin,
        closesStdin,
        logPath: null,
        temporaryDirectory: this.#options.execRoot,
        exec: { beforeStart: request.attached ? () => hub.hold() : undefined },
      },
      this.#options,
    );
    if ('error' in result) {
      await monitor.exited;
      throw execError(result.error, request.process.args[0]);
    }
    bundle.writeFirst(result.pid);
    const task = new ConmonTask({
      pid: result.pid,
      isRunning: true,
      monitorPid: monitor.pid,
      monitorGone: monitor.exited,
      bundle,
      hub,
      services: this.#taskServices(undefined),
    });
    return task;
  }

  deleteExec(containerId: string, execId: string): Promise<void> {
    this.#sessions.get(execId)?.abandon();
    this.#sessions.delete(execId);
    this.#execBundle(containerId, execId).remove();
    return Promise.resolve();
  }

  adopt(id: string): Promise<RuntimeTask | undefined> {
    const existing = this.#tasks.get(id);
    if (existing !== undefined) return Promise.resolve(existing);
    const bundle = this.#bundle(id);
    const task = this.#adopt(bundle, bundle.readState() as BundleState | undefined);
    if (task !== undefined) this.#tasks.set(id, task);
    return Promise.resolve(task);
  }

  /** @param container whose cgroup tells of OOM kills; undefined for an exec session */
  #adopt(bundle: Bundle, container: BundleState | undefined): ConmonTask | undefined {
    const state = bundle.readState() as BundleState | undefined;
    const pid = bundle.readPid();
    if (state === undefined || pid === undefined) return undefined;
    const monitorPid = bundle.runningMonitor();
    return new ConmonTask({
      pid,
      isRunning: bundle.isFirstRunning(monitorPid),
      monitorPid: monitorPid ?? 0,
      monitorGone:
        monitorPid === undefined ? Promise.resolve() : this.#options.spawner.waitForExit(monitorPid),
      bundle,
      hub: conmonHub(bundle, this.#options.watcher, state.closesStdin),
      services: this.#taskServices(container),
    });
  }

  adoptExec(containerId: string, execId: string): Promise<RuntimeTask | undefined> {
    return Promise.resolve(this.#adopt(this.#execBundle(containerId, execId), undefined));
  }

  known(): Promise<string[]> {
    if (!existsSync(this.#containersRoot)) return Promise.resolve([]);
    return Promise.resolve(readdirSync(this.#containersRoot));
  }

  async reopenLog(id: string): Promise<void> {
    const task = this.#tasks.get(id);
    const state = this.#bundle(id).readState() as BundleState | undefined;
    if (task === undefined || task.isEnded || state === undefined || state.logPath === null) return;
    await task.reopenLog();
    const deadline = performance.now() + reopenTimeoutMs;
    while (!task.isEnded && !existsSync(state.logPath)) {
      if (performance.now() > deadline) {
        throw new EngineError('unavailable', `Cannot reopen the log of ${id}: the monitor does not answer`);
      }
      await delay(1);
    }
  }

  async version(): Promise<{ name: string; version: string; commit: string }> {
    return { name: this.name, ...(await programVersion(this.#options.spawner, this.#program.path)) };
  }

  #bundle(id: string): Bundle {
    if (!isPlainName(id))
      throw new EngineError('invalid-parameter', `Invalid container id: ${JSON.stringify(id)}`);
    return new Bundle(join(this.#containersRoot, id));
  }

  #execBundle(containerId: string, execId: string): Bundle {
    if (!isPlainName(execId))
      throw new EngineError('invalid-parameter', `Invalid exec id: ${JSON.stringify(execId)}`);
    return new Bundle(join(this.#bundle(containerId).path, 'exec', execId));
  }

  #oci(program: OciProgram): OciCommand {
    const name = program.path.slice(program.path.lastIndexOf('/') + 1);
    const stateRoot = join(this.#options.execRoot, 'runtimes', name);
    mkdirSync(stateRoot, { recursive: true, mode: 0o700 });
    return new OciCommand({
      program,
      stateRoot,
      spawner: this.#options.spawner,
      systemdCgroup: this.#options.cgroupDriver === 'systemd',
    });
  }

  #found(id: string): { oci: OciCommand; state: BundleState } {
    const state = this.#bundle(id).readState() as BundleState | undefined;
    if (state === undefined) throw notRunning(id);
    return { oci: this.#oci(state.program), state };
  }

  #taskServices(container: BundleState | undefined): TaskServices {
    const { syscall, watcher, cgroups } = this.#options;
    const oomKilled = (exitCode: number): boolean => {
      if (container === undefined) return false;
      const { cgroupsPath } = container;
      const around = cgroups.oomKillsAround(cgroupsPath);
      return cgroups.oomKills(cgroupsPath) > 0 || (around && exitCode === exitByKill);
    };
    return { syscall, watcher, oomKilled };
  }

  async #run(operation: string, oci: OciCommand, ...words: string[]): Promise<void> {
    this.#options.cgroups.ensureUsable();
    try {
      await oci.run(...words);
    } catch (error) {
      if (error instanceof ProcessError) throw operationError(operation, error.stderrTail);
      throw error;
    }
  }

  #killQuietly(pid: number, signal: number): void {
    try {
      this.#options.syscall.kill(pid, signal);
    } catch (error) {
      if (!isEngineError(error) || error.code !== 'ESRCH') throw error;
    }
  }

  /** Kills the container, then a monitor that does not end by itself. */
  async #end(task: ConmonTask): Promise<void> {
    try {
      task.kill(SIGKILL);
    } catch (error) {
      if (!isEngineError(error) || error.code !== 'ESRCH') throw error;
    }
    const timer = new AbortController();
    const isLate = await Promise.race([
      task.exited.then(() => false),
      delay(endTimeoutMs, true, { signal: timer.signal }).catch(() => false),
    ]);
    timer.abort();
    if (!isLate) return;
    this.#killQuietly(task.monitorPid, SIGKILL);
    await task.exited;
  }

  /** The runtime's state and the cgroup, whatever is left of them. */
  async #removeState(id: string, oci: OciCommand, state: BundleState | undefined): Promise<void> {
    const directory = join(oci.stateRoot, id);
    if (existsSync(directory)) {
      const isEnded = this.#tasks.get(id)?.isEnded === true;
      if (oci.isCrun && isEnded && state !== undefined) {
        await this.#options.cgroups.remove(state.cgroupsPath);
        rmSync(directory, { recursive: true, force: true });
        return;
      }
      await this.#run('delete', oci, 'delete', '--force', id);
    }
    if (state !== undefined) await this.#options.cgroups.remove(state.cgroupsPath);
  }
}

/** Ids become names of directories. */
function isPlainName(id: string): boolean {
  return /^[a-z0-9][a-z0-9_.-]*$/i.test(id);
}

function notRunning(id: string): EngineError {
  return new EngineError('not-found', `container ${id} is not running`, { code: 'not-running' });
}
