import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { EngineError, errorMessage, isEngineError } from '../errors/index.ts';
import { digestHex, formatReference, parseReference, type Descriptor, type Digest } from '../spec/index.ts';
import { unmountFlags } from '../sys/index.ts';
import type {
  BuildAnswer,
  BuildQuestion,
  BuildRequest,
  BuildResult,
  Builder,
  ImageExport,
} from './builder.ts';
import { receiveContext, type BuildContext } from './context/build-context.ts';
import { KeptContexts } from './context/kept-contexts.ts';
import { imageFiles } from './context/image-files.ts';
import { lintResults } from './dockerfile/lint/results.ts';
import { locationOf } from './dockerfile/location.ts';
import { buildPlatforms } from './export/build-platforms.ts';
import { exportImage, nameOf, platformName, type BuiltImage } from './export/export-image.ts';
import { CacheMounts } from './ops/cache-mounts.ts';
import { exportCaches } from './remote-cache/export-cache.ts';
import { cacheExports } from './remote-cache/options.ts';
import type { BuilderOptions, BuilderParts } from './parts.ts';
import { BuildTrace, type TracedStep } from './progress/trace.ts';
import { withSource } from './progress/source-error.ts';
import { BuildRun, shortDigest } from './solver/build-run.ts';
import { BuildCache } from './solver/cache.ts';
import { cacheUsage } from './solver/cache-usage.ts';
import { collectCache, defaultRules, pruneCache } from './solver/prune.ts';
import type { BuildServices, BuildSession } from './solver/session.ts';
import { Solver } from './solver/solver.ts';

/** Directories of more names are deleted by another process. */
const SMALL_DIRECTORY_NAMES = 64;

const COLLECT_EVERY_MS = 60_000;

/** Builds on this machine, with the engine's own rooms. */
export class LocalBuilder implements Builder {
  readonly #services: BuildServices;
  readonly #contexts: string;
  readonly #kept: KeptContexts;
  readonly #removals = new Set<Promise<void>>();
  #collectedAtMs = -Infinity;
  readonly #running = new Map<AbortController, { buildId: string; done: Promise<unknown> }>();

