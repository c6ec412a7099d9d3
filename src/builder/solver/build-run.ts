import { randomBytes } from 'node:crypto';
import { EngineError } from '../../errors/index.ts';
import type { Image } from '../../images/index.ts';
import {
  digestHex,
  formatReference,
  parseReference,
  withDefaultTag,
  type Digest,
  type ImageConfig,
  type Platform,
} from '../../spec/index.ts';
import type { BuildRequest } from '../builder.ts';
import { digestOfTexts, type BuildContext } from '../context/build-context.ts';
import { NamedContexts } from '../context/named-contexts.ts';
import { readDockerfile } from '../dockerfile/instructions/read-dockerfile.ts';
import type { Dockerfile, Instruction } from '../dockerfile/instructions/instruction.ts';
import { parseInstruction } from '../dockerfile/instructions/parse-instruction.ts';
import { locate } from '../dockerfile/location.ts';
import { parseDockerfile } from '../dockerfile/parser/parse.ts';
import { parsePlatform, planBuild, stageOfFrom, type BuildPlan, type PlannedStage } from '../graph/plan.ts';
import { viewImage, type ImageView } from '../ops/image-view.ts';
import type { CacheMounts } from '../ops/step-mounts.ts';
import type { BuilderOptions, BuilderParts } from '../parts.ts';
import { StepNames } from '../progress/step-names.ts';
import type { BuildTrace } from '../progress/trace.ts';
import { applyConfig, defaultShell } from './apply-config.ts';
import type { BuildCache } from './cache.ts';
import { contextStep } from './context-step.ts';
import { copyStep } from './copy-step.ts';
import { runStep } from './run-step.ts';
import { StageState } from './stage.ts';
import type { StepMaker } from './step-maker.ts';
import { workdirStep } from './workdir-step.ts';

/** What all builds of a builder share. */
export interface BuildServices {
  parts: BuilderParts;
  options: BuilderOptions;
  cache: BuildCache;
  cacheMounts: CacheMounts;
  maker: StepMaker;
}

/** Bytes of a key's beginning that change when keys are made otherwise. */
const KEY_VERSION = 'step-1';

/** One build: the stages that are needed, one after the other. */
export class BuildRun {
  readonly services: BuildServices;
  readonly request: BuildRequest;
  readonly context: BuildContext;
  readonly signal: AbortSignal;
  readonly trace: BuildTrace;
  /** Contents of files hashed so far. */
  readonly hashed = new Map<string, string>();
  readonly #file: Dockerfile;
  readonly #plan: BuildPlan;
  readonly #names: StepNames;
  readonly #named: NamedContexts;
  readonly #platformArgs: ReadonlyMap<string, string>;
  readonly #platform: Platform;
  readonly #results = new Map<number, StageState>();
  readonly #views = new Map<string, ImageView>();
  readonly #viewDirectory: string;
  #step = 0;
  #directories = 0;
  readonly #usedArgs = new Set<string>();

