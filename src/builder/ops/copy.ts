import { openSync, readSync, closeSync, createReadStream, lstatSync, type Stats } from 'node:fs';
import { posix } from 'node:path';
import {
  IgnoreRules,
  MAX_ENTRIES,
  TarParser,
  TreeWriter,
  decompress,
  ownedLocation,
  parseIgnoreFile,
} from '../../archive/index.ts';
import { EngineError } from '../../errors/index.ts';
import { digestOfTexts, looksLikeTar } from '../context/build-context.ts';
import type { CopyAction } from '../graph/operation.ts';
import type { BuildSession } from '../solver/session.ts';
import { digestSources, findSources, type CopySource } from './copy-sources.ts';
import { TreeCopier } from './copy-tree.ts';
import { bareLayer, writableTree, type BareLayer } from './new-layer.ts';
import { parseChmod, resolveOwner } from './owner.ts';
import { type NewLayer, type PreparedOperation, type Result, type TreeResult } from './prepared.ts';
import { realPathIn } from './real-path.ts';

type Fetched = Extract<Result, { kind: 'fetched' }>;

/** What is copied, found. */
interface Found {
  sources: readonly CopySource[];
  fetched: ReadonlySet<CopySource>;
  digest: string;
}

/** COPY and ADD. */
export function prepareCopy(
  session: BuildSession,
  action: CopyAction,
  root: TreeResult,
  from: Result | undefined,
  fetched: readonly Fetched[],
): PreparedOperation {
  const { destination, instruction: name } = action;
  const isDirectory = /(?:^|\/)\.?$/.test(destination);
  const target = posix.resolve('/', action.workingDirectory, destination);
  const exclude = new IgnoreRules(parseIgnoreFile(action.exclude.join('\n')));
  const how = [target, String(isDirectory), action.chown, action.chmod, JSON.stringify(action.texts)];
  // Files of a context belong to root, those of a tree keep their owners.
  const keepsOwners = from?.kind === 'tree';
  let found: Found | undefined;
  const find = (): Found => {
    if (found !== undefined) return found;
    const sources = fetched.map(({ source }) => source);
    if (from !== undefined && from.kind !== 'fetched') {
      const path = from.kind === 'directory' ? from.path : session.view(from.stack?.chainId ?? null);
      sources.push(
        ...findSources(path, action.sources, {
          instruction: name,
          fromContext: !keepsOwners,
          keepsParents: action.keepsParents,
        }),
      );
    }
    const wanted = action.sources.length + fetched.length;
    if (wanted > 0 && sources.length === 0) throw failed(name, 'no source files were specified');
    if (sources.length + action.texts.length > 1 && !isDirectory) {
      throw new EngineError(
        'invalid-parameter',
        `When using ${name} with more than one source file, the destination must be a directory and end with a /`,
      );
    }
    const told = fetched.flatMap(({ identity }) => (identity === undefined ? [] : [identity]));
    const read = sources.filter(
      (source) => fetched.find((one) => one.source === source)?.identity === undefined,
    );
    const contents = digestSources(read, { exclude, owners: keepsOwners, digests: session.files.digests });
    const digest = told.length === 0 ? contents : digestOfTexts([contents, ...told]);
    found = { sources, fetched: new Set(fetched.map(({ source }) => source)), digest };
    return found;
  };
  return {
    quick:
      from?.kind === 'tree' && fetched.length === 0
        ? ['copy', JSON.stringify(action), from.identity]
        : undefined,
    exact() {
      const { sources, digest } = find();
      const flags = [action.keepsParents, action.unpack ?? null, keepsOwners, name];
      const words = action.keepsParents ? action.sources : [];
      return {
        texts: ['copy', digest, ...how, JSON.stringify(flags), ...words],
        source: describe(sources, action.texts.length, digest),
      };
    },
    run: async (job) => ({
      layer: await copy(session, action, { ...find(), exclude, keepsOwners, root, job }),
    }),
  };
}

