/** Attacks by archives, published ones by their ids, through each door by which an archive comes in. Needs root. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { TarSource } from '../../src/archive/index.ts';
import { isEngineError } from '../../src/errors/index.ts';
import { sealHeader } from '../fuzz/mutate.ts';
import { directory, file, hardlink, link, tarOf } from '../fixtures/tar-members.ts';
import { ArchiveDoors, dockerArchive, tarDoors, type Door } from '../fixtures/archive-doors.ts';

let doors: ArchiveDoors;
let tight: ArchiveDoors;
before(async () => {
  doors = await ArchiveDoors.open();
  tight = await ArchiveDoors.open({ maxBytes: 2 ** 20, maxEntries: 50 });
});
after(async () => {
  await doors?.[Symbol.asyncDispose]();
  await tight?.[Symbol.asyncDispose]();
});

const device = (path: string, deviceMajor: number, deviceMinor = 0): TarSource => ({
  path,
  type: 'char-device',
  mode: 0o666,
  deviceMajor,
  deviceMinor,
});

/** `inside`: it is taken, but does nothing outside; `layers`: doors for layers refuse it, to others it is harmless. */
type Verdict = 'refused' | 'inside' | 'layers';
type Members = (outside: string) => readonly TarSource[] | Buffer;
type Attack = [name: string, verdict: Verdict, members: Members, only?: readonly Door[]];

const attacks: readonly Attack[] = [
  ['CVE-2014-9356: a name that climbs out', 'refused', () => [file('../outside/secret', 'evil')]],
  ['CVE-2014-9356: a name that climbs out further on', 'refused', () => [file('a/b/../../../outside/new')]],
  ['CVE-2014-9356: an absolute name', 'inside', (outside) => [file(`${outside}/secret`, 'evil')]],
  [
    'CVE-2014-6407, CVE-2020-10696, CVE-2025-11395: a file through an absolute symbolic link',
    'inside',
    (outside) => [link('l', outside), file('l/secret', 'evil'), file('l/new')],
  ],
  [
    'CVE-2014-6407: a file through a relative symbolic link',
    'inside',
    () => [link('l', '../../../../outside'), file('l/secret', 'evil'), directory('l/kept', 0o777)],
  ],
  ['CVE-2014-6407: a chain of links', 'inside', (o) => [link('a', o), link('b', 'a/kept'), file('b/new')]],
  [
    'CVE-2014-6407: content for what is a link',
    'inside',
    (o) => [link('l', `${o}/secret`), file('l', 'evil')],
  ],
  [
    'CVE-2014-6407: a hard link to an absolute path',
    'refused',
    (o) => [hardlink('h', `${o}/secret`), file('h')],
  ],
  ['CVE-2014-6407: a hard link that climbs out', 'refused', () => [hardlink('h', '../../../outside/secret')]],
  ['CVE-2014-6407: a hard link through a link', 'refused', (o) => [link('l', o), hardlink('h', 'l/secret')]],
  [
    'CVE-2026-17106: content for a second name of a link',
    'inside',
    (o) => [link('l', `${o}/secret`), hardlink('h', 'l'), file('h', 'evil'), file('l', 'evil')],
  ],
  [
    "CVE-2026-50163: a hard link to a file beside the engine's program",
    'refused',
    () => [hardlink('h', 'package.json')],
  ],
  [
    'CVE-2021-29136: a link in the place of the root',
    'inside',
    (o) => [link('.', o), link('./', o), file('secret', 'evil')],
  ],
  [
    'CVE-2025-47290: a directory that becomes a link between its members',
    'inside',
    (o) => [directory('d'), file('d/x'), link('d', o), file('d/secret', 'evil'), directory('d', 0o777)],
  ],
  [
    'CVE-2021-32760: the mode of a hard link to a symbolic link',
    'inside',
    (outside) => [link('l', `${outside}/secret`), hardlink('h', 'l'), hardlink('h', 'l')],
  ],
  [
    'CVE-2021-32760: the mode of a directory that is a link',
    'inside',
    (outside) => [link('l', `${outside}/kept`), directory('l', 0o777), directory('l/', 0o777)],
  ],
  ['a deletion of the parent', 'layers', () => [file('.wh...')]],
  ['a deletion of the root', 'layers', () => [file('.wh..')]],
  ['a deletion of no name', 'layers', () => [file('.wh.')]],
  ['a deletion outside', 'refused', () => [file('../outside/.wh.secret')]],
  ['a deletion through a link', 'inside', (o) => [link('l', o), file('l/.wh.secret'), file('l/.wh.kept')]],
  ['a deletion of all through a link', 'inside', (o) => [link('l', o), file('l/.wh..wh..opq')]],
  ['a deletion of a link', 'inside', (o) => [link('l', o), file('.wh.l'), file('l/secret')]],
  ['all of the root deleted', 'inside', () => [file('.wh..wh..opq'), file('.wh.old')]],
  ['members below a deletion', 'inside', () => [file('.wh.a'), file('a/b'), file('.wh.a')]],
  [
    'overlayfs told where to look',
    'inside',
    (outside) => [
      { ...directory('d'), xattrs: new Map([['trusted.overlay.redirect', Buffer.from(outside)]]) },
    ],
  ],
  [
    'one name as everything in turn',
    'inside',
    (o) => [
      file('x'),
      directory('x'),
      link('x', o),
      device('x', 1, 3),
      hardlink('y', 'x'),
      link('y', o),
      file('y'),
    ],
  ],
  ['a loop of links on the way', 'refused', () => [link('a', 'b'), link('b', 'a'), file('a/x')]],
  ['a device number beyond the kernel', 'refused', () => [device('d', 2 ** 20)]],
  [
    'CVE-2021-20291: compressed, but no archive',
    'refused',
    () => gzipSync(randomBytes(70_000)),
    // As a context it is a Dockerfile.
    ['layer', 'pull', 'import', 'merged', 'copy'],
  ],
  ['CVE-2021-20291: half a compressed archive', 'refused', () => gzipSync(raw({})).subarray(0, 60)],
  [
    'CVE-2021-20291: the first bytes of zstd, then none of it',
    'refused',
    () => Buffer.from('28b52ffd' + 'ff'.repeat(999), 'hex'),
  ],
  ['a name too long', 'refused', () => [file('n'.repeat(300))]],
  ['a path too long', 'refused', () => [file(`${'d/'.repeat(3000)}x`)]],
  [
    'a wrong checksum',
    'refused',
    () => raw({ checksum: false }),
    ['layer', 'pull', 'import', 'merged', 'copy'],
  ],
  ['a negative size', 'refused', () => raw({ size: Buffer.alloc(12, 0xff) })],
  ['a size beyond numbers', 'refused', () => raw({ size: Buffer.from([0x80, ...Buffer.alloc(11, 0x7f)]) })],
  ['a size beyond the archive', 'refused', () => raw({ size: Buffer.from('77777777777\0') })],
  ['a PAX size beyond numbers', 'refused', () => raw({ pax: 'size=99999999999999999999' })],
  ['a negative PAX size', 'refused', () => raw({ pax: 'size=-1' })],
  ['a PAX record longer than its header', 'refused', () => raw({ pax: 'path=x', paxLength: 9999 })],
  ['a PAX name with a zero byte', 'refused', () => raw({ pax: 'path=a\0b' })],
  ['a PAX name that climbs out', 'refused', () => raw({ pax: 'path=../outside/secret' })],
  ['CVE-2025-58183: a sparse map of a billion runs', 'refused', () => sparse('1000000000\n')],
  ['CVE-2025-58183: a sparse map without end', 'refused', () => sparse('1')],
  ['CVE-2026-32288: a sparse map in endless blocks', 'refused', oldSparse, ['import', 'copy']],
  ['sparse runs that overlap', 'refused', () => sparse('2\n0\n8\n4\n8\n')],
  ['sparse runs beyond the file', 'refused', () => sparse('1\n9007199254740991\n8\n')],
];

