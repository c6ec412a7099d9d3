import { EngineError, errorMessage } from '../errors/index.ts';
import type { ContainerEntry } from './entry.ts';
import { isRestarting, notRunning } from './errors.ts';
import { resumeHealth, stopHealth } from './health.ts';
import type { ContainerTable } from './table.ts';

/** @throws {EngineError} `conflict` when it does not run or is paused already */
export async function pauseContainer(table: ContainerTable, entry: ContainerEntry): Promise<void> {
  await entry.lock.run(async () => {
    const { state } = entry.record;
    if (!entry.running) throw notRunning(entry.id);
    if (state.status === 'paused') {
      throw new EngineError('conflict', `Container ${entry.id} is already paused`);
    }
    if (state.status === 'restarting') throw isRestarting(entry.id);
    try {
      await table.parts.runtime.pause(entry.id);
    } catch (error) {
      throw new EngineError('internal', `Cannot pause container ${entry.id}: ${errorMessage(error)}`, {
        cause: error,
      });
    }
    state.status = 'paused';
    stopHealth(entry);
    table.save(entry);
    table.publish(entry, 'pause');
  });
}

/** @throws {EngineError} `conflict` when it is not paused */
export async function unpauseContainer(table: ContainerTable, entry: ContainerEntry): Promise<void> {
  await entry.lock.run(async () => {
    const { state } = entry.record;
    if (state.status !== 'paused') throw new EngineError('conflict', `Container ${entry.id} is not paused`);
    try {
      await table.parts.runtime.resume(entry.id);
    } catch (error) {
      throw new EngineError('internal', `Cannot unpause container ${entry.id}: ${errorMessage(error)}`, {
        cause: error,
      });
    }
    state.status = 'running';
    resumeHealth(table, entry);
    table.save(entry);
    table.publish(entry, 'unpause');
  });
}
