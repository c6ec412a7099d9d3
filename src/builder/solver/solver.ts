import { availableParallelism } from 'node:os';
import { TAR_END } from '../../archive/index.ts';
import { EngineError, errorMessage } from '../../errors/index.ts';
import type { Images, Tree } from '../../images/index.ts';
import { digestOfTexts } from '../context/build-context.ts';
import type { Vertex } from '../graph/operation.ts';
import { prepareCopy } from '../ops/copy.ts';
import { prepareExec } from '../ops/exec-op.ts';
import { prepareMakeDirectory } from '../ops/make-directory.ts';
import type { PreparedOperation, Result, TreeResult } from '../ops/prepared.ts';
import { fetchSource } from '../ops/remote-source.ts';
import { prepareDiff, prepareMerge } from '../ops/stack.ts';
import type { BuildCache, CacheRecord } from './cache.ts';
import { SharedJobs, Slots, type JobContext } from './jobs.ts';
import type { BuildSession } from './session.ts';

/** Beginning of every key; changes when keys are made otherwise. */
const KEY_VERSION = 'vertex-1';
/** Steps often wait for a disk or a network, so even a small machine does a few at a time. */
const MIN_SLOTS = 4;

const emptyTree: TreeResult = {
  kind: 'tree',
  stack: null,
  identity: 'scratch',
  isCached: true,
  ownLayers: 0,
  createdAtMs: 0,
  source: '',
};

interface Made {
  tree: Tree;
  record: CacheRecord;
}

/**
 * Solves graphs: gives the files of a vertex, from the cache where these are known, else by doing the operation once its
 * inputs are there. Inputs are solved side by side. The key of a step is the operation, the tree it works on and the content
 * of what else it reads; builds that need the same key at the same time share one job.
 */
export class Solver {
  readonly #images: Images;
  readonly #cache: BuildCache;
  readonly #jobs = new SharedJobs<Made>();
  readonly #slots = new Slots(Math.max(MIN_SLOTS, availableParallelism()));

  constructor(images: Images, cache: BuildCache) {
    this.#images = images;
    this.#cache = cache;
  }

  /** @throws {EngineError} what goes wrong first in it or one of its inputs */
  solve(session: BuildSession, vertex: Vertex): Promise<Result> {
    let result = session.results.get(vertex);
    if (result === undefined) {
      result = this.#solve(session, vertex);
      session.results.set(vertex, result);
      // Reported to whoever waits for it; nobody may.
      result.catch(() => undefined);
    }
    return result;
  }

