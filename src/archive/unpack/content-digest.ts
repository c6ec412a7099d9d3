import { createHash, hash, type Hash } from 'node:crypto';

/** A file on the same file system that nobody writes to. */
export interface KnownFile {
  path: string;
  /** Of its content, in hex. */
  sha256: string;
}

/** sha256 of one file's content, which comes in pieces and mostly in one. */
export class ContentDigest {
  readonly #sizeBytes: number;
  readonly #tell: (digest: string) => void;
  #hash: Hash | undefined;
  #isTold = false;

  constructor(sizeBytes: number, tell: (digest: string) => void) {
    this.#sizeBytes = sizeBytes;
    this.#tell = tell;
  }

  update(chunk: Buffer): void {
    if (this.#hash === undefined && chunk.length === this.#sizeBytes) {
      this.#isTold = true;
      this.#tell(hash('sha256', chunk, 'hex'));
      return;
    }
    this.#hash ??= createHash('sha256');
    this.#hash.update(chunk);
  }

  end(): void {
    if (!this.#isTold) this.#tell((this.#hash ?? createHash('sha256')).digest('hex'));
  }
}
