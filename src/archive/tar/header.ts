import { EngineError } from '../../errors/index.ts';

export const BLOCK_BYTES = 512;

export type TarEntryType =
  'file' | 'directory' | 'symlink' | 'hardlink' | 'char-device' | 'block-device' | 'fifo' | 'other';

/** A run of stored bytes of a sparse file; what lies between runs is zeros. */
export interface SparseSegment {
  offset: number;
  length: number;
}

/**
 * One member of a tar archive. Names are as the archive has them (nothing is cleaned or trusted); bytes that are not
 * UTF-8 are kept as lone surrogates U+DC80..U+DCFF, see `pathBytes`.
 */
export interface TarHeader {
  path: string;
  type: TarEntryType;
  /** The type byte itself, for `other`. */
  typeFlag: string;
  /** Permission bits with setuid, setgid and sticky: 07777. */
  mode: number;
  uid: number;
  gid: number;
  /** Logical size of the content; for a sparse file with its holes. 0 for all but files. */
  sizeBytes: number;
  /** Whole seconds since the epoch, may be negative. */
  mtimeSeconds: number;
  /** 0..999 999 999, added to mtimeSeconds. */
  mtimeNanos: number;
  /** Target of a symlink, or path of the earlier member for a hard link; else ''. */
  linkPath: string;
  userName: string;
  groupName: string;
  deviceMajor: number;
  deviceMinor: number;
  /** Extended attributes by full name (`security.capability`); null when there are none. */
  xattrs: ReadonlyMap<string, Buffer> | null;
  /** Stored runs of a sparse file, sorted; null when the content is stored whole. */
  sparse: readonly SparseSegment[] | null;
}

/** The error of every malformed archive. */
export function badArchive(what: string, details: Record<string, unknown> = {}): EngineError {
  return new EngineError('invalid-parameter', `invalid tar archive: ${what}`, {
    code: 'bad-archive',
    details,
  });
}

/** Decodes a name; bytes that are not UTF-8 become U+DC00 + byte, so that they can be written back as they were. */
export function decodeName(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('utf8', start, end);
  if (!text.includes('\ufffd')) return text;
  return decodeBroken(bytes.subarray(start, end));
}

function decodeBroken(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const lead = bytes[at] ?? 0;
    const length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;
    const piece = length === 0 ? '' : bytes.toString('utf8', at, Math.min(at + length, bytes.length));
    if (
      length > 0 &&
      Buffer.byteLength(piece) === length &&
      bytes.subarray(at, at + length).equals(Buffer.from(piece))
    ) {
      text += piece;
      at += length;
    } else {
      text += String.fromCharCode(0xdc00 + lead);
      at += 1;
    }
  }
  return text;
}

/** The bytes of a name that `decodeName` made; well-formed names are plain UTF-8. */
export function pathBytes(name: string): Buffer {
  if (name.isWellFormed()) return Buffer.from(name);
  const parts: Buffer[] = [];
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0;
    parts.push(code >= 0xdc80 && code <= 0xdcff ? Buffer.from([code - 0xdc00]) : Buffer.from(character));
  }
  return Buffer.concat(parts);
}

function textField(block: Buffer, start: number, length: number): string {
  const zero = block.indexOf(0, start);
  const end = zero === -1 || zero > start + length ? start + length : zero;
  return end === start ? '' : decodeName(block, start, end);
}

/** An octal or base-256 number field. Throws for anything else, and for numbers beyond 2^53. */
export function numberField(block: Buffer, start: number, length: number, what: string): number {
  const first = block[start] ?? 0;
  if (first >= 0x80) return base256(block, start, length, what);
  let value = 0;
  let at = start;
  const end = start + length;
  while (at < end && (block[at] === 0x20 || block[at] === 0)) at += 1;
  for (; at < end; at += 1) {
    const digit = block[at] ?? 0;
    if (digit === 0 || digit === 0x20) break;
    if (digit < 0x30 || digit > 0x37) throw badArchive(`${what} is not a number`);
    value = value * 8 + (digit - 0x30);
  }
  for (; at < end; at += 1) {
    if (block[at] !== 0 && block[at] !== 0x20) throw badArchive(`${what} is not a number`);
  }
  if (value > Number.MAX_SAFE_INTEGER) throw badArchive(`${what} is too large`);
  return value;
}