for (const [name, verdict, members, only = tarDoors] of attacks) {
  test(name, async () => {
    const made = members(doors.outside);
    const input = Buffer.isBuffer(made) ? made : await tarOf(made);
    for (const door of only) {
      const isLayer = door !== 'context' && door !== 'copy';
      const isRefused = verdict === 'refused' || (verdict === 'layers' && isLayer);
      await outcome(doors, door, input, isRefused);
    }
  });
}

test('attacks in a layer that is unpacked while its archive comes in', async () => {
  for (const [name, verdict, members, doorsOf = tarDoors] of attacks) {
    const made = members(doors.outside);
    if (Buffer.isBuffer(made) || !doorsOf.includes('layer')) continue;
    const large = await tarOf([file('large', Buffer.alloc(1_200_000)), ...made]);
    const error: unknown = await doors.take('layer', large).catch((thrown: unknown) => thrown);
    assert.equal(error !== undefined, verdict !== 'inside', `${name}: ${String(error)}`);
    assert.deepEqual(await doors.wrong(), [], name);
  }
});

const copyingOut =
  'CVE-2018-15664, CVE-2018-1002100, CVE-2019-1002101, CVE-2019-11246, CVE-2019-11249, CVE-2019-11251';
test(`${copyingOut}: no archive from a container leaves the directory that the command line copies it to`, async () => {
  for (const [name, , members] of attacks) {
    const made = members(doors.outside);
    const input = Buffer.isBuffer(made) ? made : await tarOf(made);
    await doors.take('client', input).catch(() => undefined);
    assert.deepEqual(await doors.wrong(), [], name);
  }
});

