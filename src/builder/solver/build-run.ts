import { EngineError, errorMessage } from '../../errors/index.ts';
import type { Image } from '../../images/index.ts';
import {
  digestHex,
  formatReference,
  parseReference,
  withDefaultTag,
  type Digest,
  type Platform,
} from '../../spec/index.ts';
import type { BuildAnswer, BuildQuestion, BuildRequest, NamedContext } from '../builder.ts';
import type { BuildContext } from '../context/build-context.ts';
import { NamedContexts } from '../context/named-contexts.ts';
import { readDockerfile } from '../dockerfile/instructions/read-dockerfile.ts';
import type { Dockerfile, Instruction } from '../dockerfile/instructions/instruction.ts';
import { parseInstruction } from '../dockerfile/instructions/parse-instruction.ts';
import { lintDockerfile } from '../dockerfile/lint/lint.ts';
import { lintResults, traceWarning } from '../dockerfile/lint/results.ts';
import type { StageSurroundings } from '../dockerfile/lint/stage-rules.ts';
import { locate } from '../dockerfile/location.ts';
import { listTargets, outlineOf } from '../dockerfile/outline.ts';
import { parseDockerfile } from '../dockerfile/parser/parse.ts';
import { applyConfig, defaultShell, nextWorkingDirectory } from '../graph/apply-config.ts';
import { copyVertex, directoryVertex } from '../graph/copy-vertex.ts';
import type { Vertex } from '../graph/operation.ts';
import { parsePlatform, planBuild, stageOfFrom, type BuildPlan, type PlannedStage } from '../graph/plan.ts';
import { runVertex } from '../graph/run-vertex.ts';
import { StageState } from '../graph/stage.ts';
import { StepNames } from '../progress/step-names.ts';
import type { BuildTrace, TracedStep } from '../progress/trace.ts';
import { finishImage } from './finish-image.ts';
import { inlineCache } from './inline-cache.ts';
import { OrderedOutput, type StepOutput } from './ordered-output.ts';
import { BuildSession, type BuildServices, type VertexObserver } from './session.ts';
import { StageReport, type ReportedStage } from './stage-report.ts';

/** The name of the build's own context among its local sources. */
const CONTEXT = '';

/** One build: the Dockerfile compiled to a graph, solved, and the image of it. */
export class BuildRun {
  readonly session: BuildSession;
  readonly request: BuildRequest;
  readonly trace: BuildTrace;
  readonly #services: BuildServices;
  readonly #context: BuildContext;
  readonly #file: Dockerfile;
  readonly #plan: BuildPlan;
  readonly #names: StepNames;
  readonly #named: NamedContexts;
  readonly #platformArgs: ReadonlyMap<string, string>;
  readonly #platform: Platform;
  readonly #output: OrderedOutput;
  /** Of each stage that is shown, for FROM and for its instructions. */
  readonly #outputs = new Map<number, StepOutput[]>();
  readonly #stages = new Map<number, Promise<StageState>>();
  readonly #reports = new Map<StageState, Promise<ReportedStage>>();
  readonly #images = new Map<string, Promise<Image>>();
  readonly #sources = new Map<string, Vertex>();
  readonly #usedArgs = new Set<string>();

