import type { SpawnedProcess } from '../../sys/index.ts';
import type { RuntimeExit, RuntimeStreams, RuntimeTask } from '../container-runtime.ts';
import { StreamHub } from '../streams/stream-hub.ts';
import type { PipeSource } from './pipe-source.ts';

/** A process started by `exec` whose parent, the OCI runtime, is our child. Output waits for the first client. */
export class DirectExecTask implements RuntimeTask {
  readonly pid: number;
  /** The OCI runtime, which passes the exit status on. */
  readonly monitorPid: number;
  readonly exited: Promise<RuntimeExit>;
  readonly #hub: StreamHub;
  readonly #resize: (rows: number, columns: number) => void;
  #isEnded = false;

  constructor(options: {
    pid: number;
    child: SpawnedProcess;
    source: PipeSource;
    closesStdin: boolean;
    resize: (rows: number, columns: number) => void;
  }) {
    this.pid = options.pid;
    this.monitorPid = options.child.pid;
    this.#resize = options.resize;
    this.#hub = new StreamHub({
      connect: () => options.source,
      closesStdin: options.closesStdin,
      whenIdle: 'discard',
    });
    this.#hub.hold();
    this.exited = options.child.exited.then(({ exitCode, signal }) => {
      this.#isEnded = true;
      this.#hub.finish(() => options.source.finish());
      return { exitCode: exitCode ?? 128 + (signal ?? 0), exitedAtMs: Date.now(), oomKilled: false };
    });
  }

  attach(): RuntimeStreams {
    return this.#hub.attach();
  }

  abandon(): void {
    this.#hub.abandon();
  }

  resize(rows: number, columns: number): Promise<void> {
    if (!this.#isEnded) this.#resize(rows, columns);
    return Promise.resolve();
  }
}
