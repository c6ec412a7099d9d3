import { closeSync, openSync, readSync } from 'node:fs';
import { posix } from 'node:path';
import {
  MAGIC_BYTES,
  checkExpansion,
  detectCompression,
  readTar,
  type Compression,
  type ExpansionLimits,
  type TarEntry,
} from '../archive/index.ts';
import type { BlobInfo, ContentStore } from '../content/index.ts';
import { digestOf, isDigest } from '../spec/index.ts';
import type { EarlyLayer, EarlyLayers } from './early-layers.ts';
import { badImage, parseJson } from './image-config.ts';
import type { Lease } from './leases.ts';

/** Files up to this size are kept in memory until it is known what they are, as long as the sum stays below. */
const smallFileBytes = 1024 * 1024;
const smallFilesTotalBytes = 32 * 1024 * 1024;
const maxEntries = 100_000;
const maxLinks = 16;

type Stored =
  { kind: 'bytes'; bytes: Buffer } | { kind: 'blob'; blob: BlobInfo } | { kind: 'link'; target: string };

/**
 * The files of an image archive. What names what is known only at its end, so large files go to the content store as
 * they pass and small ones to memory; nothing is ever written under a name from the archive, and links lead only to
 * other files of it.
 */
export class ArchiveFiles {
  readonly #files = new Map<string, Stored>();
  readonly #content: ContentStore;
  readonly #lease: Lease;

  private constructor(content: ContentStore, lease: Lease) {
    this.#content = content;
    this.#lease = lease;
  }

  /** Reads a whole tar; its blobs belong to the lease. @throws {EngineError} `invalid-parameter` */
  static async read(
    archive: AsyncIterable<Uint8Array>,
    options: {
      content: ContentStore;
      lease: Lease;
      limits: ExpansionLimits;
      /** Gets the large files, most of which are layers. */
      early: EarlyLayers;
      signal?: AbortSignal;
    },
  ): Promise<ArchiveFiles> {
    const files = new ArchiveFiles(options.content, options.lease);
    let memoryBytes = 0;
    let entries = 0;
    for await (const entry of readTar(archive)) {
      options.signal?.throwIfAborted();
      entries += 1;
      if (entries > maxEntries) throw badImage(`invalid archive: it has more than ${maxEntries} entries`);
      const name = normalise(entry.path);
      if (entry.type === 'symlink') {
        files.#files.set(name, { kind: 'link', target: posix.join(posix.dirname(name), entry.linkPath) });
      } else if (entry.type === 'hardlink') {
        files.#files.set(name, { kind: 'link', target: entry.linkPath });
      } else if (entry.type === 'file') {
        checkExpansion(options.limits, entry.sizeBytes, storedBytes(entry));
        const small =
          entry.sizeBytes <= smallFileBytes && memoryBytes + entry.sizeBytes <= smallFilesTotalBytes;
        if (small) {
          memoryBytes += entry.sizeBytes;
          files.#files.set(name, { kind: 'bytes', bytes: await entry.bytes(smallFileBytes) });
        } else {
          files.#files.set(name, { kind: 'blob', blob: await files.#ingest(entry, options) });
        }
      }
    }
    return files;
  }

  has(path: string): boolean {
    return this.#find(path) !== undefined;
  }

  /** A file in memory; for configs and manifests. @throws {EngineError} `invalid-parameter` when there is none */
  async bytes(path: string): Promise<Buffer> {
    const file = this.#get(path);
    return file.kind === 'bytes' ? file.bytes : await this.#content.read(file.blob.digest);
  }

  async json(path: string): Promise<unknown> {
    return parseJson(await this.bytes(path), path);
  }

  /** A file as a blob of the content store, held by the lease. */
  async blob(path: string): Promise<BlobInfo> {
    const file = this.#get(path);
    if (file.kind === 'blob') return file.blob;
    return await storeBytes(this.#content, this.#lease, file.bytes);
  }

  /** Digest and size without storing it. */
  describe(path: string): BlobInfo {
    const file = this.#get(path);
    if (file.kind === 'blob') return file.blob;
    return { digest: digestOf(file.bytes), sizeBytes: file.bytes.length };
  }

  /** How a file is compressed, by its first bytes. */
  compression(path: string): Compression {
    const file = this.#get(path);
    if (file.kind === 'bytes') return detectCompression(file.bytes);
    const head = Buffer.alloc(MAGIC_BYTES);
    const fd = openSync(this.#content.path(file.blob.digest), 'r');
    try {
      return detectCompression(head.subarray(0, readSync(fd, head)));
    } finally {
      closeSync(fd);
    }
  }

  async #ingest(
    entry: TarEntry,
    { early, signal }: { early: EarlyLayers; signal?: AbortSignal },
  ): Promise<BlobInfo> {
    let layer: EarlyLayer | undefined;
    await using writer = await this.#content.ingest({
      expectedSizeBytes: entry.sizeBytes,
      onWritten: (sizeBytes) => layer?.growth.reach(sizeBytes),
      ...(signal === undefined ? {} : { signal }),
    });
    if (writer.path !== undefined && !this.#isKnown(entry.path)) layer = await early.begin(writer.path);
    for await (const chunk of entry.body()) await writer.write(chunk);
    const blob = await this.#lease.commit(writer);
    if (layer !== undefined) early.complete(layer, blob.digest);
    return blob;
  }

  /** Most archives name blobs by their digests; one that is here is likely to be unpacked, too. */
  #isKnown(path: string): boolean {
    const digest = `sha256:${posix.basename(path)}`;
    return isDigest(digest) && this.#content.has(digest);
  }

  #get(path: string): Exclude<Stored, { kind: 'link' }> {
    const file = this.#find(path);
    if (file === undefined) throw badImage(`invalid archive: it has no file ${JSON.stringify(path)}`);
    return file;
  }

  #find(path: string): Exclude<Stored, { kind: 'link' }> | undefined {
    let name = normalise(path);
    for (let links = 0; links < maxLinks; links += 1) {
      const file = this.#files.get(name);
      if (file?.kind !== 'link') return file;
      name = normalise(file.target);
    }
    throw badImage(`invalid archive: ${JSON.stringify(path)} is a loop of links`);
  }
}

/** Without the holes of a sparse file. */
function storedBytes({ sparse, sizeBytes }: TarEntry): number {
  return sparse === null ? sizeBytes : sparse.reduce((sum, { length }) => sum + length, 0);
}

/** Stores bytes as a blob that the lease holds. */
export async function storeBytes(content: ContentStore, lease: Lease, bytes: Uint8Array): Promise<BlobInfo> {
  await using writer = await content.ingest({ expectedSizeBytes: bytes.length });
  await writer.write(bytes);
  return await lease.commit(writer);
}

/** As if the archive's root were `/`: nothing lies above it. */
function normalise(path: string): string {
  return posix.normalize(`/${path}`).replace(/\/$/, '').slice(1);
}
