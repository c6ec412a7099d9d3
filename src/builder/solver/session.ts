import { randomBytes } from 'node:crypto';
import { EngineError } from '../../errors/index.ts';
import type { Tree } from '../../images/index.ts';
import type { ChainId } from '../../spec/index.ts';
import type { BuildRequest } from '../builder.ts';
import type { KeptContexts } from '../context/kept-contexts.ts';
import type { SourceFiles } from '../context/source-files.ts';
import { Materials } from '../export/materials.ts';
import { Entitlements } from '../graph/entitlements.ts';
import type { Vertex } from '../graph/operation.ts';
import type { Result } from '../ops/prepared.ts';
import { viewTree, type TreeView } from '../ops/tree-view.ts';
import { realPathIn } from '../ops/real-path.ts';
import type { CacheMounts } from '../ops/cache-mounts.ts';
import type { BuilderOptions, BuilderParts } from '../parts.ts';
import type { BuildCache, CacheRecord } from './cache.ts';
import type { ImportedStep } from '../remote-cache/import-cache.ts';
import type { JobOutput } from './jobs.ts';
import type { Solver } from './solver.ts';

/** What all builds of a builder share. */
export interface BuildServices {
  parts: BuilderParts;
  options: BuilderOptions;
  cache: BuildCache;
  cacheMounts: CacheMounts;
  keptContexts: KeptContexts;
  solver: Solver;
}

/** Who is told how a vertex gets on. */
export interface VertexObserver {
  begin(): void;
  output(output: JobOutput): void;
  cached(): void;
  /** @param error what went wrong, undefined when nothing did */
  end(error?: unknown): void;
}

/** What one build brings along and has on disk while it runs. */
export class BuildSession {
  readonly services: BuildServices;
  readonly request: BuildRequest;
  readonly signal: AbortSignal;
  /** For provenance. */
  readonly materials = new Materials();
  /** Of its RUN steps. */
  readonly entitlements: Entitlements;
  readonly files: SourceFiles;
  /** Of the solver: what was asked for so far. */
  readonly results = new Map<Vertex, Promise<Result>>();
  /** Steps of this build, by key, whether made or known. */
  readonly steps = new Map<string, { tree: Tree; record: CacheRecord }>();
  /** What caches elsewhere know, by key. */
  readonly imported = new Map<string, ImportedStep>();
  readonly #directory: string;
  readonly #sentDirectory: string;
  readonly #locals: Map<string, string>;
  readonly #views = new Map<string, TreeView>();
  readonly #failure = new AbortController();
  readonly #started = new Set<Promise<void>>();
  readonly #undo: (() => void)[] = [];
  readonly #observers = new Map<Vertex, VertexObserver>();
  #directories = 0;

  /** @param options.directory private to the build, on the file system of the layers */
  constructor(
    services: BuildServices,
    request: BuildRequest,
    options: {
      directory: string;
      /** See BuildContext. */
      sentDirectory: string;
      locals: ReadonlyMap<string, string>;
      files: SourceFiles;
      signal: AbortSignal;
    },
  ) {
    this.services = services;
    this.request = request;
    // A build in the host's network has been given that.
    const ofNetwork = request.networkMode === 'host' ? ['network.host'] : [];
    const refused = services.options.refusedEntitlements ?? [];
    this.entitlements = new Entitlements([...ofNetwork, ...(request.allow ?? [])], refused);
    this.#directory = options.directory;
    this.#sentDirectory = options.sentDirectory;
    this.files = options.files;
    this.#locals = new Map(options.locals);
    this.signal = AbortSignal.any([options.signal, this.#failure.signal]);
  }

  get buildArgs(): Readonly<Record<string, string | null>> {
    return this.request.buildArgs ?? {};
  }

  /** Shows a text, unless nothing but the image's id is wanted. */
  say(text: string): void {
    if (this.request.quiet !== true) this.request.onMessage?.({ stream: text });
  }

  /** The directory of a local source. */
  local(name: string): string {
    const directory = this.#locals.get(name);
    if (directory === undefined) throw new EngineError('internal', `the build has no source ${name}`);
    return directory;
  }

  addLocal(name: string, directory: string): void {
    this.#locals.set(name, directory);
  }

  /** Where a cache is that the request names by a directory: among what was sent along, or on this machine. */
  cacheDirectory(given: string): string {
    const sent = /^sent:(\d{1,4})$/.exec(given)?.[1];
    if (sent === undefined) return given;
    return `${this.#sentDirectory}/${realPathIn(this.#sentDirectory, `caches/${sent}`)}`;
  }

  /** Where the files of a tree can be read as long as the session is open. */
  view(chainId: ChainId | null): string {
    const key = chainId ?? 'scratch';
    let view = this.#views.get(key);
    if (view === undefined) {
      view = viewTree(chainId, this.newDirectory('view'), this.services.parts);
      this.#views.set(key, view);
    }
    return view.path;
  }

  /** A path of its own below the build's directory. */
  newDirectory(name: string): string {
    this.#directories += 1;
    return `${this.#directory}/${name}-${this.#directories}`;
  }

  newId(): string {
    return randomBytes(32).toString('hex');
  }

  observe(vertex: Vertex, observer: VertexObserver): void {
    this.#observers.set(vertex, observer);
  }

  observer(vertex: Vertex): VertexObserver | undefined {
    return this.#observers.get(vertex);
  }

  /** Runs when the session is closed. */
  defer(undo: () => void): void {
    this.#undo.push(undo);
  }

  /** A job uses what is the session's until then. */
  started(settled: Promise<void>): void {
    this.#started.add(settled);
    void settled.then(() => this.#started.delete(settled));
  }

  /** Stops whatever this build alone waits for. */
  fail(error: unknown): void {
    this.#failure.abort(error);
  }

  /** Resolves when no job uses the session any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#started);
  }

  get isSettled(): boolean {
    return this.#started.size === 0;
  }

  /** Once it is settled. */
  close(): void {
    for (const view of this.#views.values()) view.close();
    this.#views.clear();
    for (const undo of this.#undo.splice(0)) undo();
  }
}
