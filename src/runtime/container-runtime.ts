import type { RuntimeProcess, RuntimeResources, RuntimeSpec } from '../spec/index.ts';

export interface RuntimeExit {
  /** As Docker reports it: the exit status, or 128 + signal number. */
  exitCode: number;
  /** Wall clock, ms since the epoch. */
  exitedAtMs: number;
  oomKilled: boolean;
}

export interface RuntimeCreate {
  /** 64 hex. */
  id: string;
  spec: RuntimeSpec;
  /** Absolute path of the OCI runtime and its extra arguments; absent: the default runtime. */
  runtime?: { path: string; args: readonly string[] };
  /** Keep a stdin pipe (or the tty's input) open for the container. */
  openStdin: boolean;
  /** Close the container's stdin when the first attached client's input ends. */
  stdinOnce: boolean;
  /** conmon's k8s-format file; null for no log. */
  logPath: string | null;
  /**
   * Descriptors that are held open as long as the container lives, whatever becomes of the engine; it does not get them
   * itself. The caller closes its own when create() has ended.
   */
  held?: readonly number[];
}

export interface RuntimeExec {
  /** Id of the exec session, 64 hex. */
  execId: string;
  containerId: string;
  process: RuntimeProcess;
  openStdin: boolean;
  /** false: nobody will read stdout and stderr. */
  attached: boolean;
  runtime?: { path: string; args: readonly string[] };
}

/**
 * One monitored process tree: the container's init or an exec session. The monitor (conmon) keeps stdio, log and exit
 * status while the engine is away; `adopt` finds it again.
 */
export interface RuntimeTask {
  /** Host pid of the first process in the container. */
  readonly pid: number;
  /** Host pid of the monitor. */
  readonly monitorPid: number;
  /** Resolves once when it has ended. Never rejects. */
  readonly exited: Promise<RuntimeExit>;
  /**
   * A new connection to its standard streams. Any number at a time; each gets all output from now on. A reader that
   * pauses slows the container down (back-pressure), nothing is buffered without bound or dropped.
   */
  attach(): RuntimeStreams;
  /** @param rows height @param columns width; no error when it has no terminal. */
  resize(rows: number, columns: number): Promise<void>;
}

export interface RuntimeStreams {
  onOutput: (stream: 'stdout' | 'stderr', chunk: Buffer) => void;
  /** All output has been delivered (the task ended), the connection broke (error given), or close() was called. */
  onEnd: (error?: Error) => void;
  /** Resolves when the kernel has taken it, or when the task no longer reads its input (then it is lost). */
  writeInput(chunk: Uint8Array): Promise<void>;
  /** End of input, for all clients: the task reads end of file. Nothing happens without `stdinOnce`, or on a terminal. */
  closeInput(): void;
  pause(): void;
  resume(): void;
  /** Detaches. The task's input stays open; who means its end calls closeInput() first. */
  close(): void;
}

/**
 * An OCI runtime driven through a monitor. Create, start, exit, delete: each container id is used once per start (create
 * again after delete). Errors carry the runtime's own message, put as Docker puts it, e.g.
 * `OCI runtime create failed: … executable file not found in $PATH: unknown`; `details.exitCode` of a failed create or
 * exec is the exit code that Docker gives it (126, 127 or 128).
 */
export interface ContainerRuntime {
  readonly name: string;
  /** Writes the bundle, starts the monitor, creates the container: its init waits to be started. Undoes itself on error. */
  create(request: RuntimeCreate): Promise<RuntimeTask>;
  start(id: string): Promise<void>;
  /** Signal by number to init, or to every process. @throws {EngineError} `not-found` when it has ended */
  kill(id: string, signal: number, options?: { all?: boolean }): Promise<void>;
  pause(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  update(id: string, resources: RuntimeResources): Promise<void>;
  /** Ends what still runs, removes the runtime's state and the cgroup, and the bundle; no error when gone. */
  delete(id: string): Promise<void>;
  exec(request: RuntimeExec): Promise<RuntimeTask>;
  /** Removes an exec session's files. */
  deleteExec(containerId: string, execId: string): Promise<void>;
  /**
   * After an engine restart: the task of a container that this runtime created earlier, running or ended while we were
   * away (then `exited` resolves at once); undefined when nothing is left of it.
   */
  adopt(
    id: string,
    options: { runtime?: { path: string; args: readonly string[] } },
  ): Promise<RuntimeTask | undefined>;
  /** As adopt, for a running exec session. */
  adoptExec(containerId: string, execId: string): Promise<RuntimeTask | undefined>;
  /** The ids with state on disk, for the sweep at start. */
  known(): Promise<string[]>;
  /** Asks the monitor to reopen its log file (after the engine renamed it). */
  reopenLog(id: string): Promise<void>;
  version(): Promise<{ name: string; version: string; commit: string }>;
}
