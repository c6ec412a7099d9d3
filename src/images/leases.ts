import type { BlobInfo, BlobWriter } from '../content/index.ts';
import type { Digest } from '../spec/index.ts';

/** A thing on disk that images share: a blob of the content store or a layer of the snapshotter. */
export interface Shared {
  kind: 'blob' | 'layer';
  digest: Digest;
}

/**
 * Keeps what an operation is about to refer to (and what a reader reads) from being removed as garbage by another one.
 * Removal and the moments in which something becomes held exclude each other, so a held thing that was there stays.
 */
export class Leases {
  readonly #counts = new Map<string, number>();
  readonly #isReferenced: (shared: Shared) => boolean;
  readonly #remove: (shared: Shared) => Promise<void>;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(isReferenced: (shared: Shared) => boolean, remove: (shared: Shared) => Promise<void>) {
    this.#isReferenced = isReferenced;
    this.#remove = remove;
  }

  /** Dispose it when what it holds is recorded, or has failed: what nothing refers to is removed then. */
  open(): Lease {
    return new Lease(this);
  }

  isHeld(shared: Shared): boolean {
    return this.#counts.has(keyOf(shared));
  }

  /** Removes those that no image refers to and no lease holds; give upper layers before lower ones. */
  async collect(candidates: readonly Shared[]): Promise<void> {
    await this.#exclusive(async () => {
      for (const shared of candidates) {
        if (this.#counts.has(keyOf(shared)) || this.#isReferenced(shared)) continue;
        await this.#remove(shared);
      }
    });
  }

  /** For Lease: runs `body` and counts what it gives, with no removal in between. */
  async take(body: () => Promise<Shared>): Promise<Shared> {
    return await this.#exclusive(async () => {
      const shared = await body();
      const key = keyOf(shared);
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
      return shared;
    });
  }

  /** For Lease. */
  drop(shared: Shared): void {
    const key = keyOf(shared);
    const left = (this.#counts.get(key) ?? 0) - 1;
    if (left > 0) this.#counts.set(key, left);
    else this.#counts.delete(key);
  }

  async #exclusive<T>(body: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(body);
    this.#tail = result.catch(() => undefined);
    return await result;
  }
}

export class Lease implements AsyncDisposable {
  readonly #leases: Leases;
  #held: Shared[] = [];

  constructor(leases: Leases) {
    this.#leases = leases;
  }

  async hold(shared: Shared): Promise<void> {
    this.#held.push(await this.#leases.take(async () => shared));
  }

  /** Commits a blob and holds it. */
  async commit(writer: BlobWriter): Promise<BlobInfo> {
    let info: BlobInfo | undefined;
    const shared = await this.#leases.take(async () => {
      info = await writer.commit();
      return { kind: 'blob', digest: info.digest };
    });
    this.#held.push(shared);
    return info as BlobInfo;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const held = this.#held.toReversed();
    this.#held = [];
    for (const shared of held) this.#leases.drop(shared);
    await this.#leases.collect(held);
  }
}

function keyOf(shared: Shared): string {
  return `${shared.kind} ${shared.digest}`;
}
