import assert from 'node:assert/strict';
import events from 'node:events';
import {
  createReadStream,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { LayerUnpacker, readTar, writeTar, type TarSource } from '../../src/archive/index.ts';
import type { LocalImages } from '../../src/images/index.ts';
import type { Snapshotter } from '../../src/snapshots/index.ts';
import { chainIds, digestHex, digestOf } from '../../src/spec/index.ts';
import { openTestImages } from './images-stores.ts';

const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));
const reason = process.getuid?.() === 0 ? (busybox === undefined ? 'no busybox here' : false) : 'needs root';
const options = { skip: reason };

interface Stores {
  images: LocalImages;
  snapshotter: Snapshotter;
  root: string;
}

/** Real stores on disk, as the engine makes them; `drivers` of storage both work. */
async function using(
  body: (stores: Stores, reopen: (between?: () => void) => Promise<void>) => Promise<void>,
  driver = 'overlay2',
): Promise<void> {
  const root = mkdtempSync('/var/tmp/coracle-images-');
  let stack = new AsyncDisposableStack();
  const open = async (): Promise<Stores> => {
    const unpacker = new LayerUnpacker();
    stack.defer(() => unpacker.close());
    const { images, snapshotter, records } = await openTestImages(root, unpacker, driver);
    stack.use(records);
    stack.defer(() => snapshotter.close());
    return { images, snapshotter, root };
  };
  try {
    const stores = await open();
    await body(stores, async (between) => {
      await stack.disposeAsync();
      between?.();
      stack = new AsyncDisposableStack();
      Object.assign(stores, await open());
    });
  } finally {
    await stack.disposeAsync();
    rmSync(root, { recursive: true, force: true });
  }
}

async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(stream));
}

async function* once(bytes: Buffer): AsyncIterable<Uint8Array> {
  yield bytes;
}

const file = (path: string, text: string, more: Partial<TarSource> = {}): TarSource => ({
  path,
  type: 'file',
  mode: 0o644,
  body: Buffer.from(text),
  ...more,
});

async function archiveOf(
  layers: Buffer[],
  diffIds: string[],
  tag: string,
): Promise<{ archive: Buffer; id: string }> {
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['sh'] },
    rootfs: { type: 'layers', diff_ids: diffIds },
  });
  const members = layers.map((layer, index) => file(`${index}/layer.tar`, '', { body: layer }));
  const manifest = [{ Config: 'c.json', RepoTags: [tag], Layers: members.map((member) => member.path) }];
  return {
    archive: await bytesOf(
      writeTar([...members, file('c.json', config), file('manifest.json', JSON.stringify(manifest))]),
    ),
    id: digestOf(config),
  };
}

/** Nothing in the stores but their own directories. */
function assertEmpty({ root, snapshotter }: Stores): void {
  assert.deepEqual(readdirSync(join(root, 'content/blobs/sha256')), []);
  assert.deepEqual(readdirSync(join(root, 'content/ingest')), []);
  assert.deepEqual(snapshotter.layers(), []);
}

