import { spawn } from 'node:child_process';
import { EngineError, ProcessError } from '../../errors/index.ts';

export interface RunOptions {
  /** Each line the program writes to standard error. */
  onLine?: (line: string) => void;
  signal?: AbortSignal;
  cwd?: string;
  env?: Readonly<Record<string, string>>;
}

/** Runs a host program to its end and streams its standard output; for set-up work, never on a hot path. */
export async function* programOutput(
  argv: readonly [string, ...string[]],
  options: RunOptions,
): AsyncGenerator<Buffer, void, void> {
  const [name, ...rest] = argv;
  const child = spawn(name, rest, {
    cwd: options.cwd,
    env: { ...process.env, LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let tail = '';
  let line = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    tail = (tail + text).slice(-4096);
    const lines = (line + text).split(/[\r\n]+/);
    line = lines.pop() ?? '';
    for (const whole of lines) options.onLine?.(whole);
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'ENOENT'
          ? new EngineError('unavailable', `Cannot run ${name}: it is not installed`, { cause: error })
          : error,
      );
    });
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new ProcessError(argv, code, signal, tail));
    });
  });
  // Awaited below; until then a failure must not count as unhandled.
  ended.catch(() => undefined);
  const stop = () => child.kill();
  options.signal?.addEventListener('abort', stop, { once: true });
  let finished = false;
  try {
    options.signal?.throwIfAborted();
    for await (const chunk of child.stdout) yield chunk as Buffer;
    await ended;
    finished = true;
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', stop);
    if (!finished) {
      child.kill();
      await ended.catch(() => undefined);
    }
  }
}

/** Runs a host program and hands its lines, of both outputs, to `onLine`. @throws {ProcessError} */
export async function runProgram(argv: readonly [string, ...string[]], options: RunOptions): Promise<void> {
  for await (const chunk of programOutput(argv, options)) {
    for (const line of chunk.toString('utf8').split('\n')) if (line !== '') options.onLine?.(line);
  }
}
