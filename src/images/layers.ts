import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { decompress } from '../archive/index.ts';
import type { ContentStore } from '../content/index.ts';
import type { Snapshotter } from '../snapshots/index.ts';
import {
  chainIds,
  digestHex,
  type ChainId,
  type Descriptor,
  type DiffId,
  type Digest,
} from '../spec/index.ts';
import type { ImageCatalog } from './catalog.ts';
import { EarlyLayers } from './early-layers.ts';
import type { LayerRecord } from './image-record.ts';
import { badImage } from './image-config.ts';
import type { ImageProgress } from './images.ts';
import type { Lease } from './leases.ts';

/** Unpacks a layer's tar (gzip, zstd or plain) into a directory, off the main thread: LayerUnpacker.unpack(). */
export type UnpackLayer = (
  request: {
    /** File of the blob. */
    source: string;
    directory: string;
    form: 'overlay' | 'merged';
    /** Of a Growth, when the file is still being written. */
    growth?: SharedArrayBuffer;
    /** The file's digest is known to be right: that of a plain tar is not taken again. */
    isVerified?: boolean;
  },
  options: { signal: AbortSignal },
) => Promise<UnpackedLayer>;

export interface UnpackedLayer {
  /** Undefined for a plain tar that `isVerified`. */
  diffId: DiffId | undefined;
  /** Of the uncompressed tar. */
  archiveBytes: number;
  /** Of the files, as Docker counts them; undefined when they must be counted. */
  sizeBytes?: number | undefined;
}

/** A layer as an image brings it. */
export interface LayerSource {
  diffId: DiffId;
  /** Its blob is in the content store and held, at once or when it is `ready`. */
  blob: Descriptor;
  /** The blob was written just now. */
  isNew?: boolean;
  /** Waits for the blob. */
  ready?: (signal: AbortSignal) => Promise<void>;
  /** Moves the layer's files, in overlay form, into an empty directory; false when they cannot be moved. */
  place?: (directory: string) => Promise<boolean>;
}

export interface LayersOptions {
  onProgress?: (progress: ImageProgress) => void;
  /** In place of `onProgress`: compressed bytes unpacked of a layer. */
  onUnpack?: (index: number, currentBytes: number, totalBytes: number) => void;
  /** The layer is there. */
  onLayer?: (index: number) => void;
  signal?: AbortSignal;
  /** What has been unpacked already. */
  early?: Pick<EarlyLayers, 'take'>;
}

/** For layers that are not written to disk, or were there before. */
const unbounded = { limits: { maxRatio: Infinity } } as const;

/** Turns layer blobs into layers of the snapshotter. */
export class ImageLayers {
  readonly #content: ContentStore;
  readonly #snapshotter: Snapshotter;
  readonly #catalog: ImageCatalog;
  readonly #unpack: UnpackLayer;

  constructor(parts: {
    content: ContentStore;
    snapshotter: Snapshotter;
    catalog: ImageCatalog;
    unpack: UnpackLayer;
  }) {
    this.#content = parts.content;
    this.#snapshotter = parts.snapshotter;
    this.#catalog = parts.catalog;
    this.#unpack = parts.unpack;
  }

