import { isEngineError, type EngineError } from '../../src/errors/index.ts';
import { ArchiveDoors, tarDoors, type Door } from '../fixtures/archive-doors.ts';
import { hostileTexts, randomArchive, randomImage, randomTar, wrapped, type Texts } from './inputs.ts';
import { Random } from './random.ts';

/** One case may take so long on a busy machine. */
const slowMs = 30_000;
const doors = ['load', 'load', 'registry', ...tarDoors] as const;
/** What a broken or hostile archive may be answered with. */
const clearKinds = new Set(['invalid-parameter', 'data-loss', 'not-found', 'not-implemented']);

/** What a case came to; `wrong` says what must not be. */
export interface Outcome {
  door: (typeof doors)[number];
  result: 'done' | 'refused' | 'wrong';
  text: string;
}

/** Makes up archives and brings them to the doors by which archives come in. */
export class FuzzHarness implements AsyncDisposable {
  readonly #doors: ArchiveDoors;

  private constructor(made: ArchiveDoors) {
    this.#doors = made;
  }

  static async open(): Promise<FuzzHarness> {
    return new FuzzHarness(await ArchiveDoors.open());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#doors[Symbol.asyncDispose]();
  }

  /** One case, the same for the same seed. */
  async run(seed: number): Promise<Outcome> {
    const random = new Random(seed);
    const door = random.pick(doors);
    const feed = await this.#feed(random, door);
    const begun = performance.now();
    const outcome = await feed().then(
      (): Outcome => ({ door, result: 'done', text: '' }),
      (error: unknown): Outcome => {
        // Archives here have no Dockerfile, which is looked for when all is unpacked.
        const isDone = isEngineError(error) && error.code === 'no-dockerfile';
        const isClear = isEngineError(error) && isClearKind(error) && error.message !== '';
        return { door, result: isDone ? 'done' : isClear ? 'refused' : 'wrong', text: describe(error) };
      },
    );
    const wrong = await this.#doors.wrong();
    const tookMs = performance.now() - begun;
    if (tookMs > slowMs) wrong.push(`took ${Math.round(tookMs)} ms`);
    return wrong.length === 0 ? outcome : { door, result: 'wrong', text: wrong.join('; ') };
  }

  /** Makes the case up, and gives what is to be tried. */
  async #feed(random: Random, door: Outcome['door']): Promise<() => Promise<void>> {
    const texts = hostileTexts(this.#doors.outside);
    if (door === 'registry') {
      const { blobs, topBytes } = await randomImage(random, texts);
      const mediaType = `application/vnd.oci.image.${random.pick(['manifest', 'index'])}.v1+json`;
      return async () => await this.#doors.pullBlobs(blobs, topBytes, mediaType);
    }
    const input = await this.#input(random, texts, door);
    return async () => await this.#doors.take(door, input);
  }

  async #input(random: Random, texts: Texts, door: Door): Promise<Buffer> {
    if (door === 'load') return await randomArchive(random, texts);
    const tar = await randomTar(random, texts);
    // Layers have their digests, and are whole therefore.
    if (door === 'layer' || door === 'pull') return tar;
    return wrapped(random, tar, await randomTar(random, texts));
  }
}

/** What a registry and the way to it did wrong is passed on, as Docker does, as an internal error. */
function isClearKind(error: EngineError): boolean {
  return clearKinds.has(error.kind) || isEngineError(error.cause);
}

function describe(error: unknown): string {
  if (isEngineError(error)) return `${error.kind}: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
