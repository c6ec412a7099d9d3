import { EngineError } from '../errors/index.ts';
import type { LibraryContainers } from './library.ts';
import { containerCreate, type ContainerRequest } from './container-request.ts';

export interface RunRequest extends ContainerRequest {
  /** Given to the container's standard input, which then ends. */
  input?: Uint8Array | string;
  /** Ends the container when aborted. */
  signal?: AbortSignal;
  /** Bytes of output kept of each stream; more is an error. Default 64 MiB. */
  maxOutputBytes?: number;
}

export interface RunResult {
  exitCode: number;
  output: Buffer;
  errors: Buffer;
}

/**
 * Runs a container to its end, collects what it wrote, and removes it with its anonymous volumes.
 * @throws {EngineError} what create and start throw; `cancelled` when aborted; `invalid-parameter` for too much output
 */
export async function runContainer(containers: LibraryContainers, request: RunRequest): Promise<RunResult> {
  const { signal, input, maxOutputBytes = 64 * 1024 * 1024 } = request;
  const hasInput = input !== undefined;
  const create = containerCreate(request);
  create.config.OpenStdin ||= hasInput;
  create.config.StdinOnce ||= hasInput;
  create.config.AttachStdin ||= hasInput;
  const { id } = await containers.create(create);
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  let tooMuch = false;
  const kill = (): void => void containers.kill(id, 'KILL').catch(() => undefined);
  try {
    throwIfAborted(signal);
    const session = await containers.attach(id, {
      stdin: hasInput,
      stdout: true,
      stderr: true,
      logs: false,
      stream: true,
    });
    const ended = Promise.withResolvers<void>();
    const bytes = { stdout: 0, stderr: 0 };
    session.onOutput = (stream, chunk) => {
      bytes[stream] += chunk.length;
      if (bytes[stream] > maxOutputBytes) {
        tooMuch = true;
        kill();
      } else (stream === 'stdout' ? output : errors).push(Buffer.from(chunk));
    };
    session.onEnd = () => ended.resolve();
    session.begin();
    const wait = await containers.wait(id, 'next-exit');
    try {
      await containers.start(id);
    } catch (error) {
      wait.cancel();
      session.close();
      throw error;
    }
    if (signal?.aborted === true) kill();
    signal?.addEventListener('abort', kill, { once: true });
    if (hasInput) {
      // A container that ends without reading its input is no error.
      await session.writeInput(Buffer.from(input)).catch(() => undefined);
      session.closeInput();
    }
    const { exitCode } = await wait.result;
    await ended.promise;
    throwIfAborted(signal);
    if (tooMuch) {
      throw new EngineError(
        'invalid-parameter',
        `Cannot run the container: it wrote more than ${maxOutputBytes} bytes`,
      );
    }
    return { exitCode, output: Buffer.concat(output), errors: Buffer.concat(errors) };
  } finally {
    signal?.removeEventListener('abort', kill);
    await containers.remove(id, { force: true, volumes: true, link: false });
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new EngineError('cancelled', 'Cannot run the container: aborted');
}
