import { write } from 'node:fs';
import { promisify } from 'node:util';

const writeAsync = promisify(write);

/** Appends all of a chunk to a file, on another thread. */
export async function writeWhole(fd: number, chunk: Buffer): Promise<void> {
  for (let at = 0; at < chunk.length;) {
    at += (await writeAsync(fd, chunk, at, chunk.length - at, null)).bytesWritten;
  }
}
