import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { LogEntry } from '../logs/index.ts';
import { frame } from './connection.ts';
import { formatNanos } from './timestamp.ts';

export interface WriteLogsOptions {
  framed: boolean;
  timestamps: boolean;
  signal: AbortSignal;
}

/**
 * Writes log entries as Docker streams them and ends the answer. One batch is one write; the next is not read before
 * the client took the last, so a slow reader holds one batch in memory.
 */
export async function writeLogs(
  output: Writable,
  entries: AsyncIterable<LogEntry[]>,
  options: WriteLogsOptions,
): Promise<void> {
  try {
    for await (const batch of entries) {
      if (output.destroyed) return;
      if (!output.write(encode(batch, options))) await drained(output, options.signal);
    }
  } catch (error) {
    if (options.signal.aborted) return;
    throw error;
  }
  output.end();
}

function encode(batch: readonly LogEntry[], options: WriteLogsOptions): Buffer {
  const parts = batch.map((entry) => {
    const data = options.timestamps
      ? Buffer.concat([Buffer.from(`${formatNanos(entry.timeNs)} `), entry.data])
      : entry.data;
    return options.framed ? frame(entry.stream, data) : data;
  });
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
}

/** Resolves when the output can take more; rejects when the client goes away. */
export async function drained(output: Writable, signal: AbortSignal): Promise<void> {
  if (!output.writableNeedDrain || output.destroyed) return;
  await once(output, 'drain', { signal });
}
