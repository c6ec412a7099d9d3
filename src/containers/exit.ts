import type { RuntimeExit, RuntimeTask } from '../runtime/index.ts';
import type { ContainerEntry } from './entry.ts';
import { forgetExecs } from './exec.ts';
import { stopHealth } from './health.ts';
import { releaseNetwork } from './network-setup.ts';
import { removeLocked } from './remove.ts';
import { startLocked } from './start.ts';
import type { ContainerTable } from './table.ts';
import { formatMs, parseNs } from './timestamp.ts';

/**
 * The container ended: its state is written, `die` published, what the run held released, waiters answered; then it is
 * restarted or removed as its policy says. The runtime's own files go in the background, after the record knows the
 * exit code, because the exit file is among them.
 * @param options.isNews false for an end while the engine was away: it is no event of now
 */
export async function settleExit(
  table: ContainerTable,
  entry: ContainerEntry,
  task: RuntimeTask,
  exit: RuntimeExit,
  options: { isNews: boolean } = { isNews: true },
): Promise<void> {
  if (entry.removed || entry.task !== task) return;
  const { record } = entry;
  stopHealth(entry);
  forgetExecs(table, entry);
  const runMs = Math.max(0, exit.exitedAtMs - Number(parseNs(record.state.startedAt) / 1_000_000n));
  const policy = record.hostConfig.RestartPolicy;
  const stays = record.stoppedByUser && policy.Name === 'unless-stopped';
  const delayMs =
    table.closing || entry.restartingByUser || stays
      ? undefined
      : entry.restart.delayAfterExit(policy, exit.exitCode, runMs);
  if (exit.oomKilled) {
    record.state.oomKilled = true;
    if (options.isNews) table.publish(entry, 'oom');
  }
  entry.task = null;
  entry.process = null;
  Object.assign(record.state, {
    status: delayMs === undefined ? 'exited' : 'restarting',
    pid: 0,
    monitorPid: 0,
    exitCode: exit.exitCode,
    finishedAt: formatMs(exit.exitedAtMs),
  });
  if (delayMs !== undefined) record.restartCount++;
  table.save(entry);
  if (options.isNews) {
    table.publish(entry, 'die', {
      execDuration: String(Math.floor(runMs / 1000)),
      exitCode: String(exit.exitCode),
    });
  }
  await releaseRun(table, entry);
  const { cleanup } = entry;
  const pause = table.pauses.begin();
  entry.hurryCleanup = pause.end;
  entry.cleanup = table.inBackground(`clean up after ${entry.id}`, async () => {
    await Promise.all([cleanup, pause.over]);
    await table.parts.runtime.delete(entry.id);
  });
  entry.notifyStopped();
  if (delayMs !== undefined) scheduleRestart(table, entry, delayMs);
  else if (record.hostConfig.AutoRemove && !entry.restartingByUser && !table.closing) {
    await removeLocked(table, entry, { volumes: true, isRecorded: true });
  }
}

/** Network, mounts and root of a run that is over or never began. Never throws. */
export async function releaseRun(table: ContainerTable, entry: ContainerEntry): Promise<void> {
  try {
    releaseNetwork(table, entry);
  } catch (error) {
    table.report(`release the network of ${entry.id}`, error);
  }
  try {
    await table.mounts.release(entry.record);
  } catch (error) {
    table.report(`release the mounts of ${entry.id}`, error);
  }
  try {
    if (entry.rootUsers === 0) await table.parts.snapshotter.unmount(entry.id);
  } catch (error) {
    table.report(`unmount the root of ${entry.id}`, error);
  }
}

export function scheduleRestart(table: ContainerTable, entry: ContainerEntry, delayMs: number): void {
  entry.restart.schedule(delayMs, () => {
    void table.inBackground(`restart of ${entry.id}`, () =>
      entry.lock.run(async () => {
        if (table.closing || entry.removed || entry.record.state.status !== 'restarting') return;
        try {
          await startLocked(table, entry, { byUser: false });
        } catch (error) {
          entry.notifyStopped();
          throw error;
        }
      }),
    );
  });
}

/** A container that waits for its automatic restart stays stopped instead. */
export function cancelRestart(table: ContainerTable, entry: ContainerEntry): void {
  entry.restart.cancel();
  entry.restart.cancelTimer();
  entry.record.state.status = 'exited';
  table.save(entry);
  entry.notifyStopped();
}