for (const driver of ['overlay2', 'vfs']) {
  test(
    `Images.load() on ${driver} unpacks layers of every compression, whiteouts included`,
    options,
    async () => {
      await using(async (stores) => {
        const { images, snapshotter } = stores;
        const base = await bytesOf(
          writeTar([
            { path: 'bin/', type: 'directory', mode: 0o755 },
            file('bin/busybox', '', { body: readFileSync(busybox ?? ''), mode: 0o4755 }),
            file('etc-gone', 'gone'),
            file('owned', 'x', { uid: 1000, gid: 100, mtimeSeconds: 1_000_000_000 }),
            { path: 'full/', type: 'directory', mode: 0o755 },
            file('full/a', 'a'),
          ]),
        );
        const second = await bytesOf(
          writeTar([file('.wh.etc-gone', ''), file('full/.wh..wh..opq', ''), file('full/b', 'b')]),
        );
        const third = await bytesOf(
          writeTar([{ path: 'link', type: 'symlink', mode: 0o777, linkPath: '/bin/busybox' }]),
        );
        const plain = [base, second, third];
        const diffIds = plain.map((layer) => digestOf(layer));
        const { archive, id } = await archiveOf(
          [base, gzipSync(second), zstdCompressSync(third)],
          diffIds,
          'three:1',
        );
        await images.load(once(gzipSync(archive)), {});
        const image = images.get('three:1');
        assert.equal(image.id, id);
        assert.deepEqual(snapshotter.layers().toSorted(), chainIds(diffIds).toSorted());
        await snapshotter.prepare('a'.repeat(64), image.chainId);
        try {
          const root = await snapshotter.mount('a'.repeat(64));
          assert.equal(existsSync(join(root, 'etc-gone')), false);
          assert.deepEqual(readdirSync(join(root, 'full')), ['b']);
          assert.equal(lstatSync(join(root, 'bin/busybox')).mode & 0o7777, 0o4755);
          const owned = lstatSync(join(root, 'owned'));
          assert.deepEqual([owned.uid, owned.gid, owned.mtimeMs], [1000, 100, 1e12]);
          assert.equal(readlinkSync(join(root, 'link')), '/bin/busybox');
        } finally {
          await snapshotter.remove('a'.repeat(64));
        }
        const removed = await images.remove('three:1', { force: false, prune: true, usedBy: () => [] });
        assert.equal(removed.length, 5);
        assertEmpty(stores);
      }, driver);
    },
  );
}

test('Images.load() leaves nothing of an archive with a forged layer', options, async () => {
  await using(async (stores) => {
    const layer = await bytesOf(writeTar([file('real', 'real')]));
    const forged = await bytesOf(writeTar([file('real', 'forged')]));
    const { archive } = await archiveOf([layer, forged], [digestOf(layer), digestOf(layer)], 'bad:1');
    await assert.rejects(stores.images.load(once(archive), {}), /invalid diffID for layer 1/);
    assertEmpty(stores);
  });
});

test('Images.load() is kept waiting by nobody whose archive does not go on', options, async () => {
  await using(async (stores) => {
    const layers = await Promise.all(
      ['a', 'b'].map((name) => bytesOf(writeTar([file(name, '', { body: Buffer.alloc(3_000_000, name) })]))),
    );
    const { archive, id } = await archiveOf(
      layers,
      layers.map((layer) => digestOf(layer)),
      'stalled:1',
    );
    const stop = new AbortController();
    const stalling = async function* (part: number): AsyncIterable<Uint8Array> {
      yield archive.subarray(0, archive.length * part);
      await events.once(stop.signal, 'abort');
      throw new Error('the client is gone');
    };
    const stalled = Promise.allSettled(
      [0.2, 0.4, 0.6, 0.9].map((part) => stores.images.load(stalling(part), { signal: stop.signal })),
    );
    const { ids } = await stores.images.load(once(archive), {});
    assert.deepEqual(ids, [id]);
    stop.abort();
    for (const { status } of await stalled) assert.equal(status, 'rejected');
    await stores.images.remove('stalled:1', { force: false, prune: true, usedBy: () => [] });
    assertEmpty(stores);
  });
});

test('Images.bootstrap() makes a busybox image that is the same everywhere, and lasts', options, async () => {
  const ids: string[] = [];
  for (let round = 0; round < 2; round += 1) {
    await using(async (stores, reopen) => {
      const image = await stores.images.bootstrap('busybox', {});
      ids.push(image.id);
      await reopen();
      assert.deepEqual(stores.images.get('busybox'), image);
      const [directory = ''] = stores.snapshotter.layerDirectories(image.chainId ?? '');
      assert.equal(readlinkSync(join(directory, 'bin/sh')), 'busybox');
      assert.equal(lstatSync(join(directory, 'tmp')).mode & 0o7777, 0o1777);
      assert.ok(image.sizeBytes > 500_000);
    });
  }
  assert.equal(ids[0], ids[1]);
});

