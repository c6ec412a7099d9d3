import { humanSize } from '../format/units.ts';
import { decoded, isCanceled, type Step, type StepStatus } from './solve-status.ts';

/** A step that others wait behind is left for another after this. */
const HOLD_MS = 5000;

/** Of one status, not more often. */
const STATUS_EVERY_MS = 5000;

interface Shown {
  /** As in `#3`. */
  number: number;
  lines: number;
  warnings: number;
  statuses: Map<string, number>;
  ended: boolean;
}

/**
 * Progress as lines of text, one step at a time: `#3 [2/2] RUN make`. What other steps say meanwhile is kept until the
 * step that is shown ends or has been shown for a while.
 */
export class PlainProgress {
  readonly #write: (text: string) => void;
  readonly #shown = new Map<Step, Shown>();
  readonly #waiting = new Set<Step>();
  #current: Step | undefined;
  #currentSinceMs = 0;
  #count = 0;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  update(changed: readonly Step[]): void {
    for (const step of changed) if (step.name !== '') this.#waiting.add(step);
    this.#print(false);
  }

  /** Shows what is left. */
  end(): void {
    this.#print(true);
  }

  #print(all: boolean): void {
    if (this.#current !== undefined && this.#waiting.delete(this.#current)) this.#show(this.#current);
    for (const step of this.#waiting) {
      // What has ended is told in one piece.
      const isFree = this.#current === undefined || Date.now() - this.#currentSinceMs > HOLD_MS;
      if (step.completedMs === undefined && !isFree && !all) continue;
      this.#waiting.delete(step);
      this.#show(step);
    }
  }

  #show(step: Step): void {
    let shown = this.#shown.get(step);
    if (shown?.ended === true) return;
    if (shown === undefined) {
      this.#count += 1;
      shown = { number: this.#count, lines: 0, warnings: 0, statuses: new Map(), ended: false };
      this.#shown.set(step, shown);
    }
    const { number } = shown;
    const say = (text: string): void => this.#write(`#${number} ${text}\n`);
    if (this.#current !== step) {
      const before = this.#current === undefined ? undefined : this.#shown.get(this.#current);
      if (before !== undefined) this.#write(`#${before.number} ...\n\n`);
      else if (number > 1 || shown.lines > 0) this.#write('\n');
      say(step.name);
      this.#currentSinceMs = Date.now();
      this.#current = step;
    }
    for (const status of step.statuses.values()) this.#status(shown, status, say);
    for (const warning of step.warnings.slice(shown.warnings)) say(`WARN: ${decoded(warning.short)}`);
    shown.warnings = step.warnings.length;
    for (const { text, seconds } of step.lines.slice(shown.lines)) say(`${seconds.toFixed(3)} ${text}`);
    shown.lines = step.lines.length;
    if (step.completedMs === undefined) return;
    if (step.partial !== '') say(step.partial);
    shown.ended = true;
    this.#current = undefined;
    const seconds = Math.max(0, (step.completedMs - (step.startedMs ?? step.completedMs)) / 1000);
    if (step.error !== undefined) say(isCanceled(step) ? 'CANCELED' : `ERROR: ${step.error}`);
    else say(step.cached ? 'CACHED' : `DONE ${seconds.toFixed(1)}s`);
  }

  #status(shown: Shown, status: StepStatus, say: (text: string) => void): void {
    const { id, current, total, startedMs, atMs, done } = status;
    const last = shown.statuses.get(id);
    if (last === Infinity || (last !== undefined && !done && atMs - last < STATUS_EVERY_MS)) return;
    shown.statuses.set(id, done ? Infinity : atMs);
    const bytes =
      total > 0
        ? ` ${humanSize(current)} / ${humanSize(total)}`
        : current > 0
          ? ` ${humanSize(current)}`
          : '';
    const seconds = (atMs - startedMs) / 1000;
    const time = seconds > 0.01 ? ` ${seconds.toFixed(1)}s` : '';
    say(`${id}${bytes}${time}${done ? ' done' : ''}`);
  }
}
