import { isEngineError } from '../../src/errors/index.ts';
import { ArchiveDoors, tarDoors, type Door } from '../fixtures/archive-doors.ts';
import { hostileTexts, randomImage, randomTar, wrapped } from './inputs.ts';
import { Random } from './random.ts';

/** One case may take so long on a busy machine. */
const slowMs = 30_000;
const doors: readonly Door[] = ['load', 'load', ...tarDoors];
/** What a broken or hostile archive may be answered with. */
const clearKinds = new Set(['invalid-parameter', 'data-loss', 'not-found', 'not-implemented']);

/** What a case came to; `wrong` says what must not be. */
export interface Outcome {
  door: Door;
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
    const input = await this.#input(random, door);
    const begun = performance.now();
    const outcome = await this.#doors.take(door, input).then(
      (): Outcome => ({ door, result: 'done', text: '' }),
      (error: unknown): Outcome => {
        // Archives here have no Dockerfile, which is looked for when all is unpacked.
        const isDone = isEngineError(error) && error.code === 'no-dockerfile';
        const isClear = isEngineError(error) && clearKinds.has(error.kind) && error.message !== '';
        return { door, result: isDone ? 'done' : isClear ? 'refused' : 'wrong', text: describe(error) };
      },
    );
    const wrong = await this.#doors.wrong();
    const tookMs = performance.now() - begun;
    if (tookMs > slowMs) wrong.push(`took ${Math.round(tookMs)} ms`);
    return wrong.length === 0 ? outcome : { door, result: 'wrong', text: wrong.join('; ') };
  }

  async #input(random: Random, door: Door): Promise<Buffer> {
    const texts = hostileTexts(this.#doors.outside);
    if (door === 'load') return await randomImage(random, texts);
    const tar = await randomTar(random, texts);
    // Layers have their digests, and are whole therefore.
    if (door === 'layer' || door === 'pull') return tar;
    return wrapped(random, tar, await randomTar(random, texts));
  }
}

function describe(error: unknown): string {
  if (isEngineError(error)) return `${error.kind}: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
