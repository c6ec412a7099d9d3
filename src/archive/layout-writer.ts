import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../errors/index.ts';
import { digestHex, mediaTypes, type Descriptor, type Digest } from '../spec/index.ts';

const NAME = 'org.opencontainers.image.ref.name';

interface Index {
  schemaVersion: number;
  mediaType?: string;
  manifests: (Descriptor & { annotations?: Record<string, string> })[];
}

/**
 * Adds to a directory in OCI's image layout. Blobs are there whole or not at all, and the index names them when they all are:
 * what was written is removed again when commit() was not reached.
 * @see OCI image-spec v1.1 image-layout.md
 */
export class LayoutWriter implements Disposable {
  readonly #directory: string;
  /** What would not be there without us, the outermost directory last. */
  readonly #made: string[] = [];
  #isCommitted = false;

  /** @param directory is made with what is above it */
  constructor(directory: string) {
    this.#directory = directory;
    const first = mkdirSync(join(directory, 'blobs/sha256'), { recursive: true });
    if (first !== undefined) this.#made.push(first);
  }

  has(digest: Digest): boolean {
    return existsSync(this.#path(digest));
  }

  /** @throws {EngineError} `data-loss` when the bytes do not have the digest; nothing is written then */
  async put(digest: Digest, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    const path = this.#path(digest);
    const temporary = join(this.#directory, `.${randomBytes(8).toString('hex')}.tmp`);
    this.#made.unshift(temporary);
    const file = await open(temporary, 'wx', 0o644);
    try {
      try {
        const hash = createHash('sha256');
        for await (const chunk of chunks) {
          hash.update(chunk);
          await file.appendFile(chunk);
        }
        if (`sha256:${hash.digest('hex')}` !== digest) {
          throw new EngineError('data-loss', `Cannot write blob ${digest}: its bytes have another digest`);
        }
      } finally {
        await file.close();
      }
      if (existsSync(path)) return;
      renameSync(temporary, path);
      this.#made.unshift(path);
    } finally {
      rmSync(temporary, { force: true });
    }
  }

  /** Names a manifest that was put; one that had the name before loses it. */
  commit(name: string, { mediaType, digest, size }: Descriptor): void {
    const path = join(this.#directory, 'index.json');
    const others = readIndex(path).manifests.filter(({ annotations }) => annotations?.[NAME] !== name);
    const manifest = { mediaType, digest, size, annotations: { [NAME]: name } };
    const index: Index = {
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [...others, manifest],
    };
    const layout = join(this.#directory, 'oci-layout');
    this.#made.unshift(`${path}.tmp`, ...(existsSync(layout) ? [] : [layout]));
    writeFileSync(layout, '{"imageLayoutVersion":"1.0.0"}');
    writeFileSync(`${path}.tmp`, JSON.stringify(index));
    renameSync(`${path}.tmp`, path);
    this.#isCommitted = true;
  }

  #path(digest: Digest): string {
    return join(this.#directory, 'blobs/sha256', digestHex(digest));
  }

  [Symbol.dispose](): void {
    if (this.#isCommitted) return;
    for (const path of this.#made) rmSync(path, { recursive: true, force: true });
  }
}

function readIndex(path: string): Index {
  if (!existsSync(path)) return { schemaVersion: 2, manifests: [] };
  const index = JSON.parse(readFileSync(path, 'utf8')) as Partial<Index>;
  return { schemaVersion: 2, manifests: Array.isArray(index.manifests) ? index.manifests : [] };
}
