import type { RecordCollection, Records } from '../records/index.ts';
import { isDigest, type Descriptor, type DiffId } from '../spec/index.ts';

/** A repository that is known to have a layer, and as which blob. */
export interface LayerSourceRecord {
  blob: Descriptor;
  domain: string;
  path: string;
}

const maxSources = 20;

/**
 * Where layers were pulled from or pushed to. So that a push finds the blob of a layer without compressing it again, and
 * a repository to mount it from. What it says may be out of date: the registry has the last word.
 */
export class LayerSources {
  readonly #records: RecordCollection<LayerSourceRecord[]>;

  constructor(records: Records) {
    this.#records = records.collection('layer-sources');
  }

  /** Latest first. */
  of(diffId: DiffId): LayerSourceRecord[] {
    return (this.#records.get(diffId) ?? []).filter(({ blob }) => isDigest(blob.digest));
  }

  /** Forgets layers that no image has any more. */
  keep(diffIds: ReadonlySet<DiffId>): void {
    for (const [diffId] of this.#records.entries()) {
      if (!diffIds.has(diffId as DiffId)) this.#records.delete(diffId);
    }
  }

  add(diffId: DiffId, source: LayerSourceRecord): void {
    const known = this.of(diffId);
    if (known.some((other) => isSame(other, source))) return;
    this.#records.put(diffId, [source, ...known].slice(0, maxSources));
  }
}

function isSame(a: LayerSourceRecord, b: LayerSourceRecord): boolean {
  return a.blob.digest === b.blob.digest && a.domain === b.domain && a.path === b.path;
}
