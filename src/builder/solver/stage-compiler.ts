import { EngineError } from '../../errors/index.ts';
import type { Platform } from '../../spec/index.ts';
import type { NamedContexts } from '../context/named-contexts.ts';
import type { Dockerfile, Instruction } from '../dockerfile/instructions/instruction.ts';
import { parseInstruction } from '../dockerfile/instructions/parse-instruction.ts';
import { locate } from '../dockerfile/location.ts';
import { parseDockerfile } from '../dockerfile/parser/parse.ts';
import { applyConfig, defaultShell, nextWorkingDirectory } from '../graph/apply-config.ts';
import { copyVertex, directoryVertex } from '../graph/copy-vertex.ts';
import type { Vertex } from '../graph/operation.ts';
import { parsePlatform, stageOfFrom, type BuildPlan, type PlannedStage } from '../graph/plan.ts';
import { runVertex } from '../graph/run-vertex.ts';
import { StageState } from '../graph/stage.ts';
import { StepNames } from '../progress/step-names.ts';
import type { BuildTrace } from '../progress/trace.ts';
import type { BaseImages } from './base-images.ts';
import type { StepOutput } from './ordered-output.ts';
import type { BuildSession } from './session.ts';
import { silent, type ShownSteps } from './shown-steps.ts';
import type { SourceVertices } from './source-vertices.ts';
import { stepObserver } from './step-observer.ts';

/** What the stages of one build are compiled from. */
export interface Compilation {
  session: BuildSession;
  trace: BuildTrace;
  /** In front of the names of steps. */
  label: string;
  file: Dockerfile;
  plan: BuildPlan;
  named: NamedContexts;
  images: BaseImages;
  sources: SourceVertices;
  shown: ShownSteps;
  /** Of the build, for stages that name none. */
  platform: Platform;
  /** Arguments that are there without being given: BUILDPLATFORM, TARGETARCH … */
  platformArgs: ReadonlyMap<string, string>;
}

/** Compiles stages: what their instructions do to the files becomes a graph, what they say besides a configuration. */
export class StageCompiler {
  readonly #build: Compilation;
  readonly #names: StepNames;
  readonly #stages = new Map<number, Promise<StageState>>();
  readonly #usedArgs: Set<string>;

  constructor(build: Compilation) {
    this.#build = build;
    this.#names = new StepNames(build.plan, build.label);
    this.#usedArgs = new Set(build.file.metaArgs.map(({ name }) => name));
  }

  /** Names that an ARG has declared so far. */
  get usedArgs(): ReadonlySet<string> {
    return this.#usedArgs;
  }

  /** @throws {EngineError} as Builder.build(), with the place in the file */
  stage(planned: PlannedStage): Promise<StageState> {
    let state = this.#stages.get(planned.index);
    if (state === undefined) {
      state = this.#compile(planned);
      this.#stages.set(planned.index, state);
      state.catch(() => undefined);
    }
    return state;
  }

