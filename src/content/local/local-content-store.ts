import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { open, opendir, readFile, readdir, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { EngineError } from '../../errors/index.ts';
import { digestHex, parseDigest, type Digest } from '../../spec/index.ts';
import { diskUsageBytes, fileDiskBytes } from '../../sys/index.ts';
import { BlobVerifier, blobTooLarge, maxBlobInMemoryBytes, noSuchBlob } from '../verifier.ts';
import type { BlobInfo, BlobWriter, ContentStore } from '../store.ts';
import { BlobFile } from './blob-file.ts';

const resumablePrefix = 'part-';
const resumableMs = 24 * 60 * 60 * 1000;
const resumableMaxBytes = 10 * 1024 ** 3;
const readBackBytes = 1024 * 1024;

/**
 * A ContentStore in a directory of OCI image-layout form: `oci-layout`, `blobs/sha256/<hex>`, and `ingest/` for what is
 * being written. Files get to disk in the background, from while they are written until sync(), which has the rest to
 * wait for and syncs the directory once for all blobs of an image.
 */
export class LocalContentStore implements ContentStore {
  readonly #blobs: string;
  readonly #ingest: string;
  /** Files that a writer has now. */
  readonly #busy = new Set<string>();
  /** Syncs of committed files, under way or done. */
  readonly #unsynced = new Set<Promise<void>>();
  readonly #resumableMaxBytes: number;

  /** Makes the directories that are missing. `limits` are for tests. */
  constructor(root: string, limits: { resumableMaxBytes?: number } = {}) {
    this.#resumableMaxBytes = limits.resumableMaxBytes ?? resumableMaxBytes;
    this.#blobs = join(root, 'blobs', 'sha256');
    this.#ingest = join(root, 'ingest');
    mkdirSync(this.#blobs, { recursive: true, mode: 0o700 });
    mkdirSync(this.#ingest, { recursive: true, mode: 0o700 });
    const marker = join(root, 'oci-layout');
    if (!existsSync(marker)) writeFileSync(marker, '{"imageLayoutVersion":"1.0.0"}');
  }

  has(digest: Digest): boolean {
    return existsSync(this.#file(digest));
  }

  stat(digest: Digest): BlobInfo {
    const found = statSync(this.#file(digest), { throwIfNoEntry: false });
    if (found === undefined) throw noSuchBlob(digest);
    return { digest, sizeBytes: found.size };
  }

  path(digest: Digest): string {
    this.stat(digest);
    return this.#file(digest);
  }

  async read(digest: Digest): Promise<Buffer> {
    const { sizeBytes } = this.stat(digest);
    if (sizeBytes > maxBlobInMemoryBytes) throw blobTooLarge(digest, sizeBytes);
    const bytes = await readFile(this.#file(digest));
    const actual = createHash('sha256').update(bytes).digest('hex');
    if (actual !== digestHex(digest)) {
      throw new EngineError(
        'data-loss',
        `Cannot read blob ${digest}: its content has digest sha256:${actual}`,
        {
          code: 'digest-mismatch',
        },
      );
    }
    return bytes;
  }

  async put(bytes: Uint8Array): Promise<BlobInfo> {
    await using writer = await this.ingest();
    await writer.write(bytes);
    return await writer.commit();
  }

  async ingest(options: IngestOptions = {}): Promise<BlobWriter> {
    options.signal?.throwIfAborted();
    const { expected, resume } = options;
    const resumable =
      expected === undefined || resume === undefined ? undefined : this.#resumableFile(expected);
    if (resumable !== undefined && !this.#busy.has(resumable)) {
      return await this.#resume(resumable, options, resume === true);
    }
    const temporary = join(this.#ingest, randomBytes(12).toString('hex'));
    this.#busy.add(temporary);
    try {
      return this.#writer(await open(temporary, 'wx', 0o600), temporary, options);
    } catch (error) {
      this.#busy.delete(temporary);
      throw error;
    }
  }

  /** Reads again what is there, since the digest is taken over all bytes. */
  async #resume(path: string, options: IngestOptions, keep: boolean): Promise<BlobWriter> {
    this.#busy.add(path);
    try {
      const file = await open(path, keep ? 'a+' : 'w+', 0o600);
      const writer = this.#writer(file, path, options);
      try {
        await writer.readBack(options.expectedSizeBytes ?? Infinity);
      } catch (error) {
        await writer[Symbol.asyncDispose]();
        throw error;
      }
      return writer;
    } catch (error) {
      this.#busy.delete(path);
      throw error;
    }
  }

  #writer(file: FileHandle, temporary: string, options: IngestOptions): LocalBlobWriter {
    return new LocalBlobWriter(new BlobFile(file, options.onWritten), temporary, {
      destination: (digest) => this.#file(digest),
      verifier: new BlobVerifier(options),
      signal: options.signal,
      onCommitted: (synced) => this.#unsynced.add(synced),
      onClose: () => this.#busy.delete(temporary),
    });
  }

  async sync(): Promise<void> {
    const waiting = [...this.#unsynced];
    if (waiting.length === 0) return;
    try {
      await Promise.all(waiting);
      await syncDirectory(this.#blobs);
    } finally {
      for (const synced of waiting) this.#unsynced.delete(synced);
    }
  }

  async delete(digest: Digest): Promise<void> {
    await rm(this.#file(digest), { force: true });
  }

  async *list(): AsyncIterable<BlobInfo> {
    for await (const entry of await opendir(this.#blobs)) {
      const digest: Digest = `sha256:${entry.name}`;
      const found = statSync(join(this.#blobs, entry.name), { throwIfNoEntry: false });
      if (found !== undefined) yield { digest, sizeBytes: found.size };
    }
  }

  async diskUsage(): ReturnType<ContentStore['diskUsage']> {
    const blobs = new Map<Digest, number>();
    for await (const { digest } of this.list()) blobs.set(digest, fileDiskBytes(this.#file(digest)));
    return { blobs, unfinishedBytes: await diskUsageBytes(this.#ingest) };
  }

  async sweep(): Promise<void> {
    const names = await readdir(this.#ingest);
    const left = names.map((name) => join(this.#ingest, name)).filter((path) => !this.#busy.has(path));
    const found = left.flatMap((path) => {
      const stat = statSync(path, { throwIfNoEntry: false });
      return stat === undefined ? [] : [{ path, stat }];
    });
    let keptBytes = 0;
    for (const { path, stat } of found.toSorted((a, b) => b.stat.mtimeMs - a.stat.mtimeMs)) {
      const isYoung = Date.now() - stat.mtimeMs < resumableMs;
      if (basename(path).startsWith(resumablePrefix) && isYoung) {
        keptBytes += stat.size;
        if (keptBytes <= this.#resumableMaxBytes) continue;
      }
      if (!this.#busy.has(path)) await rm(path, { force: true });
    }
  }

  #resumableFile(digest: Digest): string {
    return join(this.#ingest, `${resumablePrefix}${digestHex(parseDigest(digest))}`);
  }

  #file(digest: Digest): string {
    return join(this.#blobs, digestHex(parseDigest(digest)));
  }
}

type IngestOptions = Exclude<Parameters<ContentStore['ingest']>[0], undefined>;

interface WriterParts {
  destination: (digest: Digest) => string;
  verifier: BlobVerifier;
  signal: AbortSignal | undefined;
  /** The blob has its name; the promise settles when its file has been synced and closed. */
  onCommitted: (synced: Promise<void>) => void;
  onClose: (() => void) | undefined;
}

class LocalBlobWriter implements BlobWriter {
  readonly path: string;
  readonly #parts: WriterParts;
  #file: BlobFile | undefined;

  constructor(file: BlobFile, temporary: string, parts: WriterParts) {
    this.#file = file;
    this.path = temporary;
    this.#parts = parts;
  }

  get sizeBytes(): number {
    return this.#parts.verifier.sizeBytes;
  }

  /** Takes what the file holds as written, but for more than was promised, which it cannot be the beginning of. */
  async readBack(limitBytes: number): Promise<void> {
    const { handle } = this.#openFile();
    const { size } = await handle.stat();
    if (size > limitBytes) {
      await handle.truncate(0);
      return;
    }
    const buffer = Buffer.allocUnsafe(Math.min(readBackBytes, Math.max(size, 1)));
    for (let at = 0; at < size;) {
      this.#parts.signal?.throwIfAborted();
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) return;
      this.#parts.verifier.update(buffer.subarray(0, bytesRead));
      at += bytesRead;
    }
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#parts.signal?.throwIfAborted();
    const file = this.#openFile();
    this.#parts.verifier.update(chunk);
    await file.append(chunk);
  }

  async commit(): Promise<BlobInfo> {
    this.#parts.signal?.throwIfAborted();
    const file = this.#openFile();
    await file.flush();
    const info = this.#parts.verifier.finish();
    const destination = this.#parts.destination(info.digest);
    if (!existsSync(destination)) {
      await rename(this.path, destination);
      this.#file = undefined;
      const synced = file.syncAndClose().catch(async (error: unknown) => {
        await rm(destination, { force: true });
        throw error;
      });
      // Told by sync().
      synced.catch(() => undefined);
      this.#parts.onCommitted(synced);
      this.#parts.onClose?.();
    }
    await this[Symbol.asyncDispose]();
    return info;
  }

  /** After a commit there is nothing left to remove. */
  async [Symbol.asyncDispose](): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    try {
      await file.close();
      await rm(this.path, { force: true });
    } finally {
      this.#parts.onClose?.();
    }
  }

  #openFile(): BlobFile {
    if (this.#file !== undefined) return this.#file;
    throw new EngineError('internal', 'Cannot write blob: its writer is closed', { code: 'writer-closed' });
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
