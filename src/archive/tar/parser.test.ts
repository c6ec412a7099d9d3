import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEngineError } from '../../errors/index.ts';
import type { TarHeader } from './header.ts';
import { TarParser } from './parser.ts';
import { TAR_END, encodeHeader, tarPadding, writeTar } from './writer.ts';

/** A header with bytes replaced, its checksum made right again unless told otherwise. */
function header(change: (block: Buffer) => void, keepChecksum = false): Buffer {
  const block = encodeHeader({ path: 'a', type: 'file', mode: 0o644, sizeBytes: 0 });
  change(block);
  if (!keepChecksum) checksum(block);
  return block;
}

function checksum(block: Buffer): void {
  block.write('        ', 148, 'latin1');
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}

function extended(flag: string, body: string | Buffer): Buffer {
  const bytes = Buffer.from(body);
  const block = encodeHeader({ path: 'x', type: 'file', mode: 0o644, sizeBytes: bytes.length });
  block.write(flag, 156, 'latin1');
  checksum(block);
  return Buffer.concat([block, bytes, tarPadding(bytes.length)]);
}

function record(key: string, value: string): string {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  if (String(length).length > String(rest).length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

function parse(archive: Buffer, step = archive.length): { headers: TarHeader[]; bodies: Buffer[] } {
  const headers: TarHeader[] = [];
  const bodies: Buffer[] = [];
  const parser = new TarParser({
    entry: (member) => {
      headers.push(member);
      bodies.push(Buffer.alloc(Math.min(member.sizeBytes, 1 << 20)));
    },
    data: (chunk, position) => void chunk.copy(bodies.at(-1) ?? Buffer.alloc(0), position),
    end: () => {},
  });
  for (let at = 0; at < archive.length; at += step) parser.push(archive.subarray(at, at + step));
  parser.finish();
  return { headers, bodies };
}

const plain = encodeHeader({ path: 'f', type: 'file', mode: 0o644 });

const hostile: [name: string, archive: Buffer][] = [
  ['a wrong checksum', header((block) => void (block[0] = 0x62), true)],
  ['a checksum that is no number', header((block) => void block.write('zzzzzz', 148), true)],
  ['a size that is no number', header((block) => void block.write('0000000009x', 124))],
  ['a negative base-256 size', header((block) => void block.fill(0xff, 124, 136))],
  [
    'a size beyond 2^53',
    header((block) => void Buffer.from('80ffffffffffffffffffffff', 'hex').copy(block, 124)),
  ],
  ['a member without a name', header((block) => void block.fill(0, 0, 100))],
  ['an end inside a header', plain.subarray(0, 300)],
  [
    'an end inside content',
    Buffer.concat([encodeHeader({ path: 'f', type: 'file', mode: 0, sizeBytes: 9 }), Buffer.from('123')]),
  ],
  ['an end after a PAX header', extended('x', record('path', 'b'))],
  ['an end mark after a GNU long name', Buffer.concat([extended('L', 'name\0'), TAR_END])],
  ['data after a zero block', Buffer.concat([plain, Buffer.alloc(512), plain])],
  ['random bytes', Buffer.alloc(1024, 'coracle')],
  ['a PAX length beyond the header', extended('x', '99 path=b\n')],
  ['a PAX record without newline', extended('x', '9 path=bb')],
  ['a PAX record without a key', extended('x', '5 =b\n')],
  ['a PAX record without a length', extended('x', 'path=b\n')],
  ['a negative PAX size', Buffer.concat([extended('x', record('size', '-1')), plain])],
  ['a PAX size beyond 2^53', Buffer.concat([extended('x', record('size', '99999999999999999')), plain])],
  ['a PAX uid that is no number', Buffer.concat([extended('x', record('uid', '0x10')), plain])],
  ['a PAX mtime that is no time', Buffer.concat([extended('x', record('mtime', 'now')), plain])],
  ['a zero byte in a PAX path', Buffer.concat([extended('x', record('path', 'a\0b')), plain])],
  [
    'an endless extended header',
    header((block) => {
      block.write('x', 156);
      block.write('77777777777', 124);
    }),
  ],
  [
    'a sparse map outside of the file',
    Buffer.concat([
      extended('x', record('GNU.sparse.size', '10') + record('GNU.sparse.map', '8,4')),
      encodeHeader({ path: 's', type: 'file', mode: 0, sizeBytes: 4 }),
    ]),
  ],
  [
    'overlapping sparse runs',
    Buffer.concat([
      extended('x', record('GNU.sparse.size', '99') + record('GNU.sparse.map', '0,4,2,4')),
      encodeHeader({ path: 's', type: 'file', mode: 0, sizeBytes: 8 }),
    ]),
  ],
  [
    'sparse runs that are not all stored',
    Buffer.concat([
      extended('x', record('GNU.sparse.size', '99') + record('GNU.sparse.map', '0,4')),
      encodeHeader({ path: 's', type: 'file', mode: 0, sizeBytes: 8 }),
    ]),
  ],
  [
    'a sparse map of a million entries',
    Buffer.concat([
      extended(
        'x',
        record('GNU.sparse.major', '1') +
          record('GNU.sparse.minor', '0') +
          record('GNU.sparse.realsize', '1'),
      ),
      encodeHeader({ path: 's', type: 'file', mode: 0, sizeBytes: 512 }),
      Buffer.from('2000000\n'.padEnd(512, '\0')),
    ]),
  ],
];

for (const [name, archive] of hostile) {
  test(`TarParser.push() refuses ${name}`, () => {
    for (const step of [archive.length, 100]) {
      assert.throws(
        () => parse(archive, step),
        (error) => isEngineError(error) && error.kind === 'invalid-parameter' && error.code === 'bad-archive',
      );
    }
  });
}

test('TarParser.push() reads what writeTar() wrote, whatever the chunks', async () => {
  const long = `${'d'.repeat(120)}/${'f'.repeat(150)}`;
  const members = [
    { path: 'dir', type: 'directory', mode: 0o1777, uid: 1, gid: 2, mtimeSeconds: 1_700_000_000 },
    {
      path: 'dir/file',
      type: 'file',
      mode: 0o4755,
      sizeBytes: 5,
      body: Buffer.from('hello'),
      mtimeSeconds: -3,
      mtimeNanos: 5,
    },
    { path: long, type: 'file', mode: 0o644, uid: 3_000_000, gid: 4_000_000, mtimeNanos: 123_456_789 },
    { path: 'ünï', type: 'symlink', mode: 0o777, linkPath: `../${'x'.repeat(200)}` },
    { path: 'h', type: 'hardlink', mode: 0o644, linkPath: 'dir/file' },
    { path: 'c', type: 'char-device', mode: 0o600, deviceMajor: 5, deviceMinor: 1 },
    { path: 'latin-\udce9', type: 'fifo', mode: 0o600 },
    {
      path: 'x',
      type: 'file',
      mode: 0o755,
      xattrs: new Map([['security.capability', Buffer.from([1, 0, 0, 2, 0x0a])]]),
    },
  ] as const;
  const archive = Buffer.concat(await Array.fromAsync(writeTar(members)));
  assert.equal(archive.length % 512, 0);
  for (const step of [archive.length, 512, 1000, 7]) {
    const { headers, bodies } = parse(archive, step);
    assert.deepEqual(
      headers.map(({ path, type }) => [path, type]),
      members.map(({ path, type }) => [type === 'directory' ? `${path}/` : path, type]),
    );
    const [directory, file, big, link, hard, device, , attributes] = headers;
    assert.deepEqual(
      [directory?.mode, directory?.uid, directory?.gid, directory?.mtimeSeconds],
      [0o1777, 1, 2, 1_700_000_000],
    );
    assert.deepEqual([file?.mode, file?.sizeBytes, file?.mtimeSeconds, file?.mtimeNanos], [0o4755, 5, -3, 5]);
    assert.equal(bodies[1]?.toString(), 'hello');
    assert.deepEqual([big?.uid, big?.gid, big?.mtimeNanos], [3_000_000, 4_000_000, 123_456_789]);
    assert.equal(link?.linkPath, `../${'x'.repeat(200)}`);
    assert.equal(hard?.linkPath, 'dir/file');
    assert.deepEqual([device?.deviceMajor, device?.deviceMinor], [5, 1]);
    assert.deepEqual(attributes?.xattrs?.get('security.capability'), Buffer.from([1, 0, 0, 2, 0x0a]));
  }
});

test('TarParser.push() takes an archive without an end mark, and an empty one', () => {
  assert.equal(parse(plain).headers.length, 1);
  assert.equal(parse(Buffer.alloc(0)).headers.length, 0);
  assert.equal(parse(TAR_END).headers.length, 0);
});

test('TarParser.push() does not apply PAX global headers', () => {
  const archive = Buffer.concat([extended('g', record('path', 'evil') + record('uid', '7')), plain, TAR_END]);
  assert.deepEqual(
    parse(archive).headers.map(({ path, uid }) => [path, uid]),
    [['f', 0]],
  );
});

test('TarParser.push() skips content that a hard link claims to have', () => {
  const link = header((block) => {
    block.write('1', 156);
    block.write('target', 157);
    block.write('00000001000', 124);
  });
  assert.deepEqual(
    parse(Buffer.concat([link, plain, TAR_END])).headers.map(({ path }) => path),
    ['a', 'f'],
  );
});
