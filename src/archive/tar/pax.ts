import { badArchive, decodeName, type RawHeader } from './header.ts';

/** Records of one PAX extended header, last one wins; GNU's repeated sparse records are collected in order. */
export interface PaxRecords {
  values: Map<string, Buffer>;
  /** `GNU.sparse.offset` and `GNU.sparse.numbytes` of format 0.0, alternating. */
  sparsePairs: number[];
}

const xattrPrefix = 'SCHILY.xattr.';

/** Parses `<length> <key>=<value>\n` records (POSIX pax, "pax Header Block"). */
export function parsePax(bytes: Buffer): PaxRecords {
  const values = new Map<string, Buffer>();
  const sparsePairs: number[] = [];
  for (let at = 0; at < bytes.length;) {
    // Some writers pad the records with zeros.
    if (bytes[at] === 0) break;
    const space = bytes.indexOf(0x20, at);
    const digits = space === -1 ? '' : bytes.toString('latin1', at, Math.min(space, at + 12));
    if (!/^[0-9]{1,10}$/.test(digits)) throw badArchive('PAX record without a length');
    const end = at + Number(digits);
    const equals = bytes.indexOf(0x3d, space);
    if (end > bytes.length || end < space + 3 || bytes[end - 1] !== 0x0a || equals === -1 || equals >= end) {
      throw badArchive('PAX record has a wrong length');
    }
    const key = decodeName(bytes, space + 1, equals);
    const value = bytes.subarray(equals + 1, end - 1);
    if (key === '') throw badArchive('PAX record without a key');
    if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') {
      if ((key === 'GNU.sparse.offset') !== (sparsePairs.length % 2 === 0))
        throw badArchive('bad sparse map');
      sparsePairs.push(paxNumber(value, key));
    } else {
      values.set(key, value);
    }
    at = end;
  }
  return { values, sparsePairs };
}

/** A decimal number of a PAX record that must be a whole number from 0 to 2^53. */
export function paxNumber(value: Buffer, key: string): number {
  const text = value.toString('latin1', 0, Math.min(value.length, 24));
  if (!/^[0-9]{1,17}$/.test(text) || !Number.isSafeInteger(Number(text))) {
    throw badArchive(`PAX ${key} is not a number`);
  }
  return Number(text);
}

function paxTime(value: Buffer): { seconds: number; nanos: number } {
  const match = /^(-?)([0-9]{1,15})(?:\.([0-9]*))?$/.exec(
    value.toString('latin1', 0, Math.min(value.length, 64)),
  );
  if (match === null) throw badArchive('PAX mtime is not a time');
  const nanos = Number((match[3] ?? '').slice(0, 9).padEnd(9, '0'));
  const seconds = Number(match[2]);
  if (match[1] !== '-') return { seconds, nanos };
  return nanos === 0
    ? { seconds: seconds === 0 ? 0 : -seconds, nanos }
    : { seconds: -seconds - 1, nanos: 1e9 - nanos };
}

function paxName(value: Buffer, key: string): string {
  if (value.includes(0)) throw badArchive(`PAX ${key} contains a zero byte`);
  return decodeName(value, 0, value.length);
}

/** Applies the records to the header that follows them. Returns its extended attributes. */
export function applyPax(header: RawHeader, records: PaxRecords): Map<string, Buffer> | null {
  let xattrs: Map<string, Buffer> | null = null;
  for (const [key, value] of records.values) {
    // An empty value deletes the record: the header's own field counts.
    if (value.length === 0 && !key.startsWith(xattrPrefix)) continue;
    switch (key) {
      case 'path':
        header.path = paxName(value, key);
        if (header.typeFlag === '\0') header.type = header.path.endsWith('/') ? 'directory' : 'file';
        break;
      case 'linkpath':
        if (header.type === 'symlink' || header.type === 'hardlink') header.linkPath = paxName(value, key);
        break;
      case 'size':
        header.storedBytes = paxNumber(value, key);
        header.sizeBytes = header.storedBytes;
        break;
      case 'uid':
        header.uid = paxNumber(value, key);
        break;
      case 'gid':
        header.gid = paxNumber(value, key);
        break;
      case 'uname':
        header.userName = paxName(value, key);
        break;
      case 'gname':
        header.groupName = paxName(value, key);
        break;
      case 'mtime': {
        const time = paxTime(value);
        header.mtimeSeconds = time.seconds;
        header.mtimeNanos = time.nanos;
        break;
      }
      default:
        if (key.startsWith(xattrPrefix) && key.length > xattrPrefix.length) {
          xattrs ??= new Map();
          xattrs.set(key.slice(xattrPrefix.length), Buffer.from(value));
        }
    }
  }
  return xattrs;
}
