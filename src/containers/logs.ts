import { statSync } from 'node:fs';
import type { LogEntry, LogReadOptions } from '../logs/index.ts';
import type { ContainerEntry } from './entry.ts';
import { assertReadable, logSettings } from './log-settings.ts';
import type { ContainerTable } from './table.ts';

const quietIntervalMs = 1000;
/** While a log grows fast, so that it does not outgrow its limit by much. */
const busyIntervalMs = 100;
const fastGrowthBytes = 256 * 1024;

/** @throws {EngineError} `not-implemented` for a container whose driver is `none` */
export function containerLogs(
  table: ContainerTable,
  entry: ContainerEntry,
  options: LogReadOptions,
): { tty: boolean; entries: AsyncIterable<LogEntry[]> } {
  assertReadable(entry.record.hostConfig.LogConfig);
  return { tty: entry.record.config.Tty, entries: readLog(table, entry, options) };
}

/** Following ends with the run it began in; a container that does not run is not followed. */
export function readLog(
  table: ContainerTable,
  entry: ContainerEntry,
  options: LogReadOptions,
): AsyncIterable<LogEntry[]> {
  const { task } = entry;
  const ended = task === null ? Promise.resolve() : task.exited;
  return table.parts.logs.read(
    entry.record.logPath,
    { ...options, follow: options.follow && task !== null },
    () => ended,
  );
}

/** Keeps the logs of running containers within their limits: looks at their sizes once a second, oftener in a burst. */
export class LogRotation {
  readonly #table: ContainerTable;
  readonly #sizes = new Map<string, number>();
  #timer: NodeJS.Timeout | null = null;
  #isStopped = false;

  constructor(table: ContainerTable) {
    this.#table = table;
  }

  start(): void {
    this.#schedule(quietIntervalMs);
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #schedule(delayMs: number): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      void this.#table.inBackground('log rotation', async () => {
        this.#schedule((await this.#rotateAll()) ? busyIntervalMs : quietIntervalMs);
      });
    }, delayMs);
    this.#timer.unref();
  }

  /** @returns true when a log grew fast */
  async #rotateAll(): Promise<boolean> {
    let isBusy = false;
    for (const entry of this.#table.entries.values()) {
      if (entry.task === null) {
        this.#sizes.delete(entry.id);
        continue;
      }
      try {
        const sizeBytes = await this.#rotate(entry);
        if (sizeBytes - (this.#sizes.get(entry.id) ?? 0) > fastGrowthBytes) isBusy = true;
        this.#sizes.set(entry.id, sizeBytes);
      } catch (error) {
        this.#table.report(`rotate the log of ${entry.id}`, error);
      }
    }
    return isBusy;
  }

  /** @returns the log's size before */
  async #rotate(entry: ContainerEntry): Promise<number> {
    const { logs, runtime } = this.#table.parts;
    const settings = logSettings(entry.record.hostConfig.LogConfig);
    if (!settings.written || settings.maxSizeBytes === Infinity) return 0;
    const { logPath } = entry.record;
    // Of the current file: the rotated ones count for disk usage, not here.
    const sizeBytes = statSync(logPath, { throwIfNoEntry: false })?.size ?? 0;
    if (sizeBytes > settings.maxSizeBytes) {
      await entry.lock.run(async () => {
        if (entry.task === null) return;
        await logs.rotateIfNeeded(logPath, settings, () => runtime.reopenLog(entry.id));
      });
    }
    return sizeBytes;
  }
}
