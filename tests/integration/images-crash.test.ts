import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LayerUnpacker, writeTar, type TarSource } from '../../src/archive/index.ts';
import { chainIds, digestHex, digestOf } from '../../src/spec/index.ts';
import { openTestImages } from './images-stores.ts';

const child = fileURLToPath(new URL('./images-crash-child.ts', import.meta.url));
const options = { skip: process.getuid?.() === 0 ? false : 'needs root', timeout: 120_000 };
const kills = 12;

async function tar(members: TarSource[]): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(writeTar(members)));
}

/** A layer large enough to be killed in: 200 files. */
async function layer(seed: string): Promise<Buffer> {
  return await tar(
    Array.from({ length: 200 }, (_, index) => ({
      path: `${seed}-${index}`,
      type: 'file',
      mode: 0o644,
      body: Buffer.alloc(10_000, seed),
    })),
  );
}

async function writeArchive(path: string, seeds: readonly string[]): Promise<void> {
  const layers = await Promise.all(seeds.map((seed) => layer(seed)));
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: layers.map((bytes) => digestOf(bytes)) },
  });
  const members = layers.map((body, index): TarSource => ({
    path: `${index}.tar`,
    type: 'file',
    mode: 0o644,
    body,
  }));
  const manifest = [
    { Config: 'c', RepoTags: [`${seeds.join('')}:1`], Layers: members.map((member) => member.path) },
  ];
  const json = (name: string, text: string): TarSource => ({
    path: name,
    type: 'file',
    mode: 0o644,
    body: Buffer.from(text),
  });
  writeFileSync(
    path,
    await tar([...members, json('c', config), json('manifest.json', JSON.stringify(manifest))]),
  );
}

test('Images are whole or absent after SIGKILL at any moment', options, async () => {
  const base = mkdtempSync('/var/tmp/coracle-crash-');
  const root = join(base, 'root');
  const archives = join(base, 'archives');
  mkdirSync(archives);
  mkdirSync(root);
  try {
    await writeArchive(join(archives, '1.tar'), ['a', 'b']);
    await writeArchive(join(archives, '2.tar'), ['a', 'c', 'd']);
    for (let kill = 0; kill < kills; kill += 1) {
      const engine = spawn(process.execPath, [child, root, archives], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const closed = once(engine, 'close');
      const [ready] = (await Promise.race([once(engine.stdout, 'data'), closed])) as [unknown];
      assert.ok(Buffer.isBuffer(ready), 'the child ended by itself');
      await pause(kill * 23);
      engine.kill('SIGKILL');
      await closed;
      await check(root);
    }
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
});

async function check(root: string): Promise<void> {
  const unpacker = new LayerUnpacker();
  const { images, content, snapshotter, records } = await openTestImages(root, unpacker);
  try {
    const blobs = new Set<string>();
    const layers = new Set<string>();
    for (const image of images.list()) {
      assert.equal(digestOf(await content.read(image.id)), image.id);
      blobs.add(image.id);
      for (const diffId of image.config.rootfs.diff_ids) {
        assert.equal(digestOf(readFileSync(content.path(diffId))), diffId);
        blobs.add(diffId);
      }
      for (const chainId of chainIds(image.config.rootfs.diff_ids)) {
        layers.add(chainId);
        const [directory = ''] = snapshotter.layerDirectories(chainId);
        assert.equal(readdirSync(directory).length, 200);
      }
    }
    const names = [...blobs].map((digest) => digestHex(digest)).toSorted();
    assert.deepEqual(readdirSync(join(root, 'content/blobs/sha256')).toSorted(), names);
    assert.deepEqual(readdirSync(join(root, 'content/ingest')), []);
    assert.deepEqual(snapshotter.layers().toSorted(), [...layers].toSorted());
  } finally {
    await snapshotter.close();
    await unpacker.close();
    records[Symbol.dispose]();
  }
}
