import { Worker } from 'node:worker_threads';
import { EngineError, type ErrorKind } from '../errors/index.ts';
import { Growth } from './growth.ts';
import type { UnpackLimits, UnpackRequest, UnpackResult } from './unpack/unpack-layer.ts';

export interface LayerUnpackerOptions {
  /** The worker's program, for bundles that put it elsewhere. */
  workerEntry?: URL | string;
  /** Default 2. */
  maxWorkers?: number;
  /** How long a thread without work is kept. Default 3000. */
  idleMs?: number;
  /** Of layers whose request gives none. */
  limits?: UnpackLimits;
}

export type WorkerReply =
  | { kind: 'done'; result: UnpackResult }
  | { kind: 'failed'; error: { kind: ErrorKind; message: string; code: string } };

interface Job {
  request: UnpackRequest;
  growth: Growth | undefined;
  signal: AbortSignal | undefined;
  resolve: (result: UnpackResult) => void;
  reject: (error: unknown) => void;
}

interface Thread {
  worker: Worker;
  job: Job | undefined;
  idleTimer: NodeJS.Timeout | undefined;
}

/** Beside this file in the sources, beside the program in a bundle. The one place that knows. */
function defaultWorkerEntry(): URL {
  const here = import.meta.url;
  return new URL(here.endsWith('.ts') ? './unpack-worker.ts' : './unpack-worker.mjs', here);
}

/**
 * Unpacks layers on worker threads, so that inflating, hashing and writing files never stall the engine. Threads start
 * on demand and end when there was nothing to do for a while; they do not keep the process alive when idle.
 */
export class LayerUnpacker {
  readonly #entry: URL | string | undefined;
  readonly #maxWorkers: number;
  readonly #idleMs: number;
  readonly #limits: UnpackLimits | undefined;
  readonly #threads = new Set<Thread>();
  #queue: Job[] = [];
  #closed = false;

  constructor(options: LayerUnpackerOptions = {}) {
    this.#entry = options.workerEntry;
    this.#maxWorkers = options.maxWorkers ?? 2;
    this.#idleMs = options.idleMs ?? 3000;
    this.#limits = options.limits;
  }

  /**
   * Applies a layer to a directory, see unpackLayer(). An abort ends the thread at once; what it wrote is left for the
   * caller to remove, as after any failure.
   * @throws {EngineError} as unpackLayer(); `cancelled` when aborted or closed; `unavailable` for a file that grows while
   *   other work wants the threads.
   */
  unpack(request: UnpackRequest, options: { signal?: AbortSignal } = {}): Promise<UnpackResult> {
    const { signal } = options;
    if (this.#closed) return Promise.reject(cancelled('the unpacker is closed'));
    if (signal?.aborted === true) return Promise.reject(cancelled('aborted', signal.reason));
    const growth = request.growth === undefined ? undefined : new Growth(request.growth);
    if (growth !== undefined && !this.#canFollow) {
      return Promise.reject(
        new EngineError('unavailable', 'Cannot unpack layer while it grows: no thread is free'),
      );
    }
    return new Promise((resolve, reject) => {
      const job: Job = { request, growth, signal, resolve, reject };
      if (signal !== undefined) {
        const onAbort = (): void => this.#abort(job, signal.reason);
        signal.addEventListener('abort', onAbort, { once: true });
        job.resolve = (result) => {
          signal.removeEventListener('abort', onAbort);
          resolve(result);
        };
        job.reject = (error) => {
          signal.removeEventListener('abort', onAbort);
          reject(error);
        };
      }
      this.#queue.push(job);
      this.#dispatch();
    });
  }

  /** Ends the threads; jobs under way fail as `cancelled`. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    const queued = this.#queue;
    this.#queue = [];
    for (const job of queued) job.reject(cancelled('the unpacker is closed'));
    const ends = [...this.#threads].map((thread) => this.#end(thread, cancelled('the unpacker is closed')));
    await Promise.all(ends);
  }

  /** Threads that exist now, for tests and diagnostics. */
  get threads(): number {
    return this.#threads.size;
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const thread = [...this.#threads].find((candidate) => candidate.job === undefined) ?? this.#start();
      if (thread === undefined) return;
      const job = this.#queue.shift();
      if (job === undefined) return;
      clearTimeout(thread.idleTimer);
      thread.job = job;
      thread.worker.ref();
      const limited = this.#limits === undefined ? {} : { limits: this.#limits };
      thread.worker.postMessage({ ...limited, ...job.request });
    }
  }

  /** Files that grow at somebody else's pace are not to occupy all threads, nor to wait for one. */
  get #canFollow(): boolean {
    const jobs = [...this.#threads].flatMap(({ job }) => job ?? []);
    const waiting = jobs.filter(({ growth }) => growth?.hasEnded === false).length;
    return waiting < Math.max(1, this.#maxWorkers - 1) && jobs.length < this.#maxWorkers;
  }

  #start(): Thread | undefined {
    if (this.#threads.size >= this.#maxWorkers) return undefined;
    const worker = new Worker(this.#entry ?? defaultWorkerEntry(), { name: 'unpack', stdin: false });
    const thread: Thread = { worker, job: undefined, idleTimer: undefined };
    this.#threads.add(thread);
    worker.on('message', (reply: WorkerReply) => this.#settle(thread, reply));
    worker.on('error', (error: unknown) => this.#lost(thread, error));
    worker.on('exit', (code) =>
      this.#lost(thread, new EngineError('internal', `unpack thread ended: ${code}`)),
    );
    return thread;
  }

  #settle(thread: Thread, reply: WorkerReply): void {
    const { job } = thread;
    thread.job = undefined;
    thread.worker.unref();
    thread.idleTimer = setTimeout(() => void this.#end(thread), this.#idleMs);
    thread.idleTimer.unref();
    if (reply.kind === 'done') job?.resolve(reply.result);
    else job?.reject(new EngineError(reply.error.kind, reply.error.message, { code: reply.error.code }));
    this.#dispatch();
  }

  #abort(job: Job, reason: unknown): void {
    const error = cancelled('aborted', reason);
    const queued = this.#queue.indexOf(job);
    if (queued !== -1) {
      this.#queue.splice(queued, 1);
      job.reject(error);
      return;
    }
    for (const thread of this.#threads) if (thread.job === job) void this.#end(thread, error);
  }

  /** Terminates a thread; its job fails only once nothing writes any more, so that the caller can clean up. */
  async #end(thread: Thread, error?: EngineError): Promise<void> {
    const { job } = thread;
    thread.job = undefined;
    clearTimeout(thread.idleTimer);
    this.#threads.delete(thread);
    await thread.worker.terminate();
    if (error !== undefined) job?.reject(error);
    this.#dispatch();
  }

  #lost(thread: Thread, error: unknown): void {
    if (!this.#threads.delete(thread)) return;
    clearTimeout(thread.idleTimer);
    thread.job?.reject(error);
    thread.job = undefined;
    this.#dispatch();
  }
}

function cancelled(why: string, cause?: unknown): EngineError {
  return new EngineError('cancelled', `Cannot unpack layer: ${why}`, cause === undefined ? {} : { cause });
}
