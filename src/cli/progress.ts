import type { Cli } from './cli.ts';
import { StatusError } from './errors.ts';
import { humanSize } from './format/units.ts';

/** One message of pull, push, load, import and build. */
export interface ProgressMessage {
  stream?: string;
  status?: string;
  id?: string;
  progress?: string;
  progressDetail?: { current?: number; total?: number; units?: string; hidecounts?: boolean };
  error?: string;
  errorDetail?: { code?: number; message?: string };
  aux?: unknown;
}

export interface DisplayOptions {
  fd: 1 | 2;
  quiet?: boolean;
  onAux?: (aux: unknown) => void;
}

/**
 * Shows a stream of progress messages as docker does: on a terminal one line per id, rewritten in place with a bar; else
 * one line per change of status, without bars.
 * @throws the error that the stream carries.
 */
export async function displayProgress(
  cli: Cli,
  messages: AsyncIterable<ProgressMessage>,
  options: DisplayOptions,
): Promise<void> {
  const write = (text: string): void => {
    if (options.quiet) return;
    if (options.fd === 1) cli.out(text);
    else cli.err(text);
  };
  const terminal = cli.isTerminal(options.fd);
  const lines = new Map<string, number>();
  for await (const message of messages) {
    if (message.aux !== undefined && message.aux !== null) {
      options.onAux?.(message.aux);
      if (message.stream === undefined && message.status === undefined) continue;
    }
    const problem = message.errorDetail?.message ?? message.error;
    if (problem !== undefined) {
      throw new StatusError(
        message.errorDetail?.code === undefined || message.errorDetail.code === 0
          ? 1
          : Math.min(message.errorDetail.code, 255),
        problem,
      );
    }
    const bar = progressBar(message, terminal);
    const detailed = (message.progressDetail?.current ?? 0) > 0 || message.progress !== undefined;
    if (!terminal) {
      if (detailed) continue;
      write(text(message, ''));
      continue;
    }
    if (message.id === undefined || (!detailed && message.stream !== undefined)) {
      lines.clear();
      write(text(message, bar));
      continue;
    }
    const known = lines.get(message.id);
    const up = known === undefined ? 0 : lines.size - known;
    if (known === undefined) {
      lines.set(message.id, lines.size);
      write('\n');
    }
    const rise = up === 0 ? 1 : up;
    write(`\x1b[${rise}A\x1b[2K\r${message.id}: ${message.status ?? ''} ${bar}\r\x1b[${rise}B`);
  }
}

function text(message: ProgressMessage, bar: string): string {
  if (message.stream !== undefined) return message.stream;
  const id = message.id ? `${message.id}: ` : '';
  return `${id}${message.status ?? ''}${bar === '' ? '' : ` ${bar}`}\n`;
}

function progressBar(message: ProgressMessage, terminal: boolean): string {
  const { current = 0, total = 0, units } = message.progressDetail ?? {};
  if (current <= 0 && total <= 0) return message.progress ?? '';
  const show = (value: number): string => (units ? `${value} ${units}` : humanSize(value));
  if (total <= 0) return show(current);
  const columns = terminal ? (process.stdout.columns ?? 80) : 80;
  const filled = Math.min(50, Math.floor((current / total) * 50));
  const arrow = `${'='.repeat(Math.max(0, filled))}>${' '.repeat(50 - filled)}`.slice(0, 51);
  const numbers = current > total ? show(current) : `${show(current)}/${show(total)}`;
  return columns > 110 ? `[${arrow}]  ${numbers}` : numbers;
}
