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
import type { CopyInstruction } from '../dockerfile/instructions/instruction.ts';
import { digestSources, findSources, type CopySource } from '../ops/copy-sources.ts';
import { fetchSource, isRemote } from '../ops/remote-source.ts';
import { TreeCopier } from '../ops/copy-tree.ts';
import { parseChmod, resolveOwner } from '../ops/owner.ts';
import { realPathIn } from '../ops/real-path.ts';
import { nopText, type BuildRun } from './build-run.ts';
import type { StageState } from './stage.ts';
import { bareLayer, writableTree, type BareLayer } from './writable-tree.ts';

/** COPY and ADD. */
export async function copyStep(
  run: BuildRun,
  state: StageState,
  instruction: CopyInstruction,
): Promise<void> {
  const name = instruction.kind.toUpperCase();
  const words = instruction.sources.map((word) => state.expand(word));
  const destination = state.expand(instruction.destination);
  if (name === 'COPY' && words.some(isRemote)) throw failed(name, "source can't be a URL for COPY");
  const tree = await run.tree(state.index, instruction.from);
  const exclude = new IgnoreRules(
    parseIgnoreFile(instruction.exclude.map((pattern) => state.expand(pattern)).join('\n')),
  );
  const sources: CopySource[] = [];
  const downloaded = new Set<CopySource>();
  const repositories = new Map<CopySource, string>();
  for (const word of words) {
    if (isRemote(word)) {
      const { source, commit } = await fetchSource(word, run.newDirectory('download'), {
        checksum: state.expand(instruction.checksum),
        keepGitDir: instruction.keepGitDir,
        needsName: /(?:^|\/)\.?$/.test(destination),
        signal: run.signal,
      });
      if (commit === undefined) downloaded.add(source);
      else repositories.set(source, `${word} ${commit} ${instruction.keepGitDir}`);
      sources.push(source);
    } else {
      sources.push(...findSources(tree.path, [word], { instruction: name, fromContext: tree.isContext }));
    }
  }
  if (words.length > 0 && sources.length === 0) throw failed(name, 'no source files were specified');
  const heredocs = instruction.heredocs.map((heredoc) => ({
    name: state.expand(heredoc.name),
    content: Buffer.from(heredoc.expand ? state.expandKeepingQuotes(heredoc.content) : heredoc.content),
  }));
  const count = sources.length + heredocs.length;
  if (count > 1 && !/(?:^|\/)\.?$/.test(destination)) {
    throw new EngineError(
      'invalid-parameter',
      `When using ${name} with more than one source file, the destination must be a directory and end with a /`,
    );
  }
  const chown = state.expand(instruction.chown);
  const chmodText = state.expand(instruction.chmod);
  const chmod = chmodText === '' ? undefined : parseChmod(chmodText);
  const digest = digestOfTexts([
    digestSources(
      sources.filter((source) => !repositories.has(source)),
      { exclude, owners: !tree.isContext, counted: run.hashed },
    ),
    ...repositories.values(),
  ]);
  const what = describe(sources, heredocs.length, digest);
  const flags = chown === '' ? '' : `--chown=${chown} `;
  await run.services.maker.step(run, state, {
    createdBy: nopText(state.config, `${name} ${flags}${what} in ${destination} `),
    inputs: [
      digest,
      chmodText,
      ...heredocs.map(({ name: file, content }) => `${file}\0${content.toString('base64')}`),
      JSON.stringify([instruction.parents, instruction.unpack ?? null, instruction.from !== '']),
      ...(instruction.parents ? words : []),
    ],
    config: state.imageConfig,
    makeLayer: async () => {
      const archives = await archivesAmong(sources, instruction, downloaded);
      const copyAll = async (layer: BareLayer | { directory: string; view: string }): Promise<void> => {
        const { view, directory } = layer;
        const { syscall } = run.services.parts;
        const fallback = tree.isContext ? { uid: 0, gid: 0 } : undefined;
        const owner = chown === '' ? fallback : resolveOwner(syscall, view, chown);
        const copier = new TreeCopier({
          root: directory,
          ...('lowerDirectories' in layer ? { lowerDirectories: layer.lowerDirectories } : {}),
          owner,
          chmod,
          mayLink: tree.isContext && chown === '' && chmod === undefined && 'lowerDirectories' in layer,
          syscall,
          signal: run.signal,
        });
        const place = new Destination(view, state.config.WorkingDir ?? '/', destination);
        try {
          for (const source of sources) {
            if (archives.has(source)) {
              await extract(run, source, directory, place.directory());
              continue;
            }
            const target = instruction.parents
              ? withParents(place, source, words)
              : place.of(source.stat, posix.basename(source.name));
            copier.parents(view, target);
            await copier.source(source, target, exclude);
          }
          for (const heredoc of heredocs) {
            const target = place.of(undefined, heredoc.name);
            copier.parents(view, target);
            copier.text(target, heredoc.content);
          }
          copier.finish();
        } finally {
          copier.abort();
        }
      };
      // An archive's members may lead through links of the files below: these must be seen where it is written.
      return archives.size > 0
        ? writableTree(run, state, (root) => copyAll({ directory: root, view: root }))
        : bareLayer(run, state, copyAll);
    },
  });
}

/** Archives that ADD unpacks: local ones, and downloads when it is told to. */
async function archivesAmong(
  sources: readonly CopySource[],
  instruction: CopyInstruction,
  downloaded: ReadonlySet<CopySource>,
): Promise<Set<CopySource>> {
  const archives = new Set<CopySource>();
  if (instruction.kind !== 'add' || instruction.unpack === false) return archives;
  for (const source of sources) {
    if (downloaded.has(source) && instruction.unpack !== true) continue;
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

/** `--parents`: the source's own directories are kept, from a `/./` in it on when there is one. */
function withParents(place: Destination, source: CopySource, words: readonly string[]): string {
  for (const word of words) {
    const pivot = word.indexOf('/./');
    if (pivot === -1) continue;
    const prefix = posix.normalize(word.slice(0, pivot)).replace(/^\/+/, '');
    if (source.name.startsWith(`${prefix}/`)) return place.below(source.name.slice(prefix.length + 1));
  }
  return place.below(source.name);
}

/** ADD: unpacks a local archive (tar, plain or compressed) into a directory. */
async function extract(run: BuildRun, source: CopySource, root: string, directory: string): Promise<void> {
  const { parts, options } = run.services;
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
      run.signal.throwIfAborted();
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
