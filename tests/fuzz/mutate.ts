import type { Random } from './random.ts';

const block = 512;

/** Some bytes are others, are gone, come twice, or belong to another input. */
export function mutateBytes(random: Random, input: Buffer, other: Buffer): Buffer {
  let bytes = Buffer.from(input);
  for (let times = 1 + random.int(4); times > 0 && bytes.length > 0; times -= 1) {
    const at = random.int(bytes.length);
    const length = Math.min(1 + random.int(random.once(3) ? 2000 : 16), bytes.length - at);
    switch (random.int(7)) {
      case 0:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random.int(8));
        break;
      case 1:
        bytes.fill(random.pick([0, 0xff, 0x20, 0x2f, 0x80]), at, at + length);
        break;
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
        break;
      case 4:
        bytes = bytes.subarray(0, at);
        break;
      case 5:
        bytes = Buffer.concat([bytes.subarray(0, at), random.bytes(length), bytes.subarray(at)]);
        break;
      default:
        bytes = Buffer.concat([bytes.subarray(0, at), other.subarray(random.int(other.length + 1))]);
    }
  }
  return bytes;
}

const fields: readonly [name: string, start: number, length: number][] = [
  ['name', 0, 100],
  ['mode', 100, 8],
  ['uid', 108, 8],
  ['gid', 116, 8],
  ['size', 124, 12],
  ['mtime', 136, 12],
  ['type', 156, 1],
  ['link', 157, 100],
  ['magic', 257, 8],
  ['owner', 265, 32],
  ['major', 329, 8],
  ['minor', 337, 8],
  ['prefix', 345, 155],
  ['sparse', 386, 96],
  ['extended', 482, 1],
  ['real size', 483, 12],
];

const types = '0123456789\0xgLKSDMVANI';

/** Headers say other things than they did, mostly with a checksum that fits; members change places. */
export function mutateTar(random: Random, input: Buffer, texts: readonly string[]): Buffer {
  let bytes = Buffer.from(input.subarray(0, input.length - (input.length % block)));
  for (let times = 1 + random.int(3); times > 0 && bytes.length >= block; times -= 1) {
    const headers = headerOffsets(bytes);
    if (headers.length === 0) return bytes;
    const at = random.pick(headers);
    switch (random.int(6)) {
      case 0: {
        // Moves what one header begins to where another is.
        const next = headers.find((offset) => offset > at) ?? bytes.length;
        const member = bytes.subarray(at, next);
        const to = random.pick(headers);
        const without = Buffer.concat([bytes.subarray(0, at), random.once(2) ? member : Buffer.alloc(0)]);
        bytes = Buffer.concat([without, bytes.subarray(next)]);
        bytes = Buffer.concat([bytes.subarray(0, to), member, bytes.subarray(to)]);
        break;
      }
      case 1:
        bytes = Buffer.concat([bytes.subarray(0, at), paxMember(random, texts), bytes.subarray(at)]);
        break;
      default: {
        const header = bytes.subarray(at, at + block);
        const [name, start, length] = random.pick(fields);
        header.fill(0, start, start + length);
        fieldValue(random, name, length, texts).copy(header, start, 0, length);
        if (!random.once(12)) sealHeader(header);
      }
    }
  }
  return bytes;
}

function fieldValue(random: Random, name: string, length: number, texts: readonly string[]): Buffer {
  if (name === 'type' || name === 'extended') return Buffer.from(types.charAt(random.int(types.length)));
  if (['name', 'link', 'prefix', 'owner'].includes(name)) return Buffer.from(random.pick(texts), 'latin1');
  const digits = length - 1;
  return random.pick([
    () => Buffer.alloc(length, 0xff),
    () => Buffer.concat([Buffer.from([0x80]), Buffer.alloc(length - 1, 0x7f)]),
    () => Buffer.from('-1'),
    () => Buffer.from('7'.repeat(digits)),
    () =>
      Buffer.from(
        random
          .int(1 << 20)
          .toString(8)
          .padStart(digits, '0'),
      ),
    () => Buffer.from(random.pick(['', ' ', '9', 'x', '0x10', '1e9', '+7'])),
    () => random.bytes(length),
  ])();
}

