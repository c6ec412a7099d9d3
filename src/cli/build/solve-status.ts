/** What the engine tells of a build's steps, in BuildKit's JSON. Times are RFC 3339; data, logs and details are base64. */
export interface SolveStatus {
  vertexes?: {
    digest: string;
    name: string;
    started?: string;
    completed?: string;
    cached?: boolean;
    error?: string;
  }[];
  statuses?: {
    id: string;
    vertex: string;
    total?: number;
    current: number;
    timestamp: string;
    started?: string;
    completed?: string;
  }[];
  logs?: { vertex: string; stream: 1 | 2; data: string; timestamp: string }[];
  warnings?: BuildWarning[];
}

export interface BuildWarning {
  vertex: string;
  level: number;
  /** Base64. */
  short: string;
  /** Base64. */
  detail?: string[];
  url?: string;
  sourceInfo?: { filename: string; data: string };
  range?: { start: { line: number }; end: { line: number } }[];
}

/** A part of a step that moves on by itself, e.g. a download. */
export interface StepStatus {
  id: string;
  current: number;
  total: number;
  startedMs: number;
  atMs: number;
  done: boolean;
}

/** One step as far as it is known. */
export interface Step {
  readonly digest: string;
  name: string;
  startedMs: number | undefined;
  completedMs: number | undefined;
  cached: boolean;
  error: string | undefined;
  readonly statuses: Map<string, StepStatus>;
  /** Whole lines, with the seconds since the step began. */
  readonly lines: { text: string; seconds: number }[];
  /** Behind the last newline. */
  partial: string;
  readonly warnings: BuildWarning[];
}

/** It ended because something else failed. */
export function isCanceled({ error }: Pick<Step, 'error'>): boolean {
  return error === 'context canceled';
}

/** All steps of a build, in the order in which they began. */
export class BuildSteps {
  readonly #steps = new Map<string, Step>();

  get all(): Step[] {
    return [...this.#steps.values()];
  }

  get warnings(): BuildWarning[] {
    return this.all.flatMap((step) => step.warnings);
  }

  /** @returns the steps that changed */
  update(status: SolveStatus): Step[] {
    const changed = new Set<Step>();
    for (const vertex of status.vertexes ?? []) {
      const step = this.#step(vertex.digest);
      step.name = vertex.name;
      step.startedMs = moment(vertex.started) ?? step.startedMs;
      step.completedMs = moment(vertex.completed) ?? step.completedMs;
      step.cached = vertex.cached ?? step.cached;
      step.error = vertex.error ?? step.error;
      changed.add(step);
    }
    for (const one of status.statuses ?? []) {
      const step = this.#step(one.vertex);
      const atMs = moment(one.completed) ?? Date.parse(one.timestamp);
      const startedMs = moment(one.started) ?? atMs;
      const { id, current, total = 0 } = one;
      step.statuses.set(id, { id, current, total, startedMs, atMs, done: one.completed !== undefined });
      changed.add(step);
    }
    for (const log of status.logs ?? []) {
      const step = this.#step(log.vertex);
      const seconds = Math.max(0, (Date.parse(log.timestamp) - (step.startedMs ?? 0)) / 1000);
      const lines = (step.partial + Buffer.from(log.data, 'base64').toString('utf8')).split('\n');
      step.partial = lines.pop() ?? '';
      for (const line of lines) step.lines.push({ text: line.replace(/\r$/, ''), seconds });
      changed.add(step);
    }
    for (const warning of status.warnings ?? []) {
      const step = this.#step(warning.vertex);
      step.warnings.push(warning);
      changed.add(step);
    }
    return [...changed];
  }

  #step(digest: string): Step {
    let step = this.#steps.get(digest);
    if (step === undefined) {
      step = {
        digest,
        name: '',
        startedMs: undefined,
        completedMs: undefined,
        cached: false,
        error: undefined,
        statuses: new Map(),
        lines: [],
        partial: '',
        warnings: [],
      };
      this.#steps.set(digest, step);
    }
    return step;
  }
}

function moment(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Date.parse(text);
}

export function decoded(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8');
}
