import { EngineError } from '../errors/index.ts';
import type { ContainerEntry } from './entry.ts';
import { notRunning } from './errors.ts';
import type { ExecEntry } from './exec.ts';
import type { ContainerTable } from './table.ts';

/** @throws {EngineError} `conflict` when it does not run */
export async function resizeContainer(
  table: ContainerTable,
  entry: ContainerEntry,
  rows: number,
  columns: number,
): Promise<void> {
  if (entry.task === null) throw notRunning(entry.id);
  await entry.task.resize(rows, columns);
  table.publish(entry, 'resize', { height: String(rows), width: String(columns) });
}

/** @throws {EngineError} `conflict` when it does not run */
export async function resizeExec(
  table: ContainerTable,
  exec: ExecEntry,
  rows: number,
  columns: number,
): Promise<void> {
  const { containerId, id } = exec.record;
  if (exec.task === null) {
    throw new EngineError('conflict', `Exec process ${id} is not running in container ${containerId}`);
  }
  await exec.task.resize(rows, columns);
  const entry = table.entries.get(containerId);
  if (entry !== undefined) {
    table.publish(entry, 'exec_resize', { execID: id, height: String(rows), width: String(columns) });
  }
}
