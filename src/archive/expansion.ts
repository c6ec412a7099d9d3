import { badArchive } from './tar/header.ts';

/** Bounds against what is small to send and large to have. */
export interface ExpansionLimits {
  /** Uncompressed bytes of one layer or archive. Default: none. */
  maxBytes?: number;
  /**
   * Uncompressed bytes for each byte sent, looked at beyond the first GiB. Default: 2000, which no gzip stream reaches.
   */
  maxRatio?: number;
}

const ratioFreeBytes = 1024 ** 3;

/** @throws {EngineError} `invalid-parameter` (code `bad-archive`) when a bound is passed */
export function checkExpansion(
  { maxBytes = Infinity, maxRatio = 2000 }: ExpansionLimits,
  expandedBytes: number,
  sentBytes: number,
): void {
  if (expandedBytes > maxBytes) throw badArchive(`it is larger than ${maxBytes} bytes`);
  if (expandedBytes > ratioFreeBytes && expandedBytes > sentBytes * maxRatio) {
    throw badArchive(`it expands to more than ${maxRatio} times its size`);
  }
}