const paxKeys = ['path', 'linkpath', 'size', 'uid', 'gid', 'mtime', 'atime', 'uname', 'hdrcharset'].concat(
  ['GNU.sparse.major', 'GNU.sparse.minor', 'GNU.sparse.realsize', 'GNU.sparse.name', 'GNU.sparse.map'],
  ['GNU.sparse.offset', 'GNU.sparse.numbytes', 'SCHILY.xattr.user.a', 'SCHILY.xattr.trusted.overlay.opaque'],
  ['SCHILY.xattr.security.capability', 'SCHILY.xattr.', 'LIBARCHIVE.xattr.user.b', ''],
);

function paxMember(random: Random, texts: readonly string[]): Buffer {
  const records = Array.from({ length: 1 + random.int(4) }, () => {
    const value = random.pick([
      random.pick(texts),
      random.pick(['', '-1', '0', '1', '8', '9007199254740993', '99999999999999999999', '1.5', 'x', '0,512']),
      '\0',
    ]);
    const rest = ` ${random.pick(paxKeys)}=${value}\n`;
    const length = rest.length + String(rest.length + 2).length;
    return `${random.once(10) ? random.int(5000) : length}${rest}`;
  }).join('');
  const body = Buffer.from(random.once(8) ? records.slice(0, random.int(records.length)) : records, 'latin1');
  const header = Buffer.alloc(block);
  header.write('PaxHeaders/x', 0);
  header.write(`${body.length.toString(8).padStart(11, '0')}`, 124);
  header.write(random.pick(['x', 'x', 'x', 'g']), 156);
  header.write('ustar\x0000', 257);
  sealHeader(header);
  return Buffer.concat([header, body, Buffer.alloc((block - (body.length % block)) % block)]);
}

function headerOffsets(bytes: Buffer): number[] {
  const found: number[] = [];
  for (let at = 0; at + block <= bytes.length; at += block) {
    if (bytes.toString('latin1', at + 257, at + 262) === 'ustar') found.push(at);
  }
  return found;
}

/** Writes the checksum that the header's bytes have. */
export function sealHeader(header: Buffer): void {
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}

/** A value of a document is another, gone, or somewhere else. */
export function mutateJson(random: Random, value: unknown, texts: readonly string[], depth = 0): unknown {
  const isLeaf = typeof value !== 'object' || value === null;
  if (isLeaf || depth > 4 || random.once(6)) return strangeValue(random, value, texts);
  if (Array.isArray(value)) {
    const list = [...(value as unknown[])];
    const at = random.int(list.length + 1);
    if (random.once(3)) list.splice(at, random.int(3), ...list.slice(random.int(list.length + 1)));
    else list[at] = mutateJson(random, list[at], texts, depth + 1);
    return list;
  }
  const members = { ...(value as Record<string, unknown>) };
  const keys = Object.keys(members);
  const key = random.once(8) ? random.pick(strangeKeys) : (random.pick(keys) ?? 'x');
  if (random.once(6)) delete members[key];
  else members[key] = mutateJson(random, members[key], texts, depth + 1);
  return members;
}

const strangeKeys = [
  'manifests',
  'layers',
  'config',
  'fsLayers',
  'mediaType',
  'urls',
  'platform',
  '__proto__',
];

function strangeValue(random: Random, value: unknown, texts: readonly string[]): unknown {
  return random.pick<() => unknown>([
    () => null,
    () => random.pick([-1, 0, 1.5, 1e308, 2 ** 53, -0, 4096]),
    () => random.pick(texts),
    () =>
      random.pick(['', 'sha256:../../x', `sha256:${'0'.repeat(64)}`, `sha512:${'a'.repeat(128)}`, 'latest']),
    () => [],
    () => ({}),
    () => [value, value],
    () => ({ value }),
    () => true,
    () => Array.from({ length: 150 }).reduce((inner) => [inner], value),
    () => (typeof value === 'string' ? value.toUpperCase() + value : value),
  ])();
}
