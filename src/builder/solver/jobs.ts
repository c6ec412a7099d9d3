/** What a job says: of itself, or what its command writes. */
export type JobOutput = { kind: 'note'; text: string } | { kind: 'stdout' | 'stderr'; chunk: Uint8Array };

/** Who waits for a job. */
export interface Waiter {
  signal: AbortSignal;
  /** Gets what the job has said so far, then the rest as it comes. */
  onOutput: (output: JobOutput) => void;
  /** The job was started for this waiter, and uses what is its: resolves when it does so no more. */
  onStart: (settled: Promise<void>) => void;
}

/** What a job is given to work with. */
export interface JobContext {
  /** Aborted when nobody waits any more. */
  signal: AbortSignal;
  output: (output: JobOutput) => void;
}

/** Of what a job says, this much is kept for those who come later. */
const MAX_KEPT_BYTES = 1024 * 1024;

/**
 * Work that several builds may need at the same time: what has the same key is done once, and all get the result. It goes
 * on as long as anybody waits for it, whoever started it.
 */
export class SharedJobs<T> {
  readonly #jobs = new Map<string, Job<T>>();

  async run(key: string, waiter: Waiter, start: (job: JobContext) => Promise<T>): Promise<T> {
    waiter.signal.throwIfAborted();
    let job = this.#jobs.get(key);
    // One that is being stopped has to be gone before it can be done again.
    for (; job?.isStopping === true; job = this.#jobs.get(key)) await job.settled;
    waiter.signal.throwIfAborted();
    if (job === undefined) {
      const made = new Job(start);
      job = made;
      this.#jobs.set(key, made);
      waiter.onStart(made.settled);
      void made.settled.then(() => {
        if (this.#jobs.get(key) === made) this.#jobs.delete(key);
      });
    }
    return await job.wait(waiter);
  }
}

class Job<T> {
  readonly settled: Promise<void>;
  readonly #result: Promise<T>;
  readonly #controller = new AbortController();
  readonly #said: JobOutput[] = [];
  readonly #listeners = new Set<(output: JobOutput) => void>();
  #keptBytes = 0;
  #waiters = 0;
  #hasEnded = false;

  constructor(start: (job: JobContext) => Promise<T>) {
    this.#result = start({ signal: this.#controller.signal, output: (said) => this.#say(said) });
    this.settled = this.#result.then(
      () => this.#end(),
      () => this.#end(),
    );
  }

  get isStopping(): boolean {
    return this.#controller.signal.aborted;
  }

  async wait({ signal, onOutput }: Waiter): Promise<T> {
    for (const output of this.#said) onOutput(output);
    this.#listeners.add(onOutput);
    this.#waiters += 1;
    const left = Promise.withResolvers<never>();
    const leave = (): void => left.reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    try {
      return await Promise.race([this.#result, left.promise]);
    } finally {
      signal.removeEventListener('abort', leave);
      this.#listeners.delete(onOutput);
      this.#waiters -= 1;
      if (this.#waiters === 0 && !this.#hasEnded) {
        this.#controller.abort(signal.reason);
        await this.settled;
      }
    }
  }

  #say(output: JobOutput): void {
    this.#keptBytes += output.kind === 'note' ? output.text.length : output.chunk.length;
    if (this.#keptBytes <= MAX_KEPT_BYTES) this.#said.push(output);
    for (const listener of this.#listeners) listener(output);
  }

  #end(): void {
    this.#hasEnded = true;
  }
}

/** So many at a time; who comes first is served first. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async use<T>(signal: AbortSignal, body: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      signal.throwIfAborted();
      return await body();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
