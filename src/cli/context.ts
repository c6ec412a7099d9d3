import { createReadStream, existsSync, lstatSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { IgnoreRules, parseIgnoreFile, writeTar, type TarSource } from '../archive/index.ts';

/** Content up to this is read at once, which takes a fraction of the time of a stream. */
const SMALL_FILE_BYTES = 256 * 1024;

/** A file that is added to a context from elsewhere, e.g. a Dockerfile from standard input. */
export interface ExtraFile {
  name: string;
  content: Buffer;
}

/** The rules that count for a directory and a Dockerfile in it: the Dockerfile's own before the directory's. */
export function readIgnoreRules(directory: string, dockerfile: string): IgnoreRules {
  for (const name of [`${dockerfile}.dockerignore`, '.dockerignore']) {
    if (existsSync(join(directory, name)))
      return new IgnoreRules(parseIgnoreFile(readFileSync(join(directory, name), 'utf8')));
  }
  return new IgnoreRules([]);
}

/** Files of a directory that become part of a tar. */
export interface PackedDirectory {
  directory: string;
  /** Path in it, of the Dockerfile whose ignore file counts. */
  dockerfile: string;
  /** In front of the names in the tar, '' or ending with a slash. */
  prefix?: string;
  /** Text of an ignore file that counts instead of the directory's. */
  rules?: string;
}

/** A build context as a tar stream, without what `.dockerignore` excludes; owner and group become 0. */
export function packContext(
  directory: string,
  dockerfile: string,
  extra: readonly ExtraFile[] = [],
): AsyncIterable<Uint8Array> {
  return packDirectories([{ directory, dockerfile }], extra);
}

/** Several directories as one tar stream. */
export function packDirectories(
  directories: readonly PackedDirectory[],
  extra: readonly ExtraFile[],
): AsyncIterable<Uint8Array> {
  const all = function* (): Generator<TarSource> {
    for (const file of extra) yield fileOf(file);
    for (const one of directories) {
      // An empty one must be seen, too.
      if (one.prefix !== undefined) yield { path: one.prefix, type: 'directory', mode: 0o755 };
      yield* filesOf(one);
    }
  };
  return writeTar(all());
}

/** A file that grows meanwhile is cut at the size that its header says. */
function contentOf(path: string, sizeBytes: number): NonNullable<TarSource['body']> {
  if (sizeBytes > SMALL_FILE_BYTES) {
    return createReadStream(path, { end: sizeBytes - 1, highWaterMark: SMALL_FILE_BYTES });
  }
  return sizeBytes === 0 ? [] : readFileSync(path).subarray(0, sizeBytes);
}

function fileOf({ name, content }: ExtraFile): TarSource {
  return { path: name, type: 'file', mode: 0o600, sizeBytes: content.length, body: [content] };
}

function* filesOf(packed: PackedDirectory): Generator<TarSource> {
  const { directory, dockerfile, prefix = '' } = packed;
  const rules =
    packed.rules === undefined
      ? readIgnoreRules(directory, dockerfile)
      : new IgnoreRules(parseIgnoreFile(packed.rules));
  // The engine needs these even when they are excluded, and removes them itself.
  const kept = new Set(prefix === '' ? [dockerfile, '.dockerignore', `${dockerfile}.dockerignore`] : []);
  const walk = function* (parent: string): Generator<TarSource> {
    for (const child of readdirSync(join(directory, parent)).toSorted()) {
      const name = parent === '' ? child : `${parent}/${child}`;
      const path = join(directory, name);
      const stat = lstatSync(path);
      if (stat.isSocket() || stat.isCharacterDevice() || stat.isBlockDevice()) continue;
      const isNeeded = kept.has(name) || [...kept].some((file) => file.startsWith(`${name}/`));
      const ignored = rules.ignores(name) && !isNeeded;
      if (ignored && !(stat.isDirectory() && rules.hasExceptions)) continue;
      const common = {
        path: `${prefix}${name}`,
        mode: stat.mode & 0o7777,
        uid: 0,
        gid: 0,
        mtimeSeconds: Math.floor(stat.mtimeMs / 1000),
      };
      if (stat.isDirectory()) {
        if (!ignored) yield { ...common, type: 'directory' };
        yield* walk(name);
      } else if (stat.isSymbolicLink()) {
        yield { ...common, type: 'symlink', linkPath: readlinkSync(path) };
      } else if (stat.isFIFO()) {
        yield { ...common, type: 'fifo' };
      } else {
        yield { ...common, type: 'file', sizeBytes: stat.size, body: contentOf(path, stat.size) };
      }
    }
  };
  yield* walk('');
}