  constructor(parts: BuilderParts, options: BuilderOptions) {
    const cache = new BuildCache(parts.records, parts.images.trees);
    this.#contexts = `${options.dataRoot}/builder/contexts`;
    this.#kept = new KeptContexts(this.#contexts, (directory) => this.#discard(directory));
    this.#services = {
      parts,
      options,
      cache,
      keptContexts: this.#kept,
      cacheMounts: new CacheMounts(`${options.dataRoot}/builder/cache-mounts`, parts.records),
      solver: new Solver(parts.images, cache),
    };
  }

  async open(): Promise<void> {
    const { options, cache, parts } = this.#services;
    const own = [this.#contexts, `${options.execRoot}/builder`];
    for (const target of mountsBelow(own)) parts.syscall.unmount(target, unmountFlags.detach);
    for (const directory of own) rmSync(directory, { recursive: true, force: true });
    mkdirSync(this.#contexts, { recursive: true, mode: 0o700 });
    this.#services.cacheMounts.recover();
    const { snapshotter } = parts;
    await cache.recover(({ layers }) => layers.every(({ chainId }) => snapshotter.hasLayer(chainId)));
  }

  build(request: BuildRequest): Promise<BuildResult> {
    return this.#run(request, (signal) => this.#build(request, signal));
  }

  ask(request: BuildRequest, question: BuildQuestion): Promise<BuildAnswer> {
    return this.#run(request, (signal) => this.#ask(request, question, signal));
  }

  async #run<T>(request: BuildRequest, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    const signal =
      request.signal === undefined ? controller.signal : AbortSignal.any([request.signal, controller.signal]);
    const done = work(signal);
    this.#running.set(controller, { buildId: request.buildId ?? '', done });
    try {
      return await done;
    } catch (error) {
      if (signal.aborted && !isEngineError(error)) {
        throw new EngineError('cancelled', 'Build cancelled', { cause: error });
      }
      throw error;
    } finally {
      this.#running.delete(controller);
      this.#collect();
    }
  }

  /** Keeps the cache within its bounds, in the background and not too often. */
  #collect(): void {
    const now = Date.now();
    if (now - this.#collectedAtMs < COLLECT_EVERY_MS) return;
    this.#collectedAtMs = now;
    const { dataRoot, cacheGc = { space: {} } } = this.#services.options;
    const { bsize, blocks } = statfsSync(dataRoot);
    const rules = cacheGc.rules ?? defaultRules(cacheGc.space, bsize * blocks);
    this.#later(collectCache(this.#services, rules));
  }

  async #build(request: BuildRequest, signal: AbortSignal): Promise<BuildResult> {
    const exports = exportsOf(request);
    // So that nothing is built for an export that there is not.
    cacheExports(request.cacheTo);
    const directory = this.#newDirectory();
    const sessions: BuildSession[] = [];
    try {
      const trace = new BuildTrace(request.onStatus);
      const context = await this.#receive(request, { directory, signal, trace });
      const options = { directory, signal, trace, sessions };
      const built = await buildPlatforms(this.#services, request, context, options);
      const say = (text: string): void => request.onMessage?.({ stream: text });
      for (const { image } of built) {
        say(request.quiet === true ? `${image.id}\n` : `Successfully built ${shortDigest(image.id)}\n`);
      }
      const targets: (Descriptor | null)[] = [];
      for (const exported of exports) {
        const run = (step: TracedStep) => this.#export(request, { exported, built, step, signal });
        targets.push(await trace.during('exporting to image', run));
      }
      const builds = built.map(({ known }) => known);
      await exportCaches(this.#services.parts, request, { builds, trace, signal });
      const images = built.map(({ image }) => ({ platform: platformName(image), id: image.id }));
      return { imageId: images[0]?.id as Digest, images, targets };
    } finally {
      // Another build may wait for what this one has begun.
      if (sessions.every(({ isSettled }) => isSettled)) this.#end(sessions, directory);
      else {
        const settled = Promise.all(sessions.map((session) => session.settled()));
        this.#later(settled.then(() => this.#end(sessions, directory)));
      }
    }
  }

  async #export(
    request: BuildRequest,
    options: { exported: ImageExport; built: readonly BuiltImage[]; step: TracedStep; signal: AbortSignal },
  ): Promise<Descriptor | null> {
    const { images } = this.#services.parts;
    const { exported, built, step, signal } = options;
    const target = await exportImage(images, exported, built, signal);
    const done = (what: string): void => step.status(what, { current: 0, done: true });
    if (target === null) for (const { image } of built) done(`writing image ${image.id}`);
    else done(`exporting ${built.length > 1 ? 'manifest list' : 'manifest'} ${target.digest}`);
    for (const name of exported.names) {
      const reference = parseReference(name);
      done(`naming to ${formatReference(reference)}`);
      if (request.quiet !== true) request.onMessage?.({ stream: `Successfully tagged ${name}\n` });
      if (exported.push !== true) continue;
      const credentials = request.credentials?.(reference.domain);
      await images.push(name, {
        signal,
        ...(credentials === undefined ? {} : { credentials }),
        onProgress: ({ aux, ...progress }) => {
          void aux;
          if (request.quiet !== true) request.onMessage?.(progress);
        },
      });
      done(`pushing ${formatReference(reference)}`);
    }
    return target;
  }

  async #ask(request: BuildRequest, question: BuildQuestion, signal: AbortSignal): Promise<BuildAnswer> {
    const directory = this.#newDirectory();
    let session: BuildSession | undefined;
    try {
      const trace = new BuildTrace(request.onStatus);
      const context = await this.#receive(request, { directory, signal, trace });
      try {
        const options = { directory, signal, trace, label: '' };
        const run = new BuildRun(this.#services, request, context, options);
        session = run.session;
        return await run.answer(question);
      } catch (error) {
        signal.throwIfAborted();
        if (question !== 'check') throw withSource(error, context);
        return lintResults(context, [], { message: errorMessage(error), range: locationOf(error) });
      }
    } finally {
      this.#end(session === undefined ? [] : [session], directory);
    }
  }

  #newDirectory(): string {
    const directory = `${this.#contexts}/${randomBytes(8).toString('hex')}`;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return directory;
  }

  #receive(
    request: BuildRequest,
    { directory, signal, trace }: { directory: string; signal: AbortSignal; trace: BuildTrace },
  ): Promise<BuildContext> {
    return trace.during('[internal] load build context', () =>
      receiveContext(request.context, {
        directory: `${directory}/context`,
        dockerfile: request.dockerfile ?? '',
        remote: request.remote ?? '',
        keepGitDir: isOn(request.buildArgs?.['BUILDKIT_CONTEXT_KEEP_GIT_DIR']),
        hasParts: request.hasParts === true,
        syscall: this.#services.parts.syscall,
        limits: this.#services.options.archiveLimits ?? {},
        reusable: this.#kept,
        signal,
      }),
    );
  }

  #end(sessions: readonly BuildSession[], directory: string): void {
    for (const session of sessions) session.close();
    const [first] = sessions;
    if (first !== undefined) this.#kept.keep(`${directory}/context`, first.files);
    this.#discard(directory);
  }

  /** Something that close() waits for. */
  #later(work: Promise<void>): void {
    const done = work
      .catch((error: unknown) => this.#services.options.onBackgroundError('clean up after a build', error))
      .finally(() => this.#removals.delete(done));
    this.#removals.add(done);
  }

  /** Deletes a build's directory without making anybody wait when it holds many files. */
  #discard(directory: string): void {
    const context = `${directory}/context`;
    const names = existsSync(context) ? readdirSync(context, { withFileTypes: true }) : [];
    if (names.length < SMALL_DIRECTORY_NAMES && names.every((entry) => !entry.isDirectory())) {
      rmSync(directory, { recursive: true, force: true });
      return;
    }
    this.#later(
      new Promise<void>((resolve) => {
        execFile('rm', ['-rf', '--one-file-system', '--', directory], () => resolve());
      }),
    );
  }

  files(image: string, options: Parameters<Builder['files']>[1]): AsyncIterable<Uint8Array> {
    return imageFiles(this.#services.parts, image, { ...options, directory: this.#contexts });
  }

  cancel(buildId: string): void {
    for (const [controller, running] of this.#running) {
      if (buildId !== '' && running.buildId === buildId) controller.abort();
    }
  }

  knows(step: Digest): boolean {
    return this.#services.cache.has(digestHex(step));
  }

  async cacheUsage(): ReturnType<Builder['cacheUsage']> {
    const { cache, cacheMounts, parts } = this.#services;
    const usage = await cacheUsage({ cache, cacheMounts, images: parts.images });
    return usage.map(({ step: _step, mount: _mount, below: _below, top: _top, ...record }) => record);
  }

  async prune(options: Parameters<Builder['prune']>[0]): ReturnType<Builder['prune']> {
    this.#kept.clear();
    return await pruneCache(this.#services, options);
  }

  async close(): Promise<void> {
    for (const controller of this.#running.keys()) controller.abort();
    await Promise.allSettled([...this.#running.values()].map(({ done }) => done));
    this.#kept.clear();
    while (this.#removals.size > 0) await Promise.all(this.#removals);
    await this.#services.cache.settled();
  }
}

/** A build argument that switches something, as Go reads truth. */
function isOn(text: string | null | undefined): boolean {
  return ['1', 't', 'true'].includes((text ?? '').toLowerCase());
}

/** @throws {EngineError} `invalid-parameter` for a wrong name */
function exportsOf({ tags = [], exports = [], provenance }: BuildRequest): ImageExport[] {
  const names = tags.filter((tag) => tag !== '');
  // Provenance is said of something, named or not.
  const isNamed = names.length > 0 || (provenance !== undefined && exports.length === 0);
  const all = isNamed ? [{ names }, ...exports] : exports;
  return all.map((exported) => ({ ...exported, names: exported.names.map(nameOf) }));
}

/** Mount points below these directories, deepest last mounted first. */
function mountsBelow(directories: readonly string[]): string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((target) => directories.some((directory) => target.startsWith(`${directory}/`)))
    .toReversed();
}
