import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { ProcessError } from '../../errors/index.ts';
import { sealedProgram, type ProcessSpawner } from '../../sys/index.ts';
import { lastLoggedError } from './runtime-errors.ts';

/** An OCI runtime's program, and where it keeps its state. */
export interface OciProgram {
  path: string;
  args: readonly string[];
}

/** The OCI runtime command line (runtime-spec's CLI, as runc and crun have it), for what is not on the hot path. */
export class OciCommand {
  readonly program: OciProgram;
  /** `--root`: the runtime's own state, one directory per container. */
  readonly stateRoot: string;
  readonly #spawner: ProcessSpawner;
  readonly #systemdCgroup: boolean;

  constructor(options: {
    program: OciProgram;
    stateRoot: string;
    spawner: ProcessSpawner;
    systemdCgroup: boolean;
  }) {
    this.program = options.program;
    this.stateRoot = options.stateRoot;
    this.#spawner = options.spawner;
    this.#systemdCgroup = options.systemdCgroup;
  }

  /** True for crun, some of whose files we touch ourselves (docs/adr/0007). */
  get isCrun(): boolean {
    return /(?:^|\/)crun$/.test(this.program.path);
  }

  /** What to execute: the program, or for crun a copy that need not protect itself. Good while this engine lives. */
  get executable(): string {
    return this.isCrun ? sealedProgram(this.program.path) : this.program.path;
  }

  /** The options before the command. conmon adds --systemd-cgroup itself. */
  globalArguments(logPath: string): string[] {
    const log = [`--root=${this.stateRoot}`, `--log=${logPath}`];
    // What crun's init says when it cannot exec comes out of the container, in the log's format.
    return [...this.program.args, ...log, ...(this.isCrun ? [] : ['--log-format=json'])];
  }

  /** @throws {ProcessError} with the runtime's own message as `stderrTail` */
  async run(...words: string[]): Promise<string> {
    const log = join(this.stateRoot, `.${randomBytes(6).toString('hex')}.log`);
    try {
      const argv = [
        this.program.path,
        ...this.globalArguments(log),
        ...(this.#systemdCgroup ? ['--systemd-cgroup'] : []),
        ...words,
      ];
      const { exitCode, signal, stdout, stderr } = await this.#spawner.run({
        path: this.executable,
        argv,
        env: runtimeEnvironment,
        newSession: true,
      });
      if (exitCode === 0) return stdout;
      throw new ProcessError(
        argv,
        exitCode,
        signal === null ? null : String(signal),
        lastLoggedError(log) ?? stderr,
      );
    } finally {
      rmSync(log, { force: true });
    }
  }
}

export const runtimeEnvironment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
