import { existsSync, lstatSync, readFileSync, statSync } from 'node:fs';
import { basename, isAbsolute, join, relative, resolve } from 'node:path';
import { randomBytes } from 'node:crypto';
import { packDirectories, type ExtraFile, type PackedDirectory } from '../context.ts';
import { dockerfileIn } from '../build.ts';
import type { SentCache } from './caches.ts';
import { namedContexts } from './named-contexts.ts';
import type { Cli } from '../cli.ts';

/** Besides the context itself in what we send; see the engine's `BuildContext`. */
const PARTS = '.coracle-build-parts';

/** What is sent as a build's context, and the parameters that say what it is. */
export interface ContextSource {
  body: AsyncIterable<Uint8Array>;
  query: Record<string, string | number | undefined>;
  /** Undefined when it is somewhere in a stream or far away. */
  dockerfileText: string | undefined;
  /** For progress. */
  dockerfileName: string;
}

/**
 * Prepares what a build reads: PATH, URL or `-`, with `--file` and `--build-context`.
 * @param classic the engine knows Docker's parameters alone
 */
export async function contextSource(
  cli: Cli,
  given: { path: string; file: string; contexts: readonly string[]; caches: readonly SentCache[] },
  classic: boolean,
): Promise<ContextSource> {
  const { path, file } = given;
  const named = await namedContexts(cli, given.contexts);
  const parts: PackedDirectory[] = named.directories.map((directory, index) => ({
    directory,
    dockerfile: 'Dockerfile',
    prefix: `${PARTS}/contexts/${index}/`,
  }));
  for (const [index, cache] of given.caches.entries()) {
    parts.push({ ...cache, dockerfile: '', prefix: `${PARTS}/caches/${index}/` });
  }
  const hasNamed = Object.keys(named.names).length > 0;
  if (classic && hasNamed) throw new Error('this engine does not know --build-context');
  const more = hasNamed ? { contexts: JSON.stringify(named.names) } : {};
  if (path === '-') {
    if (file === '-') {
      throw new Error('invalid argument: can’t use stdin for both build context and dockerfile');
    }
    if (parts.length > 0) throw new Error('directories cannot be sent beside a context from standard input');
    const query = { ...more, dockerfile: file || undefined };
    return { body: process.stdin, query, dockerfileText: undefined, dockerfileName: file || 'Dockerfile' };
  }
  if (isRemote(path)) {
    const extra: ExtraFile[] = [];
    if (file === '-') extra.push({ name: `${PARTS}/Dockerfile`, content: await standardInput() });
    if (classic && file === '-') throw new Error('this engine takes no Dockerfile beside a remote context');
    const hasParts = extra.length + parts.length > 0;
    return {
      body: packDirectories(parts, extra),
      query: {
        ...more,
        remote: path,
        dockerfile: file === '-' ? undefined : file || undefined,
        parts: hasParts ? 1 : undefined,
      },
      dockerfileText: extra[0]?.content.toString('utf8'),
      dockerfileName: basename(file === '-' ? 'Dockerfile' : file || 'Dockerfile'),
    };
  }
  return await localContext(path, file, { parts, more, classic });
}

async function localContext(
  path: string,
  file: string,
  { parts, more, classic }: { parts: PackedDirectory[]; more: Record<string, string>; classic: boolean },
): Promise<ContextSource> {
  const directory = resolve(path);
  const stat = statSync(directory, { throwIfNoEntry: false });
  if (stat === undefined)
    throw new Error(`unable to prepare context: path ${JSON.stringify(path)} not found`);
  if (!stat.isDirectory()) {
    throw new Error(`unable to prepare context: context must be a directory: ${directory}`);
  }
  const given = file === '' || file === '-' ? undefined : resolveDockerfile(directory, file);
  const inside = given === undefined ? undefined : relative(directory, given);
  if (file === '-' || (inside !== undefined && (inside.startsWith('..') || isAbsolute(inside)))) {
    const content = given === undefined ? await standardInput() : readFileSync(given);
    const shown = given === undefined ? 'Dockerfile' : basename(given);
    // Beside the context for our engine; a strange name in it for others.
    const name = classic ? `.dockerfile.${randomBytes(10).toString('hex')}` : `${PARTS}/Dockerfile`;
    const extra: ExtraFile[] = [{ name, content }];
    const own = given === undefined ? '' : `${given}.dockerignore`;
    const rules = own !== '' && !classic && existsSync(own) ? readFileSync(own, 'utf8') : undefined;
    if (rules !== undefined) extra.push({ name: `${name}.dockerignore`, content: Buffer.from(rules) });
    const context = { directory, dockerfile: shown, ...(rules === undefined ? {} : { rules }) };
    return {
      body: packDirectories([context, ...parts], extra),
      query: { ...more, dockerfile: classic ? name : shown, parts: classic ? undefined : 1 },
      dockerfileText: content.toString('utf8'),
      dockerfileName: shown,
    };
  }
  const name = inside ?? dockerfileIn(directory);
  if (name === undefined) {
    throw new Error(
      `unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat ${join(directory, 'Dockerfile')}: no such file or directory`,
    );
  }
  return {
    body: packDirectories([{ directory, dockerfile: name }, ...parts], []),
    query: { ...more, dockerfile: name, parts: parts.length > 0 ? 1 : undefined },
    dockerfileText: readText(join(directory, name)),
    dockerfileName: name,
  };
}

/** A link in its place is the engine's to judge, which does not follow it out of the context. */
function readText(path: string): string | undefined {
  return lstatSync(path).isFile() ? readFileSync(path, 'utf8') : undefined;
}

/** As docker: relative to where we are, else to the context. */
function resolveDockerfile(directory: string, file: string): string {
  const here = resolve(file);
  if (existsSync(here)) return here;
  const there = resolve(directory, file);
  if (existsSync(there)) return there;
  throw new Error(
    `unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat ${here}: no such file or directory`,
  );
}

/** What the engine fetches by itself. */
export function isRemote(path: string): boolean {
  return /^(?:https?|git|ssh):\/\/|^git@|^github\.com\//.test(path);
}

let input: Promise<Buffer> | undefined;

/** All of it; the same again when several platforms are built. */
function standardInput(): Promise<Buffer> {
  input ??= readInput();
  return input;
}

async function readInput(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
