import { EngineError, errorMessage, isEngineError, isKind } from '../errors/index.ts';
import type { ContainerEntry } from './entry.ts';
import { isRestarting, notRunning } from './errors.ts';
import { cancelRestart } from './exit.ts';
import { parseSignal, signals } from './signals.ts';
import type { ContainerTable } from './table.ts';
import { waitStopped } from './wait.ts';

const killTimeoutMs = 10_000;

/**
 * `kill`: SIGKILL waits for the end, other signals do not.
 * @throws {EngineError} `conflict` "cannot kill container: x: container x is not running"
 */
export async function killContainer(
  table: ContainerTable,
  entry: ContainerEntry,
  nameOrId: string,
  signal: string,
): Promise<void> {
  try {
    const number = signal === '' ? signals.kill : parseSignal(signal);
    if (!entry.running) throw notRunning(entry.id);
    if (number === signals.kill) await killAndWait(table, entry);
    else await signalContainer(table, entry, number);
  } catch (error) {
    const kind = isEngineError(error) ? error.kind : 'internal';
    const reason = errorMessage(error).replace(/^Container /, 'container ');
    throw new EngineError(kind, `cannot kill container: ${nameOrId}: ${reason}`, { cause: error });
  }
}

/** No error when it has ended already. */
export async function killAndWait(table: ContainerTable, entry: ContainerEntry): Promise<void> {
  try {
    await signalContainer(table, entry, signals.kill);
  } catch (error) {
    if (entry.running) throw error;
  }
  if (await waitStopped(entry, killTimeoutMs)) return;
  throw new EngineError('internal', 'tried to kill container, but did not receive an exit event');
}

/**
 * Sends a signal to the container's first process. The container's own stop signal, and SIGKILL, also end automatic
 * restarts and thaw a paused container so that it can die.
 * @throws {EngineError} `conflict` when it does not run
 * @see moby daemon/kill.go, killWithSignal
 */
export async function signalContainer(
  table: ContainerTable,
  entry: ContainerEntry,
  signal: number,
): Promise<void> {
  const { runtime } = table.parts;
  await entry.lock.run(async () => {
    if (!entry.running) throw notRunning(entry.id);
    const { record } = entry;
    const ends = signal === signals.kill || signal === stopSignalOf(entry);
    record.stoppedByUser = true;
    if (ends || (record.config.StopSignal ?? '') === '') entry.restart.cancel();
    if (record.state.status === 'restarting') {
      cancelRestart(table, entry);
      return;
    }
    table.save(entry);
    try {
      await runtime.kill(entry.id, signal);
      if (ends && record.state.status === 'paused') await thaw(table, entry);
    } catch (error) {
      // It ended a moment ago: the exit is being settled.
      if (!isKind(error, 'not-found')) {
        throw new EngineError('internal', `Cannot kill container ${entry.id}: ${errorMessage(error)}`, {
          cause: error,
        });
      }
    }
    table.publish(entry, 'kill', { signal: String(signal) });
  });
}

/** A frozen process takes no signal. */
async function thaw(table: ContainerTable, entry: ContainerEntry): Promise<void> {
  await table.parts.runtime.resume(entry.id);
  entry.record.state.status = 'running';
  table.save(entry);
  table.publish(entry, 'unpause');
}

export function stopSignalOf(entry: ContainerEntry): number {
  const { StopSignal: name } = entry.record.config;
  if (name === undefined || name === '') return signals.term;
  return parseSignal(name);
}

/** @throws {EngineError} `conflict` unless it runs and is neither paused nor between two runs */
export function assertActive(entry: ContainerEntry, pausedMessage: string): void {
  const { status } = entry.record.state;
  if (!entry.running) throw notRunning(entry.id);
  if (status === 'paused') throw new EngineError('conflict', pausedMessage);
  if (status === 'restarting') throw isRestarting(entry.id);
}