async function outcome(where: ArchiveDoors, door: Door, input: Buffer, isRefused: boolean): Promise<void> {
  const error: unknown = await where.take(door, input).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  // A context without a Dockerfile has been unpacked.
  const isTaken = error === undefined || (isEngineError(error) && error.code === 'no-dockerfile');
  assert.equal(isTaken, !isRefused, `${door}: ${String(error)}`);
  if (isRefused) {
    assert.ok(
      isEngineError(error) && ['invalid-parameter', 'data-loss'].includes(error.kind),
      `${door}: ${String(error)}`,
    );
  }
  assert.deepEqual(await where.wrong(), [], door);
}

const many = Array.from({ length: 51 }, (_, index) => index);
const deep = 'd/'.repeat(60);
const bounded: readonly [name: string, make: () => Promise<Buffer>][] = [
  ['a flood of devices', () => tarOf(many.map((index) => device(`d${index}`, 1, index)))],
  ['a flood of directories that are not listed', () => tarOf([file(`${deep}x`)])],
  ['a flood of one name', () => tarOf(many.map(() => file('x')))],
  ['a flood of deletions', () => tarOf(many.map((index) => file(`.wh.${index}`)))],
  ['CVE-2017-14992: a gzip bomb', async () => gzipSync(await tarOf([file('x', Buffer.alloc(2 ** 21))]))],
  [
    'CVE-2017-14992: a zstd bomb',
    async () => zstdCompressSync(await tarOf([file('x', Buffer.alloc(2 ** 21))])),
  ],
];

for (const [name, make] of bounded) {
  test(`${name} ends at the configured limit`, async () => {
    const input = await make();
    for (const door of tarDoors) {
      // Its layers have the digest of what they expand to; the test of pulls compresses by itself.
      const isBomb = name.includes('bomb');
      if (isBomb && (door === 'layer' || door === 'pull')) continue;
      await outcome(tight, door, input, true);
    }
    if (name.includes('bomb')) await outcome(tight, 'load', input, true);
  });
}

test('CVE-2017-14992: a layer that expands beyond the limit, from a registry and from an archive', async () => {
  const layer = await tarOf([file('x', Buffer.alloc(2 ** 21))]);
  await outcome(tight, 'pull', layer, true);
  await outcome(tight, 'load', gzipSync(await dockerArchive([layer])), true);
});

test('a sparse member of an image archive counts as large as it is', async () => {
  const archive = sparse('1\n0\n0\n', 2 ** 40);
  await outcome(tight, 'load', archive, true);
});

/** One file `x` of 8 bytes, its header as told. */
function raw(told: { size?: Buffer; checksum?: false; pax?: string; paxLength?: number }): Buffer {
  const header = headerBlock('x', '0', 8);
  told.size?.copy(header, 124);
  sealHeader(header);
  if (told.checksum === false) header.write('0000001\0', 148, 'latin1');
  const body = Buffer.concat([Buffer.from('12345678'), Buffer.alloc(504)]);
  const pax = told.pax === undefined ? [] : paxMember([told.pax], told.paxLength);
  return Buffer.concat([...pax, header, body, Buffer.alloc(1024)]);
}

/** A file in GNU's sparse format 1.0, whose map is the beginning of its content. */
function sparse(map: string, realSize = 100): Buffer {
  const content = Buffer.concat([
    Buffer.from(map),
    Buffer.alloc(512 * 8 - map.length, map.endsWith('\n') ? 0 : 0x31),
  ]);
  const header = headerBlock('x', '0', content.length);
  sealHeader(header);
  const records = ['GNU.sparse.major=1', 'GNU.sparse.minor=0', `GNU.sparse.realsize=${realSize}`];
  return Buffer.concat([...paxMember(records), header, content, Buffer.alloc(1024)]);
}

/** A file in GNU's old sparse format with more runs than there can be, in extension blocks. */
function oldSparse(): Buffer {
  const header = headerBlock('x', 'S', 0);
  header.write('ustar  \0', 257, 'latin1');
  header.write('\u0001', 482, 'latin1');
  header.write('00000000144\0', 483, 'latin1');
  sealHeader(header);
  const extension = Buffer.alloc(512);
  for (let run = 0; run < 21; run += 1) extension.write('00000000000\x0000000000000\0', run * 24, 'latin1');
  extension[504] = 1;
  return Buffer.concat([header, ...Array.from({ length: 50_000 }, () => extension), Buffer.alloc(1024)]);
}

function headerBlock(name: string, type: string, size: number): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0, 'latin1');
  header.write('0000644\x000000000\x000000000\0', 100, 'latin1');
  header.write(`${size.toString(8).padStart(11, '0')}\x0000000000000\0`, 124, 'latin1');
  header.write(type, 156, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  return header;
}

function paxMember(records: readonly string[], claimed?: number): Buffer[] {
  const lines = records.map((record) => {
    const rest = ` ${record}\n`;
    let length = rest.length + 1;
    while (String(length).length + rest.length !== length) length += 1;
    return `${claimed ?? length}${rest}`;
  });
  const body = Buffer.from(lines.join(''), 'latin1');
  const header = headerBlock('PaxHeader', 'x', body.length);
  sealHeader(header);
  return [header, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
}
