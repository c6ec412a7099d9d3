import type { LogEntry, LogReadOptions } from '../logs/index.ts';
import type { ContainerEntry } from './entry.ts';
import { assertReadable, logSettings } from './log-settings.ts';
import type { ContainerTable } from './table.ts';

const rotationIntervalMs = 1000;

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

/** Keeps the logs of running containers within their limits: looks at their sizes once a second. */
export class LogRotation {
  readonly #table: ContainerTable;
  #timer: NodeJS.Timeout | null = null;
  #working = false;

  constructor(table: ContainerTable) {
    this.#table = table;
  }

  start(): void {
    this.#timer = setInterval(() => {
      if (this.#working) return;
      this.#working = true;
      void this.#table.inBackground('log rotation', async () => {
        try {
          await this.#rotateAll();
        } finally {
          this.#working = false;
        }
      });
    }, rotationIntervalMs);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  async #rotateAll(): Promise<void> {
    for (const entry of this.#table.entries.values()) {
      if (entry.task === null) continue;
      try {
        await this.#rotate(entry);
      } catch (error) {
        this.#table.report(`rotate the log of ${entry.id}`, error);
      }
    }
  }

  async #rotate(entry: ContainerEntry): Promise<void> {
    const { logs, runtime } = this.#table.parts;
    const settings = logSettings(entry.record.hostConfig.LogConfig);
    if (!settings.written || settings.maxSizeBytes === Infinity) return;
    const { logPath } = entry.record;
    if (logs.sizeBytes(logPath) <= settings.maxSizeBytes) return;
    await entry.lock.run(async () => {
      if (entry.task === null) return;
      await logs.rotateIfNeeded(logPath, settings, () => runtime.reopenLog(entry.id));
    });
  }
}