test('Images.open() unpacks layers again that were lost with the snapshotter', options, async () => {
  await using(async (stores, reopen) => {
    const image = await stores.images.bootstrap('busybox', {});
    await reopen(() => rmSync(join(stores.root, 'overlay2'), { recursive: true }));
    assert.ok(stores.snapshotter.hasLayer(image.chainId ?? ''));
  });
});

test('Images.save() writes what load() and others read', options, async () => {
  await using(async ({ images }) => {
    const image = await images.bootstrap('busybox', {});
    const archive = await bytesOf(images.save(['busybox'], {}));
    const files = new Map<string, Buffer>();
    for await (const entry of readTar(once(archive))) {
      if (entry.type === 'file') files.set(entry.path, await entry.bytes(1 << 30));
    }
    for (const [path, bytes] of files) {
      if (path.startsWith('blobs/')) assert.equal(path, `blobs/sha256/${digestHex(digestOf(bytes))}`);
    }
    assert.deepEqual(JSON.parse(files.get('manifest.json')?.toString() ?? ''), [
      {
        Config: `blobs/sha256/${digestHex(image.id)}`,
        RepoTags: ['busybox:latest'],
        Layers: image.config.rootfs.diff_ids.map((diffId) => `blobs/sha256/${digestHex(diffId)}`),
      },
    ]);
    await images.remove('busybox', { force: false, prune: true, usedBy: () => [] });
    await images.load(once(zstdCompressSync(archive)), {});
    assert.equal(images.get('busybox').id, image.id);
  });
});

test('Images.import() reads a file as a stream', options, async () => {
  await using(async ({ images, root }) => {
    const source = join(root, 'records.db');
    await assert.rejects(images.import(createReadStream(source), {}), { kind: 'invalid-parameter' });
    assert.deepEqual(images.list(), []);
  });
});

test(
  'Images.load() unpacks layers while the archive comes in, and keeps none that it does not name',
  options,
  async () => {
    await using(async (stores) => {
      const { images, snapshotter } = stores;
      const large = (text: string): Promise<Buffer> =>
        bytesOf(writeTar([file('large', '', { body: Buffer.alloc(3_000_000, text) })]));
      const layers = [await large('one'), await large('two')];
      const unnamed = [
        file('unnamed', '', { body: await large('three') }),
        file('no.tar', 'x'.repeat(2_000_000)),
      ];
      const { archive } = await archiveOf(
        layers,
        layers.map((layer) => digestOf(layer)),
        'early:1',
      );
      const others = await bytesOf(writeTar(unnamed));
      const end = archive.length - 1024 - 4096;
      const seen: number[] = [];
      const slowly = async function* (): AsyncGenerator<Uint8Array> {
        yield others.subarray(0, -1024);
        for (let at = 0; at < end; at += 500_000) {
          yield archive.subarray(at, Math.min(at + 500_000, end));
          await new Promise((resolve) => setTimeout(resolve, 20));
          seen.push(snapshotter.active().length);
        }
        yield archive.subarray(end);
      };
      await images.load(slowly(), {});
      assert.ok((seen.at(-1) ?? 0) >= 2, `begun early: ${seen.join(' ')}`);
      assert.deepEqual(snapshotter.active(), []);
      const { chainId } = images.get('early:1');
      const [top = '', bottom = ''] = snapshotter.layerDirectories(chainId ?? '');
      for (const [directory, text] of [
        [bottom, 'one'],
        [top, 'two'],
      ] as const) {
        assert.ok(readFileSync(join(directory, 'large')).equals(Buffer.alloc(3_000_000, text)));
      }
      await images.remove('early:1', { force: false, prune: true, usedBy: () => [] });
      assertEmpty(stores);
      const broken = async function* (): AsyncGenerator<Uint8Array> {
        yield archive.subarray(0, 2_000_000);
        await new Promise((resolve) => setTimeout(resolve, 100));
        throw new Error('gone');
      };
      await assert.rejects(images.load(broken(), {}), /gone/);
      assert.deepEqual(snapshotter.active(), []);
      assertEmpty(stores);
    });
  },
);
