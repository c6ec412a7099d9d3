import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeTar } from '../../archive/index.ts';
import { bytesOf } from '../fixtures.ts';
import { appletNames, busyboxTree, isStaticProgram } from './busybox-tree.ts';

const table = '[\0[[\0ash\0busybox\0cat\0ls\0sh\0udhcpc6\0\0not an applet\0';
const program = Buffer.from(`\x7fELF some code\0${table}`, 'latin1');

/** A 64-bit little-endian ELF header with program headers of these types. */
function elf(...types: number[]): Buffer {
  const bytes = Buffer.alloc(64 + types.length * 56);
  bytes.write('\x7fELF\x02\x01', 'latin1');
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(types.length, 56);
  for (const [index, type] of types.entries()) bytes.writeUInt32LE(type, 64 + index * 56);
  return bytes;
}

test('appletNames() reads the table of a busybox program', () => {
  assert.deepEqual(appletNames(program), ['[', '[[', 'ash', 'cat', 'ls', 'sh', 'udhcpc6']);
  assert.throws(() => appletNames(Buffer.from('no table')), { code: 'unknown-busybox' });
});

test('isStaticProgram() tells whether a loader is needed', () => {
  assert.equal(isStaticProgram(elf(1, 1, 4)), true);
  assert.equal(isStaticProgram(elf(6, 3, 1)), false);
  assert.equal(isStaticProgram(Buffer.from('#!/bin/sh\n')), false);
});

test('busyboxTree() makes equal trees of equal programs, parents first', async () => {
  const tree = busyboxTree(program, 1_700_000_000);
  const paths = tree.map((member) => member.path);
  assert.deepEqual(
    await bytesOf(writeTar(tree)),
    await bytesOf(writeTar(busyboxTree(program, 1_700_000_000))),
  );
  assert.equal(new Set(paths).size, paths.length);
  for (const [index, path] of paths.entries()) {
    const parent = path.replace(/\/$/, '').replace(/[^/]*$/, '');
    assert.ok(parent === '' || paths.indexOf(parent) < index, path);
  }
  const modes = new Map(tree.map((member) => [member.path, member.mode]));
  assert.equal(modes.get('tmp/'), 0o1777);
  assert.equal(modes.get('root/'), 0o700);
  assert.equal(modes.get('etc/shadow'), 0o640);
  assert.equal(tree.find((member) => member.path === 'bin/sh')?.linkPath, 'busybox');
});
