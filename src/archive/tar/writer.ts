import { BLOCK_BYTES, pathBytes, type TarEntryType } from './header.ts';

/** A member to write. Everything left out is zero or empty, so that equal input gives equal bytes. */
export interface TarMember {
  /** Written as it is; a directory gets its trailing slash. */
  path: string;
  type: Exclude<TarEntryType, 'other'>;
  mode: number;
  uid?: number;
  gid?: number;
  /** Files only. */
  sizeBytes?: number;
  mtimeSeconds?: number;
  mtimeNanos?: number;
  linkPath?: string;
  userName?: string;
  groupName?: string;
  deviceMajor?: number;
  deviceMinor?: number;
  xattrs?: ReadonlyMap<string, Uint8Array> | null;
}

const flags: Readonly<Record<TarMember['type'], string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  'char-device': '3',
  'block-device': '4',
  directory: '5',
  fifo: '6',
};

const MAX_OCTAL_7 = 0o7777777;
const MAX_OCTAL_11 = 0o77777777777;

const PIECE_BYTES = 64 * 1024;

/** The end mark: two zero blocks. */
export const TAR_END: Buffer = Buffer.alloc(2 * BLOCK_BYTES);

/** Zeros that fill content of this size up to a whole block. */
export function tarPadding(sizeBytes: number): Buffer {
  return TAR_END.subarray(0, (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES);
}

/**
 * The header block or blocks of a member: plain ustar where it can say everything, else with a PAX extended header
 * before it (long or non-ASCII names, sizes from 8 GiB, large ids, fractions of a second, extended attributes).
 */
export function encodeHeader(member: TarMember): Buffer {
  const name = member.type === 'directory' && !member.path.endsWith('/') ? `${member.path}/` : member.path;
  const path = pathBytes(name);
  const link = pathBytes(member.linkPath ?? '');
  const records: Buffer[] = [];
  const split = splitName(path);
  const plainName = split !== undefined && isAscii(path);
  if (!plainName) records.push(paxRecord('path', path));
  if (link.length > 100 || !isAscii(link)) records.push(paxRecord('linkpath', link));
  const size = member.type === 'file' ? (member.sizeBytes ?? 0) : 0;
  const uid = member.uid ?? 0;
  const gid = member.gid ?? 0;
  const seconds = member.mtimeSeconds ?? 0;
  const nanos = member.mtimeNanos ?? 0;
  if (size > MAX_OCTAL_11) records.push(paxRecord('size', Buffer.from(String(size))));
  if (uid > MAX_OCTAL_7) records.push(paxRecord('uid', Buffer.from(String(uid))));
  if (gid > MAX_OCTAL_7) records.push(paxRecord('gid', Buffer.from(String(gid))));
  const userName = nameField(member.userName ?? '', 'uname', records);
  const groupName = nameField(member.groupName ?? '', 'gname', records);
  if (nanos !== 0 || seconds < 0 || seconds > MAX_OCTAL_11) {
    records.push(paxRecord('mtime', Buffer.from(timeText(seconds, nanos))));
  }
  if (member.xattrs) {
    // Sorted, so that the order in which a file system lists them does not matter.
    for (const key of [...member.xattrs.keys()].toSorted()) {
      records.push(paxRecord(`SCHILY.xattr.${key}`, member.xattrs.get(key) ?? Buffer.alloc(0)));
    }
  }
  const header = ustarBlock({
    name: split?.name ?? path.subarray(0, 100),
    prefix: split?.prefix ?? Buffer.alloc(0),
    flag: flags[member.type],
    mode: member.mode & 0o7777,
    uid: Math.min(uid, MAX_OCTAL_7),
    gid: Math.min(gid, MAX_OCTAL_7),
    size: Math.min(size, MAX_OCTAL_11),
    seconds: Math.max(0, Math.min(seconds, MAX_OCTAL_11)),
    link: link.subarray(0, 100),
    userName,
    groupName,
    major: member.deviceMajor ?? 0,
    minor: member.deviceMinor ?? 0,
  });
  if (records.length === 0) return header;
  const body = Buffer.concat(records);
  const extended = ustarBlock({
    name: extendedName(path),
    prefix: Buffer.alloc(0),
    flag: 'x',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: body.length,
    seconds: 0,
    link: Buffer.alloc(0),
    userName: Buffer.alloc(0),
    groupName: Buffer.alloc(0),
    major: 0,
    minor: 0,
  });
  return Buffer.concat([extended, body, tarPadding(body.length), header]);
}

/** A member and its content; `body` must give exactly `sizeBytes`. */
export interface TarSource extends TarMember {
  body?: AsyncIterable<Uint8Array> | Iterable<Uint8Array> | Uint8Array;
}

/**
 * Writes members as a tar stream, end mark included.
 * @throws {Error} when a body is shorter or longer than its size.
 */
export async function* writeTar(
  members: AsyncIterable<TarSource> | Iterable<TarSource>,
): AsyncGenerator<Buffer, void, void> {
  // Whoever sends small parts one by one takes longer for it than for what is in them.
  let parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of tarParts(members)) {
    parts.push(part);
    bytes += part.length;
    if (bytes < PIECE_BYTES) continue;
    yield parts.length === 1 ? part : Buffer.concat(parts);
    parts = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(parts);
}

async function* tarParts(
  members: AsyncIterable<TarSource> | Iterable<TarSource>,
): AsyncGenerator<Buffer, void, void> {
  for await (const member of members) {
    const { body } = member;
    const size =
      member.type === 'file' ? (member.sizeBytes ?? (body instanceof Uint8Array ? body.length : 0)) : 0;
    yield encodeHeader({ ...member, sizeBytes: size });
    let written = 0;
    for await (const chunk of body instanceof Uint8Array ? [body] : (body ?? [])) {
      written += chunk.length;
      if (written > size)
        throw new Error(`Cannot write tar member ${member.path}: content is longer than ${size}`);
      yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    }
    if (written !== size)
      throw new Error(`Cannot write tar member ${member.path}: content is not ${size} bytes`);
    const pad = tarPadding(size);
    if (pad.length > 0) yield pad;
  }
  yield TAR_END;
}

interface UstarFields {
  name: Buffer;
  prefix: Buffer;
  flag: string;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  seconds: number;
  link: Buffer;
  userName: Buffer;
  groupName: Buffer;
  major: number;
  minor: number;
}

function ustarBlock(fields: UstarFields): Buffer {
  // From the pool: an allocation of its own costs more than the header.
  const block = Buffer.allocUnsafe(BLOCK_BYTES).fill(0);
  fields.name.copy(block, 0, 0, 100);
  octal(block, 100, 7, fields.mode);
  octal(block, 108, 7, fields.uid);
  octal(block, 116, 7, fields.gid);
  octal(block, 124, 11, fields.size);
  octal(block, 136, 11, fields.seconds);
  block.write('        ', 148, 'latin1');
  block.write(fields.flag, 156, 'latin1');
  fields.link.copy(block, 157, 0, 100);
  block.write('ustar\u000000', 257, 'latin1');
  fields.userName.copy(block, 265, 0, 32);
  fields.groupName.copy(block, 297, 0, 32);
  octal(block, 329, 7, fields.major);
  octal(block, 337, 7, fields.minor);
  fields.prefix.copy(block, 345, 0, 155);
  let sum = 0;
  for (let at = 0; at < BLOCK_BYTES; at += 1) sum += block[at] ?? 0;
  octal(block, 148, 6, sum);
  block[154] = 0;
  return block;
}

function octal(block: Buffer, at: number, digits: number, value: number): void {
  let rest = value;
  for (let place = at + digits - 1; place >= at; place -= 1) {
    block[place] = 0x30 + (rest % 8);
    rest = Math.floor(rest / 8);
  }
}

function nameField(name: string, key: string, records: Buffer[]): Buffer {
  const bytes = pathBytes(name);
  if (bytes.length <= 32 && isAscii(bytes)) return bytes;
  records.push(paxRecord(key, bytes));
  return Buffer.alloc(0);
}

function isAscii(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte >= 0x80 || byte === 0) return false;
  }
  return true;
}

