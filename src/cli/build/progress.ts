import type { Cli } from '../cli.ts';
import { PlainProgress } from './plain-progress.ts';
import { BuildSteps, decoded, isCanceled, type BuildWarning, type SolveStatus } from './solve-status.ts';
import { TtyProgress } from './tty-progress.ts';

export type ProgressMode = 'auto' | 'tty' | 'plain' | 'rawjson' | 'quiet' | 'none';

const modes: readonly string[] = ['auto', 'tty', 'plain', 'rawjson', 'quiet', 'none'];

/** `--progress`, else `BUILDKIT_PROGRESS`. @throws {Error} with docker's text */
export function progressMode(given: string, environment: string | undefined): ProgressMode {
  const mode = given === 'auto' && environment ? environment : given || 'auto';
  if (!modes.includes(mode)) throw new Error(`invalid progress mode ${mode}`);
  return mode as ProgressMode;
}

/** Shows a build on standard error, in the way that is asked for. */
export class BuildProgress {
  readonly steps = new BuildSteps();
  readonly #cli: Cli;
  readonly #raw: boolean;
  readonly #quiet: boolean;
  readonly #display: PlainProgress | TtyProgress | undefined;

  /** @throws {Error} for `tty` without a terminal */
  constructor(cli: Cli, mode: ProgressMode) {
    const write = (text: string): void => cli.err(text);
    const terminal = cli.isTerminal(2);
    this.#cli = cli;
    this.#raw = mode === 'rawjson';
    this.#quiet = mode === 'quiet' || mode === 'none';
    if (mode === 'tty' && !terminal) throw new Error('failed to get console: provided file is not a console');
    if (this.#raw || this.#quiet) return;
    if (terminal && mode !== 'plain') {
      this.#display = new TtyProgress(write, {
        size: () => ({ columns: process.stderr.columns || 80, rows: process.stderr.rows || 24 }),
        colors: (cli.env['NO_COLOR'] ?? '') === '',
      });
    } else this.#display = new PlainProgress(write);
  }

  update(status: SolveStatus): void {
    if (this.#raw) this.#cli.err(`${JSON.stringify(status)}\n`);
    const changed = this.steps.update(status);
    this.#display?.update(changed, this.steps.all);
  }

  /** Shows the rest, and warnings; on a failure what the failed step said, and where in the Dockerfile it stands. */
  end(failure?: { source: string | undefined }): void {
    this.#display?.end();
    if (this.#raw || this.#quiet) return;
    if (failure === undefined) {
      const { warnings } = this.steps;
      if (warnings.length > 0) this.#cli.err(warningsText(warnings));
      return;
    }
    const failed = this.steps.all.find((step) => step.error !== undefined && !isCanceled(step));
    if (failed !== undefined) {
      const lines = failed.lines.slice(-10).map(({ text, seconds }) => `${seconds.toFixed(3)} ${text}\n`);
      this.#cli.err(`------\n > ${failed.name}:\n${lines.join('')}------\n`);
    }
    if (failure.source !== undefined) this.#cli.err(failure.source);
  }
}

/** As docker shows them behind a build. */
function warningsText(warnings: readonly BuildWarning[]): string {
  const [, plural = ''] = warnings.length === 1 ? [] : ['', 's'];
  const lines = warnings.map(({ short }) => ` - ${decoded(short)}\n`);
  return `\n ${warnings.length} warning${plural} found (use docker --debug to expand):\n${lines.join('')}`;
}
