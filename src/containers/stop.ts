import { EngineError } from '../errors/index.ts';
import type { ContainerEntry } from './entry.ts';
import { killAndWait, signalContainer, stopSignalOf } from './kill.ts';
import { parseSignal } from './signals.ts';
import { startLocked } from './start.ts';
import type { ContainerTable } from './table.ts';
import { waitStopped } from './wait.ts';

export interface StopOptions {
  signal?: string;
  /** Negative: no limit. */
  timeoutSeconds?: number;
}

/** @throws {EngineError} `not-modified` when it does not run */
export async function stopContainer(
  table: ContainerTable,
  entry: ContainerEntry,
  options: StopOptions,
): Promise<void> {
  if (!entry.running) throw new EngineError('not-modified', 'container is already stopped');
  await stopRunning(table, entry, options);
}

/** Stop signal, wait, SIGKILL, wait. @see moby daemon/stop.go */
async function stopRunning(
  table: ContainerTable,
  entry: ContainerEntry,
  options: StopOptions,
): Promise<void> {
  const { config } = entry.record;
  const signal = options.signal ? parseSignal(options.signal) : stopSignalOf(entry);
  const seconds = options.timeoutSeconds ?? config.StopTimeout ?? table.options.stopTimeoutSeconds;
  entry.restart.cancel();
  try {
    await signalContainer(table, entry, signal);
  } catch (error) {
    // It ended by itself meanwhile.
    if (entry.running) throw error;
  }
  if (!(await waitStopped(entry, seconds < 0 ? null : seconds * 1000))) {
    try {
      await killAndWait(table, entry);
    } catch (error) {
      if (!(await waitStopped(entry, 2000))) throw error;
    }
  }
  // The exit's handler has the lock until all is released.
  await entry.lock.run(() => undefined);
  table.publish(entry, 'stop');
}

/** Stop, then start; its exit in between neither restarts nor removes it. */
export async function restartContainer(
  table: ContainerTable,
  entry: ContainerEntry,
  options: StopOptions,
): Promise<void> {
  if (entry.running) {
    entry.restartingByUser = true;
    try {
      await stopRunning(table, entry, options);
    } finally {
      entry.restartingByUser = false;
    }
  }
  await entry.lock.run(async () => {
    if (!entry.running) await startLocked(table, entry, { byUser: true });
  });
  table.publish(entry, 'restart');
}
