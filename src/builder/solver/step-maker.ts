import type { Image, Images } from '../../images/index.ts';
import { TAR_END } from '../../archive/index.ts';
import type { Digest, ImageConfig } from '../../spec/index.ts';
import { digestOfTexts } from '../context/build-context.ts';
import type { BuildCache } from './cache.ts';
import type { BuildRun } from './build-run.ts';
import type { StageState } from './stage.ts';

/** A step to be made or found. */
export interface Step {
  /** As history shows it. */
  createdBy: string;
  /** What it depends on besides the steps before it and `createdBy`. */
  inputs: readonly string[];
  /** Of the new image; rootfs and history come from here. */
  config: ImageConfig;
  /** Writes the files; undefined for a step without any. The changes are given as a layer tar, which is read at once. */
  makeLayer: (() => Promise<StepLayer>) | undefined;
}

export interface StepLayer extends AsyncDisposable {
  tar: AsyncIterable<Uint8Array>;
  /** Moves the files that the tar was made of; see Images.createFromLayer(). */
  place?: (directory: string) => Promise<boolean>;
}

/** Turns steps into images, each made once: found in the cache, or awaited when another build is making it. */
export class StepMaker {
  readonly #images: Images;
  readonly #cache: BuildCache;
  readonly #making = new Map<string, Promise<Digest>>();

  constructor(images: Images, cache: BuildCache) {
    this.#images = images;
    this.#cache = cache;
  }

  async step(run: BuildRun, state: StageState, step: Step): Promise<void> {
    const key = digestOfTexts([state.key, step.createdBy, ...step.inputs]);
    const found = run.request.noCache === true || state.busted ? undefined : await this.#find(key);
    if (found !== undefined) {
      run.say(' ---> Using cache\n');
      state.traced?.cached();
      state.advance(found, key);
      return;
    }
    state.busted = true;
    const making = this.#make(state, step);
    // Whoever waits for it looks whether it was made.
    this.#making.set(key, making);
    try {
      const imageId = await making;
      this.#cache.put(key, imageId, step.createdBy);
      state.advance(this.#images.get(imageId), key);
    } finally {
      if (this.#making.get(key) === making) this.#making.delete(key);
    }
  }

  async #find(key: string): Promise<Image | undefined> {
    for (let making = this.#making.get(key); making !== undefined; making = this.#making.get(key)) {
      const id = await making.catch(() => undefined);
      if (id !== undefined && this.#images.has(id)) return this.#images.get(id);
      if (this.#making.get(key) === making) break;
    }
    const id = this.#cache.find(key);
    return id === undefined ? undefined : this.#images.get(id);
  }

  async #make(state: StageState, step: Step): Promise<Digest> {
    await using layer = await step.makeLayer?.();
    const tar = layer === undefined ? null : await unlessEmpty(layer.tar);
    const created = new Date().toISOString();
    const { author } = step.config;
    const config: ImageConfig = {
      ...step.config,
      created,
      rootfs: { type: 'layers', diff_ids: [] },
      history: [
        ...(step.config.history ?? []),
        {
          created,
          created_by: step.createdBy,
          ...(author === undefined || author === '' ? {} : { author }),
          ...(tar === null ? { empty_layer: true } : {}),
        },
      ],
    };
    delete config.comment;
    const image = await this.#images.createFromLayer({
      parent: state.image,
      layer: tar,
      config,
      ...(layer?.place === undefined ? {} : { place: layer.place }),
    });
    return image.id;
  }
}

/** Null for a tar without members: the step changed no file, and its image has no layer of its own. */
async function unlessEmpty(tar: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array> | null> {
  const iterator = tar[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let bytes = 0;
  let done = false;
  while (bytes <= TAR_END.length && !done) {
    const next = await iterator.next();
    if (next.done === true) done = true;
    else {
      first.push(next.value);
      bytes += next.value.length;
    }
  }
  if (done && first.every((chunk) => chunk.every((byte) => byte === 0))) return null;
  return (async function* () {
    try {
      yield* first;
      for (;;) {
        const next = await iterator.next();
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  })();
}
