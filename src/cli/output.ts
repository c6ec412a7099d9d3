import { writeSync } from 'node:fs';

/**
 * Writes all of it now. Synchronous on purpose: nothing is left to flush at exit, and a slow reader holds the engine
 * back instead of filling our memory.
 */
function writeAll(fd: number, data: string | Uint8Array): void {
  let bytes = typeof data === 'string' ? Buffer.from(data) : data;
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(fd, bytes));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN') {
        // Somebody made our terminal or pipe non-blocking.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
      } else if (code === 'EPIPE') {
        // What a program without a SIGPIPE handler ends with; Node ignores the signal, so say it by hand.
        process.exit(141);
      } else throw error;
    }
  }
}

/** Writes to standard output. */
export function out(data: string | Uint8Array): void {
  writeAll(1, data);
}

/** Writes to standard error. */
export function err(data: string | Uint8Array): void {
  writeAll(2, data);
}
