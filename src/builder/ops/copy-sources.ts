import { createHash, type Hash } from 'node:crypto';
import {
  closeSync,
  lstatSync,
  openSync,
  readSync,
  readlinkSync,
  readdirSync,
  statSync,
  type Stats,
} from 'node:fs';
import { posix } from 'node:path';
import { Glob, IgnoreRules, readNames, toHostPath } from '../../archive/index.ts';
import { EngineError } from '../../errors/index.ts';
import { realPathIn } from './real-path.ts';

/** One thing to copy. */
export interface CopySource {
  /** Absolute on the host. */
  path: string;
  /** As named in the tree it comes from, relative. */
  name: string;
  /** What `--exclude` sees of it and `--parents` keeps of it: '' for a directory whose content is copied. */
  shown: string;
  stat: Stats;
}

/**
 * Finds what the sources of a COPY name in a tree (the context or an image's files). Patterns as in Go's filepath.Match;
 * the last part of a source may be a symlink, which is followed within the tree.
 * @returns none for a pattern that nothing matches
 * @throws {EngineError} `invalid-parameter` with Docker's text
 */
export function findSources(
  root: string,
  sources: readonly string[],
  options: { instruction: string; fromContext: boolean; keepsParents?: boolean },
): CopySource[] {
  const { instruction, fromContext, keepsParents = false } = options;
  return sources.flatMap((source) => {
    const clean = cleanSource(source, instruction, fromContext);
    const names = /[*?[\\]/.test(clean) ? match(root, clean, keepsParents) : [clean];
    const pivot = source.indexOf('/./');
    const above = pivot === -1 ? '' : `${cleanSource(source.slice(0, pivot), instruction, fromContext)}/`;
    return names.map((name) => {
      const found = sourceAt(root, name, source, options);
      if (!keepsParents) return { ...found, shown: found.stat.isDirectory() ? '' : posix.basename(name) };
      return { ...found, shown: name.startsWith(above) ? name.slice(above.length) : name };
    });
  });
}

function failed(instruction: string, why: string): EngineError {
  return new EngineError('invalid-parameter', `${instruction} failed: ${why}`);
}

function cleanSource(source: string, instruction: string, fromContext: boolean): string {
  const parts: string[] = [];
  for (const part of source.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    // An absolute source cannot leave the tree, as `/..` is `/`.
    else if (parts.pop() === undefined && fromContext && !source.startsWith('/')) {
      throw failed(instruction, `forbidden path outside the build context: ${source} ()`);
    }
  }
  return parts.join('/');
}

function sourceAt(
  root: string,
  name: string,
  asked: string,
  { instruction, fromContext }: { instruction: string; fromContext: boolean },
): Omit<CopySource, 'shown'> {
  const real = realPathIn(root, name);
  const path = real === '' ? root : `${root}/${real}`;
  let stat: Stats | undefined;
  try {
    stat = real === '' ? statSync(path) : lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTDIR') throw error;
  }
  if (stat !== undefined) return { path, name, stat };
  throw failed(
    instruction,
    fromContext
      ? `file not found in build context or excluded by .dockerignore: stat ${name || asked}: file does not exist`
      : `stat ${name || asked}: file does not exist`,
  );
}

/**
 * Names in the tree that match a pattern, one component after the other, sorted.
 * @param isDeep `**` stands for any number of directories
 */
function match(root: string, pattern: string, isDeep: boolean): string[] {
  let names = [''];
  const parts = pattern.split('/');
  for (const [index, part] of parts.entries()) {
    if (isDeep && part === '**' && index < parts.length - 1) {
      names = names.flatMap((name) => directoriesIn(root, name));
      continue;
    }
    const glob = new Glob(part.replaceAll(/\*+/g, '*'));
    const next: string[] = [];
    for (const name of names) {
      const directory = realPathIn(root, name);
      if (lstatSync(`${root}/${directory}`, { throwIfNoEntry: false })?.isDirectory() !== true) continue;
      const children = /[*?[\\]/.test(part)
        ? readdirSync(`${root}/${directory}`).filter((child) => glob.matches(child))
        : [part].filter(
            (child) => lstatSync(`${root}/${directory}/${child}`, { throwIfNoEntry: false }) !== undefined,
          );
      next.push(...children.sort().map((child) => (name === '' ? child : `${name}/${child}`)));
    }
    names = next;
  }
  return names;
}

/** The directory of this name and all below it, links not followed. */
function directoriesIn(root: string, name: string): string[] {
  const here = name === '' ? root : `${root}/${name}`;
  if (lstatSync(here, { throwIfNoEntry: false })?.isDirectory() !== true) return [];
  const below = readdirSync(here, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const names = below.map((entry) => entry.name).sort();
  return [name, ...names.flatMap((child) => directoriesIn(root, name === '' ? child : `${name}/${child}`))];
}

/** Visits a source and all below it, names sorted; `relative` is '' for the source itself. */
export function* walkSource(
  source: CopySource,
  exclude: IgnoreRules,
): Generator<{ path: string; relative: string; stat: Stats }, void, void> {
  const stack = [{ path: source.path, relative: '', stat: source.stat }];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const named = [source.shown, next.relative].filter((part) => part !== '').join('/');
    const excluded = !exclude.isEmpty && named !== '' && exclude.ignores(named);
    if (excluded && !(next.stat.isDirectory() && exclude.hasExceptions)) continue;
    if (!excluded) yield next;
    if (!next.stat.isDirectory()) continue;
    const { path, relative } = next;
    for (const name of readNames(path).sort().toReversed()) {
      const child = `${path}/${name}`;
      const stat = lstatSync(toHostPath(child), { throwIfNoEntry: false });
      if (stat !== undefined)
        stack.push({ path: child, relative: relative === '' ? name : `${relative}/${name}`, stat });
    }
  }
}

/**
 * What a COPY would write, as a digest: names, types, modes, owners and contents, but no times.
 * @param options.digests of contents that are known, by path; gets those that are found
 */
export function digestSources(
  sources: readonly CopySource[],
  options: { exclude: IgnoreRules; owners: boolean; digests: Map<string, string> },
): string {
  const hash = createHash('sha256');
  for (const source of sources) {
    hash.update(`source ${source.stat.isDirectory() ? '' : JSON.stringify(source.name.split('/').at(-1))}\n`);
    for (const { path, relative, stat } of walkSource(source, options.exclude)) {
      const owner = options.owners ? `${stat.uid}:${stat.gid}` : '';
      hash.update(`${JSON.stringify(relative)} ${stat.mode} ${owner} `);
      if (stat.isFile()) hash.update(contentDigest(path, options.digests));
      else if (stat.isSymbolicLink()) hash.update(JSON.stringify(readlinkSync(toHostPath(path))));
      else if (!stat.isDirectory()) hash.update(String(stat.rdev));
      hash.update('\n');
    }
  }
  return hash.digest('hex');
}

function contentDigest(path: string, digests: Map<string, string>): string {
  const known = digests.get(path);
  if (known !== undefined) return known;
  const hash = createHash('sha256');
  hashFile(path, hash);
  const digest = hash.digest('hex');
  digests.set(path, digest);
  return digest;
}

const buffer = Buffer.allocUnsafeSlow(1024 * 1024);

function hashFile(path: string, hash: Hash): void {
  const fd = openSync(toHostPath(path), 'r');
  try {
    for (;;) {
      const length = readSync(fd, buffer, 0, buffer.length, null);
      if (length === 0) return;
      hash.update(buffer.subarray(0, length));
    }
  } finally {
    closeSync(fd);
  }
}