  async #solve(session: BuildSession, vertex: Vertex): Promise<Result> {
    const inputs = await Promise.all(
      vertex.inputs.map(async (input) => (input === null ? emptyTree : await this.solve(session, input))),
    );
    session.signal.throwIfAborted();
    const observer = session.observer(vertex);
    observer?.begin();
    try {
      const result = await this.#perform(session, vertex, inputs);
      if (result.kind === 'tree' && result.isCached) observer?.cached();
      observer?.end();
      return result;
    } catch (error) {
      // It failed because something else has: BuildKit's words for that.
      const isStopped = session.signal.aborted;
      observer?.end(isStopped ? new EngineError('cancelled', 'context canceled', { cause: error }) : error);
      throw error;
    }
  }

  async #perform(session: BuildSession, vertex: Vertex, inputs: readonly Result[]): Promise<Result> {
    const { operation } = vertex;
    if (operation.kind === 'source') {
      if (operation.from === 'local') return { kind: 'directory', path: session.local(operation.name) };
      if (operation.from === 'remote') {
        const { url, keepGitDir } = operation;
        const { source, commit, digest } = await fetchSource(url, session.newDirectory('fetched'), {
          ...operation,
          signal: session.signal,
        });
        if (commit !== undefined) session.materials.repository(url, commit);
        else session.materials.download(url, digest);
        // What a repository holds is told by its commit, whatever git wrote beside the files.
        const identity = commit === undefined ? undefined : `${url} ${commit} ${keepGitDir}`;
        return { kind: 'fetched', source, identity };
      }
      const image = this.#images.get(operation.imageId);
      return { ...emptyTree, stack: image, identity: image.chainId ?? 'scratch' };
    }
    const [root = emptyTree] = inputs;
    if (root.kind !== 'tree') throw new EngineError('internal', `${vertex.name}: its first input is no tree`);
    const made = await this.#step(session, vertex, root, prepare(session, vertex, root, inputs));
    session.defer(this.#cache.pin(made.tree.id));
    session.steps.set(made.key, made);
    const { source, ownLayers, createdAtMs } = made.record;
    const isCached = operation.kind === 'merge' ? inputs.slice(1).every(isCachedTree) : made.isCached;
    const identity = digestOfTexts([made.key, made.tree.chainId ?? '']);
    return { kind: 'tree', stack: made.tree, identity, isCached, ownLayers, createdAtMs, source };
  }

  async #step(
    session: BuildSession,
    vertex: Vertex,
    root: TreeResult,
    prepared: PreparedOperation,
  ): Promise<Made & { key: string; isCached: boolean }> {
    const keyOf = (texts: readonly string[]): string => digestOfTexts([KEY_VERSION, root.identity, ...texts]);
    const usesCache = !vertex.ignoresCache;
    const alias = prepared.quick === undefined ? undefined : keyOf(prepared.quick);
    if (usesCache && alias !== undefined) {
      const known = this.#cache.findAlias(alias);
      if (known !== undefined) return { ...known, isCached: true };
    }
    const { texts, source } = prepared.exact();
    const key = keyOf(texts);
    const remember = (): void => {
      if (alias !== undefined) this.#cache.alias(alias, key);
    };
    if (usesCache) await this.#import(session, key);
    const known = usesCache ? this.#cache.find(key) : undefined;
    if (known !== undefined) {
      remember();
      return { ...known, key, isCached: true };
    }
    const observer = session.observer(vertex);
    const made = await this.#jobs.run(
      usesCache ? key : `fresh ${key}`,
      {
        signal: session.signal,
        onOutput: (output) => observer?.output(output),
        onStart: (settled) => session.started(settled),
      },
      (job) => this.#slots.use(job.signal, () => this.#make(key, vertex, root, prepared, { job, source })),
    );
    remember();
    return { ...made, key, isCached: false };
  }

  /** Takes over what a cache that the build was told of knows of a step that is not known here. */
  async #import(session: BuildSession, key: string): Promise<void> {
    const step = session.imported.get(key);
    if (step === undefined || this.#cache.has(key)) return;
    let tree: Tree;
    try {
      tree = await step.tree(session.signal);
    } catch (error) {
      session.signal.throwIfAborted();
      session.imported.delete(key);
      session.say(`[Warning] Cannot use ${step.from} as a cache: ${errorMessage(error)}\n`);
      return;
    }
    setImmediate(this.#cache.pin(tree.id));
    this.#cache.put(key, { treeId: tree.id, ...step.record });
  }

  async #make(
    key: string,
    vertex: Vertex,
    root: TreeResult,
    prepared: PreparedOperation,
    { job, source }: { job: JobContext; source: string },
  ): Promise<Made> {
    const { tree, ownLayers } = await this.#run(root, prepared, job);
    const unpin = this.#cache.pin(tree.id);
    // Until those who wait have it.
    setImmediate(unpin);
    const record = this.#cache.put(key, { treeId: tree.id, ownLayers, description: vertex.name, source });
    return { tree, record };
  }

  async #run(
    root: TreeResult,
    prepared: PreparedOperation,
    job: JobContext,
  ): Promise<{ tree: Tree; ownLayers: number }> {
    const made = await prepared.run(job);
    if ('tree' in made) return made;
    await using layer = made.layer;
    const tar = await unlessEmpty(layer.tar);
    const tree = await this.#images.trees.add({
      below: root.stack,
      layer: tar,
      ...(layer.place === undefined ? {} : { place: layer.place }),
    });
    return { tree, ownLayers: tar === null ? 0 : 1 };
  }
}

function prepare(
  session: BuildSession,
  { operation, name }: Vertex,
  root: TreeResult,
  inputs: readonly Result[],
): PreparedOperation {
  switch (operation.kind) {
    case 'exec':
      return prepareExec(session, operation, inputs);
    case 'file': {
      const { action } = operation;
      if (action.kind === 'mkdir') return prepareMakeDirectory(session, action, root);
      const fetched = inputs.slice(1).flatMap((input) => (input.kind === 'fetched' ? [input] : []));
      const from = inputs.slice(1).find((input) => input.kind !== 'fetched');
      return prepareCopy(session, action, root, from, fetched);
    }
    case 'merge':
      return prepareMerge(session, inputs.filter(isTree));
    case 'diff': {
      const [lower, upper] = inputs;
      if (lower?.kind === 'tree' && upper?.kind === 'tree') return prepareDiff(session, lower, upper);
      throw new EngineError('internal', `${name}: a diff is of two trees`);
    }
    case 'source':
      throw new EngineError('internal', `${name}: a source has no key`);
  }
}

function isTree(result: Result): result is TreeResult {
  return result.kind === 'tree';
}

function isCachedTree(result: Result): boolean {
  return result.kind === 'tree' && result.isCached;
}

/** Null for a tar without members: the step changed no file, and its tree has no layer of its own. */
async function unlessEmpty(tar: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array> | null> {
  const iterator = tar[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let bytes = 0;
  let done = false;
  while (bytes <= TAR_END.length && !done) {
    const next = await iterator.next();
    if (next.done === true) done = true;
    else {
      first.push(next.value);
      bytes += next.value.length;
    }
  }
  if (done && first.every((chunk) => chunk.every((byte) => byte === 0))) return null;
  return (async function* () {
    try {
      yield* first;
      for (;;) {
        const next = await iterator.next();
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  })();
}
