import { fstatSync, readFileSync } from 'node:fs';
import { EngineError } from '../errors/index.ts';

/** /etc/passwd of a large site has some megabytes. */
const MAX_BYTES = 32 * 1024 * 1024;

/**
 * The text of an open file (O_PATH is enough) of a tree that is not trusted; undefined when it is no regular file: a fifo put
 * there would block the engine, a device could do anything.
 * @throws {EngineError} `invalid-parameter` when it is larger than 32 MiB
 */
export function readRegularText(fd: number): string | undefined {
  const stat = fstatSync(fd);
  if (!stat.isFile()) return undefined;
  if (stat.size > MAX_BYTES) {
    throw new EngineError(
      'invalid-parameter',
      `Cannot read a file of the container: it is larger than ${MAX_BYTES} bytes`,
    );
  }
  return readFileSync(`/proc/self/fd/${fd}`, 'utf8');
}
