import { humanSize } from '../format/units.ts';
import { isCanceled, type Step } from './solve-status.ts';

const REDRAW_MS = 100;

/** Lines of a running step's output that are shown. */
const LOG_LINES = 6;

/** Steps as a list that is drawn again and again in the same place, with times, and the last lines of what runs. */
export class TtyProgress {
  readonly #write: (text: string) => void;
  readonly #size: () => { columns: number; rows: number };
  readonly #colors: boolean;
  readonly #startedMs = Date.now();
  readonly #timer: NodeJS.Timeout;
  #steps: readonly Step[] = [];
  #drawnLines = 0;

  constructor(
    write: (text: string) => void,
    options: { size: () => { columns: number; rows: number }; colors: boolean },
  ) {
    this.#write = write;
    this.#size = options.size;
    this.#colors = options.colors;
    this.#timer = setInterval(() => this.#draw(false), REDRAW_MS);
    this.#timer.unref();
  }

  update(_changed: readonly Step[], all: readonly Step[]): void {
    this.#steps = all.filter((step) => step.name !== '');
  }

  end(): void {
    clearInterval(this.#timer);
    this.#draw(true);
  }

  #draw(finished: boolean): void {
    const { columns, rows } = this.#size();
    const done = this.#steps.filter((step) => step.completedMs !== undefined).length;
    const seconds = ((Date.now() - this.#startedMs) / 1000).toFixed(1);
    const header = `[+] Building ${seconds}s (${done}/${this.#steps.length})${finished ? ' FINISHED' : ''}`;
    let body = this.#steps.flatMap((step) => this.#rows(step, columns));
    // Not more than fits, or the cursor could not go back; at the end everything is shown.
    if (!finished) body = body.slice(-Math.max(1, rows - 2));
    const lines = [header.slice(0, columns), ...body];
    const up = this.#drawnLines === 0 ? '' : `\u001b[${this.#drawnLines}A`;
    const left = Math.max(0, this.#drawnLines - lines.length);
    const text = lines.map((line) => `\u001b[2K${line}\n`).join('');
    const rest = left === 0 ? '' : `${'\u001b[2K\n'.repeat(left)}\u001b[${left}A`;
    this.#write(`\u001b[?25l\r${up}${text}${rest}\u001b[?25h`);
    this.#drawnLines = lines.length;
  }

  #rows(step: Step, columns: number): string[] {
    const ended = step.completedMs !== undefined;
    const ms = (step.completedMs ?? Date.now()) - (step.startedMs ?? Date.now());
    const failure = isCanceled(step) ? { mark: 'CANCELED ', color: '33' } : { mark: 'ERROR ', color: '31' };
    const success = { mark: step.cached ? 'CACHED ' : '', color: ended ? '34' : '' };
    const { mark, color } = step.error === undefined ? success : failure;
    const rows = [
      this.#row(` => ${mark}${step.name}`, `${(Math.max(0, ms) / 1000).toFixed(1)}s`, columns, color),
    ];
    if (ended && step.error === undefined) return rows;
    for (const { id, current, total, done, startedMs, atMs } of step.statuses.values()) {
      const bytes =
        total > 0
          ? ` ${humanSize(current)} / ${humanSize(total)}`
          : current > 0
            ? ` ${humanSize(current)}`
            : '';
      const seconds = (((done ? atMs : Date.now()) - startedMs) / 1000).toFixed(1);
      rows.push(this.#row(` => => ${id}${bytes}`, `${seconds}s`, columns, done ? '34' : ''));
    }
    const output = [...step.lines.map(({ text }) => text), ...(step.partial === '' ? [] : [step.partial])];
    for (const line of output.slice(-LOG_LINES)) {
      rows.push(this.#colored(` => => # ${printable(line)}`.slice(0, columns - 1), '2'));
    }
    return rows;
  }

  #row(text: string, time: string, columns: number, color: string): string {
    const room = Math.max(10, columns - time.length - 2);
    const shown = text.length > room ? `${text.slice(0, room - 3)}...` : text.padEnd(room);
    return this.#colored(`${shown} ${time}`, color);
  }

  #colored(text: string, color: string): string {
    return this.#colors && color !== '' ? `\u001b[${color}m${text}\u001b[0m` : text;
  }
}

/** Without what moves the cursor. */
function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- escapes of terminals begin with one
  return text.replaceAll(/\u001b\[[0-9;?]*[A-Za-z]/g, '').replaceAll(/[\u0000-\u001f]/g, ' ');
}
