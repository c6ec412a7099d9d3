import { createHash } from 'node:crypto';
import { EngineError } from '../errors/index.ts';

/** `sha256:<64 hex>` of stored bytes, as in the OCI image-spec descriptor. */
export type Digest = string & { readonly __brand?: 'Digest' };
/** Digest of a layer's uncompressed tar. */
export type DiffId = Digest;
/** Digest naming a layer together with all layers below it (OCI image-spec config.md, Layer ChainID). */
export type ChainId = Digest;

const pattern = /^sha256:[0-9a-f]{64}$/;

/** True for a well-formed sha256 digest. */
export function isDigest(text: string): text is Digest {
  return pattern.test(text);
}

/** @throws {EngineError} `invalid-parameter` for anything but `sha256:<64 hex>`. */
export function parseDigest(text: string): Digest {
  if (!isDigest(text)) throw new EngineError('invalid-parameter', `invalid digest format: ${text}`);
  return text;
}

/** The digest of bytes in memory. */
export function digestOf(bytes: string | Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** The 64 hex characters of a digest. */
export function digestHex(digest: Digest): string {
  return digest.slice(7);
}

/** ChainIDs of a list of DiffIDs, bottom first, same length. */
export function chainIds(diffIds: readonly DiffId[]): ChainId[] {
  const chain: ChainId[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffId : digestOf(`${below} ${diffId}`));
  }
  return chain;
}
