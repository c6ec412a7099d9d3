import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import {
  IgnoreRules,
  MAX_ENTRIES,
  ReusingWriter,
  TarParser,
  TreeWriter,
  decompress,
  ownedLocation,
  parseIgnoreFile,
  type UnpackLimits,
} from '../../archive/index.ts';
import { EngineError, errorMessage, isEngineError } from '../../errors/index.ts';
import type { Syscall } from '../../sys/index.ts';
import { realPathIn } from '../ops/real-path.ts';
import { checkOut } from './git.ts';
import { parseGitReference } from './git-reference.ts';
import { fetchRemote } from './http.ts';
import type { KeptContexts } from './kept-contexts.ts';
import type { SourceFiles } from './source-files.ts';

/** Larger Dockerfiles and ignore files are refused. */
const MAX_DOCKERFILE_BYTES = 16 * 1024 * 1024;

/** A build context on this machine's disk. Dispose it when the build has ended. */
export interface BuildContext {
  /** Directory with the files, owner and group 0. */
  readonly directory: string;
  readonly dockerfile: string;
  /** As shown in messages. */
  readonly dockerfileName: string;
  /** What `.dockerignore` excluded, and is not there any more. */
  readonly ignored: IgnoreRules;
  /** What was sent besides the context's own files; see SENT_PARTS. */
  readonly sentDirectory: string;
  /** Of the repository that it came from. */
  readonly commit: string | undefined;
  readonly files: SourceFiles;
}

/**
 * A directory at the top of what a client of ours sends, which is no part of the context: `Dockerfile`, when that comes from
 * elsewhere, and `contexts/<number>`, the files of named contexts.
 */
export const SENT_PARTS = '.coracle-build-parts';

export interface ContextOptions {
  /** Is made. */
  directory: string;
  /** Path in the context, '' for `Dockerfile`. */
  dockerfile: string;
  /** URL of a git repository, a tar or a Dockerfile that is used instead of the body; '' for none. */
  remote: string;
  keepGitDir: boolean;
  /** The body has parts besides the context. */
  hasParts: boolean;
  syscall: Syscall;
  limits: UnpackLimits;
  /** Files that need not be written again. */
  reusable: KeptContexts;
  signal: AbortSignal;
}

/**
 * Receives a context: unpacks the tar (of any compression) below `directory`, or fetches the remote one, reads the Dockerfile
 * and removes what `.dockerignore` excludes. A body that is no tar is taken as the Dockerfile alone.
 * @throws {EngineError} `invalid-parameter`
 */
export async function receiveContext(
  body: AsyncIterable<Uint8Array> | undefined,
  options: ContextOptions,
): Promise<BuildContext> {
  const { directory, remote } = options;
  const name = options.dockerfile === '' ? 'Dockerfile' : options.dockerfile;
  const sentDirectory = `${directory}-parts`;
  let files = options.reusable.newFiles();
  let lone: string | undefined;
  let commit: string | undefined;
  if (remote === '' || options.hasParts) {
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    files.isWhole = true;
    lone = await unpackContext(body ?? nothing(), directory, { ...options, files });
    if (options.hasParts) takeParts(directory, sentDirectory);
  }
  if (remote !== '') {
    rmSync(directory, { recursive: true, force: true });
    files = options.reusable.newFiles();
    ({ lone, commit } = await fetchContext(remote, { ...options, files }));
  }
  const sent = `${sentDirectory}/Dockerfile`;
  if (lstatSync(sent, { throwIfNoEntry: false })?.isFile() === true) lone = readBounded(sent, 'Dockerfile');
  const found =
    lone === undefined ? readDockerfile(directory, options.dockerfile) : { path: name, text: lone };
  const ignored = applyIgnoreFile(directory, [
    `${sentDirectory}/Dockerfile.dockerignore`,
    `${directory}/${found.path}.dockerignore`,
    `${directory}/.dockerignore`,
  ]);
  return { directory, dockerfile: found.text, dockerfileName: name, ignored, sentDirectory, commit, files };
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  yield* [];
}

function takeParts(directory: string, sentDirectory: string): void {
  const parts = `${directory}/${SENT_PARTS}`;
  if (lstatSync(parts, { throwIfNoEntry: false })?.isDirectory() === true) renameSync(parts, sentDirectory);
}

/** `lone` is the Dockerfile's text when that is all there is. */
async function fetchContext(
  remote: string,
  options: ContextOptions & Pick<BuildContext, 'files'>,
): Promise<{ lone: string | undefined; commit: string | undefined }> {
  const { directory, keepGitDir, signal } = options;
  const git = parseGitReference(remote, true);
  if (git !== undefined) {
    const commit = await checkOut(git, directory, { keepGitDir: git.keepGitDir ?? keepGitDir, signal });
    return { lone: undefined, commit };
  }
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  options.files.isWhole = true;
  const lone = await unpackContext(await fetchRemote(remote, signal), directory, options);
  return { lone, commit: undefined };
}

/**
 * Unpacks a tar.
 * @param options.files gets to know them
 * @returns the Dockerfile's text when the body is no archive
 */
