import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const fileName = 'engine.address';

/** Says in a data root, which this process holds, by which socket its engine is reached. Dispose it to take that back. */
export function announceDaemon(dataRoot: string, socketPath: string): Disposable {
  const path = join(dataRoot, fileName);
  writeFileSync(path, `${socketPath}\n`, { mode: 0o600 });
  return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
}

/** The socket of the daemon that holds a data root, if it said so; old when nothing holds the root. */
export function daemonSocket(dataRoot: string): string | undefined {
  try {
    return readFileSync(join(dataRoot, fileName), 'utf8').trim();
  } catch {
    return undefined;
  }
}
