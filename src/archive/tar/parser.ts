import { BLOCK_BYTES, badArchive, decodeHeader, decodeName, isZeroBlock, numberField } from './header.ts';
import type { RawHeader, SparseSegment, TarHeader } from './header.ts';
import { applyPax, parsePax, type PaxRecords } from './pax.ts';
import { InlineSparseMap, SparseMap, paxSparse, readOldGnuSparse } from './sparse.ts';

/** Receives the members of an archive in order; called synchronously from push(). */
export interface TarHandler {
  entry(header: TarHeader): void;
  /** Content of the last entry. The chunk is a view into what was pushed; `position` is its place in the file. */
  data(chunk: Buffer, position: number): void;
  /** The last entry's content is complete. */
  end(): void;
}

/** Long names, links and PAX records of one member; the same bound as Go's reader, hence Docker's. */
const MAX_METADATA_BYTES = 1024 * 1024;

/** Members whose content is empty whatever their size field says (hard links of old writers carry one). */
const headerOnly: ReadonlySet<string> = new Set(['1', '2', '3', '4', '5', '6']);

/**
 * A push parser of tar streams: ustar, v7, star, GNU long names, PAX, and all of GNU's sparse formats. Synchronous and
 * without copies of content, so that a worker thread can write files straight from it. Every malformed header throws
 * `invalid-parameter` (code `bad-archive`); whether a name is safe to write is not its question.
 *
 * PAX global headers are read past, not applied: Docker does the same, and two readers must not see two archives.
 */
export class TarParser {
  #handler: TarHandler;
  #state: 'header' | 'metadata' | 'sparse-extension' | 'sparse-inline' | 'body' | 'padding' | 'ended' =
    'header';
  #partial = Buffer.alloc(BLOCK_BYTES);
  #partialBytes = 0;
  /** Bytes left of the metadata, body or padding being read. */
  #left = 0;
  /** Padding that follows the metadata or body. */
  #pad = 0;
  #sawZeroBlock = false;

  #metadata: Buffer[] = [];
  #metadataFlag = '';
  #longName: string | undefined;
  #longLink: string | undefined;
  #pax: PaxRecords | undefined;

  #pending: { raw: RawHeader; xattrs: Map<string, Buffer> | null; map: SparseMap } | undefined;
  #inline: InlineSparseMap | undefined;
  #segments: readonly SparseSegment[] | null = null;
  #segmentIndex = 0;
  #segmentDone = 0;
  #position = 0;

  constructor(handler: TarHandler) {
    this.#handler = handler;
  }