export async function unpackContext(
  body: AsyncIterable<Uint8Array>,
  directory: string,
  options: {
    syscall: Syscall;
    limits: UnpackLimits;
    signal: AbortSignal;
    files: SourceFiles;
    reusable: KeptContexts;
  },
): Promise<string | undefined> {
  const { syscall, limits, signal, files, reusable } = options;
  const digests = new Map<string, string>();
  const writer = new TreeWriter(
    ownedLocation(directory),
    {
      form: 'plain',
      isNew: true,
      owner: { uid: 0, gid: 0 },
      maxEntries: limits.maxEntries ?? MAX_ENTRIES,
      digests,
    },
    syscall,
  );
  const reusing = new ReusingWriter(writer, (path, header) => reusable.find(path, header));
  const parser = new TarParser(reusing);
  let head: Buffer = Buffer.alloc(0);
  let isTar: boolean | undefined;
  try {
    for await (const chunk of decompress(body, { limits })) {
      signal.throwIfAborted();
      if (isTar === true) {
        parser.push(chunk);
        continue;
      }
      head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
      isTar ??= head.length >= 512 ? looksLikeTar(head) : undefined;
      if (isTar === true) parser.push(head);
      if (head.length > MAX_DOCKERFILE_BYTES && isTar === false) {
        throw new EngineError('invalid-parameter', 'the Dockerfile is too large');
      }
    }
    if (isTar !== true) return head.every((byte) => byte === 0) ? emptyContext(head) : head.toString('utf8');
    parser.finish();
    writer.finish();
    files.hasHardLinks ||= reusing.hasHardLinks;
    files.isWhole &&= reusing.files === digests.size;
    for (const [path, digest] of digests) files.digests.set(`${directory}/${path}`, digest);
    return undefined;
  } catch (error) {
    if (isEngineError(error) || signal.aborted) throw error;
    throw new EngineError('invalid-parameter', `Cannot read build context: ${errorMessage(error)}`, {
      cause: error,
    });
  } finally {
    writer.abort();
  }
}

/** An empty tar is two blocks of zeros; nothing at all is an empty Dockerfile. */
function emptyContext(head: Buffer): string | undefined {
  return head.length === 0 ? '' : undefined;
}

/** A header's checksum tells, whatever dialect of tar it is. */
export function looksLikeTar(block: Buffer): boolean {
  if (block.length < 512) return false;
  const header = block.subarray(0, 512);
  if (header.every((byte) => byte === 0)) return true;
  const stored = parseInt(
    header
      .toString('latin1', 148, 156)
      .replace(/[\0 ]+$/, '')
      .trim(),
    8,
  );
  let sum = 8 * 0x20;
  for (let at = 0; at < 512; at += 1) if (at < 148 || at >= 156) sum += header[at] ?? 0;
  return sum === stored;
}

function readDockerfile(directory: string, asked: string): { path: string; text: string } {
  const names = asked === '' ? ['Dockerfile', 'dockerfile'] : [asked];
  for (const name of names) {
    const real = realPathIn(directory, name);
    const stat = lstatSync(`${directory}/${real}`, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    if (!stat.isFile()) {
      throw new EngineError('invalid-parameter', `Cannot read Dockerfile ${name}: it is not a regular file`);
    }
    return { path: real, text: readBounded(`${directory}/${real}`, name) };
  }
  const name = names[0] ?? '';
  throw new EngineError('internal', `Cannot locate specified Dockerfile: ${name}`, { code: 'no-dockerfile' });
}

/** A file of the client's that is held in memory. @param name as in messages */
function readBounded(path: string, name: string): string {
  if (lstatSync(path).size > MAX_DOCKERFILE_BYTES) {
    throw new EngineError('invalid-parameter', `the file ${name} is too large`);
  }
  return readFileSync(path, 'utf8');
}

/** The first of these files that is there counts: that of a Dockerfile before the directory's. */
function applyIgnoreFile(directory: string, files: readonly string[]): IgnoreRules {
  const file = files.find((path) => lstatSync(path, { throwIfNoEntry: false })?.isFile() === true);
  if (file === undefined) return new IgnoreRules([]);
  const rules = new IgnoreRules(parseIgnoreFile(readBounded(file, basename(file))));
  if (!rules.isEmpty) removeIgnored(directory, '', rules);
  return rules;
}

function removeIgnored(directory: string, relative: string, rules: IgnoreRules): void {
  for (const entry of readdirSync(`${directory}/${relative}`, { withFileTypes: true })) {
    const path = relative === '' ? entry.name : `${relative}/${entry.name}`;
    const ignored = rules.ignores(path);
    if (ignored && !(entry.isDirectory() && rules.hasExceptions)) {
      rmSync(`${directory}/${path}`, { recursive: true, force: true });
      continue;
    }
    if (!entry.isDirectory()) continue;
    removeIgnored(directory, path, rules);
    if (ignored && readdirSync(`${directory}/${path}`).length === 0)
      rmSync(`${directory}/${path}`, { recursive: true });
  }
}

/** sha256 of texts, each with its length, so that their borders count. */
export function digestOfTexts(texts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(`${Buffer.byteLength(text)}:${text}`);
  return hash.digest('hex');
}
