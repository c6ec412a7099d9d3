import { closeSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import type { ProcessSpawner, SpawnedProcess } from '../../sys/index.ts';

const SIGTERM = 15;
const SIGKILL = 9;
/** A shell that has nothing to do, and the name server's program, both end at once. */
const END_TIMEOUT_MS = 2000;

/**
 * The one who answers names when the engine is dead. As long as the engine lives this is a shell, less than a MiB, that
 * waits for the end of a pipe; however the engine ends, the pipe does, too, and the shell becomes the program that serves
 * what the records hold. The next engine ends it before it opens the same sockets.
 */
export class NamesKeeper {
  readonly #spawner: Pick<ProcessSpawner, 'spawn' | 'pipe' | 'waitForExit'>;
  readonly #command: readonly string[];
  readonly #pidPath: string;
  #waiting: { process: SpawnedProcess; pipe: number } | undefined;

  /**
   * @param parts.command the program and its arguments, which tell it from every other engine's
   * @param parts.pidPath where the next engine finds it
   */
  constructor(parts: {
    spawner: Pick<ProcessSpawner, 'spawn' | 'pipe' | 'waitForExit'>;
    command: readonly string[];
    pidPath: string;
  }) {
    this.#spawner = parts.spawner;
    this.#command = parts.command;
    this.#pidPath = parts.pidPath;
  }

  /** Ends what an engine before this one left. Its sockets are closed when this resolves. */
  async dismiss(): Promise<void> {
    const pid = this.#predecessor();
    if (pid === undefined) return;
    for (const signal of [SIGTERM, SIGKILL]) {
      try {
        process.kill(pid, signal);
        await this.#spawner.waitForExit(pid, AbortSignal.timeout(END_TIMEOUT_MS));
        break;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ESRCH') break;
      }
    }
    rmSync(this.#pidPath, { force: true });
  }

  /** From here on names outlive this engine. Idempotent; a millisecond. @throws {SyscallError} when there is no shell */
  appoint(): void {
    if (this.#waiting !== undefined) return;
    const [readEnd, writeEnd] = this.#spawner.pipe();
    try {
      const argv = ['sh', '-c', 'read -r _ || exec "$@"', 'sh', ...this.#command];
      const child = this.#spawner.spawn({ path: '/bin/sh', argv, fds: { 0: readEnd }, newSession: true });
      writeFileSync(this.#pidPath, `${child.pid}\n`, { mode: 0o600 });
      const waiting = { process: child, pipe: writeEnd };
      this.#waiting = waiting;
      // Somebody killed it: the next container's names have another.
      void child.exited.then(() => {
        if (this.#waiting === waiting) this.#end();
      });
    } catch (error) {
      closeSync(writeEnd);
      throw error;
    } finally {
      closeSync(readEnd);
    }
  }

  /** This engine ends. @param isNeeded names are to be answered on */
  async close(isNeeded: boolean): Promise<void> {
    const { process: child, pipe } = this.#waiting ?? {};
    if (child === undefined || pipe === undefined) return;
    if (!isNeeded) writeSync(pipe, '\n');
    this.#end();
    if (isNeeded) return;
    await child.exited;
    rmSync(this.#pidPath, { force: true });
  }

  #end(): void {
    if (this.#waiting !== undefined) closeSync(this.#waiting.pipe);
    this.#waiting = undefined;
  }

  #predecessor(): number | undefined {
    try {
      const pid = Number(readFileSync(this.#pidPath, 'utf8'));
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
      // The number may be another process's by now.
      return words.join('\0').endsWith(this.#command.slice(1).join('\0')) ? pid : undefined;
    } catch {
      return undefined;
    }
  }
}
