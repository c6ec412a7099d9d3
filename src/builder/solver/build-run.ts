import { EngineError, errorMessage } from '../../errors/index.ts';
import type { Image } from '../../images/index.ts';
import { digestHex, type Digest, type Platform } from '../../spec/index.ts';
import type { BuildAnswer, BuildQuestion, BuildRequest } from '../builder.ts';
import type { BuildContext } from '../context/build-context.ts';
import { NamedContexts } from '../context/named-contexts.ts';
import { readDockerfile } from '../dockerfile/instructions/read-dockerfile.ts';
import { lintResults, traceWarning } from '../dockerfile/lint/results.ts';
import { listTargets, outlineOf } from '../dockerfile/outline.ts';
import { parsePlatform, planBuild, platformArguments, type BuildPlan } from '../graph/plan.ts';
import type { StageState } from '../graph/stage.ts';
import type { BuildTrace } from '../progress/trace.ts';
import type { KnownBuild } from '../remote-cache/cache-config.ts';
import { importCache } from '../remote-cache/import-cache.ts';
import { cacheImport } from '../remote-cache/options.ts';
import { BaseImages } from './base-images.ts';
import { finishImage } from './finish-image.ts';
import { lintBuild } from './lint-build.ts';
import { BuildSession, type BuildServices } from './session.ts';
import { ShownSteps } from './shown-steps.ts';
import { CONTEXT, SourceVertices } from './source-vertices.ts';
import { StageCompiler, type Compilation } from './stage-compiler.ts';
import { StageReport, type ReportedStage } from './stage-report.ts';

/** One build: the Dockerfile compiled to a graph, solved, and the image of it. */
export class BuildRun {
  readonly session: BuildSession;
  readonly #context: BuildContext;
  readonly #build: Compilation;
  readonly #compiler: StageCompiler;
  readonly #reports = new Map<StageState, Promise<ReportedStage>>();
  #layers: KnownBuild['layers'] = [];