function base256(block: Buffer, start: number, length: number, what: string): number {
  const negative = ((block[start] ?? 0) & 0x40) !== 0;
  // Two's complement without the marking bit; sign-extended from bit 6 of the first byte.
  let value = BigInt((block[start] ?? 0) & 0x3f) - (negative ? 64n : 0n);
  for (let at = start + 1; at < start + length; at += 1) value = value * 256n + BigInt(block[at] ?? 0);
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
    throw badArchive(`${what} is too large`);
  }
  return Number(value);
}

/** True for a block of zeros: the end mark. */
export function isZeroBlock(block: Buffer): boolean {
  // The first byte of a name is never zero in practice, so this loop rarely runs far.
  for (let at = 0; at < BLOCK_BYTES; at += 1) if (block[at] !== 0) return false;
  return true;
}

function verifyChecksum(block: Buffer): void {
  const stored = numberField(block, 148, 8, 'header checksum');
  let unsigned = 8 * 0x20;
  for (let at = 0; at < 148; at += 1) unsigned += block[at] ?? 0;
  for (let at = 156; at < BLOCK_BYTES; at += 1) unsigned += block[at] ?? 0;
  if (stored === unsigned) return;
  // Some old tars summed signed characters.
  let signed = 8 * 0x20;
  for (let at = 0; at < BLOCK_BYTES; at += 1) if (at < 148 || at >= 156) signed += block.readInt8(at);
  if (stored !== signed) throw badArchive('header checksum does not match');
}

const typesByFlag: Readonly<Record<string, TarEntryType>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char-device',
  '4': 'block-device',
  '5': 'directory',
  '6': 'fifo',
};

/** A decoded 512-byte block: the header before GNU and PAX extensions are applied to it. */
export interface RawHeader extends Omit<TarHeader, 'xattrs' | 'sparse'> {
  /** Bytes of content that follow in the archive. */
  storedBytes: number;
  gnu: boolean;
}

/** Decodes one header block of v7, ustar, GNU or star format. */
export function decodeHeader(block: Buffer): RawHeader {
  verifyChecksum(block);
  const magic = block.toString('latin1', 257, 265);
  const ustar = magic.startsWith('ustar\0');
  const gnu = magic === 'ustar  \0';
  const typeFlag = String.fromCharCode(block[156] ?? 0);
  let path = textField(block, 0, 100);
  if (ustar) {
    const star = block.toString('latin1', 508, 512) === 'tar\0';
    const prefix = textField(block, 345, star ? 131 : 155);
    if (prefix !== '') path = `${prefix}/${path}`;
  }
  const storedBytes = numberField(block, 124, 12, 'size');
  if (storedBytes < 0) throw badArchive(`size of ${path} is negative`);
  let type = typesByFlag[typeFlag] ?? 'other';
  if (typeFlag === '\0' && path.endsWith('/')) type = 'directory';
  const device = (ustar || gnu) && (type === 'char-device' || type === 'block-device');
  return {
    path,
    type,
    typeFlag,
    mode: numberField(block, 100, 8, 'mode') & 0o7777,
    uid: numberField(block, 108, 8, 'uid'),
    gid: numberField(block, 116, 8, 'gid'),
    sizeBytes: storedBytes,
    storedBytes,
    mtimeSeconds: numberField(block, 136, 12, 'mtime'),
    mtimeNanos: 0,
    linkPath: type === 'symlink' || type === 'hardlink' ? textField(block, 157, 100) : '',
    userName: ustar || gnu ? textField(block, 265, 32) : '',
    groupName: ustar || gnu ? textField(block, 297, 32) : '',
    deviceMajor: device ? numberField(block, 329, 8, 'device major') : 0,
    deviceMinor: device ? numberField(block, 337, 8, 'device minor') : 0,
    gnu,
  };
}
