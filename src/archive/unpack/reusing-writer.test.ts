import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { recordingSyscall } from '../../sys/index.ts';
import { TarParser } from '../tar/parser.ts';
import { writeTar, type TarSource } from '../tar/writer.ts';
import { ownedLocation } from './location.ts';
import { ReusingWriter } from './reusing-writer.ts';
import { TreeWriter } from './tree-writer.ts';

const root = mkdtempSync(join(tmpdir(), 'reusing-writer-'));
const known = join(root, 'known');

before(() => {
  writeFileSync(known, 'known\n');
  chmodSync(known, 0o640);
  utimesSync(known, 1000, 1000);
});

after(() => rmSync(root, { recursive: true }));

const file = (path: string, text: string): TarSource => ({
  path,
  type: 'file',
  mode: 0o640,
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
  sizeBytes: Buffer.byteLength(text),
  mtimeSeconds: 1000,
  body: [Buffer.from(text)],
});

/** Unpacks members, of which those below `r/` may be `known`. @returns the directory, and the digests told */
async function unpack(
  name: string,
  members: TarSource[],
): Promise<{ directory: string; digests: Map<string, string> }> {
  const directory = join(root, name);
  mkdirSync(directory);
  const digests = new Map<string, string>();
  const writer = new TreeWriter(
    ownedLocation(directory),
    { form: 'plain', isNew: true, digests },
    recordingSyscall(),
  );
  const sha256 = hash('sha256', 'known\n', 'hex');
  const reusing = new ReusingWriter(writer, (path) =>
    path.startsWith('r/') ? { path: known, sha256 } : undefined,
  );
  const parser = new TarParser(reusing);
  // In small pieces, so that members' contents come in several.
  for await (const chunk of writeTar(members)) {
    for (let at = 0; at < chunk.length; at += 100) parser.push(Buffer.from(chunk.subarray(at, at + 100)));
  }
  parser.finish();
  writer.finish();
  return { directory, digests };
}

test('ReusingWriter gives a file that is there another name, and writes one of other content', async () => {
  const { directory, digests } = await unpack('names', [
    file('r/same', 'known\n'),
    file('r/other', 'other\n'),
    file('n/same', 'known\n'),
    file('empty', ''),
  ]);
  const inode = lstatSync(known).ino;
  assert.equal(lstatSync(join(directory, 'r/same')).ino, inode);
  assert.notEqual(lstatSync(join(directory, 'n/same')).ino, inode);
  assert.equal(readFileSync(join(directory, 'r/other'), 'utf8'), 'other\n');
  const expected = { 'r/same': 'known\n', 'r/other': 'other\n', 'n/same': 'known\n', empty: '' };
  for (const [path, text] of Object.entries(expected))
    assert.equal(digests.get(path), hash('sha256', text, 'hex'), path);
});

test('ReusingWriter leaves a file alone whose other name gets other attributes', async () => {
  const { directory } = await unpack('links', [
    file('r/same', 'known\n'),
    { path: 'again', type: 'hardlink', mode: 0o4777, linkPath: 'r/same', mtimeSeconds: 5 },
    { path: 'r/same', type: 'hardlink', mode: 0o4777, linkPath: 'r/same', mtimeSeconds: 5 },
  ]);
  const { mode, mtimeMs, ino } = lstatSync(known);
  assert.equal(mode & 0o7777, 0o640);
  assert.equal(mtimeMs, 1_000_000);
  const [same, again] = ['r/same', 'again'].map((path) => lstatSync(join(directory, path)));
  assert.equal(same?.ino, again?.ino);
  assert.notEqual(same?.ino, ino);
  assert.equal((same?.mode ?? 0) & 0o7777, 0o4777);
});

test('TreeWriter.digests are of what a member that came twice is in the end', async () => {
  const { digests } = await unpack('twice', [
    file('a', 'one\n'),
    file('b', 'target\n'),
    file('a', 'two\n'),
    { path: 'a', type: 'hardlink', mode: 0o640, linkPath: 'b' },
    file('c', 'three\n'),
    { path: 'c', type: 'symlink', mode: 0o777, linkPath: 'b' },
  ]);
  assert.equal(digests.get('a'), undefined);
  assert.equal(digests.get('c'), undefined);
});