  constructor(
    services: BuildServices,
    request: BuildRequest,
    context: BuildContext,
    options: {
      directory: string;
      signal: AbortSignal;
      trace: BuildTrace;
      /** In front of the names of steps: the platform when there are several. */
      label: string;
    },
  ) {
    this.#context = context;
    const { trace, label } = options;
    const session = new BuildSession(services, request, {
      ...options,
      sentDirectory: context.sentDirectory,
      locals: new Map([[CONTEXT, context.directory]]),
      files: context.files,
    });
    this.session = session;
    const named = new NamedContexts(request.namedContexts, {
      directory: options.directory,
      sentDirectory: context.sentDirectory,
      syscall: services.parts.syscall,
      limits: services.options.archiveLimits ?? {},
      signal: session.signal,
      files: context.files,
      reusable: services.keptContexts,
    });
    const file = readDockerfile(context.dockerfile, context.dockerfileName);
    const machine = services.options.platform;
    const platform: Platform = parsePlatform(request.platform ?? '', machine);
    const platformArgs = platformArguments(machine, platform, request.target ?? '');
    const plan = planBuild(file, {
      target: request.target ?? '',
      buildArgs: session.buildArgs,
      platformArgs,
      isContext: (name) => named.find(name) !== undefined,
    });
    addLabels(plan, request.labels ?? {});
    this.#build = {
      session,
      trace,
      label,
      file,
      plan,
      named,
      images: new BaseImages(session),
      sources: new SourceVertices(session, named),
      shown: new ShownSteps((text) => session.say(text)),
      platform,
      platformArgs,
    };
    this.#compiler = new StageCompiler(this.#build);
  }

  async run(): Promise<Image> {
    const { session } = this;
    const { file, plan, shown } = this.#build;
    for (const warning of file.warnings) session.say(`\u001b[91m${warning}\u001b[0m`);
    shown.announce(file, plan);
    try {
      await this.#import();
      const needed = await Promise.all(plan.needed.map((planned) => this.#compiler.stage(planned)));
      await this.#check();
      const reports = await Promise.all(needed.map((state) => this.#report(state)));
      const target = reports[needed.findIndex(({ index }) => index === plan.target)];
      if (target === undefined || target.state.isEmpty) {
        throw new EngineError('internal', 'No image was generated. Is your Dockerfile empty?');
      }
      const image = await finishImage(session, target);
      const { trees } = session.services.parts.images;
      this.#layers = target.stack === null ? [] : trees.layersOf(target.stack);
      shown.reveal();
      session.request.onMessage?.({ aux: { ID: image.id } });
      this.#warnOfUnusedArgs();
      return image;
    } catch (error) {
      session.fail(error);
      // What this build alone waits for is gone then, and what it was doing has been shown.
      await this.#compiler.settled();
      await Promise.allSettled(this.#reports.values());
      await Promise.allSettled(session.results.values());
      shown.reveal();
      throw error;
    }
  }

  /** Once it has run, and as long as the session is open. */
  get known(): KnownBuild {
    return { steps: this.session.steps, layers: this.#layers };
  }

  /** Checks the file, and tells what was found. @throws {EngineError} when the file says that this is an error */
  async #check(): Promise<void> {
    const { trace } = this.#build;
    const { warnings, isError } = await this.#lint(false);
    if (warnings.length > 0) {
      const step = trace.begin('[internal] check build definition');
      for (const warning of warnings) trace.warn(step, traceWarning(this.#context, warning));
      step.end();
    }
    if (!isError) return;
    const names = [...new Set(warnings.map(({ rule }) => rule.name))];
    const problem = `lint violation found for rules: ${names.join(', ')}`;
    throw new EngineError('invalid-parameter', problem, { code: 'lint' });
  }

  #lint(all: boolean): ReturnType<typeof lintBuild> {
    return lintBuild(this.#build, { all, ignored: this.#context.ignored });
  }

  /** What `--call` asks for. */
  async answer(question: BuildQuestion): Promise<BuildAnswer> {
    const { file, plan, platformArgs } = this.#build;
    const { buildArgs, request } = this.session;
    const text = this.#context.dockerfile;
    if (question === 'targets') return listTargets(file, text);
    if (question === 'outline') return outlineOf(file, plan, { text, buildArgs, platformArgs });
    const { warnings } = await this.#lint((request.target ?? '') === '');
    return lintResults(this.#context, warnings);
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

  /** Looks what other caches know. One that is not to be had is no error: there is less known. */
  async #import(): Promise<void> {
    const { session } = this;
    const { trace, platform } = this.#build;
    const caches = (session.request.cacheFrom ?? []).map(cacheImport);
    const found = await Promise.all(
      caches.map(async (cache) => {
        try {
          const name = `importing cache manifest from ${cache.name}`;
          return await trace.during(name, () => importCache(session, cache, platform));
        } catch (error) {
          session.signal.throwIfAborted();
          session.say(`[Warning] Cannot use ${cache.name} as a cache: ${errorMessage(error)}\n`);
          return [];
        }
      }),
    );
    // What was named first counts.
    for (const [key, step] of found.toReversed().flatMap((steps) => [...steps]))
      session.imported.set(key, step);
  }

  #warnOfUnusedArgs(): void {
    const known = new Set([...this.#compiler.usedArgs, ...this.#build.platformArgs.keys()]);
    const unused = Object.keys(this.session.buildArgs).filter(
      (name) =>
        !known.has(name) &&
        !/^(?:https?|ftp|no|all)_proxy$/i.test(name) &&
        !name.startsWith('BUILDKIT_') &&
        name !== 'SOURCE_DATE_EPOCH',
    );
    if (unused.length === 0) return;
    this.session.say(`[Warning] One or more build-args [${unused.toSorted().join(' ')}] were not consumed\n`);
  }
}

/** Labels of the request are LABEL instructions at the end of the target. */
function addLabels(plan: BuildPlan, given: Readonly<Record<string, string>>): void {
  const labels = Object.entries(given).toSorted(([a], [b]) => (a < b ? -1 : 1));
  // Not to be expanded: it did not come from the Dockerfile.
  const quoted = (text: string): string => `'${text.replaceAll("'", `'"'"'`)}'`;
  for (const [name, value] of labels) {
    plan.stages[plan.target]?.stage.instructions.push({
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
  plan.steps += labels.length;
}

export function shortDigest(digest: Digest): string {
  return digestHex(digest).slice(0, 12);
}
