import { rm } from 'node:fs/promises';
import { EngineError, errorMessage } from '../errors/index.ts';
import type { ContainerEntry } from './entry.ts';
import { forgetExecs } from './exec.ts';
import { releaseRun } from './exit.ts';
import { killAndWait } from './kill.ts';
import type { ContainerTable } from './table.ts';

/** @throws {EngineError} `conflict` when it runs and is not forced, or is being removed already */
export async function removeContainer(
  table: ContainerTable,
  entry: ContainerEntry,
  options: { force: boolean; volumes: boolean; link: boolean },
): Promise<void> {
  if (options.link) {
    throw new EngineError(
      'invalid-parameter',
      'Conflict, cannot remove the default link name of the container',
    );
  }
  if (entry.removing) {
    throw new EngineError('conflict', `removal of container ${entry.record.name} is already in progress`);
  }
  entry.removing = true;
  try {
    // A start that is under way when this begins has the lock: it may run by the time it is our turn.
    for (let isGone = false; !isGone;) {
      if (entry.running) await endRun(table, entry, options.force);
      isGone = await entry.lock.run(async () => {
        if (entry.running) return false;
        await removeLocked(table, entry, options);
        return true;
      });
    }
  } finally {
    entry.removing = false;
  }
}

async function endRun(table: ContainerTable, entry: ContainerEntry, force: boolean): Promise<void> {
  if (!force) throw runningConflict(entry);
  entry.restart.cancel();
  await killAndWait(table, entry);
}

function runningConflict(entry: ContainerEntry): EngineError {
  const { id, state } = entry.record;
  const what =
    state.status === 'paused'
      ? `You cannot remove a paused container ${id}. Unpause and then stop the container before attempting removal or force remove`
      : `You cannot remove a ${state.status} container ${id}. Stop the container before attempting removal or force remove`;
  return new EngineError('conflict', what);
}

/**
 * Removes a container that does not run; the caller holds its lock. `isRecorded`: the record says already that it ended and
 * is to be removed by its own policy, which is as good for restore(). The order makes it crash-proof: `removing` is
 * written first, the record goes last of what is waited for, and what is left behind then (tree, files, runtime state)
 * belongs to no record and is swept.
 */
export async function removeLocked(
  table: ContainerTable,
  entry: ContainerEntry,
  options: { volumes: boolean; isRecorded?: boolean },
): Promise<void> {
  if (entry.removed) return;
  const { record } = entry;
  const { snapshotter, logs, runtime } = table.parts;
  if (entry.running) throw runningConflict(entry);
  record.state.status = 'removing';
  record.removesVolumes = options.volumes;
  if (options.isRecorded !== true) table.save(entry);
  forgetExecs(table, entry);
  try {
    await releaseRun(table, entry);
    await table.mounts.forget(record, { removeAnonymous: options.volumes });
  } catch (error) {
    record.state.status = 'dead';
    record.state.error = errorMessage(error);
    table.save(entry);
    throw error;
  }
  table.forget(entry);
  for (const session of entry.sessions) session.abandon();
  entry.notifyRemoved();
  table.publish(entry, 'destroy');
  const { cleanup } = entry;
  const pause = table.pauses.begin();
  void table.inBackground(`remove the files of ${entry.id}`, async () => {
    await Promise.all([cleanup, pause.over]);
    // Usually gone by now; a container whose start failed half way has its state still.
    await runtime.delete(entry.id);
    await snapshotter.remove(entry.id);
    await logs.remove(record.logPath);
    await rm(table.directory(entry.id), { recursive: true, force: true });
  });
}