/** Splits at a slash into at most 155 and 100 bytes; undefined when that cannot be. */
function splitName(path: Buffer): { name: Buffer; prefix: Buffer } | undefined {
  if (path.length <= 100) return { name: path, prefix: Buffer.alloc(0) };
  if (path.length > 256) return undefined;
  for (let at = Math.max(0, path.length - 101); at <= 155 && at < path.length - 1; at += 1) {
    if (path[at] === 0x2f && at > 0) return { name: path.subarray(at + 1), prefix: path.subarray(0, at) };
  }
  return undefined;
}

function paxRecord(key: string, value: Uint8Array): Buffer {
  const keyBytes = pathBytes(key);
  const rest = keyBytes.length + value.length + 3;
  let length = rest + String(rest).length;
  if (String(length).length > String(rest).length) length = rest + String(length).length;
  return Buffer.concat([Buffer.from(`${length} `), keyBytes, Buffer.from('='), value, Buffer.from('\n')]);
}

function timeText(seconds: number, nanos: number): string {
  if (nanos === 0) return String(seconds);
  const whole = seconds < 0 ? seconds + 1 : seconds;
  const fraction = seconds < 0 ? 1e9 - nanos : nanos;
  const sign = seconds < 0 && whole === 0 ? '-' : '';
  return `${sign}${whole}.${String(fraction).padStart(9, '0').replace(/0+$/, '')}`;
}

/** `dir/PaxHeaders.0/base`, as other writers name it; readers ignore it. */
function extendedName(path: Buffer): Buffer {
  const trimmed = path.at(-1) === 0x2f ? path.subarray(0, -1) : path;
  const base = trimmed.subarray(trimmed.lastIndexOf(0x2f) + 1);
  return Buffer.concat([Buffer.from('PaxHeaders.0/'), base]).subarray(0, 100);
}
