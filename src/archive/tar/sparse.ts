import { badArchive, numberField, type SparseSegment } from './header.ts';
import { paxNumber, type PaxRecords } from './pax.ts';

/** More runs than any real file system reports, and few enough to hold. */
const MAX_SEGMENTS = 1_000_000;

/** Collects runs and checks that they are sorted, inside the file, and add up to the stored bytes. */
export class SparseMap {
  readonly segments: SparseSegment[] = [];

  add(offset: number, length: number): void {
    if (this.segments.length >= MAX_SEGMENTS) throw badArchive('sparse map has too many entries');
    if (offset < 0 || length < 0) throw badArchive('bad sparse map');
    this.segments.push({ offset, length });
  }

  /** @throws {EngineError} when the runs overlap, leave the file, or are not `storedBytes` long in all. */
  finish(realSize: number, storedBytes: number): SparseSegment[] {
    let end = 0;
    let total = 0;
    for (const { offset, length } of this.segments) {
      if (offset < end || offset + length > realSize) throw badArchive('bad sparse map');
      end = offset + length;
      total += length;
    }
    if (total !== storedBytes) throw badArchive('sparse map does not match the stored size');
    return this.segments.filter((segment) => segment.length > 0);
  }
}

/**
 * Reads runs of the old GNU format (type `S`) from a header (`start` 386, 4 runs) or an extension block (0, 21 runs).
 * Returns true when another extension block follows.
 */
export function readOldGnuSparse(block: Buffer, start: number, count: number, map: SparseMap): boolean {
  for (let index = 0; index < count; index += 1) {
    const at = start + index * 24;
    if (block[at] === 0 && block[at + 12] === 0) break;
    map.add(numberField(block, at, 12, 'sparse offset'), numberField(block, at + 12, 12, 'sparse length'));
  }
  return block[start + count * 24] !== 0;
}

export type PaxSparse =
  | { kind: 'none' }
  /** Formats 0.0 and 0.1: the runs are in the records. */
  | { kind: 'listed'; map: SparseMap; realSize: number; name: string | undefined }
  /** Format 1.0: the runs are at the start of the content. */
  | { kind: 'inline'; realSize: number; name: string | undefined };

/** What the `GNU.sparse.*` records say (GNU tar manual, "Sparse Formats"). */
export function paxSparse(records: PaxRecords, nameOf: (value: Buffer) => string): PaxSparse {
  const { values, sparsePairs } = records;
  const major = values.get('GNU.sparse.major')?.toString('latin1');
  const minor = values.get('GNU.sparse.minor')?.toString('latin1');
  const nameValue = values.get('GNU.sparse.name');
  const name = nameValue === undefined ? undefined : nameOf(nameValue);
  const sizeValue = values.get('GNU.sparse.realsize') ?? values.get('GNU.sparse.size');
  const realSize = sizeValue === undefined ? undefined : paxNumber(sizeValue, 'GNU.sparse.realsize');
  if (major === '1' && minor === '0') {
    if (realSize === undefined) throw badArchive('sparse file without a real size');
    return { kind: 'inline', realSize, name };
  }
  if (major !== undefined && major !== '0')
    throw badArchive(`sparse format ${major}.${minor ?? ''} is not known`);
  const listed = values.get('GNU.sparse.map');
  if (listed === undefined && sparsePairs.length === 0) return { kind: 'none' };
  if (realSize === undefined) throw badArchive('sparse file without a real size');
  const map = new SparseMap();
  const numbers = listed === undefined ? sparsePairs : listedNumbers(listed);
  if (numbers.length % 2 !== 0) throw badArchive('bad sparse map');
  for (let at = 0; at < numbers.length; at += 2) map.add(numbers[at] ?? 0, numbers[at + 1] ?? 0);
  return { kind: 'listed', map, realSize, name };
}

function listedNumbers(value: Buffer): number[] {
  if (value.length === 0) return [];
  return value
    .toString('latin1')
    .split(',')
    .map((text) => paxNumber(Buffer.from(text, 'latin1'), 'GNU.sparse.map'));
}

/** Parses the inline map of format 1.0 from the content's first blocks, a line per number. */
export class InlineSparseMap {
  readonly map = new SparseMap();
  #digits = '';
  #count = -1;
  #offset = -1;

  /** Takes one 512-byte block; true when the map is complete. */
  push(block: Buffer): boolean {
    for (const byte of block) {
      if (this.#count === 0) return true;
      if (byte !== 0x0a) {
        this.#digits += String.fromCharCode(byte);
        if (this.#digits.length > 17) throw badArchive('bad sparse map');
        continue;
      }
      this.#number(paxNumber(Buffer.from(this.#digits, 'latin1'), 'sparse map'));
      this.#digits = '';
    }
    return this.#count === 0;
  }

  #number(value: number): void {
    if (this.#count === -1) {
      if (value > MAX_SEGMENTS) throw badArchive('sparse map has too many entries');
      this.#count = value;
    } else if (this.#offset === -1) {
      this.#offset = value;
    } else {
      this.map.add(this.#offset, value);
      this.#offset = -1;
      this.#count -= 1;
    }
  }
}
