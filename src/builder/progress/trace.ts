import { createHash, randomBytes } from 'node:crypto';
import { solveText } from './source-error.ts';

/** One step as progress shows it; times are RFC 3339. As BuildKit's `client.Vertex` in JSON. */
export interface TraceVertex {
  digest: string;
  inputs?: string[];
  name: string;
  started?: string;
  completed?: string;
  cached?: boolean;
  error?: string;
}

/** What a step does at the moment, e.g. a download. As BuildKit's `client.VertexStatus`. */
export interface TraceStatus {
  id: string;
  vertex: string;
  name?: string;
  /** Bytes; 0 when not known. */
  total?: number;
  /** Bytes. */
  current: number;
  timestamp: string;
  started?: string;
  completed?: string;
}

/** A piece of a step's output; `data` is base64. As BuildKit's `client.VertexLog`. */
export interface TraceLog {
  vertex: string;
  stream: 1 | 2;
  data: string;
  timestamp: string;
}

/** A position in a file: lines from 1, characters from 0. */
export interface TraceRange {
  start: { line: number; character?: number };
  end: { line: number; character?: number };
}

/** What a check of the Dockerfile found. As BuildKit's `client.VertexWarning`; texts of the detail are base64. */
export interface TraceWarning {
  vertex: string;
  level: number;
  short: string;
  detail?: string[];
  url?: string;
  sourceInfo?: { filename: string; data: string; language?: string };
  range?: TraceRange[];
}

/** One line of `--progress=rawjson`: what changed. As BuildKit's `client.SolveStatus`. */
export interface SolveStatus {
  vertexes?: TraceVertex[];
  statuses?: TraceStatus[];
  logs?: TraceLog[];
  warnings?: TraceWarning[];
}

/** Tells what a build does, step by step. */
export class BuildTrace {
  readonly #send: ((status: SolveStatus) => void) | undefined;
  readonly #salt = randomBytes(8).toString('hex');
  #count = 0;

  /** @param send undefined: nobody listens, and nothing is done */
  constructor(send: ((status: SolveStatus) => void) | undefined) {
    this.#send = send;
  }

  /** A step begins. @param name as people read it: `[build 2/3] RUN make` */
  begin(name: string, inputs: readonly string[] = []): TracedStep {
    this.#count += 1;
    const digest = createHash('sha256').update(`${this.#salt} ${this.#count}`).digest('hex');
    return new TracedStep(this.#send, { digest: `sha256:${digest}`, name, inputs: [...inputs] });
  }

  /** Runs `body` as one step. */
  async during<T>(name: string, body: (step: TracedStep) => Promise<T> | T): Promise<T> {
    const step = this.begin(name);
    try {
      const result = await body(step);
      step.end();
      return result;
    } catch (error) {
      step.end(error);
      throw error;
    }
  }

  warn(step: TracedStep, warning: Omit<TraceWarning, 'vertex'>): void {
    this.#send?.({ warnings: [{ vertex: step.digest, ...warning }] });
  }
}

/** A step that was begun and is to be ended once. */
export class TracedStep {
  readonly digest: string;
  readonly name: string;
  readonly #send: ((status: SolveStatus) => void) | undefined;
  #vertex: TraceVertex;
  readonly #started = new Map<string, string>();

  constructor(
    send: ((status: SolveStatus) => void) | undefined,
    { digest, name, inputs }: { digest: string; name: string; inputs: string[] },
  ) {
    this.#send = send;
    this.digest = digest;
    this.name = name;
    this.#vertex = { digest, ...(inputs.length === 0 ? {} : { inputs }), name, started: now() };
    send?.({ vertexes: [this.#vertex] });
  }

  /** It need not be done again. Shown when it ends. */
  cached(): void {
    this.#vertex = { ...this.#vertex, cached: true };
  }

  log(stream: 'stdout' | 'stderr', chunk: Uint8Array): void {
    this.#send?.({
      logs: [
        {
          vertex: this.digest,
          stream: stream === 'stdout' ? 1 : 2,
          data: Buffer.from(chunk).toString('base64'),
          timestamp: now(),
        },
      ],
    });
  }

  /** A part of it, named by `id`, has come so far. */
  status(id: string, progress: { current: number; total?: number; done?: boolean }): void {
    if (this.#send === undefined) return;
    const timestamp = now();
    const started = this.#started.get(id) ?? timestamp;
    this.#started.set(id, started);
    const { current, total, done = false } = progress;
    this.#send({
      statuses: [
        {
          id,
          vertex: this.digest,
          ...(total === undefined ? {} : { total }),
          current,
          timestamp,
          started,
          ...(done ? { completed: timestamp } : {}),
        },
      ],
    });
  }

  /** @param error what went wrong, undefined when nothing did */
  end(error?: unknown): void {
    const text = error === undefined ? undefined : solveText(error);
    this.#vertex = { ...this.#vertex, completed: now(), ...(text === undefined ? {} : { error: text }) };
    this.#send?.({ vertexes: [this.#vertex] });
  }
}

function now(): string {
  return new Date().toISOString();
}
