import { readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { RuntimeTask } from '../runtime/index.ts';
import { imageConfigOf } from './create.ts';
import type { ContainerRecord } from './containers.ts';
import type { ContainerEntry } from './entry.ts';
import { ExecEntry, watchExec } from './exec.ts';
import { releaseRun, scheduleRestart, settleExit } from './exit.ts';
import { resumeHealth } from './health.ts';
import { removeLocked } from './remove.ts';
import { restartsWithEngine } from './restart-policy.ts';
import { watchExit } from './start.ts';
import type { ContainerTable } from './table.ts';
import { nowText, parseNs, zeroTime } from './timestamp.ts';

/**
 * Makes the truth again after a start of the engine, from the database, the monitors' exit files and the kernel, in
 * this order. Running containers are adopted; those that ended while the engine was away get their exit code and are
 * restarted or removed as their policy says; what was half done is undone. Everything without a record is swept.
 * See docs/dev/container-lifecycle.md for the states a crash can leave.
 */
export async function restore(table: ContainerTable): Promise<void> {
  for (const record of table.storedRecords().sort(oldestFirst)) {
    table.names.reserve(record.name, record.id);
    table.add(record).restart.resume(record.restartCount);
  }
  const known = new Set(await table.parts.runtime.known());
  const ended: ContainerEntry[] = [];
  for (const entry of table.entries.values()) {
    try {
      // Runtime state without a running record is a start that was cut off: it had its volumes, too.
      await table.mounts.restore(entry.record, entry.running || known.has(entry.id));
      if (!(await restoreEntry(table, entry, known))) ended.push(entry);
    } catch (error) {
      table.report(`restore ${entry.id}`, error);
      ended.push(entry);
    }
  }
  await restoreExecs(table);
  const running = new Set<string>();
  for (const entry of table.entries.values()) if (entry.task !== null) running.add(entry.id);
  table.parts.networks.sweep(running, (id) => table.entries.get(id)?.task?.monitorPid);
  for (const entry of ended) await settleEnded(table, entry, known);
  await sweep(table, known);
}

function oldestFirst(a: ContainerRecord, b: ContainerRecord): number {
  const [left, right] = [parseNs(a.createdAt), parseNs(b.createdAt)];
  return left === right ? 0 : left < right ? -1 : 1;
}

/** @returns true when it runs */
async function restoreEntry(
  table: ContainerTable,
  entry: ContainerEntry,
  known: ReadonlySet<string>,
): Promise<boolean> {
  const { status } = entry.record.state;
  const ran = status === 'running' || status === 'paused';
  if (ran && known.has(entry.id)) {
    const runtime = table.runtimeOf(entry);
    const task = await table.parts.runtime.adopt(entry.id, runtime === undefined ? {} : { runtime });
    if (task !== undefined) return adopt(table, entry, task);
  }
  if (ran) markLost(table, entry);
  return false;
}

/** @returns true when it runs still; false when its exit has been settled */
async function adopt(table: ContainerTable, entry: ContainerEntry, task: RuntimeTask): Promise<boolean> {
  entry.task = task;
  const pending = Symbol('runs');
  const outcome = await Promise.race([task.exited, nextTurn().then(() => pending)]);
  if (typeof outcome === 'symbol') {
    entry.process = rebuildProcess(table, entry);
    entry.record.state.monitorPid = task.monitorPid;
    if (entry.record.state.status === 'running') resumeHealth(table, entry);
    watchExit(table, entry, task);
    return true;
  }
  await entry.lock.run(() => settleExit(table, entry, task, outcome, { isNews: false }));
  return false;
}

/** `exited` of a task that ended while we were away resolves at once. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The record says running and nothing is left of it: a reboot, or somebody cleaned up. Docker says 255, too. */
function markLost(table: ContainerTable, entry: ContainerEntry): void {
  Object.assign(entry.record.state, {
    status: 'exited',
    pid: 0,
    monitorPid: 0,
    exitCode: 255,
    finishedAt: nowText(),
  });
  table.save(entry);
}

/** The process on which exec sessions are built is a function of record, image and root. */
function rebuildProcess(table: ContainerTable, entry: ContainerEntry): ContainerEntry['process'] {
  const { record } = entry;
  try {
    const { spec } = table.buildSpec({
      id: record.id,
      config: record.config,
      hostConfig: record.hostConfig,
      imageConfig: imageConfigOf(table, entry),
      rootPath: table.parts.snapshotter.describe(record.id).rootPath,
      entrypointAndCommand: [record.path, ...record.args],
      mounts: [],
      namespacePaths: {},
      cgroupsPath: record.cgroupsPath,
      cgroupVersion: table.parts.cgroups.setup.version,
      hostname: record.config.Hostname,
      boundingCapabilities: table.options.boundingCapabilities,
      daemonDefaults: {
        shmSizeBytes: table.options.shmSizeBytes,
        ulimits: [...table.options.ulimits],
        noNewPrivileges: table.options.noNewPrivileges,
      },
    });
    return spec.process;
  } catch (error) {
    table.report(`rebuild the process of ${record.id}`, error);
    return null;
  }
}

async function restoreExecs(table: ContainerTable): Promise<void> {
  for (const record of table.storedExecs()) {
    const entry = table.entries.get(record.containerId);
    const task =
      entry === undefined || entry.task === null
        ? undefined
        : await table.parts.runtime.adoptExec(record.containerId, record.id);
    if (entry === undefined || task === undefined) {
      table.forgetExec(record.id);
      if (entry !== undefined && entry.task !== null)
        await table.parts.runtime.deleteExec(record.containerId, record.id);
      continue;
    }
    const exec = new ExecEntry({ ...record, running: true, pid: task.pid });
    exec.task = task;
    table.execs.set(record.id, exec);
    entry.execIds.add(record.id);
    watchExec(table, entry, exec, task);
  }
}

/**
 * A container that does not run: what a start that was cut off (runtime state, a namespace, a mounted root) or a removal
 * left is put in order, then its policy is followed.
 */
async function settleEnded(
  table: ContainerTable,
  entry: ContainerEntry,
  known: ReadonlySet<string>,
): Promise<void> {
  await entry.lock.run(async () => {
    if (entry.removed) return;
    const { record } = entry;
    const { status } = record.state;
    try {
      entry.hurryCleanup();
      await entry.cleanup;
      if (status === 'removing' || status === 'dead') {
        record.state.status = 'exited';
        await removeLocked(table, entry, { volumes: record.removesVolumes ?? false });
        return;
      }
      if (known.has(entry.id)) await table.parts.runtime.delete(entry.id);
      await releaseRun(table, entry);
      if (record.state.startedAt !== zeroTime && wantsStart(entry)) {
        record.state.status = 'restarting';
        table.save(entry);
        scheduleRestart(table, entry, 0);
        return;
      }
      if (record.state.status === 'restarting') record.state.status = 'exited';
      table.save(entry);
      if (record.hostConfig.AutoRemove) await removeLocked(table, entry, { volumes: true });
    } catch (error) {
      table.report(`restore ${entry.id}`, error);
    }
  });
}

function wantsStart(entry: ContainerEntry): boolean {
  const { record } = entry;
  if (record.state.status === 'restarting') return true;
  return restartsWithEngine(record.hostConfig.RestartPolicy, {
    exitCode: record.state.exitCode,
    stoppedByUser: record.stoppedByUser,
    restartCount: record.restartCount,
  });
}

/** Whatever belongs to no container: runtime state, trees, directories, cgroups. */
async function sweep(table: ContainerTable, known: ReadonlySet<string>): Promise<void> {
  const { runtime, snapshotter, cgroups } = table.parts;
  const attempts: [string, () => Promise<unknown>][] = [];
  for (const id of known) {
    if (!table.entries.has(id))
      attempts.push([`remove the runtime state of ${id}`, () => runtime.delete(id)]);
  }
  attempts.push(['sweep file trees', () => snapshotter.sweep(new Set(table.entries.keys()))]);
  for (const id of containerDirectories(table)) {
    if (!table.entries.has(id)) {
      attempts.push([
        `remove the directory of ${id}`,
        () => rm(table.directory(id), { recursive: true, force: true }),
      ]);
    }
  }
  for (const id of cgroups.children(table.options.cgroupParent)) {
    const entry = table.entries.get(id);
    if (/^[0-9a-f]{64}$/.test(id) && (entry === undefined || entry.task === null)) {
      attempts.push([
        `remove the cgroup of ${id}`,
        () => cgroups.remove(`${table.options.cgroupParent}/${id}`),
      ]);
    }
  }
  for (const [what, attempt] of attempts) {
    try {
      await attempt();
    } catch (error) {
      table.report(what, error);
    }
  }
}

function containerDirectories(table: ContainerTable): string[] {
  try {
    return readdirSync(`${table.options.dataRoot}/containers`);
  } catch {
    return [];
  }
}
