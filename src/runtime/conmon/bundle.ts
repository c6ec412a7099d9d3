import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

/** Who the monitor process is: a pid alone may have been given to another process since. */
export interface ProcessIdentity {
  pid: number;
  /** Clock ticks since boot, field 22 of /proc/pid/stat. */
  startTime: string;
}

/**
 * The directory of one container or exec session below the engine's exec root: what the runtime and the monitor are given, and
 * all that is needed to find them again. It lies on tmpfs, so that nothing of it outlives the processes at a reboot.
 */
export class Bundle {
  readonly path: string;
  readonly config: string;
  readonly pidFile: string;
  /** The runtime's own log, JSON lines. */
  readonly runtimeLog: string;
  /** What the monitor says before it lets go of its standard error. */
  readonly monitorLog: string;
  readonly attachSocket: string;
  readonly control: string;
  readonly #exitFile: string;
  readonly #oomFile: string;
  readonly #monitorFile: string;
  readonly #firstFile: string;
  readonly #stateFile: string;

  constructor(path: string) {
    this.path = path;
    this.config = join(path, 'config.json');
    this.pidFile = join(path, 'pid');
    this.runtimeLog = join(path, 'runtime.log');
    this.monitorLog = join(path, 'monitor.log');
    this.attachSocket = join(path, 'attach');
    this.control = join(path, 'ctl');
    this.#exitFile = join(path, 'exit');
    this.#oomFile = join(path, 'oom');
    this.#monitorFile = join(path, 'monitor.json');
    this.#firstFile = join(path, 'first.json');
    this.#stateFile = join(path, 'state.json');
  }

  /** Makes it anew: what an earlier attempt left is gone. */
  create(): void {
    try {
      mkdirSync(this.path, { recursive: false, mode: 0o700 });
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EEXIST') rmSync(this.path, { recursive: true, force: true });
      mkdirSync(this.path, { recursive: true, mode: 0o700 });
    }
  }

  writeConfig(config: unknown): void {
    writeFileSync(this.config, JSON.stringify(config), { mode: 0o600 });
  }

  /** What this engine must know again after a restart. */
  writeState(state: unknown): void {
    writeSmall(this.#stateFile, state);
  }

  readState(): unknown {
    return readJson(this.#stateFile);
  }

  writeMonitor(pid: number): void {
    writeSmall(this.#monitorFile, identityOf(pid) ?? { pid, startTime: '' });
  }

  /** The pid in the pid file, so that it is known again even when the number has been given to another process. */
  writeFirst(pid: number): void {
    const identity = identityOf(pid);
    if (identity !== undefined) writeSmall(this.#firstFile, identity);
  }

  /** Whether the process in the pid file still is the one that was meant. */
  isFirstRunning(monitorPid: number | undefined): boolean {
    const recorded = readJson(this.#firstFile) as ProcessIdentity | undefined;
    if (recorded !== undefined) return isDeepStrictEqual(identityOf(recorded.pid), recorded);
    // The engine died before it wrote that down: the monitor's child it must be.
    const pid = this.readPid();
    return pid !== undefined && monitorPid !== undefined && parentOf(pid) === monitorPid;
  }

  /** The monitor's pid, if that process still is the monitor. */
  runningMonitor(): number | undefined {
    const recorded = readJson(this.#monitorFile) as ProcessIdentity | undefined;
    if (recorded !== undefined) {
      return isDeepStrictEqual(identityOf(recorded.pid), recorded) ? recorded.pid : undefined;
    }
    return this.#findMonitor();
  }

  /** Pid of the first process, undefined when the runtime has not got so far. */
  readPid(): number | undefined {
    const pid = Number.parseInt(readText(this.pidFile) ?? '', 10);
    return pid > 0 ? pid : undefined;
  }

  /** Exit code as the monitor wrote it, with the time it did. */
  readExit(): { exitCode: number; exitedAtMs: number } | undefined {
    const text = readText(this.#exitFile);
    if (text === undefined || !/^-?\d+$/.test(text)) return undefined;
    return { exitCode: Number(text) & 0xff, exitedAtMs: statSync(this.#exitFile).mtimeMs };
  }

  sawOomKill(): boolean {
    return statSync(this.#oomFile, { throwIfNoEntry: false }) !== undefined;
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  /** The engine died between spawning the monitor and writing down who it is: it carries our path in its command line. */
  #findMonitor(): number | undefined {
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      const words = readText(`/proc/${name}/cmdline`)?.split('\0') ?? [];
      if (words.includes('--persist-dir') && words.includes(this.path)) return Number(name);
    }
    return undefined;
  }
}

/** Undefined when there is no such process, or it has ended and only waits to be reaped. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The command name may hold spaces and parentheses; fields are counted from the last one. Field 3 is the state.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return { pid, startTime: fields[19] ?? '' };
}

function parentOf(pid: number): number | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  return stat === undefined ? undefined : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

/**
 * Written once, by one write(2), and never replaced. A part of it, should an engine ever be killed in the middle, reads as
 * nothing, which is what its absence means: the step before it was the last one.
 */
function writeSmall(path: string, value: unknown): void {
  writeFileSync(path, JSON.stringify(value), { mode: 0o600 });
}

function readJson(path: string): unknown {
  const text = readText(path);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