  /** True once the end mark was read; what is pushed afterwards is ignored. */
  get ended(): boolean {
    return this.#state === 'ended';
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      switch (this.#state) {
        case 'ended':
          return;
        case 'padding': {
          const take = Math.min(this.#left, chunk.length - at);
          at += take;
          this.#left -= take;
          if (this.#left === 0) this.#state = 'header';
          break;
        }
        case 'body': {
          const take = Math.min(this.#left, chunk.length - at);
          this.#content(chunk.subarray(at, at + take));
          at += take;
          this.#left -= take;
          if (this.#left === 0) this.#endBody();
          break;
        }
        case 'metadata': {
          const take = Math.min(this.#left, chunk.length - at);
          this.#metadata.push(Buffer.from(chunk.subarray(at, at + take)));
          at += take;
          this.#left -= take;
          if (this.#left === 0) this.#endMetadata();
          break;
        }
        default: {
          if (this.#partialBytes === 0 && chunk.length - at >= BLOCK_BYTES) {
            this.#block(chunk.subarray(at, at + BLOCK_BYTES));
            at += BLOCK_BYTES;
            break;
          }
          const take = Math.min(BLOCK_BYTES - this.#partialBytes, chunk.length - at);
          chunk.copy(this.#partial, this.#partialBytes, at, at + take);
          at += take;
          this.#partialBytes += take;
          if (this.#partialBytes === BLOCK_BYTES) {
            this.#partialBytes = 0;
            this.#block(this.#partial);
          }
        }
      }
    }
  }

  /** The input is at its end. @throws {EngineError} when that is in the middle of a member. */
  finish(): void {
    // Docker accepts archives that end without a mark, and last members without padding.
    if (this.#state === 'ended' || this.#state === 'padding') return;
    if (this.#state !== 'header' || this.#partialBytes > 0 || this.#longName !== undefined) throw truncated();
    if (this.#pax !== undefined || this.#longLink !== undefined) throw truncated();
  }

  #block(block: Buffer): void {
    if (this.#state === 'sparse-extension') this.#sparseExtension(block);
    else if (this.#state === 'sparse-inline') this.#sparseInline(block);
    else this.#header(block);
  }

  #header(block: Buffer): void {
    if (block[0] === 0 && isZeroBlock(block)) {
      if (this.#longName !== undefined || this.#longLink !== undefined || this.#pax !== undefined)
        throw truncated();
      if (this.#sawZeroBlock) this.#state = 'ended';
      this.#sawZeroBlock = true;
      return;
    }
    if (this.#sawZeroBlock) throw badArchive('data after a zero block');
    const raw = decodeHeader(block);
    switch (raw.typeFlag) {
      case 'x':
      case 'g':
      case 'L':
      case 'K':
        this.#beginMetadata(raw);
        return;
      default:
        this.#member(raw, block);
    }
  }

  #beginMetadata(raw: RawHeader): void {
    if (raw.storedBytes > MAX_METADATA_BYTES) throw badArchive('extended header is too large');
    this.#metadataFlag = raw.typeFlag;
    this.#metadata = [];
    this.#left = raw.storedBytes;
    this.#pad = padding(raw.storedBytes);
    this.#state = 'metadata';
    if (this.#left === 0) this.#endMetadata();
  }

  #endMetadata(): void {
    const bytes =
      this.#metadata.length === 1 ? (this.#metadata[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#metadata);
    this.#metadata = [];
    this.#skipPadding();
    switch (this.#metadataFlag) {
      case 'L':
        this.#longName = untilZero(bytes);
        break;
      case 'K':
        this.#longLink = untilZero(bytes);
        break;
      case 'x':
        this.#pax = parsePax(bytes);
        break;
      default:
        // A global header must still be well-formed.
        parsePax(bytes);
    }
  }

  #member(raw: RawHeader, block: Buffer): void {
    if (this.#longName !== undefined) raw.path = this.#longName;
    if (this.#longName !== undefined && raw.typeFlag === '\0' && raw.path.endsWith('/'))
      raw.type = 'directory';
    if (this.#longLink !== undefined && raw.linkPath !== '') raw.linkPath = this.#longLink;
    const pax = this.#pax;
    const xattrs = pax === undefined ? null : applyPax(raw, pax);
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#pax = undefined;
    if (headerOnly.has(raw.typeFlag) || raw.type === 'directory') {
      raw.storedBytes = 0;
      raw.sizeBytes = 0;
    }
    if (raw.path.includes('\0') || raw.linkPath.includes('\0'))
      throw badArchive('a name contains a zero byte');
    if (raw.path === '') throw badArchive('a member has no name');

    if (raw.typeFlag === 'S') {
      this.#oldGnuSparse(raw, block, xattrs);
      return;
    }
    if (pax !== undefined && raw.type === 'file') {
      const sparse = paxSparse(pax, (value) => {
        if (value.includes(0)) throw badArchive('a name contains a zero byte');
        return decodeName(value, 0, value.length);
      });
      if (sparse.kind !== 'none') {
        if (sparse.name !== undefined && sparse.name !== '') raw.path = sparse.name;
        raw.sizeBytes = sparse.realSize;
        if (sparse.kind === 'listed') {
          this.#begin(raw, xattrs, sparse.map.finish(raw.sizeBytes, raw.storedBytes));
        } else {
          this.#inline = new InlineSparseMap();
          this.#pending = { raw, xattrs, map: this.#inline.map };
          this.#state = 'sparse-inline';
        }
        return;
      }
    }
    this.#begin(raw, xattrs, null);
  }

  #oldGnuSparse(raw: RawHeader, block: Buffer, xattrs: Map<string, Buffer> | null): void {
    if (!raw.gnu) throw badArchive('sparse member in an archive that is not of GNU format');
    const map = new SparseMap();
    const more = readOldGnuSparse(block, 386, 4, map);
    const realSize = numberField(block, 483, 12, 'real size');
    if (realSize < 0) throw badArchive(`size of ${raw.path} is negative`);
    raw.sizeBytes = realSize;
    if (!more) {
      this.#begin(raw, xattrs, map.finish(realSize, raw.storedBytes));
      return;
    }
    this.#pending = { raw, xattrs, map };
    this.#state = 'sparse-extension';
  }

  #sparseExtension(block: Buffer): void {
    const pending = this.#pending;
    if (pending === undefined) throw badArchive('bad sparse map');
    if (readOldGnuSparse(block, 0, 21, pending.map)) return;
    this.#pending = undefined;
    const segments = pending.map.finish(pending.raw.sizeBytes, pending.raw.storedBytes);
    this.#begin(pending.raw, pending.xattrs, segments);
  }

  #sparseInline(block: Buffer): void {
    const pending = this.#pending;
    if (pending === undefined || this.#inline === undefined) throw badArchive('bad sparse map');
    pending.raw.storedBytes -= BLOCK_BYTES;
    if (pending.raw.storedBytes < 0) throw badArchive('bad sparse map');
    if (!this.#inline.push(block)) return;
    this.#pending = undefined;
    this.#inline = undefined;
    const segments = pending.map.finish(pending.raw.sizeBytes, pending.raw.storedBytes);
    this.#begin(pending.raw, pending.xattrs, segments);
  }

  #begin(raw: RawHeader, xattrs: Map<string, Buffer> | null, sparse: readonly SparseSegment[] | null): void {
    this.#segments = sparse;
    this.#segmentIndex = 0;
    this.#segmentDone = 0;
    this.#position = 0;
    this.#left = raw.storedBytes;
    this.#pad = padding(raw.storedBytes);
    this.#state = 'body';
    const { storedBytes: _stored, gnu: _gnu, ...header } = raw;
    this.#handler.entry({ ...header, xattrs, sparse });
    if (this.#left === 0) this.#endBody();
  }

  #content(chunk: Buffer): void {
    if (this.#segments === null) {
      this.#handler.data(chunk, this.#position);
      this.#position += chunk.length;
      return;
    }
    for (let at = 0; at < chunk.length;) {
      const segment = this.#segments[this.#segmentIndex];
      if (segment === undefined) throw badArchive('sparse map does not match the stored size');
      const take = Math.min(segment.length - this.#segmentDone, chunk.length - at);
      this.#handler.data(chunk.subarray(at, at + take), segment.offset + this.#segmentDone);
      at += take;
      this.#segmentDone += take;
      if (this.#segmentDone === segment.length) {
        this.#segmentIndex += 1;
        this.#segmentDone = 0;
      }
    }
  }

  #endBody(): void {
    this.#skipPadding();
    this.#handler.end();
  }

  #skipPadding(): void {
    this.#left = this.#pad;
    this.#pad = 0;
    this.#state = this.#left > 0 ? 'padding' : 'header';
  }
}

function padding(size: number): number {
  return (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
}

function untilZero(bytes: Buffer): string {
  const zero = bytes.indexOf(0);
  return decodeName(bytes, 0, zero === -1 ? bytes.length : zero);
}

function truncated(): Error {
  return badArchive('unexpected end of the archive');
}
