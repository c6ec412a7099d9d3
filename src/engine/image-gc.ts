import { statfs } from 'node:fs/promises';
import type { Containers } from '../containers/index.ts';
import type { EventBus } from '../events/index.ts';
import { errorMessage } from '../errors/index.ts';
import type { ImageGcPolicy, Images } from '../images/index.ts';
import type { EngineOptions } from './options.ts';
import { imageUsers } from './image-users.ts';

/** After an image came, so that several that come together are looked at once. */
const settleMs = 2000;
const growing = new Set(['pull', 'load', 'import', 'create', 'tag']);

/**
 * Collects unused images by a policy, at intervals and when images have come. Dispose it to stop.
 * @param parts.log tells what was removed, and what failed
 */
export class ImageGc implements AsyncDisposable {
  readonly #parts: {
    images: Images;
    containers: Containers;
    dataRoot: string;
    log: NonNullable<EngineOptions['onLog']>;
  };
  readonly #policy: ImageGcPolicy & { intervalMs: number };
  readonly #subscription: { remove(): void };
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(
    parts: {
      images: Images;
      containers: Containers;
      events: EventBus;
      dataRoot: string;
      log: NonNullable<EngineOptions['onLog']>;
    },
    policy: ImageGcPolicy & { intervalMs: number },
  ) {
    this.#parts = parts;
    this.#policy = policy;
    this.#subscription = parts.events.subscribe((event) => {
      if (event.Type === 'image' && growing.has(event.Action)) this.#schedule(settleMs);
    });
    this.#schedule(Math.min(settleMs, policy.intervalMs));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#subscription.remove();
    clearTimeout(this.#timer);
    await this.#running;
    clearTimeout(this.#timer);
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#running ??= this.#run().finally(() => {
        this.#running = undefined;
        this.#schedule(this.#policy.intervalMs);
      });
    }, delayMs).unref();
  }

  async #run(): Promise<void> {
    const { images, containers, dataRoot, log } = this.#parts;
    try {
      const { removed, spaceReclaimedBytes } = await images.collect({
        policy: this.#policy,
        // Asked anew each time: containers come and go meanwhile.
        usedBy: (id) => imageUsers(containers, id),
        async fileSystem() {
          const { bsize, blocks, bfree, bavail } = await statfs(dataRoot);
          const used = blocks - bfree;
          return { usedBytes: used * bsize, totalBytes: (used + bavail) * bsize };
        },
      });
      const names = removed.flatMap(({ kind, reference }) => (kind === 'untagged' ? reference : []));
      if (removed.length > 0) {
        log('info', `image garbage collection freed ${spaceReclaimedBytes} bytes: ${names.join(' ')}`);
      }
    } catch (error) {
      log('error', `image garbage collection: ${errorMessage(error)}`);
    }
  }
}