async function copy(
  session: BuildSession,
  action: CopyAction,
  what: Found & {
    exclude: IgnoreRules;
    keepsOwners: boolean;
    root: TreeResult;
    job: { signal: AbortSignal };
  },
): Promise<NewLayer> {
  const { sources, exclude, keepsOwners, root } = what;
  const { signal } = what.job;
  const { syscall } = session.services.parts;
  const { chown } = action;
  const chmod = action.chmod === '' ? undefined : parseChmod(action.chmod);
  const archives = await archivesAmong(sources, action, what.fetched);
  const copyAll = async (layer: BareLayer | { directory: string; view: string }): Promise<void> => {
    const { view, directory } = layer;
    const fallback = keepsOwners ? undefined : { uid: 0, gid: 0 };
    const copier = new TreeCopier({
      root: directory,
      ...('lowerDirectories' in layer ? { lowerDirectories: layer.lowerDirectories } : {}),
      owner: chown === '' ? fallback : resolveOwner(syscall, view, chown),
      chmod,
      ...(!keepsOwners && chown === '' && chmod === undefined && 'lowerDirectories' in layer
        ? { linkable: session.files }
        : {}),
      hasHardLinks: keepsOwners || session.files.hasHardLinks,
      syscall,
      signal,
    });
    const place = new Destination(view, action.workingDirectory, action.destination);
    try {
      for (const source of sources) {
        if (archives.has(source)) {
          await extract(session, source, { root: directory, directory: place.directory(), signal });
          continue;
        }
        const target = action.keepsParents
          ? place.below(source.shown)
          : place.of(source.stat, posix.basename(source.name));
        copier.parents(view, target);
        await copier.source(source, target, exclude);
      }
      for (const text of action.texts) {
        const target = place.of(undefined, text.name);
        copier.parents(view, target);
        copier.text(target, Buffer.from(text.content));
      }
      copier.finish();
    } finally {
      copier.abort();
    }
  };
  // An archive's members may lead through links of the files below: these must be seen where it is written.
  return archives.size > 0
    ? writableTree(session, root.stack, (directory) => copyAll({ directory, view: directory }))
    : bareLayer(session, root.stack, copyAll);
}

/** Archives that ADD unpacks: local ones, and downloads when it is told to. */
async function archivesAmong(
  sources: readonly CopySource[],
  action: CopyAction,
  fetched: ReadonlySet<CopySource>,
): Promise<Set<CopySource>> {
  const archives = new Set<CopySource>();
  if (action.instruction !== 'ADD' || action.unpack === false) return archives;
  for (const source of sources) {
    if (fetched.has(source) && action.unpack !== true) continue;
    if (source.stat.isFile() && (await isArchive(source.path))) archives.add(source);
  }
  return archives;
}

function failed(name: string, why: string): EngineError {
  return new EngineError('invalid-parameter', `${name} failed: ${why}`);
}

/** `file:<digest>`, `dir:<digest>` or `multi:<digest>`, as history shows sources. */
function describe(sources: readonly CopySource[], heredocs: number, digest: string): string {
  const [only] = sources;
  if (sources.length + heredocs !== 1 || only === undefined) return `multi:${digest}`;
  return `${only.stat.isDirectory() ? 'dir' : 'file'}:${digest}`;
}

/** Where things go in a root file system. */
class Destination {
  readonly #root: string;
  /** Real, relative. */
  readonly #path: string;
  readonly #isDirectory: boolean;

  constructor(root: string, workingDirectory: string, destination: string) {
    this.#root = root;
    this.#path = realPathIn(root, posix.resolve('/', workingDirectory, destination));
    this.#isDirectory = /(?:^|\/)\.?$/.test(destination) || this.#exists()?.isDirectory() === true;
  }

  #exists(): Stats | undefined {
    return lstatSync(this.#path === '' ? this.#root : `${this.#root}/${this.#path}`, {
      throwIfNoEntry: false,
    });
  }

  /** The new path of a source: contents of a directory go into it, a file by its name when it is a directory. */
  of(stat: Stats | undefined, name: string): string {
    if (stat?.isDirectory() === true) {
      const here = this.#exists();
      if (here !== undefined && !here.isDirectory()) {
        throw new EngineError('internal', `cannot copy to non-directory: /${this.#path}`);
      }
      return this.#path;
    }
    if (!this.#isDirectory) return this.#path;
    return this.below(name);
  }

  below(name: string): string {
    return this.#path === '' ? name : `${this.#path}/${name}`;
  }

  /** For archives. */
  directory(): string {
    return this.#path;
  }
}

/** ADD: unpacks a local archive (tar, plain or compressed) into a directory. */
async function extract(
  session: BuildSession,
  source: CopySource,
  { root, directory, signal }: { root: string; directory: string; signal: AbortSignal },
): Promise<void> {
  const { parts, options } = session.services;
  const { archiveLimits: limits = {} } = options;
  const writer = new TreeWriter(
    ownedLocation(root),
    { form: 'plain', base: directory, maxEntries: limits.maxEntries ?? MAX_ENTRIES },
    parts.syscall,
  );
  const parser = new TarParser(writer);
  try {
    const stream = createReadStream(source.path, { highWaterMark: 256 * 1024 });
    for await (const chunk of decompress(stream, { limits })) {
      signal.throwIfAborted();
      parser.push(chunk);
    }
    parser.finish();
    writer.finish();
  } finally {
    writer.abort();
  }
}

async function isArchive(path: string): Promise<boolean> {
  const fd = openSync(path, 'r');
  let head: Buffer = Buffer.alloc(512);
  try {
    head = head.subarray(0, readSync(fd, head, 0, head.length, 0));
  } finally {
    closeSync(fd);
  }
  if (head.length < 4) return false;
  try {
    for await (const chunk of decompress(createReadStream(path, { end: 1024 * 1024 }), {
      chunkBytes: 4096,
    })) {
      return !chunk.subarray(0, 512).every((byte) => byte === 0) && looksLikeTar(chunk);
    }
  } catch {
    // Not even compressed as its first bytes say.
  }
  return false;
}