  /**
   * Sees to it that every layer is there, unpacking those that are not side by side; verifies each against its diff id.
   * After a failure the layers that were finished are the lease's to remove.
   */
  async ensure(
    lease: Lease,
    sources: readonly LayerSource[],
    options: LayersOptions,
  ): Promise<LayerRecord[]> {
    const chain = chainIds(sources.map((source) => source.diffId));
    const failure = new AbortController();
    const signal =
      options.signal === undefined ? failure.signal : AbortSignal.any([options.signal, failure.signal]);
    const begun = sources.map(() => Promise.withResolvers<void>());
    const results = await Promise.allSettled(
      sources.map(async (source, index) => {
        try {
          const chainId = chain[index] ?? source.diffId;
          await lease.hold({ kind: 'layer', digest: chainId });
          await source.ready?.(signal);
          // A copying snapshotter waits for a parent in the making, which must be in the making then.
          if (this.#snapshotter.driver !== 'overlay2') await begun[index - 1]?.promise;
          signal.throwIfAborted();
          const made = this.#ensureOne(source, index, chainId, chain[index - 1] ?? null, {
            ...options,
            signal,
          });
          begun[index]?.resolve();
          return await made;
        } catch (error) {
          // The first failure is the one to report; it stops the others.
          failure.abort(error);
          throw error;
        } finally {
          begun[index]?.resolve();
        }
      }),
    );
    options.signal?.throwIfAborted();
    if (failure.signal.aborted) throw failure.signal.reason;
    return results.map((result) => (result as PromiseFulfilledResult<LayerRecord>).value);
  }

  async #ensureOne(
    layer: LayerSource,
    index: number,
    chainId: ChainId,
    parent: ChainId | null,
    options: LayersOptions & { signal: AbortSignal },
  ): Promise<LayerRecord> {
    const { blob, diffId } = layer;
    let tarSizeBytes: number | undefined;
    let sizeBytes: number | undefined;
    while (!this.#snapshotter.hasLayer(chainId)) {
      const report = progressOf(layer, index, options);
      let filled = false;
      try {
        await this.#snapshotter.createLayer(chainId, parent, async (directory, form) => {
          filled = true;
          if (form === 'overlay' && (await layer.place?.(directory)) === true) {
            tarSizeBytes = blob.size;
            return;
          }
          report(0);
          const early = form === 'overlay' ? await options.early?.take(blob.digest, directory) : undefined;
          const unpacked = early ?? (await this.#unpackBlob(layer, { directory, form }, options.signal));
          const actual = unpacked.diffId ?? blob.digest;
          if (actual !== diffId) throw wrongDiffId(index, diffId, actual);
          tarSizeBytes = unpacked.archiveBytes;
          if (form === 'overlay') sizeBytes = unpacked.sizeBytes;
          report(blob.size);
        });
      } catch (error) {
        // The fill of another operation was joined, and only that one failed or was stopped: fill it from here.
        if (filled || options.signal.aborted) throw error;
      }
    }
    // Unset too when another operation was filling the same layer from a blob of its own.
    tarSizeBytes ??= await this.#verify(index, layer, chainId);
    options.onLayer?.(index);
    sizeBytes ??= await this.#snapshotter.layerSizeBytes(chainId);
    return { blob, tarSizeBytes, sizeBytes };
  }

  async #unpackBlob(
    { blob, isNew }: LayerSource,
    to: { directory: string; form: 'overlay' | 'merged' },
    signal: AbortSignal,
  ): Promise<UnpackedLayer> {
    const verified = isNew === undefined ? {} : { isVerified: isNew };
    return await this.#unpack({ source: this.#content.path(blob.digest), ...to, ...verified }, { signal });
  }

  /** The layer is there, but this blob has not been unpacked: is it the same layer? Gives the tar's size. */
  async #verify(index: number, { diffId, blob }: LayerSource, chainId: ChainId): Promise<number> {
    if (blob.digest === diffId) return blob.size;
    const known = this.#catalog.layer(chainId);
    if (known?.blob.digest === blob.digest) return known.tarSizeBytes;
    const hash = createHash('sha256');
    let sizeBytes = 0;
    const stream = createReadStream(this.#content.path(blob.digest));
    for await (const chunk of decompress(stream, unbounded)) {
      hash.update(chunk);
      sizeBytes += chunk.length;
    }
    const actual: Digest = `sha256:${hash.digest('hex')}`;
    if (actual !== diffId) throw wrongDiffId(index, diffId, actual);
    return sizeBytes;
  }

  /** For an archive that comes in. */
  early(): EarlyLayers {
    return new EarlyLayers(this.#snapshotter, this.#unpack);
  }

  /** The uncompressed tar of a layer. */
  async *tar(layer: LayerRecord): AsyncIterable<Uint8Array> {
    const stream = createReadStream(this.#content.path(layer.blob.digest), { highWaterMark: 256 * 1024 });
    yield* decompress(stream, unbounded);
  }
}

function progressOf(
  { diffId, blob }: LayerSource,
  index: number,
  { onProgress, onUnpack }: LayersOptions,
): (bytes: number) => void {
  if (onUnpack !== undefined) return (current) => onUnpack(index, current, blob.size);
  const id = digestHex(diffId).slice(0, 12);
  return (current) =>
    onProgress?.({ id, status: 'Loading layer', progressDetail: { current, total: blob.size } });
}

function wrongDiffId(index: number, expected: DiffId, actual: DiffId): Error {
  return badImage(`invalid diffID for layer ${index}: expected "${expected}", got "${actual}"`);
}
