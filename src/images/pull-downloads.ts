import { isEngineError, EngineError } from '../errors/index.ts';
import { downloadBlob, type Repository } from '../registry/index.ts';
import type { Descriptor, Digest } from '../spec/index.ts';
import type { ImageStore } from './image-store.ts';
import type { ImageProgress } from './images.ts';
import type { Lease } from './leases.ts';
import { progressOf, throttled } from './progress-text.ts';

type Report = (progress: ImageProgress) => void;

interface Running {
  done: Promise<void>;
  listeners: Set<Report>;
}

/** Fetches layers for all pulls of an engine: a blob that two of them need comes once, and only so many at a time. */
export class LayerDownloads {
  readonly #store: ImageStore;
  readonly #slots: Slots;
  readonly #running = new Map<Digest, Running>();

  constructor(store: ImageStore, maxConcurrent: number) {
    this.#store = store;
    this.#slots = new Slots(maxConcurrent);
  }

  /** Sees to it that the blob is there and held by the lease. */
  async fetch(
    repository: Repository,
    descriptor: Descriptor,
    options: { lease: Lease; report: Report; signal: AbortSignal },
  ): Promise<void> {
    const { lease, report, signal } = options;
    const { digest } = descriptor;
    for (;;) {
      signal.throwIfAborted();
      await lease.hold({ kind: 'blob', digest });
      if (this.#store.content.has(digest)) {
        report(progressOf(shortId(digest), 'Download complete'));
        return;
      }
      const running = this.#running.get(digest);
      if (running !== undefined) {
        running.listeners.add(report);
        // Another pull's failure is its own; this one then tries itself.
        await Promise.race([running.done.catch(() => undefined), aborted(signal)]).finally(() =>
          running.listeners.delete(report),
        );
        continue;
      }
      const listeners = new Set<Report>([report]);
      const done = this.#download(repository, descriptor, { lease, signal, listeners });
      this.#running.set(digest, { done, listeners });
      try {
        await done;
        return;
      } finally {
        this.#running.delete(digest);
      }
    }
  }

  async #download(
    repository: Repository,
    descriptor: Descriptor,
    options: { lease: Lease; signal: AbortSignal; listeners: Set<Report> },
  ): Promise<void> {
    const { lease, signal, listeners } = options;
    const id = shortId(descriptor.digest);
    const tell = (status: string, current = 0): void => {
      const progress = progressOf(id, status, current, current === 0 ? 0 : descriptor.size);
      for (const listener of listeners) listener(progress);
    };
    const release = await this.#slots.take(signal, () => tell('Waiting'));
    try {
      await downloadBlob(repository, descriptor, {
        content: this.#store.content,
        commit: (writer) => lease.commit(writer),
        onProgress: throttled(descriptor.size, (current) => tell('Downloading', current)),
        onReceived: () => tell('Verifying Checksum'),
        onRetry: (delayMs) => {
          const seconds = Math.max(1, Math.round(delayMs / 1000));
          tell(`Retrying in ${seconds} second${seconds === 1 ? '' : 's'}`);
        },
        signal,
      });
      tell('Download complete');
    } catch (error) {
      if (!isEngineError(error) || error.kind !== 'data-loss') throw error;
      throw new EngineError(
        'data-loss',
        `filesystem layer verification failed for digest ${descriptor.digest}`,
        { code: error.code, cause: error },
      );
    } finally {
      release();
    }
  }
}

/** A counted number of places, given in the order of asking. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** @returns gives the place back */
  async take(signal: AbortSignal, onWait?: () => void): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
    } else {
      onWait?.();
      await this.#turn(signal);
    }
    let released = false;
    return () => {
      if (released) return;
      released = true;
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    };
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const next = (): void => {
        signal.removeEventListener('abort', stop);
        resolve();
      };
      const stop = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(next), 1);
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', stop, { once: true });
      this.#waiting.push(next);
    });
  }
}

export function shortId(digest: Digest): string {
  return digest.slice(7, 19);
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
