import { closeSync, mkdirSync, openSync } from 'node:fs';
import { EngineError } from '../errors/index.ts';
import type { Syscall } from '../sys/index.ts';

/** Code of the error for a root that another process holds. */
export const rootInUse = 'root-in-use';

/**
 * Takes a data root for this process alone; the kernel lets go of it when the process ends, however it ends.
 * @throws {EngineError} `unavailable` when another engine holds it
 */
export function lockRoot(syscall: Syscall, dataRoot: string): Disposable {
  mkdirSync(dataRoot, { recursive: true, mode: 0o711 });
  const fd = openSync(`${dataRoot}/engine.lock`, 'a', 0o600);
  if (!syscall.tryLock(fd)) {
    closeSync(fd);
    throw new EngineError('unavailable', `Cannot open ${dataRoot}: another engine is using it`, {
      code: rootInUse,
    });
  }
  return { [Symbol.dispose]: () => closeSync(fd) };
}