  constructor(
    services: BuildServices,
    request: BuildRequest,
    context: BuildContext,
    options: { directory: string; signal: AbortSignal; trace: BuildTrace },
  ) {
    this.services = services;
    this.request = request;
    this.context = context;
    this.signal = options.signal;
    this.trace = options.trace;
    this.#viewDirectory = options.directory;
    this.#named = new NamedContexts(request.namedContexts, {
      directory: options.directory,
      sentDirectory: context.sentDirectory,
      syscall: services.parts.syscall,
      limits: services.options.archiveLimits ?? {},
      signal: options.signal,
    });
    this.#file = readDockerfile(context.dockerfile, context.dockerfileName);
    const machine = services.options.platform;
    this.#platform = parsePlatform(request.platform ?? '', machine);
    this.#platformArgs = platformArguments(machine, this.#platform, request.target ?? '');
    this.#plan = planBuild(this.#file, {
      target: request.target ?? '',
      buildArgs: this.buildArgs,
      platformArgs: this.#platformArgs,
      isContext: (name) => this.#named.find(name) !== undefined,
    });
    const labels = Object.entries(request.labels ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
    const last = this.#plan.stages[this.#plan.target];
    for (const [name, value] of labels) {
      // Not to be expanded: it did not come from the Dockerfile.
      const quoted = (text: string): string => `'${text.replaceAll("'", `'"'"'`)}'`;
      last?.stage.instructions.push({
        kind: 'label',
        original: `LABEL ${name}=${value}`,
        line: 0,
        endLine: 0,
        pairs: [{ name: quoted(name), value: quoted(value) }],
      });
    }
    this.#plan.steps += labels.length;
    this.#names = new StepNames(this.#plan);
  }

  get buildArgs(): Readonly<Record<string, string | null>> {
    return this.request.buildArgs ?? {};
  }

  get escape(): '\\' | '`' {
    return this.#file.escape;
  }

  get stages(): BuildPlan['stages'] {
    return this.#plan.stages;
  }

  say(text: string): void {
    if (this.request.quiet !== true) this.request.onMessage?.({ stream: text });
  }

  async run(): Promise<Image> {
    for (const warning of this.#file.warnings) this.say(`\u001b[91m${warning}\u001b[0m`);
    for (const { original, name } of this.#file.metaArgs) {
      this.#announce(original);
      this.#usedArgs.add(name);
    }
    for (const planned of this.#plan.needed) await this.#stage(planned);
    const image = this.#results.get(this.#plan.target)?.image ?? null;
    if (image === null) {
      throw new EngineError('internal', 'No image was generated. Is your Dockerfile empty?');
    }
    this.#warnOfUnusedArgs();
    return image;
  }

  /** Views of images made for COPY and mounts. */
  close(): void {
    for (const view of this.#views.values()) view.close();
    this.#views.clear();
  }

  /** The root of the tree that a `--from` names; '' is the context. */
  async tree(stageIndex: number, from: string): Promise<{ path: string; isContext: boolean }> {
    if (from === '') return { path: this.context.directory, isContext: true };
    const named = stageOfFrom(this.#file.stages, stageIndex, from) === undefined && this.#named.find(from);
    if (named && named.kind !== 'image') {
      return { path: await this.#named.directory(from, named), isContext: true };
    }
    const image = named
      ? await this.#image(named.name, undefined)
      : await this.#imageOfFrom(stageIndex, from);
    const key = image?.id ?? 'scratch';
    let view = this.#views.get(key);
    if (view === undefined) {
      view = viewImage(image, `${this.#viewDirectory}/view-${this.#views.size}`, this.services.parts);
      this.#views.set(key, view);
    }
    return { path: view.path, isContext: false };
  }

  async #imageOfFrom(stageIndex: number, from: string): Promise<Image | null> {
    const stage = stageOfFrom(this.#file.stages, stageIndex, from);
    if (stage === undefined) {
      try {
        return await this.#image(from, undefined);
      } catch (error) {
        throw new EngineError(
          'invalid-parameter',
          `invalid from flag value ${from}: ${(error as Error).message}`,
          {
            cause: error,
          },
        );
      }
    }
    const planned = this.#plan.stages[stage];
    // A trigger of a base image may name a stage that nothing else needs.
    if (!this.#results.has(stage) && planned !== undefined) await this.#stage(planned);
    return this.#results.get(stage)?.image ?? null;
  }

  #announce(original: string): void {
    this.#step += 1;
    this.say(`Step ${this.#step}/${this.#plan.steps} : ${original}`);
    this.say('\n');
  }

  async #stage(planned: PlannedStage): Promise<void> {
    this.signal.throwIfAborted();
    const { stage, index } = planned;
    this.#announce(stage.original);
    const state = await this.#traceBase(planned, () => this.#begin(planned));
    this.#results.set(index, state);
    const triggers = state.image === null ? [] : (state.config.OnBuild ?? []);
    if (triggers.length > 0) await this.#triggers(state, triggers);
    this.say(` ---> ${shortId(state.image)}\n`);
    for (const instruction of stage.instructions) {
      this.signal.throwIfAborted();
      this.#announce(instruction.original);
      const before = state.image;
      await this.#traced(state, instruction);
      if (state.image !== null && (state.image !== before || before !== null)) {
        this.say(` ---> ${shortId(state.image)}\n`);
      }
    }
    if (state.image !== null) this.request.onMessage?.({ aux: { ID: state.image.id } });
  }

  async #traceBase(planned: PlannedStage, begin: () => Promise<StageState>): Promise<StageState> {
    try {
      const name = this.#names.ofBase(planned);
      return name === undefined ? await begin() : await this.trace.during(name, begin);
    } catch (error) {
      locate(error, planned.stage);
      throw error;
    }
  }

  /** An instruction with its place in the file on what goes wrong, and as a step of its own when it makes files. */
  async #traced(state: StageState, instruction: Instruction): Promise<void> {
    const name = this.#names.of(state.index, instruction);
    state.traced = name === undefined ? undefined : this.trace.begin(name);
    try {
      await this.#instruction(state, instruction);
      state.traced?.end();
    } catch (error) {
      locate(error, instruction);
      state.traced?.end(error);
      throw error;
    }
  }

  async #begin({ base, platform, index }: PlannedStage): Promise<StageState> {
    const wanted = platform === '' ? this.#platform : parsePlatform(platform, this.services.options.platform);
    const common = { index, platform: wanted, buildArgs: this.buildArgs, escape: this.escape };
    if (base.kind === 'stage') {
      const from = this.#results.get(base.index);
      if (from === undefined) throw new EngineError('internal', `stage ${base.index} is not built`);
      const state = new StageState({ ...common, image: from.image, key: from.key });
      state.busted = from.busted;
      return state;
    }
    if (base.kind === 'scratch') {
      const key = digestOfTexts([KEY_VERSION, 'scratch', wanted.os, wanted.architecture]);
      return new StageState({ ...common, image: null, key });
    }
    const named = base.kind === 'context' ? this.#named.find(base.name) : undefined;
    if (named !== undefined && named.kind !== 'image') {
      const key = digestOfTexts([KEY_VERSION, 'context', wanted.os, wanted.architecture]);
      const state = new StageState({ ...common, image: null, key });
      await contextStep(this, state, await this.#named.directory(base.name, named));
      return state;
    }
    const image = await this.#image(
      named?.name ?? base.name,
      platform === '' && (this.request.platform ?? '') === '' ? undefined : wanted,
    );
    return new StageState({ ...common, image, key: digestOfTexts([KEY_VERSION, 'image', image.id]) });
  }

  /** @param platform the image must be of; undefined: whatever is here */
  async #image(name: string, platform: Platform | undefined): Promise<Image> {
    const { images } = this.services.parts;
    const isId = /^(?:sha256:)?[0-9a-f]{12,64}$/.test(name) && images.has(name);
    if (!isId && (this.request.pull === true || !images.has(name, platform))) {
      await this.#pull(name, platform);
    }
    const image = images.has(name, platform) ? images.get(name, platform) : images.get(name);
    const { os, architecture } = image.config;
    if (
      platform !== undefined &&
      architecture !== '' &&
      (os !== platform.os || architecture !== platform.architecture)
    ) {
      throw new EngineError(
        'not-found',
        `image with reference ${name} was found but does not match the specified platform: wanted ${platform.os}/${platform.architecture}, actual: ${os}/${architecture}`,
      );
    }
    return image;
  }

  async #pull(name: string, platform: Platform | undefined): Promise<void> {
    let reference;
    try {
      reference = withDefaultTag(parseReference(name));
    } catch (error) {
      throw new EngineError('invalid-parameter', 'invalid reference format', { cause: error });
    }
    const credentials = this.request.credentials?.(reference.domain);
    await this.services.parts.images.pull(formatReference(reference), {
      ...(platform === undefined ? {} : { platform }),
      ...(credentials === undefined ? {} : { credentials }),
      signal: this.signal,
      onProgress: ({ aux, ...progress }) => {
        void aux;
        if (this.request.quiet !== true) this.request.onMessage?.(progress);
      },
    });
  }

  async #triggers(state: StageState, triggers: readonly string[]): Promise<void> {
    this.say(`# Executing ${triggers.length} build trigger${triggers.length === 1 ? '' : 's'}\n`);
    state.imageConfig = { ...state.imageConfig, config: { ...state.config, OnBuild: null } };
    for (const trigger of triggers) {
      const [node] = parseDockerfile(trigger).nodes;
      if (node === undefined) continue;
      await this.#instruction(state, parseInstruction(node, this.escape));
    }
  }

  async #instruction(state: StageState, instruction: Instruction): Promise<void> {
    switch (instruction.kind) {
      case 'run':
        await runStep(this, state, instruction);
        return;
      case 'copy':
      case 'add':
        await copyStep(this, state, instruction);
        return;
      case 'workdir':
        await workdirStep(this, state, instruction.value);
        return;
      case 'arg': {
        const texts: string[] = [];
        for (const { name, value } of instruction.pairs) {
          this.#usedArgs.add(name);
          const given = value === undefined ? undefined : state.expand(value);
          state.declare(name, given ?? this.#plan.metaArgs.get(name) ?? this.#platformArgs.get(name));
          texts.push(given === undefined ? name : `${name}=${given}`);
        }
        await this.metadata(state, ` ARG ${texts.join(' ')}`, state.config, {});
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
        await this.metadata(state, text, config, author === undefined ? {} : { author });
      }
    }
  }

  /** A step that changes the configuration alone. @param text as in history, behind `#(nop)` */
  async metadata(
    state: StageState,
    text: string,
    config: ImageConfig['config'],
    more: Partial<ImageConfig>,
  ): Promise<void> {
    await this.services.maker.step(this, state, {
      createdBy: nopText(config, text),
      inputs: [JSON.stringify(config), JSON.stringify(more)],
      config: { ...state.imageConfig, ...more, config: config ?? {} },
      makeLayer: undefined,
    });
  }

  /** A path of its own below the build's directory, on the file system of the layers. */
  newDirectory(name: string): string {
    this.#directories += 1;
    return `${this.#viewDirectory}/${name}-${this.#directories}`;
  }

  newId(): string {
    return randomBytes(32).toString('hex');
  }

  #warnOfUnusedArgs(): void {
    const known = new Set([...this.#usedArgs, ...this.#platformArgs.keys()]);
    const unused = Object.keys(this.buildArgs).filter(
      (name) =>
        !known.has(name) && !/^(?:https?|ftp|no|all)_proxy$/i.test(name) && !name.startsWith('BUILDKIT_'),
    );
    if (unused.length === 0) return;
    this.say(`[Warning] One or more build-args [${unused.toSorted().join(' ')}] were not consumed\n`);
  }
}

/** As history shows a step that ran nothing. */
export function nopText(config: ImageConfig['config'], text: string): string {
  return `${(config?.Shell ?? defaultShell).join(' ')} #(nop) ${text}`;
}

export function shortId(image: Image | null): string {
  return image === null ? '' : shortDigest(image.id);
}

export function shortDigest(digest: Digest): string {
  return digestHex(digest).slice(0, 12);
}

function platformArguments(build: Platform, target: Platform, stage: string): Map<string, string> {
  const text = ({ os, architecture, variant }: Platform): string =>
    [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');
  return new Map([
    ['BUILDPLATFORM', text(build)],
    ['BUILDOS', build.os],
    ['BUILDARCH', build.architecture],
    ['BUILDVARIANT', build.variant ?? ''],
    ['TARGETPLATFORM', text(target)],
    ['TARGETOS', target.os],
    ['TARGETARCH', target.architecture],
    ['TARGETVARIANT', target.variant ?? ''],
    ['TARGETSTAGE', stage === '' ? 'default' : stage],
  ]);
}
