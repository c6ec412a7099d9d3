import { isEngineError } from '../../errors/index.ts';

/** The one connection to a task's standard streams that all attached clients share. */
export interface StreamSource {
  onOutput: (stream: 'stdout' | 'stderr', chunk: Buffer) => void;
  /** Called once, after the last output. */
  onEnd: (error?: Error) => void;
  /** Resolves when it has been taken over by the kernel. */
  send(chunk: Uint8Array): Promise<void>;
  closeInput(): void;
  pause(): void;
  resume(): void;
  close(): void;
}

/** The task has closed its input, or has ended: what comes for it is lost, as with a pipe's, but nothing has failed. */
export function isInputGone(error: unknown): boolean {
  return isEngineError(error) && ['EPIPE', 'ECONNRESET', 'EIO'].includes(error.code);
}