  constructor(
    services: BuildServices,
    request: BuildRequest,
    context: BuildContext,
    options: { directory: string; signal: AbortSignal; trace: BuildTrace },
  ) {
    this.#services = services;
    this.#context = context;
    this.request = request;
    this.trace = options.trace;
    this.session = new BuildSession(services, request, {
      ...options,
      locals: new Map([[CONTEXT, context.directory]]),
    });
    this.#named = new NamedContexts(request.namedContexts, {
      directory: options.directory,
      sentDirectory: context.sentDirectory,
      syscall: services.parts.syscall,
      limits: services.options.archiveLimits ?? {},
      signal: this.session.signal,
    });
    this.#output = new OrderedOutput((text) => this.say(text));
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
        keyword: 'LABEL',
        comments: [],
        isOldForm: false,
        pairs: [{ name: quoted(name), value: quoted(value) }],
      });
    }
    this.#plan.steps += labels.length;
    this.#names = new StepNames(this.#plan);
  }

  get buildArgs(): Readonly<Record<string, string | null>> {
    return this.request.buildArgs ?? {};
  }

  say(text: string): void {
    if (this.request.quiet !== true) this.request.onMessage?.({ stream: text });
  }

  async run(): Promise<Image> {
    for (const warning of this.#file.warnings) this.say(`\u001b[91m${warning}\u001b[0m`);
    this.#announce();
    try {
      await this.#import();
      const needed = await Promise.all(this.#plan.needed.map((planned) => this.#stage(planned)));
      await this.#check();
      const reports = await Promise.all(needed.map((state) => this.#report(state)));
      const target = reports[needed.findIndex(({ index }) => index === this.#plan.target)];
      if (target === undefined || target.state.isEmpty) {
        throw new EngineError('internal', 'No image was generated. Is your Dockerfile empty?');
      }
      const image = await finishImage(this.session, target);
      this.#output.reveal();
      this.request.onMessage?.({ aux: { ID: image.id } });
      this.#warnOfUnusedArgs();
      return image;
    } catch (error) {
      this.session.fail(error);
      // What this build alone waits for is gone then, and what it was doing has been shown.
      await Promise.allSettled([...this.#stages.values(), ...this.#reports.values()]);
      await Promise.allSettled(this.session.results.values());
      this.#output.reveal();
      throw error;
    }
  }

  /** Checks the file, and tells what was found. @throws {EngineError} when the file says that this is an error */
  async #check(): Promise<void> {
    const { warnings, isError } = await this.lint(false);
    if (warnings.length > 0) {
      const step = this.trace.begin('[internal] check build definition');
      for (const warning of warnings) this.trace.warn(step, traceWarning(this.#context, warning));
      step.end();
    }
    if (!isError) return;
    const names = [...new Set(warnings.map(({ rule }) => rule.name))];
    const problem = `lint violation found for rules: ${names.join(', ')}`;
    throw new EngineError('invalid-parameter', problem, { code: 'lint' });
  }

  /** @param all of the file, whatever the target needs */
  async lint(all: boolean): Promise<ReturnType<typeof lintDockerfile>> {
    const { stages, needed, metaArgs } = this.#plan;
    const looked = all ? stages : needed;
    const images = new Map<number, Image>();
    for (const { base, platform, index } of looked) {
      const named = base.kind === 'context' ? this.#named.find(base.name) : undefined;
      const name = named?.kind === 'image' ? named.name : base.kind === 'image' ? base.name : '';
      if (name === '') continue;
      const isOpen = platform === '' && (this.request.platform ?? '') === '';
      const wanted =
        platform === '' ? this.#platform : parsePlatform(platform, this.#services.options.platform);
      images.set(index, await this.#findImage(name, isOpen ? undefined : wanted));
    }
    const ends = new Map<number, Pick<StageSurroundings, 'variables' | 'hasShell'>>();
    const given = new Map([...this.#platformArgs, ...metaArgs]);
    for (const [name, value] of Object.entries(this.buildArgs)) if (value !== null) given.set(name, value);
    return lintDockerfile({
      file: this.#file,
      needed: new Set(looked.map(({ index }) => index)),
      platformArgs: this.#platformArgs,
      metaArgs,
      surroundings: (index) => {
        const base = stages[index]?.base;
        const before = base?.kind === 'stage' ? ends.get(base.index) : undefined;
        const image = images.get(index);
        const config = image?.config.config;
        const foreignBase = image && this.#foreign(stages[index], image);
        return {
          escape: this.#file.escape,
          variables: before?.variables ?? environmentOf(config?.Env ?? []),
          hasShell: before?.hasShell ?? (config?.Shell?.length ?? 0) > 0,
          ...(foreignBase === undefined ? {} : { foreignBase }),
          given,
          ignored: this.#context.ignored,
          ended: (variables, hasShell) => ends.set(index, { variables, hasShell }),
        };
      },
    });
  }

  #foreign(planned: PlannedStage | undefined, image: Image): StageSurroundings['foreignBase'] {
    const { os, architecture } = image.config;
    const text = planned?.platform ?? '';
    const wanted = text === '' ? this.#platform : parsePlatform(text, this.#services.options.platform);
    if (architecture === '' || (os === wanted.os && architecture === wanted.architecture)) return undefined;
    const expected = `${wanted.os}/${wanted.architecture}`;
    return { name: planned?.stage.base ?? '', expected, actual: `${os}/${architecture}` };
  }

  /** What `--call` asks for. */
  async answer(question: BuildQuestion): Promise<BuildAnswer> {
    const text = this.#context.dockerfile;
    if (question === 'targets') return listTargets(this.#file, text);
    if (question === 'outline') {
      const { buildArgs } = this;
      return outlineOf(this.#file, this.#plan, { text, buildArgs, platformArgs: this.#platformArgs });
    }
    const { warnings } = await this.lint((this.request.target ?? '') === '');
    return lintResults(this.#context, warnings);
  }

  /** The places of all steps in what is shown: in the order of the file, whatever is done first. */
  #announce(): void {
    let step = 0;
    const open = (original: string): StepOutput => {
      step += 1;
      const output = this.#output.open();
      const text = `Step ${step}/${this.#plan.steps} : ${original}`;
      return announced(output, text);
    };
    for (const { original, name } of this.#file.metaArgs) {
      const output = open(original);
      output.say('');
      output.close();
      this.#usedArgs.add(name);
    }
    for (const { index, stage } of this.#plan.needed) {
      this.#outputs.set(index, [
        open(stage.original),
        ...stage.instructions.map(({ original }) => open(original)),
      ]);
    }
  }

  /** Compiles a stage. */
  #stage(planned: PlannedStage): Promise<StageState> {
    let state = this.#stages.get(planned.index);
    if (state === undefined) {
      state = this.#compile(planned);
      this.#stages.set(planned.index, state);
      state.catch(() => undefined);
    }
    return state;
  }

  async #compile(planned: PlannedStage): Promise<StageState> {
    const { stage, index } = planned;
    const [output = silent, ...outputs] = this.#outputs.get(index) ?? [];
    const state = await this.#traceBase(planned, () => this.#begin(planned, output));
    const triggers = state.config.OnBuild ?? [];
    if (triggers.length > 0) await this.#triggers(state, triggers);
    for (const [at, instruction] of stage.instructions.entries()) {
      this.session.signal.throwIfAborted();
      try {
        await this.#instruction(state, instruction, outputs[at]);
      } catch (error) {
        // Those in front of it would have been shown by now.
        for (const shown of [output, ...outputs.slice(0, at + 1)]) shown.say('');
        locate(error, instruction);
        throw error;
      }
    }
    return state;
  }

  async #traceBase(planned: PlannedStage, begin: () => Promise<StageState>): Promise<StageState> {
    try {
      const name = this.#names.ofBase(planned);
      return name === undefined ? await begin() : await this.trace.during(name, begin);
    } catch (error) {
      this.#outputs.get(planned.index)?.[0]?.say('');
      locate(error, planned.stage);
      throw error;
    }
  }

  async #begin({ base, platform, index, stage }: PlannedStage, output: StepOutput): Promise<StageState> {
    const wanted =
      platform === '' ? this.#platform : parsePlatform(platform, this.#services.options.platform);
    const common = {
      index,
      output,
      platform: wanted,
      ignoresCache: this.#ignoresCache(stage.name),
      buildArgs: this.buildArgs,
      escape: this.#file.escape,
    };
    if (base.kind === 'stage') {
      const planned = this.#plan.stages[base.index];
      if (planned === undefined) throw new EngineError('internal', `there is no stage ${base.index}`);
      const from = await this.#stage(planned);
      return new StageState({ ...common, image: from.image, base: from, vertex: from.vertex });
    }
    if (base.kind === 'scratch') return new StageState({ ...common, image: null, vertex: null });
    const isOpen = platform === '' && (this.request.platform ?? '') === '';
    const named = base.kind === 'context' ? this.#named.find(base.name) : undefined;
    if (named !== undefined && named.kind !== 'image') {
      const state = new StageState({ ...common, image: null, vertex: null });
      const source = await this.#contextVertex(base.name, named);
      const vertex = directoryVertex(source, source.name);
      state.step({ vertex, createdBy: (what) => `COPY ${what} in /`, output: undefined });
      return state;
    }
    const image = await this.#findImage(named?.name ?? base.name, isOpen ? undefined : wanted);
    return new StageState({ ...common, image, vertex: this.#imageVertex(image) });
  }

  #ignoresCache(stage: string): boolean {
    if (this.request.noCache === true) return true;
    const names = this.request.noCacheFilter ?? [];
    return stage !== '' && names.some((name) => name.toLowerCase() === stage);
  }

  async #triggers(state: StageState, triggers: readonly string[]): Promise<void> {
    state.output.say(`# Executing ${triggers.length} build trigger${triggers.length === 1 ? '' : 's'}\n`);
    state.dropTriggers();
    for (const trigger of triggers) {
      const [node] = parseDockerfile(trigger).nodes;
      if (node === undefined) continue;
      await this.#instruction(state, parseInstruction(node, this.#file.escape), undefined);
    }
  }

  async #instruction(
    state: StageState,
    instruction: Instruction,
    output: StepOutput | undefined,
  ): Promise<void> {
    const name = this.#names.of(state.index, instruction) ?? instruction.original;
    const sourceOf = (from: string): Promise<Vertex | null> => this.#sourceOf(state.index, from);
    const observe = (vertex: Vertex): void =>
      this.session.observe(vertex, this.#observer(name, output ?? state.output, instruction));
    switch (instruction.kind) {
      case 'run': {
        const { vertex, createdBy } = await runVertex(state, instruction, {
          name,
          networkMode: this.request.networkMode ?? '',
          extraHosts: this.request.extraHosts ?? [],
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
        const vertex: Vertex = {
          operation: { kind: 'file', action: { kind: 'mkdir', path } },
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
          state.declare(arg, given ?? this.#plan.metaArgs.get(arg) ?? this.#platformArgs.get(arg));
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
    if (from === '') return this.#localVertex(CONTEXT);
    const stage = stageOfFrom(this.#file.stages, stageIndex, from);
    const planned = stage === undefined ? undefined : this.#plan.stages[stage];
    // A trigger of a base image may name a stage that nothing else needs.
    if (planned !== undefined) return (await this.#stage(planned)).vertex;
    const named = this.#named.find(from);
    if (named !== undefined && named.kind !== 'image') return await this.#contextVertex(from, named);
    try {
      return this.#imageVertex(await this.#findImage(named?.name ?? from, undefined));
    } catch (error) {
      const why = (error as Error).message;
      throw new EngineError('invalid-parameter', `invalid from flag value ${from}: ${why}`, { cause: error });
    }
  }

  async #contextVertex(name: string, context: Exclude<NamedContext, { kind: 'image' }>): Promise<Vertex> {
    const directory = await this.#named.directory(name, context);
    this.session.addLocal(directory, directory);
    return this.#localVertex(directory);
  }

  #localVertex(name: string): Vertex {
    return this.#source(`local ${name}`, {
      operation: { kind: 'source', from: 'local', name },
      inputs: [],
      ignoresCache: false,
      name: name === CONTEXT ? '[internal] load build context' : `[context ${name}] load from client`,
    });
  }

  #imageVertex(image: Image): Vertex {
    return this.#source(image.id, {
      operation: { kind: 'source', from: 'image', imageId: image.id },
      inputs: [],
      ignoresCache: false,
      name: `FROM ${image.id}`,
    });
  }

  /** The same source is one vertex. */
  #source(key: string, vertex: Vertex): Vertex {
    const known = this.#sources.get(key);
    if (known !== undefined) return known;
    this.#sources.set(key, vertex);
    return vertex;
  }

  /** @param platform the image must be of; undefined: whatever is here */
  #findImage(name: string, platform: Platform | undefined): Promise<Image> {
    const key = `${name} ${platform === undefined ? '' : JSON.stringify(platform)}`;
    let image = this.#images.get(key);
    if (image === undefined) {
      image = this.#fetchImage(name, platform);
      this.#images.set(key, image);
      image.catch(() => undefined);
    }
    return image;
  }

  async #fetchImage(name: string, platform: Platform | undefined): Promise<Image> {
    const { images } = this.#services.parts;
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
    await this.#services.parts.images.pull(formatReference(reference), {
      ...(platform === undefined ? {} : { platform }),
      ...(credentials === undefined ? {} : { credentials }),
      signal: this.session.signal,
      onProgress: ({ aux, ...progress }) => {
        void aux;
        if (this.request.quiet !== true) this.request.onMessage?.(progress);
      },
    });
  }

  /** Solves a stage's steps and shows them. */
  #report(state: StageState): Promise<ReportedStage> {
    let report = this.#reports.get(state);
    if (report === undefined) {
      const base = state.base === undefined ? undefined : this.#report(state.base);
      report = new StageReport(this.session, state, base).run();
      this.#reports.set(state, report);
      report.catch(() => undefined);
    }
    return report;
  }

  /** Looks what the images bring that the build was told of. One that is not to be had is no error: there is less known. */
  async #import(): Promise<void> {
    for (const name of this.request.cacheFrom ?? []) {
      try {
        const image = await this.#findImage(name, undefined);
        for (const [key, step] of inlineCache(image)) this.session.imported.set(key, step);
      } catch (error) {
        this.session.signal.throwIfAborted();
        this.say(`[Warning] Cannot use ${name} as a cache: ${errorMessage(error)}\n`);
      }
    }
  }

  #observer(name: string, output: StepOutput, instruction: Instruction): VertexObserver {
    let traced: TracedStep | undefined;
    const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
    return {
      begin: () => {
        traced = this.trace.begin(name);
        output.say('');
      },
      output: (said) => {
        if (said.kind === 'note') {
          output.say(said.text);
          return;
        }
        traced?.log(said.kind, said.chunk);
        const text = decoders[said.kind].decode(said.chunk, { stream: true });
        // Standard error in bright red, as Docker's classic builder shows it.
        if (text !== '') output.say(said.kind === 'stdout' ? text : `\u001b[91m${text}\u001b[0m`);
      },
      cached: () => traced?.cached(),
      end: (error) => {
        if (error !== undefined) locate(error, instruction);
        traced?.end(error);
      },
    };
  }

  #warnOfUnusedArgs(): void {
    const known = new Set([...this.#usedArgs, ...this.#platformArgs.keys()]);
    const unused = Object.keys(this.buildArgs).filter(
      (name) =>
        !known.has(name) &&
        !/^(?:https?|ftp|no|all)_proxy$/i.test(name) &&
        !name.startsWith('BUILDKIT_') &&
        name !== 'SOURCE_DATE_EPOCH',
    );
    if (unused.length === 0) return;
    this.say(`[Warning] One or more build-args [${unused.toSorted().join(' ')}] were not consumed\n`);
  }
}

/** `A=b` entries by name; a PATH is there in any case. */
function environmentOf(entries: readonly string[]): Map<string, string> {
  const variables = new Map([['PATH', '']]);
  for (const entry of entries) {
    const equals = entry.indexOf('=');
    if (equals > 0) variables.set(entry.slice(0, equals), entry.slice(equals + 1));
  }
  return variables;
}

const silent: StepOutput = { say: () => undefined, close: () => undefined };

/** Shows `text` and a line's end, as two messages, before whatever is said first; not at all when nothing is. */
function announced(output: StepOutput, text: string): StepOutput {
  let isAnnounced = false;
  return {
    say(said) {
      if (!isAnnounced) {
        isAnnounced = true;
        output.say(text);
        output.say('\n');
      }
      if (said !== '') output.say(said);
    },
    close: () => output.close(),
  };
}

/** As history shows a step that ran nothing. */
function nopText(config: { Shell?: string[] | null }, text: string): string {
  return `${(config.Shell ?? defaultShell).join(' ')} #(nop) ${text}`;
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
