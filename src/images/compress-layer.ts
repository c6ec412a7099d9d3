import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { gzip, zstd } from '../archive/index.ts';
import type { ContentStore } from '../content/index.ts';
import { ConnectionError } from '../registry/index.ts';
import { mediaTypes, type Descriptor, type Digest } from '../spec/index.ts';
import type { ImageForm } from './images.ts';
import type { Lease } from './leases.ts';

/** How a layer's tar is written. */
export type LayerForm = Pick<ImageForm, 'compression' | 'compressionLevel'>;

export const layerTypes: Readonly<Record<LayerForm['compression'], string>> = {
  uncompressed: mediaTypes.ociLayer,
  gzip: mediaTypes.ociLayerGzip,
  zstd: mediaTypes.ociLayerZstd,
};

/** A layer's tar in some form, as a blob that the lease holds. The same bytes each time. */
export async function writeLayer(
  content: ContentStore,
  lease: Lease,
  tar: AsyncIterable<Uint8Array>,
  { compression, compressionLevel }: LayerForm,
  signal?: AbortSignal,
): Promise<Descriptor> {
  await using writer = await content.ingest(signal === undefined ? {} : { signal });
  const compress = { uncompressed: undefined, gzip, zstd }[compression];
  for await (const chunk of compress?.(tar, compressionLevel) ?? tar) {
    signal?.throwIfAborted();
    await writer.write(chunk);
  }
  const { digest, sizeBytes } = await lease.commit(writer);
  return { mediaType: layerTypes[compression], digest, size: sizeBytes };
}

const READ_BYTES = 512 * 1024;

/** The gzip form of a plain layer, made while it is read; the same bytes each time. */
export class CompressedLayer {
  readonly #path: string;
  readonly #onRead: (plainBytes: number) => void;
  #descriptor: Descriptor | undefined;

  /** @param onRead told how much of the layer has been read */
  constructor(path: string, onRead: (plainBytes: number) => void) {
    this.#path = path;
    this.#onRead = onRead;
  }

  /** The bytes, from their beginning each time. */
  open(): Readable {
    this.#descriptor = undefined;
    return Readable.from(this.#compress(), { objectMode: false });
  }

  /** What was read. @throws {ConnectionError} when that was not all: the registry did not want the rest */
  get descriptor(): Descriptor {
    if (this.#descriptor !== undefined) return this.#descriptor;
    throw new ConnectionError('the registry answered before the end of the upload', 'EPROTO');
  }

  async *#compress(): AsyncGenerator<Buffer, void, void> {
    const hash = createHash('sha256');
    let size = 0;
    for await (const chunk of gzip(this.#plain())) {
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
    const digest: Digest = `sha256:${hash.digest('hex')}`;
    this.#descriptor = { mediaType: mediaTypes.dockerLayerGzip, digest, size };
  }

  /** The same memory each time. */
  async *#plain(): AsyncGenerator<Buffer, void, void> {
    await using file = await open(this.#path);
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    for (let bytes = 0; ;) {
      const { bytesRead } = await file.read(buffer);
      if (bytesRead === 0) return;
      bytes += bytesRead;
      this.#onRead(bytes);
      yield buffer.subarray(0, bytesRead);
    }
  }
}
