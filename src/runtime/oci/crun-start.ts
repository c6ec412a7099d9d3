import { closeSync, constants, openSync, unlinkSync, writeSync } from 'node:fs';

/**
 * crun's `start` without the process: its waiting init holds the fifo's read end; a byte lets it go on (docs/adr/0007).
 * @returns false when that is not how things are, so that the runtime itself must say what is wrong
 */
export function startThroughFifo(path: string): boolean {
  let fd: number;
  try {
    // Without blocking: ENXIO when nobody reads.
    fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return false;
  }
  try {
    // In crun's order: with the fifo gone the state is no longer `created`.
    unlinkSync(path);
    return writeSync(fd, Buffer.from([0])) === 1;
  } finally {
    closeSync(fd);
  }
}
