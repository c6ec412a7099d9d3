import type { Health, HealthLogEntry, Healthcheck } from '../spec/index.ts';
import { errorMessage } from '../errors/index.ts';
import type { ContainerEntry } from './entry.ts';
import { runProbe } from './exec.ts';
import type { ContainerTable } from './table.ts';
import { nowText, parseNs } from './timestamp.ts';

const nsPerMs = 1_000_000;
const defaults = {
  intervalMs: 30_000,
  timeoutMs: 30_000,
  startPeriodMs: 0,
  startIntervalMs: 5_000,
  retries: 3,
} as const;
const logEntries = 5;
const outputLimitBytes = 4096;

/** Begins anew with `starting`; nothing when the container has no check. */
export function startHealth(table: ContainerTable, entry: ContainerEntry): void {
  stopHealth(entry);
  const { record } = entry;
  const command = probeCommand(record.config.Healthcheck, record.config.Shell);
  if (command === null) {
    record.state.health = null;
    return;
  }
  record.state.health = { Status: 'starting', FailingStreak: 0, Log: record.state.health?.Log ?? [] };
  entry.health = new HealthMonitor(table, entry, command);
}

/** After an engine restart or unpause: goes on with the state as it is. */
export function resumeHealth(table: ContainerTable, entry: ContainerEntry): void {
  stopHealth(entry);
  const { record } = entry;
  const command = probeCommand(record.config.Healthcheck, record.config.Shell);
  if (command === null) return;
  record.state.health ??= { Status: 'starting', FailingStreak: 0, Log: [] };
  entry.health = new HealthMonitor(table, entry, command);
}

export function stopHealth(entry: ContainerEntry): void {
  entry.health?.stop();
  entry.health = null;
}

function probeCommand(
  check: Healthcheck | null | undefined,
  shell: string[] | null | undefined,
): string[] | null {
  const [kind, ...rest] = check?.Test ?? [];
  switch (kind) {
    case 'CMD':
      return rest;
    case 'CMD-SHELL':
      return [...((shell ?? []).length > 0 ? (shell ?? []) : ['/bin/sh', '-c']), ...rest];
    default:
      return null;
  }
}

/**
 * Probes one running container, one probe at a time: the interval runs from the end of a probe to the next.
 * @see moby daemon/health.go
 */
export class HealthMonitor {
  readonly #table: ContainerTable;
  readonly #entry: ContainerEntry;
  readonly #command: string[];
  readonly #check: Healthcheck;
  readonly #startedMs: number;
  readonly #stopped = new AbortController();
  #timer: NodeJS.Timeout;

  constructor(table: ContainerTable, entry: ContainerEntry, command: string[]) {
    this.#table = table;
    this.#entry = entry;
    this.#command = command;
    this.#check = entry.record.config.Healthcheck ?? {};
    this.#startedMs = Number(parseNs(entry.record.state.startedAt) / 1_000_000n);
    this.#timer = this.#scheduled();
  }

  stop(): void {
    this.#stopped.abort();
    clearTimeout(this.#timer);
  }

  #scheduled(): NodeJS.Timeout {
    const timer = setTimeout(() => {
      void this.#table.inBackground(`health check of ${this.#entry.id}`, () => this.#probe());
    }, this.#intervalMs());
    timer.unref();
    return timer;
  }

  #intervalMs(): number {
    const inStartPeriod = Date.now() - this.#startedMs < this.#startPeriodMs;
    return inStartPeriod && this.#health.Status === 'starting'
      ? durationMs(this.#check.StartInterval, defaults.startIntervalMs)
      : durationMs(this.#check.Interval, defaults.intervalMs);
  }

  get #startPeriodMs(): number {
    return durationMs(this.#check.StartPeriod, defaults.startPeriodMs);
  }

  get #health(): Health {
    const { state } = this.#entry.record;
    return (state.health ??= { Status: 'starting', FailingStreak: 0, Log: [] });
  }

  async #probe(): Promise<void> {
    const start = nowText();
    let result: { exitCode: number; output: string };
    try {
      result = await runProbe(this.#table, this.#entry, this.#command, {
        timeoutMs: durationMs(this.#check.Timeout, defaults.timeoutMs),
        outputLimitBytes,
        signal: this.#stopped.signal,
      });
    } catch (error) {
      result = { exitCode: -1, output: errorMessage(error) };
    }
    if (this.#stopped.signal.aborted) return;
    this.#record({ Start: start, End: nowText(), ExitCode: result.exitCode, Output: result.output });
    this.#timer = this.#scheduled();
  }

  #record(result: HealthLogEntry): void {
    const health = this.#health;
    const before = health.Status;
    health.Log = [...(health.Log ?? []), result].slice(-logEntries);
    if (result.ExitCode === 0) {
      health.FailingStreak = 0;
      health.Status = 'healthy';
    } else if (!(health.Status === 'starting' && this.#inStartPeriod(result.Start))) {
      health.FailingStreak++;
      const retries = this.#check.Retries ?? 0;
      if (health.FailingStreak >= (retries > 0 ? retries : defaults.retries)) health.Status = 'unhealthy';
    }
    this.#table.save(this.#entry);
    if (before !== health.Status) this.#table.publish(this.#entry, `health_status: ${health.Status}`);
  }

  #inStartPeriod(start: string): boolean {
    return Number(parseNs(start) / 1_000_000n) - this.#startedMs < this.#startPeriodMs;
  }
}

function durationMs(ns: number | undefined, fallbackMs: number): number {
  return ns === undefined || ns === 0 ? fallbackMs : ns / nsPerMs;
}
