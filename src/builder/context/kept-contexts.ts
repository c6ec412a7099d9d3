import { lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import type { KnownFile, TarHeader } from '../../archive/index.ts';
import { SourceFiles } from './source-files.ts';

const MAX_CONTEXTS = 3;
/** What is less is written again as fast. */
const MIN_FILES = 64;
/** Of all together; what is known of a file takes some 250 bytes of memory. */
const MAX_FILES = 50_000;
/** Those of files that are gone are among them until nothing is kept. */
const MAX_PLACES = 4 * MAX_FILES;
const KEEP_MS = 10 * 60 * 1000;

interface Kept {
  directory: string;
  /** Where it was when the digests were told. */
  original: string;
  files: SourceFiles;
}

/**
 * The contexts of the last builds: mostly the next one has the same files but for a few, which then need not be written
 * again. Their files are never written to, since layers and later contexts have them too.
 */
export class KeptContexts {
  readonly #directory: string;
  readonly #discard: (directory: string) => void;
  /** The latest first. */
  readonly #kept: Kept[] = [];
  #places = new Map<number, string>();
  #count = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param directory where builds have their directories
   * @param discard removes a build's directory, in the background
   */
  constructor(directory: string, discard: (directory: string) => void) {
    this.#directory = directory;
    this.#discard = discard;
  }

  /** For a new build. */
  newFiles(): SourceFiles {
    if (this.#places.size > MAX_PLACES) this.clear();
    return new SourceFiles(this.#places);
  }

  /**
   * Takes a context over whose build has ended, or leaves it when there is nothing to gain. Only those of its files are kept that
   * are in a layer: the others take space, and may be what was to be nowhere.
   */
  keep(context: string, files: SourceFiles): void {
    const count = files.linked.size;
    const isOld = files.places !== this.#places;
    if (isOld || files.hasHardLinks || !files.isWhole || count < MIN_FILES || count > MAX_FILES) return;
    for (const path of files.digests.keys()) {
      if (files.linked.has(path)) continue;
      files.digests.delete(path);
      if (path.startsWith(`${context}/`)) rmSync(path, { force: true });
    }
    this.#count += 1;
    const directory = `${this.#directory}/kept-${this.#count}`;
    mkdirSync(directory, { mode: 0o700 });
    renameSync(context, `${directory}/context`);
    this.#kept.unshift({ directory, original: context, files });
    let total = 0;
    const fits = this.#kept.findIndex((kept) => (total += kept.files.digests.size) > MAX_FILES);
    this.#drop(fits === -1 ? MAX_CONTEXTS : Math.min(fits, MAX_CONTEXTS));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.clear(), KEEP_MS).unref();
  }

  /** A file of this path in a context, with the attributes of the header; for a ReusingWriter. */
  find(path: string, header: TarHeader): KnownFile | undefined {
    for (const { directory, original, files } of this.#kept) {
      const sha256 = files.digests.get(`${original}/${path}`);
      if (sha256 === undefined) continue;
      const known = { path: `${directory}/context/${path}`, sha256 };
      if (looksLike(known.path, header)) return known;
    }
    return undefined;
  }

  clear(): void {
    clearTimeout(this.#timer);
    // Builds that run keep theirs, and what they received is not kept.
    this.#places = new Map();
    this.#drop(0);
  }

  #drop(from: number): void {
    for (const { directory } of this.#kept.splice(from)) this.#discard(directory);
  }
}

function looksLike(path: string, header: TarHeader): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return (
    stat?.isFile() === true &&
    stat.size === header.sizeBytes &&
    (stat.mode & 0o7777) === header.mode &&
    // A double cannot hold nanoseconds of today.
    header.mtimeNanos === 0 &&
    stat.mtimeMs === header.mtimeSeconds * 1000
  );
}
