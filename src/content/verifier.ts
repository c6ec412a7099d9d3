import { createHash } from 'node:crypto';
import { EngineError } from '../errors/index.ts';
import type { Digest } from '../spec/index.ts';
import type { BlobInfo } from './store.ts';

/** Largest blob that is read into memory whole: manifests and configs are far smaller, a bomb is not. */
export const maxBlobInMemoryBytes = 8 * 1024 * 1024;

export interface Expectation {
  expected?: Digest;
  expectedSizeBytes?: number;
}

/** Counts and hashes bytes on their way into a store, and holds them against what was promised. */
export class BlobVerifier {
  readonly #hash = createHash('sha256');
  readonly #expectation: Expectation;
  #sizeBytes = 0;

  constructor(expectation: Expectation) {
    this.#expectation = expectation;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** @throws {EngineError} `data-loss` as soon as there is more than was promised. */
  update(chunk: Uint8Array): void {
    this.#sizeBytes += chunk.length;
    const limit = this.#expectation.expectedSizeBytes;
    if (limit !== undefined && this.#sizeBytes > limit) throw this.#sizeMismatch(limit, 'more than');
    this.#hash.update(chunk);
  }

  /** Call once, after the last chunk. @throws {EngineError} `data-loss` */
  finish(): BlobInfo {
    const { expected, expectedSizeBytes } = this.#expectation;
    if (expectedSizeBytes !== undefined && this.#sizeBytes !== expectedSizeBytes) {
      throw this.#sizeMismatch(expectedSizeBytes, String(this.#sizeBytes));
    }
    const digest: Digest = `sha256:${this.#hash.digest('hex')}`;
    if (expected !== undefined && digest !== expected) {
      throw new EngineError('data-loss', `Cannot store blob ${expected}: its content has digest ${digest}`, {
        code: 'digest-mismatch',
        details: { expected, actual: digest },
      });
    }
    return { digest, sizeBytes: this.#sizeBytes };
  }

  #sizeMismatch(expectedBytes: number, actual: string): EngineError {
    const name = this.#expectation.expected ?? 'of unknown digest';
    const text =
      actual === 'more than'
        ? `it is longer than ${expectedBytes} bytes`
        : `it has ${actual} bytes instead of ${expectedBytes}`;
    return new EngineError('data-loss', `Cannot store blob ${name}: ${text}`, { code: 'size-mismatch' });
  }
}

export function noSuchBlob(digest: Digest): EngineError {
  return new EngineError('not-found', `Cannot find blob ${digest}`, { code: 'no-such-blob' });
}

export function blobTooLarge(digest: Digest, sizeBytes: number): EngineError {
  return new EngineError(
    'invalid-parameter',
    `Cannot read blob ${digest}: ${sizeBytes} bytes are more than the limit of ${maxBlobInMemoryBytes}`,
    { code: 'blob-too-large' },
  );
}
