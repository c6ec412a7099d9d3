import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { Growth } from '../archive/index.ts';
import type { Snapshotter } from '../snapshots/index.ts';
import type { Digest } from '../spec/index.ts';
import type { UnpackLayer, UnpackedLayer } from './layers.ts';

/** A blob that is unpacked while it is written. */
export interface EarlyLayer {
  growth: Growth;
  /** Of a snapshot on nothing. */
  key: string;
  /** Undefined when it could not be unpacked: whoever needs it as a layer finds out why. */
  unpacked: Promise<UnpackedLayer | undefined>;
  stop: AbortController;
}

/**
 * Layers that are unpacked while the archive with them comes in, before it says what of it is a layer and on what it lies:
 * as snapshots that nobody knows, from which a layer takes the files. Dispose it when the layers are made.
 */
export class EarlyLayers implements AsyncDisposable {
  readonly #snapshotter: Snapshotter;
  readonly #unpack: UnpackLayer;
  readonly #begun = new Set<EarlyLayer>();
  readonly #complete = new Map<Digest, EarlyLayer>();

  constructor(snapshotter: Snapshotter, unpack: UnpackLayer) {
    this.#snapshotter = snapshotter;
    this.#unpack = unpack;
  }

  /**
   * Begins with a file that is being written; tell its growth. Undefined where layers cannot be moved.
   * @param path of the file until this has resolved
   */
  async begin(path: string): Promise<EarlyLayer | undefined> {
    const snapshotter = this.#snapshotter;
    if (snapshotter.takeChanges === undefined) return undefined;
    const key = randomBytes(32).toString('hex');
    await snapshotter.prepare(key, null);
    const directory = snapshotter.describe(key).data['UpperDir'] ?? '';
    const fd = openSync(path, 'r');
    const stop = new AbortController();
    const growth = new Growth();
    const source = `/proc/self/fd/${fd}`;
    const unpacked = this.#unpack(
      { source, directory, form: 'overlay', growth: growth.shared, isVerified: true },
      { signal: stop.signal },
    )
      .catch(() => undefined)
      .finally(() => closeSync(fd));
    const layer = { growth, key, unpacked, stop };
    this.#begun.add(layer);
    return layer;
  }

  /** The file has been written, as this blob. */
  complete(layer: EarlyLayer, digest: Digest): void {
    layer.growth.end();
    if (!this.#complete.has(digest)) this.#complete.set(digest, layer);
  }

  /** Moves what was unpacked of a blob into an empty directory, once; undefined when there is nothing. */
  async take(digest: Digest, directory: string): Promise<UnpackedLayer | undefined> {
    const layer = this.#complete.get(digest);
    this.#complete.delete(digest);
    const unpacked = await layer?.unpacked;
    if (layer === undefined || unpacked === undefined) return undefined;
    return (await this.#snapshotter.takeChanges?.(layer.key, directory)) === true ? unpacked : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { growth, key, unpacked, stop } of this.#begun) {
      stop.abort();
      growth.end();
      await unpacked;
      await this.#snapshotter.remove(key);
    }
    this.#begun.clear();
  }
}
