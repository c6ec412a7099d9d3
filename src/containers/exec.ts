import { randomBytes } from 'node:crypto';
import { EngineError } from '../errors/index.ts';
import type { RuntimeTask } from '../runtime/index.ts';
import type { ExecCreate, ExecRecord } from './containers.ts';
import { parseDetachKeys } from './detach-keys.ts';
import type { ContainerEntry } from './entry.ts';
import { invalid, noSuchContainer, noSuchExec } from './errors.ts';
import { assertActive } from './kill.ts';
import { ContainerSession } from './session.ts';
import { signals } from './signals.ts';
import { startFailure, unknownFailure } from './start-failure.ts';
import type { ContainerTable } from './table.ts';

/** How long an exec session that has ended can be inspected. */
const keepEndedMs = 5 * 60_000;

const cannotInvoke = 126;

/**
 * Clients ask for the exit code as soon as the output ends, and take a session that still runs for one that ended well. So
 * the end waits for the exit, but no longer than this: a process may close its output and go on.
 */
const awaitExitMs = 1000;

/** An exec session in memory. */
export class ExecEntry {
  readonly record: ExecRecord;
  task: RuntimeTask | null = null;
  endedAtMs: number | null = null;

  constructor(record: ExecRecord) {
    this.record = record;
  }
}

/** @throws {EngineError} `conflict` unless the container runs */
export function createExec(
  table: ContainerTable,
  entry: ContainerEntry,
  nameOrId: string,
  request: ExecCreate,
): ExecEntry {
  assertActive(entry, `Container ${nameOrId} is paused, unpause the container before exec`);
  if (request.cmd.length === 0) throw invalid('No exec command specified');
  parseDetachKeys(request.detachKeys);
  collectEnded(table);
  const exec = new ExecEntry({
    id: randomBytes(32).toString('hex'),
    containerId: entry.id,
    request,
    running: false,
    exitCode: null,
    pid: 0,
    canRemove: false,
  });
  table.execs.set(exec.record.id, exec);
  entry.execIds.add(exec.record.id);
  publishExec(table, entry, exec, 'exec_create');
  return exec;
}

/** Sessions that ended a while ago are forgotten; what makes the list grow, shrinks it. */
function collectEnded(table: ContainerTable): void {
  const before = Date.now() - keepEndedMs;
  for (const [id, exec] of table.execs) {
    if (exec.endedAtMs !== null && exec.endedAtMs < before) table.execs.delete(id);
  }
}

/** @throws {EngineError} `not-found` */
export function resolveExec(table: ContainerTable, id: string): ExecEntry {
  const exec = table.execs.get(id);
  if (exec === undefined) throw noSuchExec(id);
  return exec;
}

/**
 * Starts an exec session; with `attach` the client's session, connected before the process's first output.
 * @throws {EngineError} `conflict` when it ran before, or the container does not run
 */
export async function startExec(
  table: ContainerTable,
  exec: ExecEntry,
  options: { attach: boolean; tty: boolean; consoleSize?: [number, number] },
): Promise<ContainerSession | undefined> {
  const { record } = exec;
  const { request } = record;
  const entry = table.entries.get(record.containerId);
  if (entry === undefined) throw noSuchContainer(record.id);
  assertActive(entry, `Container ${entry.id} is paused, unpause the container before exec`);
  if (record.exitCode !== null) {
    throw new EngineError('conflict', `exec command ${record.id} has already run`);
  }
  if (record.running) throw new EngineError('conflict', `exec command ${record.id} is already running`);
  record.running = true;
  publishExec(table, entry, exec, 'exec_start');
  let task: RuntimeTask;
  let session: ContainerSession | undefined;
  try {
    table.saveExec(exec);
    task = await runExec(table, entry, exec, options);
    exec.task = task;
    record.pid = task.pid;
    if (options.attach) {
      session = new ContainerSession({
        tty: request.tty,
        stdin: request.attachStdin,
        stdout: request.attachStdout,
        stderr: request.attachStderr,
        closeInput: true,
        detachKeys: parseDetachKeys(request.detachKeys),
        replay: null,
        live: true,
        beforeEnd: () => within(task.exited, awaitExitMs),
        onDetach: () => table.publish(entry, 'exec_detach', { execID: record.id }),
        onClosed: () => undefined,
      });
      session.connect(task.attach());
    }
  } catch (error) {
    const failure = startFailure(error);
    record.exitCode = failure.exitCode === unknownFailure ? cannotInvoke : failure.exitCode;
    endExec(table, entry, exec);
    throw failure.error;
  }
  watchExec(table, entry, exec, task);
  return session;
}

/** Resolves when `promise` does, or after `limitMs`. */
function within(promise: Promise<unknown>, limitMs: number): Promise<void> {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, limitMs);
  void promise.then(() => {
    clearTimeout(timer);
    resolve();
  });
  return over;
}

