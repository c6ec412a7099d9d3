import type { Images } from '../../images/index.ts';
import type { RecordCollection, Records } from '../../records/index.ts';
import type { Digest } from '../../spec/index.ts';

/** What a step gave when it was run. */
export interface CacheRecord {
  imageId: Digest;
  createdBy: string;
  createdAtMs: number;
  lastUsedAtMs: number;
  uses: number;
}

/** From what a step was made from to the image it gave; durable. A record is worth something as long as the image is there. */
export class BuildCache {
  readonly #records: RecordCollection<CacheRecord>;
  readonly #images: Pick<Images, 'has'>;

  constructor(records: Records, images: Pick<Images, 'has'>) {
    this.#records = records.collection('build-cache');
    this.#images = images;
  }

  /** The image of a step that was run before. */
  find(key: string): Digest | undefined {
    const record = this.#records.get(key);
    if (record === undefined) return undefined;
    if (!this.#images.has(record.imageId)) {
      this.#records.delete(key);
      return undefined;
    }
    this.#records.put(key, { ...record, lastUsedAtMs: Date.now(), uses: record.uses + 1 });
    return record.imageId;
  }

  put(key: string, imageId: Digest, createdBy: string): void {
    const now = Date.now();
    this.#records.put(key, { imageId, createdBy, createdAtMs: now, lastUsedAtMs: now, uses: 0 });
  }

  entries(): [key: string, record: CacheRecord][] {
    return this.#records.entries();
  }

  forget(key: string): void {
    this.#records.delete(key);
  }

  /** Drops records whose images are gone. */
  sweep(): void {
    for (const [key, record] of this.#records.entries()) {
      if (!this.#images.has(record.imageId)) this.#records.delete(key);
    }
  }
}
