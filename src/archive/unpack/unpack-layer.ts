import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { EngineError } from '../../errors/index.ts';
import type { DiffId, Digest } from '../../spec/index.ts';
import type { Syscall } from '../../sys/index.ts';
import { MAGIC_BYTES, decompress, detectCompression } from '../compression.ts';
import { checkExpansion, type ExpansionLimits } from '../expansion.ts';
import { Growth } from '../growth.ts';
import { TarParser } from '../tar/parser.ts';
import { ownedLocation } from './location.ts';
import { TreeWriter, type TreeWriterOptions } from './tree-writer.ts';

/** Bounds against archives that are small to send and large to unpack. */
export interface UnpackLimits extends ExpansionLimits {
  /** Members. Default: 10 million. */
  maxEntries?: number;
}

/** The default of `UnpackLimits.maxEntries`. */
export const MAX_ENTRIES = 10_000_000;

export interface UnpackRequest extends Omit<TreeWriterOptions, 'maxEntries' | 'base' | 'digests'> {
  /** The file with the layer: plain, gzip, zstd (bzip2, xz where the programs are installed). */
  source: string;
  /** Of a Growth, when the file is still being written. */
  growth?: SharedArrayBuffer;
  /** Who wrote the file takes its digest: that of a plain layer is not taken again. */
  isVerified?: boolean;
  /** An existing, empty directory (holding the layers below for `merged`). */
  directory: string;
  /** Digest of the file's bytes, verified when given. */
  digest?: Digest;
  /** Verified when given. */
  diffId?: DiffId;
  limits?: UnpackLimits;
}

export interface UnpackResult {
  /** sha256 of the uncompressed tar, with all that follows its end mark; undefined for a plain one that `isVerified`. */
  diffId: DiffId | undefined;
  /** Content of files and targets of links, Docker's size of the layer; undefined when the archive takes some back. */
  sizeBytes: number | undefined;
  /** Uncompressed bytes of the archive. */
  archiveBytes: number;
  entries: number;
  /** Extended attributes that the file system could not store. */
  unsupportedXattrs: string[];
}

const READ_BYTES = 1024 * 1024;
/** Small enough for buffers to be used again by the allocator. */
const INFLATED_BYTES = 256 * 1024;

/**
 * Applies a layer to a directory: owners, modes, times, links, devices, extended attributes, whiteouts. Blocks its
 * thread with file writes: use LayerUnpacker outside of workers. On failure the directory holds a part; the caller
 * removes it.
 * @throws {EngineError} `invalid-parameter` for a malformed, hostile or too large archive; `data-loss` when a digest is
 *   not the expected one.
 * @see OCI image-spec v1.1 layer.md
 */
export async function unpackLayer(request: UnpackRequest, syscall: Syscall): Promise<UnpackResult> {
  const { limits = {} } = request;
  const writer = new TreeWriter(
    ownedLocation(request.directory),
    { ...request, maxEntries: limits.maxEntries ?? MAX_ENTRIES },
    syscall,
  );
  const parser = new TarParser(writer);
  const source = new LayerFile(request);
  const isPlain = detectCompression(source.peek()) === 'none';
  const hash = isPlain && request.isVerified === true ? undefined : createHash('sha256');
  let bytes = 0;
  const take = (chunk: Buffer): void => {
    bytes += chunk.length;
    checkExpansion(limits, bytes, source.bytes);
    hash?.update(chunk);
    parser.push(chunk);
  };
  try {
    if (isPlain) {
      for (let chunk = source.read(); chunk !== undefined; chunk = source.read()) take(chunk);
    } else {
      for await (const chunk of decompress(source.chunks(), { chunkBytes: INFLATED_BYTES, limits }))
        take(chunk);
      // What follows the compressed stream belongs to the file's digest.
      while (source.read() !== undefined);
    }
    parser.finish();
    const found = source.digest();
    if (request.digest !== undefined && found !== request.digest)
      throw mismatch('digest', request.digest, found);
    const diffId: DiffId | undefined = hash === undefined ? undefined : `sha256:${hash.digest('hex')}`;
    if (request.diffId !== undefined && diffId !== request.diffId)
      throw mismatch('diffID', request.diffId, diffId);
    writer.finish();
    return {
      diffId,
      sizeBytes: writer.sizeBytes,
      archiveBytes: bytes,
      entries: writer.entries,
      unsupportedXattrs: writer.unsupportedXattrs,
    };
  } finally {
    writer.abort();
    source.close();
  }
}

function mismatch(what: string, expected: string, found: string | undefined): EngineError {
  return new EngineError(
    'data-loss',
    `layer verification failed: ${what} is ${String(found)}, expected ${expected}`,
  );
}

/** A file read by blocking calls into one buffer that is used again, hashed on the way. */
class LayerFile {
  readonly #fd: number;
  readonly #growth: Growth | undefined;
  readonly #hash: Hash | undefined;
  #head: Buffer | undefined;
  /** Read so far. */
  bytes = 0;

  constructor({ source, growth, digest }: UnpackRequest) {
    this.#fd = openSync(source, 'r');
    this.#growth = growth === undefined ? undefined : new Growth(growth);
    this.#hash = digest === undefined ? undefined : createHash('sha256');
  }

  /** The next chunk, valid until the next call; undefined at the end. */
  read(buffer: Buffer = this.#buffer): Buffer | undefined {
    if (this.#head !== undefined) {
      const head = this.#head;
      this.#head = undefined;
      return head;
    }
    const there = (this.#growth?.beyond(this.bytes) ?? Infinity) - this.bytes;
    const length = readSync(this.#fd, buffer, 0, Math.min(buffer.length, there), null);
    if (length === 0) return undefined;
    const chunk = buffer.subarray(0, length);
    this.bytes += length;
    this.#hash?.update(chunk);
    return chunk;
  }

  /** The first bytes, which read() then gives again. */
  peek(): Buffer {
    this.#head ??= this.read(Buffer.allocUnsafe(READ_BYTES));
    return (this.#head ?? Buffer.alloc(0)).subarray(0, MAGIC_BYTES);
  }

  /** For a decompressor, which keeps chunks while it works on another thread. */
  async *chunks(): AsyncGenerator<Buffer, void, void> {
    for (;;) {
      const chunk = this.read(Buffer.allocUnsafeSlow(256 * 1024));
      if (chunk === undefined) return;
      yield chunk;
    }
  }

  digest(): string | undefined {
    return this.#hash === undefined ? undefined : `sha256:${this.#hash.digest('hex')}`;
  }

  close(): void {
    closeSync(this.#fd);
  }

  readonly #buffer = Buffer.allocUnsafeSlow(READ_BYTES);
}
