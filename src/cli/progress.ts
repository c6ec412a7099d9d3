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
 * Shows a stream of progress messages as docker does, byte for byte: on a terminal one line per id, rewritten in place with
 * a bar; else one line per change of status, without bars.
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
  const isTerminal = cli.isTerminal(options.fd);
  /** Lines from the first of those that are rewritten. */
  const lines = new Map<string, number>();
  for await (const message of messages) {
    if (message.aux !== undefined && message.aux !== null) {
      options.onAux?.(message.aux);
      if (message.stream === undefined && message.status === undefined) continue;
    }
    throwProblem(message);
    const { id = '', progressDetail } = message;
    const bar = progressBar(message, isTerminal);
    if (!isTerminal) {
      if (bar === '') write(plainLine(message));
      continue;
    }
    const isRewritten = id !== '' && (progressDetail !== undefined || message.progress !== undefined);
    if (!isRewritten) lines.clear();
    else if (!lines.has(id)) {
      lines.set(id, lines.size);
      write('\n');
    }
    const up = lines.size - (lines.get(id) ?? 0);
    const shown =
      progressDetail === undefined || message.stream !== undefined
        ? plainLine(message)
        : `\x1b[2K\r${prefix(message)}${message.status ?? ''} ${bar}\r`;
    write(isRewritten ? `\x1b[${up}A${shown}\x1b[${up}B` : shown);
  }
}

function throwProblem({ errorDetail, error }: ProgressMessage): void {
  const problem = errorDetail?.message ?? error;
  if (problem === undefined) return;
  throw new StatusError(errorDetail?.code ? Math.min(errorDetail.code, 255) : 1, problem);
}

function prefix({ id }: ProgressMessage): string {
  return id ? `${id}: ` : '';
}

function plainLine(message: ProgressMessage): string {
  const { stream, status = '', progress, progressDetail } = message;
  if (stream !== undefined) return stream;
  // Very old engines draw the bar themselves.
  const end = progress !== undefined && progressDetail === undefined ? ` ${progress}` : '\n';
  return `${prefix(message)}${status}${end}`;
}

/** `[=====>     ]  1.2MB/3.4MB`; '' when there is nothing to count. */
function progressBar({ progressDetail = {} }: ProgressMessage, isTerminal: boolean): string {
  const { current = 0, total = 0, units, hidecounts = false } = progressDetail;
  if (current <= 0 && total <= 0) return '';
  const show = (value: number): string => (units ? `${value}` : humanSize(value));
  const unit = units ? ` ${units}` : '';
  if (total <= 0) return units ? `${current}${unit}` : humanSize(current).padStart(8);
  const done = Math.min(50, Math.trunc(Math.trunc((current / total) * 100) / 2));
  const columns = isTerminal ? process.stdout.columns : 200;
  const bar = columns > 110 ? `[${'='.repeat(done)}>${' '.repeat(50 - done)}] ` : '';
  if (hidecounts) return bar;
  const now = units ? show(current) : show(current).padStart(8);
  return bar + now + (current > total ? '' : `/${show(total)}`) + unit;
}
