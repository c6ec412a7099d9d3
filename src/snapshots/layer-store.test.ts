import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { isKind } from '../errors/index.ts';
import { chainIds, digestHex, digestOf, type ChainId } from '../spec/index.ts';
import { LayerStore } from './layer-store.ts';
import { Trash } from './trash.ts';
import { treeSizeBytes } from './tree-size.ts';

const [one, two] = chainIds([digestOf('1'), digestOf('2')]) as [ChainId, ChainId];
let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'coracle-layers-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function open(): LayerStore {
  return new LayerStore(join(directory, 'layers'), new Trash(join(directory, 'trash')));
}

function metaPath(chainId: ChainId): string {
  return join(directory, 'layers', digestHex(chainId).slice(0, 16), 'meta.json');
}

test('LayerStore.chain() goes from the top to the bottom, and fails when a layer is missing', async () => {
  const store = open();
  await store.create(two, one, async () => {});
  assert.throws(
    () => store.chain(two),
    (error) => isKind(error, 'not-found'),
  );
  await store.create(one, null, async () => {});
  assert.deepEqual(store.chain(two), [two, one]);
  assert.deepEqual(open().chain(two), [two, one]);
});

test('LayerStore drops a layer that was not on disk when the machine went down', async () => {
  const store = open();
  await store.create(one, null, async (files) => writeFileSync(join(files, 'x'), 'x'));
  await store.create(two, one, async () => {});
  assert.ok(open().has(one), 'the same boot: the page cache has it');
  const meta = JSON.parse(readFileSync(metaPath(one), 'utf8')) as { unsyncedBoot: string };
  writeFileSync(metaPath(one), JSON.stringify({ ...meta, unsyncedBoot: 'another' }));
  writeFileSync(metaPath(two), JSON.stringify({ ...meta, chainId: two, parent: one, unsyncedBoot: null }));
  const after = open();
  assert.deepEqual(after.list(), [two]);
  await after.create(one, null, async () => {});
  assert.deepEqual(after.chain(two), [two, one]);
});

test('LayerStore makes a layer anew whose own record was lost when the machine went down', async () => {
  const fill = async (files: string): Promise<void> => writeFileSync(join(files, 'x'), 'x');
  await open().create(one, null, fill);
  writeFileSync(metaPath(one), '');
  const after = open();
  assert.ok(!after.has(one));
  await after.create(one, null, fill);
  assert.equal(readFileSync(join(after.files(one), 'x'), 'utf8'), 'x');
  assert.ok(open().has(one));
});

test('LayerStore passes over what is no layer, and sweep() removes it', async () => {
  const store = open();
  await store.create(one, null, async () => {});
  mkdirSync(join(directory, 'layers/0000000000000000'));
  mkdirSync(join(directory, 'layers/.new-1111111111111111-22222222/fs'), { recursive: true });
  mkdirSync(join(directory, 'layers/3333333333333333'));
  writeFileSync(join(directory, 'layers/3333333333333333/meta.json'), '{"chainId":');
  const again = open();
  assert.deepEqual(again.list(), [one]);
  again.sweep();
  assert.equal(readdirSync(join(directory, 'layers')).length, 1);
});

test('LayerStore.sweep() leaves a layer alone that is being made', async () => {
  const store = open();
  await store.create(one, null, async (files) => {
    store.sweep();
    writeFileSync(join(files, 'x'), '');
  });
  assert.deepEqual(readdirSync(store.files(one)), ['x']);
});

test('Trash.discard() deletes small trees at once and large ones in the background', async () => {
  const trash = new Trash(join(directory, 'trash'));
  const tree = join(directory, 'tree');
  for (const files of [3, 200]) {
    mkdirSync(join(tree, 'sub'), { recursive: true });
    for (let index = 0; index < files; index += 1) writeFileSync(join(tree, 'sub', String(index)), '');
    symlinkSync(directory, join(tree, 'link'));
    trash.discard(tree);
    if (files === 3) assert.equal(readdirSync(join(directory, 'trash')).length, 0);
    assert.ok(!readdirSync(directory).includes('tree'));
  }
  trash.discard(tree);
  await trash.drain();
  assert.deepEqual(readdirSync(join(directory, 'trash')), []);
  mkdirSync(join(directory, 'trash/left-by-a-crash'));
  new Trash(join(directory, 'trash')).sweep();
  assert.deepEqual(readdirSync(directory), ['trash']);
  assert.deepEqual(readdirSync(join(directory, 'trash')), []);
});

test('treeSizeBytes() counts files once and directories not at all', async () => {
  mkdirSync(join(directory, 'a/b'), { recursive: true });
  writeFileSync(join(directory, 'a/x'), '12345');
  writeFileSync(join(directory, 'a/b/y'), '123');
  symlinkSync('ab', join(directory, 'a/link'));
  assert.equal(await treeSizeBytes(directory), 10);
});
