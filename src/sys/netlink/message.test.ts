import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageWriter, attributeText, readAttributes, readMessages } from './message.ts';

/** Hex with spaces and line breaks to bytes. */
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

test('MessageWriter.finish() writes header, structure and padded attributes', () => {
  const writer = new MessageWriter(16, 5).linkHeader({ index: 7, flags: 1, change: 1 });
  writer.text(3, 'lo').uint32(4, 1500).uint8(27, 9);
  assert.deepEqual(
    writer.finish(3),
    hex(`38000000 1000 0500 03000000 00000000
         00 00 0000 07000000 01000000 01000000
         0700 0300 6c6f00 00
         0800 0400 dc050000
         0500 1b00 09 000000`),
  );
});

test('MessageWriter.nested() counts what it holds', () => {
  const writer = new MessageWriter(16, 5).header([2, 24, 0, 0], [1]);
  writer.nested(18, (info) => info.text(1, 'veth').nested(2, (data) => data.uint32(28, 4)));
  assert.deepEqual(
    writer.finish(1),
    hex(`34000000 1000 0500 01000000 00000000
         02 18 00 00 01000000
         1c00 1200 0900 0100 7665746800 000000
                   0c00 0200 0800 1c00 04000000`),
  );
});

test('MessageWriter grows beyond its first buffer', () => {
  const bytes = new MessageWriter(1, 0).attribute(1, Buffer.alloc(1000, 7)).text(2, 'end').finish(1);
  assert.equal(bytes.readUInt32LE(0), 16 + 4 + 1000 + 8);
  const attributes = readAttributes(bytes.subarray(16));
  assert.deepEqual(attributes.get(1), Buffer.alloc(1000, 7));
  assert.equal(attributeText(attributes.get(2)), 'end');
});

test('readMessages() splits a datagram and stops at an impossible length', () => {
  const first = new MessageWriter(16, 2).uint32(1, 5).finish(9);
  const second = new MessageWriter(3, 0).finish(9);
  const messages = [...readMessages(Buffer.concat([first, second, hex('ff000000 1000 0500')]))];
  assert.deepEqual(
    messages.map(({ type, sequence }) => [type, sequence]),
    [
      [16, 9],
      [3, 9],
    ],
  );
  assert.equal(
    readAttributes(messages[0]?.payload ?? Buffer.alloc(0))
      .get(1)
      ?.readUInt32LE(0),
    5,
  );
  assert.deepEqual([...readMessages(hex('05000000 1000 0500 01000000 00000000'))], []);
});

test('readAttributes() ignores the flag bits of a type and a cut-off attribute', () => {
  const attributes = readAttributes(hex('0600 0280 4142 0000 0900 0300 4142'));
  assert.deepEqual([...attributes], [[2, hex('4142')]]);
});
