import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { recordingSyscall } from '../../sys/index.ts';
import { treeChanges } from './changes.ts';
import { packTreeChanges } from './pack.ts';
import { readTar } from '../tar/reader.ts';

let directory = '';
let upper = '';
let lower: string[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'coracle-changes-'));
  upper = join(directory, 'upper');
  lower = [join(directory, 'middle'), join(directory, 'bottom')];
  for (const path of [upper, ...lower]) mkdirSync(path);
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function put(root: string, path: string, text = ''): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
  utimesSync(join(root, path), 1, 1);
}

/** Directories that overlayfs would call opaque. */
const opaque = new Set<string>();
const syscall = recordingSyscall({
  lgetxattr: (path, name) =>
    name === 'trusted.overlay.opaque' && opaque.has(path) ? Buffer.from('y') : undefined,
});

async function changes(complete = false): Promise<string[]> {
  const found = await treeChanges(syscall, upper, lower, { complete });
  return found.map(({ path, kind }) => `${kind[0]} ${path}`);
}

test('treeChanges() passes over what was copied up without a change', async () => {
  put(lower[1] ?? '', 'a/b/same', 'x');
  put(upper, 'a/b/same', 'x');
  assert.deepEqual(await changes(), []);
  put(upper, 'a/b/same', 'y2');
  assert.deepEqual(await changes(), ['m /a', 'm /a/b', 'm /a/b/same']);
});

test('treeChanges() sees changed attributes, types and times', async () => {
  for (const name of ['mode', 'type', 'time', 'd/x']) put(lower[0] ?? '', name);
  for (const name of ['mode', 'time']) put(upper, name);
  mkdirSync(join(upper, 'd'));
  chmodSync(join(upper, 'd'), 0o700);
  chmodSync(join(upper, 'mode'), 0o600);
  symlinkSync('x', join(upper, 'type'));
  utimesSync(join(upper, 'time'), 2, 2);
  assert.deepEqual(await changes(), ['m /d', 'm /mode', 'm /time', 'm /type']);
});

test('treeChanges() tells what an opaque directory hides', async () => {
  for (const name of ['d/one', 'd/two/deep']) put(lower[1] ?? '', name);
  put(lower[0] ?? '', 'd/three');
  put(upper, 'd/one');
  opaque.add(join(upper, 'd'));
  assert.deepEqual(await changes(), ['m /d', 'd /d/three', 'd /d/two']);
  // A layer between that hides the bottom.
  opaque.add(join(lower[0] ?? '', 'd'));
  assert.deepEqual(await changes(), ['m /d', 'a /d/one', 'd /d/three']);
  opaque.clear();
});

test('treeChanges() of a complete tree finds deletions by what is missing', async () => {
  for (const name of ['kept', 'gone', 'tree/gone', 'tree/kept', 'all/a/b']) put(lower[0] ?? '', name);
  for (const name of ['kept', 'tree/kept', 'tree/new']) put(upper, name);
  assert.deepEqual(await changes(true), ['d /all', 'd /gone', 'm /tree', 'd /tree/gone', 'a /tree/new']);
  const archive = packTreeChanges(
    syscall,
    upper,
    await treeChanges(syscall, upper, lower, { complete: true }),
  );
  const names = [];
  for await (const { path } of readTar(archive)) names.push(path);
  assert.deepEqual(names, ['.wh.all', '.wh.gone', 'tree/', 'tree/.wh.gone', 'tree/new']);
});