  /** Resolves when no stage is worked on. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#stages.values());
  }

  async #compile(planned: PlannedStage): Promise<StageState> {
    const { session, shown } = this.#build;
    const { stage, index } = planned;
    const [output = silent, ...outputs] = shown.of(index);
    const state = await this.#traceBase(planned, () => this.#begin(planned, output));
    const triggers = state.config.OnBuild ?? [];
    if (triggers.length > 0) await this.#triggers(state, triggers);
    for (const [at, instruction] of stage.instructions.entries()) {
      session.signal.throwIfAborted();
      try {
        await this.#instruction(state, instruction, outputs[at]);
      } catch (error) {
        // Those in front of it would have been shown by now.
        for (const before of [output, ...outputs.slice(0, at + 1)]) before.say('');
        locate(error, instruction);
        throw error;
      }
    }
    return state;
  }

  async #traceBase(planned: PlannedStage, begin: () => Promise<StageState>): Promise<StageState> {
    const { trace, shown } = this.#build;
    try {
      const name = this.#names.ofBase(planned);
      return name === undefined ? await begin() : await trace.during(name, begin);
    } catch (error) {
      shown.of(planned.index)[0]?.say('');
      locate(error, planned.stage);
      throw error;
    }
  }

  async #begin(planned: PlannedStage, output: StepOutput): Promise<StageState> {
    const { session, file, plan, named, images, sources } = this.#build;
    const { base, index, stage } = planned;
    const common = {
      index,
      output,
      platform: stagePlatform(this.#build, planned),
      ignoresCache: this.#ignoresCache(stage.name),
      buildArgs: session.buildArgs,
      escape: file.escape,
    };
    if (base.kind === 'stage') {
      const below = plan.stages[base.index];
      if (below === undefined) throw new EngineError('internal', `there is no stage ${base.index}`);
      const from = await this.stage(below);
      return new StageState({ ...common, image: from.image, base: from, vertex: from.vertex });
    }
    const wanted = baseImage(this.#build, planned);
    if (wanted !== undefined) {
      const image = await images.find(wanted.name, wanted.platform);
      return new StageState({ ...common, image, vertex: sources.image(image, wanted.name) });
    }
    const state = new StageState({ ...common, image: null, vertex: null });
    const context = base.kind === 'context' ? named.find(base.name) : undefined;
    if (base.kind !== 'context' || context === undefined || context.kind === 'image') return state;
    const source = await sources.named(base.name, context);
    const vertex = directoryVertex(source, source.name);
    state.step({ vertex, createdBy: (what) => `COPY ${what} in /`, output: undefined });
    return state;
  }

  #ignoresCache(stage: string): boolean {
    const { noCache, noCacheFilter = [] } = this.#build.session.request;
    if (noCache === true) return true;
    return stage !== '' && noCacheFilter.some((name) => name.toLowerCase() === stage);
  }

  async #triggers(state: StageState, triggers: readonly string[]): Promise<void> {
    state.output.say(`# Executing ${triggers.length} build trigger${triggers.length === 1 ? '' : 's'}\n`);
    state.dropTriggers();
    for (const trigger of triggers) {
      const [node] = parseDockerfile(trigger).nodes;
      if (node === undefined) continue;
      await this.#instruction(state, parseInstruction(node, this.#build.file.escape), undefined);
    }
  }

  async #instruction(
    state: StageState,
    instruction: Instruction,
    output: StepOutput | undefined,
  ): Promise<void> {
    const { session, trace, plan, platformArgs } = this.#build;
    const { request } = session;
    const name = this.#names.of(state.index, instruction) ?? instruction.original;
    const sourceOf = (from: string): Promise<Vertex | null> => this.#sourceOf(state.index, from);
    const observe = (vertex: Vertex): void =>
      session.observe(vertex, stepObserver(trace, { name, output: output ?? state.output, instruction }));
    switch (instruction.kind) {
      case 'run': {
        const { vertex, createdBy } = await runVertex(state, instruction, {
          name,
          networkMode: request.networkMode ?? '',
          extraHosts: request.extraHosts ?? [],
          entitlements: session.entitlements,
          machine: session.services.options.platform,
          sourceOf,
        });
        observe(vertex);
        state.step({ vertex, createdBy: () => createdBy, output });
        return;
      }
      case 'copy':
      case 'add': {
        const { vertex, work, createdBy } = await copyVertex(state, instruction, { name, sourceOf });
        observe(work);
        const { config } = state;
        state.step({ vertex, createdBy: (source) => nopText(config, createdBy(source)), output });
        return;
      }
      case 'workdir': {
        const path = nextWorkingDirectory(state.config, state.expand(instruction.value));
        const owner = state.config.User ?? '';
        const vertex: Vertex = {
          operation: { kind: 'file', action: { kind: 'mkdir', path, owner } },
          inputs: [state.vertex],
          ignoresCache: state.ignoresCache,
          name,
        };
        observe(vertex);
        const text = nopText(state.config, `WORKDIR ${path}`);
        state.step({
          vertex,
          createdBy: () => text,
          config: { ...state.config, WorkingDir: path },
          output,
        });
        return;
      }
      case 'arg': {
        const texts: string[] = [];
        for (const { name: arg, value } of instruction.pairs) {
          this.#usedArgs.add(arg);
          const given = value === undefined ? undefined : state.expand(value);
          state.declare(arg, given ?? plan.metaArgs.get(arg) ?? platformArgs.get(arg));
          texts.push(given === undefined ? arg : `${arg}=${given}`);
        }
        const text = nopText(state.config, ` ARG ${texts.join(' ')}`);
        state.step({ createdBy: () => text, output });
        return;
      }
      default: {
        const { config, text, author } = applyConfig(instruction, {
          config: state.config,
          cmdSet: state.cmdSet,
          expand: (word) => state.expand(word),
          expandWords: (word) => state.expandWords(word),
        });
        if (instruction.kind === 'cmd') state.cmdSet = true;
        const shown = nopText(config, text);
        state.step({
          createdBy: () => shown,
          config,
          ...(author === undefined ? {} : { author }),
          output,
        });
      }
    }
  }

  /** What `--from` means: '' is the context. */
  async #sourceOf(stageIndex: number, from: string): Promise<Vertex | null> {
    const { file, plan, named, images, sources } = this.#build;
    if (from === '') return sources.context;
    const stage = stageOfFrom(file.stages, stageIndex, from);
    const planned = stage === undefined ? undefined : plan.stages[stage];
    // A trigger of a base image may name a stage that nothing else needs.
    if (planned !== undefined) return (await this.stage(planned)).vertex;
    const context = named.find(from);
    if (context !== undefined && context.kind !== 'image') return await sources.named(from, context);
    try {
      const name = context?.name ?? from;
      return sources.image(
        await images.find(name, wantedPlatform(this.#build, plan.stages[stageIndex])),
        name,
      );
    } catch (error) {
      const why = (error as Error).message;
      throw new EngineError('invalid-parameter', `invalid from flag value ${from}: ${why}`, { cause: error });
    }
  }
}

/** What a stage is built for. */
export function stagePlatform(build: Compilation, { platform }: PlannedStage): Platform {
  const { services } = build.session;
  return platform === '' ? build.platform : parsePlatform(platform, services.options.platform);
}

/** The image that a stage begins with, undefined for none; its `platform` is undefined when any will do. */
export function baseImage(
  build: Compilation,
  planned: PlannedStage,
): { name: string; platform: Platform | undefined } | undefined {
  const { base } = planned;
  const context = base.kind === 'context' ? build.named.find(base.name) : undefined;
  const name = context?.kind === 'image' ? context.name : base.kind === 'image' ? base.name : undefined;
  if (name === undefined) return undefined;
  return { name, platform: wantedPlatform(build, planned) };
}

/** Of images that a stage uses; undefined when nobody said. */
function wantedPlatform(build: Compilation, planned: PlannedStage | undefined): Platform | undefined {
  const isOpen = (planned?.platform ?? '') === '' && (build.session.request.platform ?? '') === '';
  return isOpen || planned === undefined ? undefined : stagePlatform(build, planned);
}

/** As history shows a step that ran nothing. */
function nopText(config: { Shell?: string[] | null }, text: string): string {
  return `${(config.Shell ?? defaultShell).join(' ')} #(nop) ${text}`;
}
