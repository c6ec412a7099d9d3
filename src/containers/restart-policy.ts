import type { RestartPolicy } from '../spec/index.ts';

const firstDelayMs = 100;
const longestDelayMs = 60_000;
/** A run at least this long starts the back-off anew. */
const stableRunMs = 10_000;

/**
 * Decides about automatic restarts of one container and keeps the back-off: 100 ms, doubled up to one minute.
 * @see moby daemon/internal/restartmanager
 */
export class RestartTracker {
  #delayMs = 0;
  #count = 0;
  #cancelled = false;
  #timer: NodeJS.Timeout | null = null;

  /** A start by the user: the count begins again. */
  reset(): void {
    this.cancelTimer();
    this.#delayMs = 0;
    this.#count = 0;
    this.#cancelled = false;
  }

  /** After an engine start: what was counted before counts on. */
  resume(count: number): void {
    this.#count = count;
  }

  /** Stop and kill by the user: the next exit is the last. */
  cancel(): void {
    this.#cancelled = true;
  }

  /** @returns ms to wait before the restart; undefined: it stays as it is. */
  delayAfterExit(policy: RestartPolicy, exitCode: number, runMs: number): number | undefined {
    if (this.#cancelled) return undefined;
    if (runMs >= stableRunMs) this.#delayMs = 0;
    if (!wantsRestart(policy, exitCode, this.#count)) return undefined;
    this.#delayMs = this.#delayMs === 0 ? firstDelayMs : Math.min(this.#delayMs * 2, longestDelayMs);
    this.#count++;
    return this.#delayMs;
  }

  schedule(delayMs: number, restart: () => void): void {
    this.cancelTimer();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      restart();
    }, delayMs);
  }

  /** @returns true when a restart was waiting. */
  cancelTimer(): boolean {
    if (this.#timer === null) return false;
    clearTimeout(this.#timer);
    this.#timer = null;
    return true;
  }
}

function wantsRestart(policy: RestartPolicy, exitCode: number, count: number): boolean {
  switch (policy.Name) {
    case 'always':
    case 'unless-stopped':
      return true;
    case 'on-failure':
      return exitCode !== 0 && (policy.MaximumRetryCount === 0 || count < policy.MaximumRetryCount);
    default:
      return false;
  }
}

/** When the engine starts: containers that ran before run again unless their policy or their user says no. */
export function restartsWithEngine(
  policy: RestartPolicy,
  state: { exitCode: number; stoppedByUser: boolean; restartCount: number },
): boolean {
  switch (policy.Name) {
    case 'always':
      return true;
    case 'unless-stopped':
      return !state.stoppedByUser;
    case 'on-failure':
      return (
        !state.stoppedByUser &&
        state.exitCode !== 0 &&
        (policy.MaximumRetryCount === 0 || state.restartCount < policy.MaximumRetryCount)
      );
    default:
      return false;
  }
}
