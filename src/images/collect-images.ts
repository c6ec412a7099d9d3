import { formatReference, type Digest } from '../spec/index.ts';
import type { RecordCollection, Records } from '../records/index.ts';
import { imagesDiskBlocks } from './disk-usage.ts';
import type { ImageStore } from './image-store.ts';
import type { ImageCollection, Images, RemovedImage } from './images.ts';
import { ImageRemoval } from './remove-image.ts';

interface Candidate {
  id: Digest;
  lastUsedMs: number;
}

/**
 * Removes images that nothing uses, the longest unused first, as far as a policy asks for it. One that a container uses,
 * running or not, stays; so does one that an operation holds, and one that others were built on until they go.
 */
export class ImageGarbage {
  readonly #store: ImageStore;
  /** When an image was last seen in use, ms since the epoch. */
  readonly #uses: RecordCollection<number>;
  readonly #seen = new Map<Digest, number>();

  constructor(store: ImageStore, records: Records) {
    this.#store = store;
    this.#uses = records.collection('image-uses');
  }

  /** Remembered until the next collect() writes it down: it is not worth a write for each container. */
  used(id: Digest): void {
    this.#seen.set(id, this.#store.nowMs());
  }

  async collect(options: ImageCollection): ReturnType<Images['collect']> {
    this.#writeUses(options.usedBy);
    const goal = new Goal(this.#store, options);
    const removed: RemovedImage[] = [];
    const before = (await imagesDiskBlocks(this.#store)).totalBytes;
    for (let next = this.#next(options); next !== undefined; next = this.#next(options)) {
      if (await goal.isReached()) break;
      // What else happens to it in this very moment is the other's right.
      const gone = await this.#remove(next, options.usedBy).catch(() => []);
      if (gone.length === 0) break;
      removed.push(...gone);
    }
    const { totalBytes } = await imagesDiskBlocks(this.#store);
    return { removed, spaceReclaimedBytes: Math.max(0, before - totalBytes) };
  }

  #writeUses(usedBy: ImageCollection['usedBy']): void {
    const { catalog, nowMs } = this.#store;
    const ids = catalog.ids();
    catalog.transaction(() => {
      for (const id of ids) {
        const seen = usedBy(id).length > 0 ? nowMs() : this.#seen.get(id);
        // One that is met for the first time is not older than that.
        if (seen !== undefined) this.#uses.put(id, seen);
        else if (this.#uses.get(id) === undefined && catalog.view(id).lastTaggedAtMs === null) {
          this.#uses.put(id, nowMs());
        }
      }
      for (const [id] of this.#uses.entries()) {
        if (catalog.record(id as Digest) === undefined) this.#uses.delete(id);
      }
    });
    this.#seen.clear();
  }

  #next(options: ImageCollection): Digest | undefined {
    const { catalog, nowMs } = this.#store;
    const candidates = catalog
      .ids()
      .filter((id) => catalog.isForemost(id) && this.#isFree(id, options))
      .map((id): Candidate => ({ id, lastUsedMs: this.#lastUsedMs(id) }))
      .filter(({ lastUsedMs }) => nowMs() - lastUsedMs >= options.policy.unusedForMs)
      .toSorted((a, b) => a.lastUsedMs - b.lastUsedMs);
    return candidates[0]?.id;
  }

  #isFree(id: Digest, { policy, usedBy }: ImageCollection): boolean {
    const { catalog, leases } = this.#store;
    const labels = catalog.view(id).config.config?.Labels ?? {};
    const has = (label: string): boolean => {
      const [key = '', ...value] = label.split('=');
      return Object.hasOwn(labels, key) && (value.length === 0 || labels[key] === value.join('='));
    };
    if (!policy.labels.every(has) || policy.exceptLabels.some(has)) return false;
    return catalog
      .namingOfId(id)
      .ids.every(
        (one) =>
          usedBy(one).length === 0 &&
          catalog.children(one).length === 0 &&
          !leases.isHeld({ kind: 'blob', digest: one }),
      );
  }

  #lastUsedMs(id: Digest): number {
    return Math.max(
      this.#uses.get(id) ?? 0,
      this.#seen.get(id) ?? 0,
      this.#store.catalog.view(id).lastTaggedAtMs ?? 0,
    );
  }

  async #remove(id: Digest, usedBy: ImageCollection['usedBy']): Promise<RemovedImage[]> {
    const { catalog } = this.#store;
    const removed: RemovedImage[] = [];
    const names = catalog.references(id).map(formatReference);
    for (const name of names.length === 0 ? [id] : names) {
      // A digest reference goes with the last tag of its repository.
      if (!catalog.ids().includes(id)) break;
      if (name !== id && !catalog.references(id).map(formatReference).includes(name)) continue;
      const removal = new ImageRemoval(this.#store, { force: false, prune: true, usedBy });
      removed.push(...(await removal.run(name)));
    }
    return removed;
  }
}

/** How far to go: to the bytes to keep, and once the high-water mark is met, down to the low one. */
class Goal {
  readonly #store: ImageStore;
  readonly #options: ImageCollection;
  #isDraining = false;
  #start: { usedBytes: number; totalBytes: number; imageBytes: number } | undefined;

  constructor(store: ImageStore, options: ImageCollection) {
    this.#store = store;
    this.#options = options;
  }

  async isReached(): Promise<boolean> {
    const { keepBytes, waterMarks } = this.#options.policy;
    if (keepBytes === undefined && waterMarks === undefined) return false;
    const { totalBytes: imageBytes } = await imagesDiskBlocks(this.#store);
    if (keepBytes !== undefined && imageBytes > keepBytes) return false;
    if (waterMarks === undefined) return true;
    this.#start ??= { ...(await this.#options.fileSystem()), imageBytes };
    const { usedBytes, totalBytes } = this.#start;
    // Deleted trees go from the disk in the background: what they take is counted off here.
    const usedNow = usedBytes - (this.#start.imageBytes - imageBytes);
    const percent = (100 * usedNow) / totalBytes;
    this.#isDraining ||= percent >= waterMarks.highPercent;
    return !this.#isDraining || percent <= waterMarks.lowPercent;
  }
}
