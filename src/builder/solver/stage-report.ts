import type { LayerStack } from '../../images/index.ts';
import { digestHex, type ImageConfig } from '../../spec/index.ts';
import { digestOfTexts } from '../context/build-context.ts';
import type { StageState, StageStep } from '../graph/stage.ts';
import type { TreeResult } from '../ops/prepared.ts';
import type { BuildSession } from './session.ts';

type History = NonNullable<ImageConfig['history']>;

/** A stage whose files are there. */
export interface ReportedStage {
  state: StageState;
  /** The files; null for none. */
  stack: LayerStack | null;
  history: History;
  /** Tells all that led here, the configuration included. */
  key: string;
}

/**
 * Has the files of a stage's steps made, and tells of each step in turn whether it was known, and what history says of it. A
 * step that changes the configuration alone is known when the same was done to the same before.
 */
export class StageReport {
  readonly #session: BuildSession;
  readonly #state: StageState;
  readonly #base: Promise<ReportedStage> | undefined;
  readonly #history: History = [];
  #stack: LayerStack | null = null;
  #key = '';

  constructor(session: BuildSession, state: StageState, base: Promise<ReportedStage> | undefined) {
    this.#session = session;
    this.#state = state;
    this.#base = base;
  }

  /** @throws {EngineError} what goes wrong in one of the steps */
  async run(): Promise<ReportedStage> {
    const { image, output, steps, platform } = this.#state;
    // All may begin; which is waited for first is only for showing.
    for (const { vertex } of steps) if (vertex !== undefined) void this.#solve(vertex).catch(() => undefined);
    const base = await this.#base;
    this.#stack = base?.stack ?? image;
    this.#history.push(...(base?.history ?? image?.config.history ?? []));
    this.#key = base?.key ?? digestOfTexts([image?.id ?? 'scratch', platform.os, platform.architecture]);
    const triggered = steps.filter((step) => step.output === undefined);
    for (const step of triggered) await this.#step(step);
    output.say(` ---> ${this.#shown()}\n`);
    output.close();
    for (const step of steps.slice(triggered.length)) {
      await this.#step(step);
      step.output?.say(` ---> ${this.#shown()}\n`);
      step.output?.close();
    }
    return { state: this.#state, stack: this.#stack, history: this.#history, key: this.#key };
  }

  /** Of an image its id, of what was made here the beginning of its key. */
  #shown(): string {
    const { image, base, steps } = this.#state;
    if (this.#history.length === (image?.config.history?.length ?? 0) && base === undefined) {
      return image === null ? '' : digestHex(image.id).slice(0, 12);
    }
    return steps.length === 0 && this.#state.isEmpty ? '' : this.#key.slice(0, 12);
  }

  async #solve(vertex: NonNullable<StageStep['vertex']>): Promise<TreeResult> {
    const result = await this.#session.services.solver.solve(this.#session, vertex);
    if (result.kind !== 'tree') throw new Error(`${vertex.name} gives no tree`);
    return result;
  }

  async #step(step: StageStep): Promise<void> {
    const output = step.output ?? this.#state.output;
    const { author, config } = step;
    let isEmpty = true;
    let createdAtMs: number;
    let createdBy: string;
    if (step.vertex === undefined) {
      createdBy = step.createdBy('');
      this.#key = digestOfTexts([this.#key, createdBy, author ?? '', JSON.stringify(config)]);
      const { cache } = this.#session.services;
      const known = this.#state.ignoresCache ? undefined : cache.findConfig(this.#key);
      output.say(known === undefined ? '' : ' ---> Using cache\n');
      createdAtMs = known ?? cache.putConfig(this.#key);
    } else {
      const result = await this.#solve(step.vertex);
      if (result.isCached) output.say(' ---> Using cache\n');
      createdBy = step.createdBy(result.source);
      this.#key = digestOfTexts([this.#key, createdBy, result.identity, JSON.stringify(config)]);
      this.#stack = result.stack;
      isEmpty = result.ownLayers === 0;
      ({ createdAtMs } = result);
    }
    this.#history.push({
      created: new Date(createdAtMs).toISOString(),
      created_by: createdBy,
      ...(author === undefined || author === '' ? {} : { author }),
      ...(isEmpty ? { empty_layer: true } : {}),
    });
  }
}
