import type { RecordCollection, Records } from '../records/index.ts';
import type { Descriptor, DiffId } from '../spec/index.ts';
import type { LayerForm } from './compress-layer.ts';

/** Of the programs that compress: others may write other bytes. */
const version = [process.versions['zlib'], process.versions['zstd']].join('/');

/**
 * What layers become when they are compressed, so that whoever has a layer already can be asked for it without compressing it
 * again.
 */
export class PackedForms {
  readonly #records: RecordCollection<Descriptor>;

  constructor(records: Records) {
    this.#records = records.collection('packed-layers');
  }

  get(diffId: DiffId, form: LayerForm): Descriptor | undefined {
    return this.#records.get(keyOf(diffId, form));
  }

  put(diffId: DiffId, form: LayerForm, blob: Descriptor): void {
    this.#records.put(keyOf(diffId, form), blob);
  }

  /** Forgets layers that are not here any more. */
  keep(diffIds: ReadonlySet<DiffId>): void {
    for (const [key] of this.#records.entries()) {
      const [diffId = '', ...form] = key.split(' ');
      if (!diffIds.has(diffId as DiffId) || form.at(-1) !== version) this.#records.delete(key);
    }
  }
}

function keyOf(diffId: DiffId, { compression, compressionLevel }: LayerForm): string {
  return [diffId, compression, compressionLevel ?? '', version].join(' ');
}
