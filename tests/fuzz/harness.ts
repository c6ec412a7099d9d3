import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unpackLayer } from '../../src/archive/index.ts';
import { writeArchive } from '../../src/containers/archive/index.ts';
import { LocalContentStore } from '../../src/content/index.ts';
import { isEngineError } from '../../src/errors/index.ts';
import { MemoryEventBus } from '../../src/events/index.ts';
import { LocalImages } from '../../src/images/index.ts';
import { memoryRecords } from '../../src/records/index.ts';
import { openSnapshotter, type Snapshotter } from '../../src/snapshots/index.ts';
import { linuxSyscall } from '../../src/sys/index.ts';
import { hostileTexts, randomImage, randomTar, wrapped, type Texts } from './inputs.ts';
import { Random } from './random.ts';

const syscall = linuxSyscall();
/** One case may take so long on a busy machine. */
const slowMs = 10_000;
const targets = ['load', 'load', 'import', 'overlay', 'merged', 'copy'] as const;
/** What a broken or hostile archive may be answered with. */
const clearKinds = new Set(['invalid-parameter', 'data-loss', 'not-found', 'not-implemented']);

/** What a case came to; `wrong` says what must not be. */
export interface Outcome {
  target: (typeof targets)[number];
  result: 'done' | 'refused' | 'wrong';
  text: string;
}

/**
 * Feeds made-up archives to the places that read archives, in this process, over stores in a directory of their own, and
 * looks at the directory beside it, which must stay as it was.
 */
export class FuzzHarness implements AsyncDisposable {
  readonly #root: string;
  readonly #outside: string;
  readonly #texts: Texts;
  readonly #before: string;
  readonly #images: LocalImages;
  readonly #content: LocalContentStore;
  readonly #snapshotter: Snapshotter;

  private constructor(root: string, stores: [LocalImages, LocalContentStore, Snapshotter]) {
    this.#root = root;
    this.#outside = join(root, 'outside');
    this.#texts = hostileTexts(this.#outside);
    this.#before = picture(this.#outside);
    [this.#images, this.#content, this.#snapshotter] = stores;
  }

  /** @param parent a directory on a fast file system: every blob is synced */
  static async open(parent = tmpdir()): Promise<FuzzHarness> {
    const root = mkdtempSync(join(parent, 'coracle-fuzz-'));
    mkdirSync(join(root, 'outside/kept'), { recursive: true });
    writeFileSync(join(root, 'outside/secret'), 'secret', { mode: 0o600 });
    const content = new LocalContentStore(join(root, 'data/content'));
    const snapshotter = await openSnapshotter({ dataRoot: join(root, 'data'), syscall });
    const images = new LocalImages({
      content,
      snapshotter,
      records: memoryRecords(),
      events: new MemoryEventBus(),
      unpackLayer: (request) => unpackLayer(request, syscall),
    });
    await images.open();
    return new FuzzHarness(root, [images, content, snapshotter]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#snapshotter.close();
    rmSync(this.#root, { recursive: true, force: true });
  }

  /** One case, the same for the same seed. */
  async run(seed: number): Promise<Outcome> {
    const random = new Random(seed);
    const target = random.pick(targets);
    const input = await this.#input(random, target);
    const begun = performance.now();
    const outcome = await this.#feed(target, input).then(
      (): Outcome => ({ target, result: 'done', text: '' }),
      (error: unknown): Outcome => {
        const clear = isEngineError(error) && clearKinds.has(error.kind) && error.message !== '';
        return { target, result: clear ? 'refused' : 'wrong', text: describe(error) };
      },
    );
    const wrong = await this.#wrong();
    const tookMs = performance.now() - begun;
    if (tookMs > slowMs) wrong.push(`took ${Math.round(tookMs)} ms`);
    return wrong.length === 0 ? outcome : { target, result: 'wrong', text: wrong.join('; ') };
  }

  async #input(random: Random, target: Outcome['target']): Promise<Buffer> {
    if (target === 'load') return await randomImage(random, this.#texts);
    return wrapped(random, await randomTar(random, this.#texts), await randomTar(random, this.#texts));
  }

  async #feed(target: Outcome['target'], input: Buffer): Promise<void> {
    switch (target) {
      case 'load': {
        const { ids } = await this.#images.load(chunks(input), {});
        for (const id of ids) await this.#remove(id);
        return;
      }
      case 'import':
        await this.#remove((await this.#images.import(chunks(input), {})).id);
        return;
      case 'copy':
        return await this.#inDirectory(async (rootPath) => {
          const view = { nameOrId: 'fuzz', rootPath, mounts: [], readonlyRoot: false };
          await writeArchive(syscall, view, '/', chunks(input), { noOverwriteDirNonDir: false });
        });
      default:
        return await this.#inDirectory(async (directory) => {
          const source = join(this.#root, 'input');
          writeFileSync(source, input);
          await unpackLayer({ source, directory, form: target }, syscall);
        });
    }
  }

  async #inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
    const directory = join(this.#root, 'target');
    mkdirSync(join(directory, 'old/inner'), { recursive: true });
    try {
      await body(directory);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }

  async #remove(id: string): Promise<void> {
    if (this.#images.has(id)) {
      await this.#images.remove(id, { force: true, prune: true, usedBy: () => [] });
    }
  }

  /** What is not as it was before the case. */
  async #wrong(): Promise<string[]> {
    const wrong: string[] = [];
    const now = picture(this.#outside);
    if (now !== this.#before) wrong.push(`the host was touched: ${now}`);
    const blobs = await Array.fromAsync(this.#content.list());
    if (blobs.length > 0) wrong.push(`${blobs.length} blobs are left`);
    const ingest = readdirSync(join(this.#root, 'data/content/ingest'));
    if (ingest.length > 0) wrong.push(`${ingest.length} blobs in the making are left`);
    if (this.#snapshotter.layers().length > 0) wrong.push('layers are left');
    if (this.#images.list().length > 0) wrong.push('an image is left');
    return wrong;
  }
}

async function* chunks(bytes: Buffer): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 1021) yield bytes.subarray(at, at + 1021);
}

function describe(error: unknown): string {
  if (isEngineError(error)) return `${error.kind}: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Everything that can be told of a small tree. */
function picture(path: string): string {
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return `${path} is gone\n`;
  const content = stat.isFile()
    ? createHash('sha256').update(readFileSync(path)).digest('hex')
    : stat.isSymbolicLink()
      ? readlinkSync(path)
      : '';
  const own = [stat.mode, stat.uid, stat.gid, stat.nlink, stat.mtimeNs, stat.ctimeNs, content].join(' ');
  if (!stat.isDirectory()) return `${path} ${own}\n`;
  return readdirSync(path)
    .toSorted()
    .reduce((text, name) => text + picture(join(path, name)), `${path} ${own}\n`);
}