async function runExec(
  table: ContainerTable,
  entry: ContainerEntry,
  exec: ExecEntry,
  options: { attach: boolean; consoleSize?: [number, number] },
): Promise<RuntimeTask> {
  const { request } = exec.record;
  const { config, hostConfig } = entry.record;
  const consoleSize = options.consoleSize ?? request.consoleSize;
  const process = table.buildExecProcess({
    base: table.processOf(entry),
    containerConfig: config,
    rootPath: table.parts.snapshotter.describe(entry.id).rootPath,
    command: request.cmd,
    tty: request.tty,
    env: request.env,
    user: request.user,
    groupAdd: hostConfig.GroupAdd ?? [],
    workingDir: request.workingDir,
    privileged: request.privileged,
    containerPrivileged: hostConfig.Privileged,
    boundingCapabilities: table.options.boundingCapabilities,
    ...(consoleSize === undefined ? {} : { consoleSize }),
  });
  table.parts.cgroups.ensureUsable();
  const runtime = table.runtimeOf(entry);
  return table.parts.runtime.exec({
    execId: exec.record.id,
    containerId: entry.id,
    process,
    openStdin: options.attach && request.attachStdin,
    attached: options.attach,
    ...(runtime === undefined ? {} : { runtime }),
  });
}

export function watchExec(
  table: ContainerTable,
  entry: ContainerEntry,
  exec: ExecEntry,
  task: RuntimeTask,
): void {
  void task.exited.then((exit) => {
    if (table.closing) return;
    exec.record.exitCode = exit.exitCode;
    endExec(table, entry, exec);
    table.publish(entry, 'exec_die', { execID: exec.record.id, exitCode: String(exit.exitCode) });
    void table.inBackground(`remove exec ${exec.record.id}`, () =>
      table.parts.runtime.deleteExec(entry.id, exec.record.id),
    );
  });
}

function endExec(table: ContainerTable, entry: ContainerEntry, exec: ExecEntry): void {
  exec.record.running = false;
  exec.record.pid = 0;
  exec.record.canRemove = true;
  exec.task = null;
  exec.endedAtMs = Date.now();
  entry.execIds.delete(exec.record.id);
  table.forgetExec(exec.record.id);
}

/** The container's run is over: sessions that never started can start no more. Those that ran end by themselves. */
export function forgetExecs(table: ContainerTable, entry: ContainerEntry): void {
  for (const id of entry.execIds) {
    const exec = table.execs.get(id);
    if (exec === undefined || exec.task !== null) continue;
    table.execs.delete(id);
    entry.execIds.delete(id);
  }
}

function publishExec(table: ContainerTable, entry: ContainerEntry, exec: ExecEntry, action: string): void {
  const [program = '', ...args] = exec.record.request.cmd;
  // dockerd's own text: a space behind the program also when no argument follows.
  table.publish(entry, `${action}: ${program} ${args.join(' ')}`, { execID: exec.record.id });
}

/**
 * A health check's command, killed when its time is over. At most `outputLimitBytes` of its output are kept.
 * @see moby daemon/health.go, cmdProbe
 */
export async function runProbe(
  table: ContainerTable,
  entry: ContainerEntry,
  command: string[],
  options: { timeoutMs: number; outputLimitBytes: number; signal: AbortSignal },
): Promise<{ exitCode: number; output: string }> {
  const exec = createExec(table, entry, entry.record.name, {
    attachStdin: false,
    attachStdout: true,
    attachStderr: true,
    tty: false,
    detachKeys: '',
    env: null,
    cmd: command,
    privileged: false,
    user: '',
    workingDir: '',
  });
  const session = await startExec(table, exec, { attach: true, tty: false });
  if (session === undefined) throw new EngineError('internal', 'Cannot attach to the health check');
  const output = new LimitedOutput(options.outputLimitBytes);
  const ended = Promise.withResolvers<void>();
  session.onOutput = (_stream, chunk) => output.push(chunk);
  session.onEnd = () => ended.resolve();
  const { task } = exec;
  session.begin();
  let late = false;
  const kill = (): void => {
    late = true;
    const pid = exec.record.pid;
    if (pid > 0) killQuietly(table, pid);
  };
  const timer = setTimeout(kill, options.timeoutMs);
  options.signal.addEventListener('abort', kill, { once: true });
  try {
    const exit = task === null ? null : await task.exited;
    if (late) {
      const seconds = options.timeoutMs / 1000;
      const text = output.text();
      return {
        exitCode: -1,
        output: `Health check exceeded timeout (${seconds}s)${text === '' ? '' : `: ${text}`}`,
      };
    }
    await ended.promise;
    return { exitCode: exit?.exitCode ?? exec.record.exitCode ?? -1, output: output.text() };
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener('abort', kill);
    session.close();
    table.execs.delete(exec.record.id);
  }
}

function killQuietly(table: ContainerTable, pid: number): void {
  try {
    table.parts.syscall.kill(pid, signals.kill);
  } catch {
    // It ended at the same moment.
  }
}

class LimitedOutput {
  readonly #limitBytes: number;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #cut = false;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  push(chunk: Buffer): void {
    const kept = chunk.subarray(0, this.#limitBytes - this.#bytes);
    if (kept.length < chunk.length) this.#cut = true;
    if (kept.length === 0) return;
    this.#chunks.push(kept);
    this.#bytes += kept.length;
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString() + (this.#cut ? '...' : '');
  }
}
