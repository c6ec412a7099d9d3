import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { EngineError } from '../errors/index.ts';
import { writeFileAtomic } from '../sys/index.ts';

/**
 * Writes our process id; disposing removes the file again.
 * @throws {EngineError} `conflict` when it names another process that runs
 */
export function writePidFile(path: string): Disposable {
  const running = readPid(path);
  if (running !== undefined && running !== process.pid && isRunning(running)) {
    throw new EngineError(
      'conflict',
      `failed to start daemon, ensure the daemon is not running or delete ${path}: process with PID ${running} is still running`,
    );
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writeFileAtomic(path, String(process.pid), { mode: 0o644 });
  return {
    [Symbol.dispose]() {
      if (readPid(path) === process.pid) rmSync(path, { force: true });
    },
  };
}

function readPid(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, 'utf8').trim());
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
