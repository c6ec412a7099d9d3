import assert from 'node:assert/strict';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  chmodSync,
  unlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readTar, unpackLayer, writeTar, type TarSource } from '../archive/index.ts';
import { isKind } from '../errors/index.ts';
import { chainIds, digestOf, type ChainId } from '../spec/index.ts';
import { linuxSyscall } from '../sys/index.ts';
import type { Snapshotter } from './snapshotter.ts';

type Fill = (directory: string, form: 'overlay' | 'merged') => Promise<void>;

const key = 'a'.repeat(64);
const other = 'b'.repeat(64);
const [one, two] = chainIds([digestOf('1'), digestOf('2')]) as [ChainId, ChainId];

/** What every Snapshotter must do; needs root. `open` gets a data root of its own and may be called again for it. */
export function snapshotterSuite(name: string, open: (dataRoot: string) => Promise<Snapshotter>): void {
  const subject = (
    title: string,
    body: (snapshots: Snapshotter, dataRoot: string) => Promise<void>,
  ): void => {
    test(`${name}.${title}`, async () => {
      const dataRoot = mkdtempSync(join(tmpdir(), 'coracle-snapshots-'));
      const snapshots = await open(dataRoot);
      try {
        await body(snapshots, dataRoot);
      } finally {
        await snapshots.sweep(new Set());
        await snapshots.close();
        rmSync(dataRoot, { recursive: true, force: true });
      }
    });
  };

  describe(name, () => {
    subject('createLayer() makes layers that a mount shows merged', async (snapshots) => {
      await base(snapshots);
      assert.ok(snapshots.hasLayer(one) && snapshots.hasLayer(two));
      assert.deepEqual(new Set(snapshots.layers()), new Set([one, two]));
      await snapshots.prepare(key, two);
      const root = await snapshots.mount(key);
      assert.equal(await snapshots.mount(key), root, 'mount is idempotent');
      assert.equal(snapshots.describe(key).rootPath, root);
      assert.equal(readFileSync(join(root, 'etc/upper'), 'utf8'), 'two');
      assert.equal(readFileSync(join(root, 'etc/kept'), 'utf8'), 'one');
      assert.ok(!existsSync(join(root, 'etc/gone')), 'a whiteout hides a file');
      assert.deepEqual(
        readdirSync(join(root, 'opaque')),
        ['new'],
        'an opaque directory hides what was in it',
      );
      assert.equal(
        lstatSync(join(root, 'etc')).mode & 0o7777,
        0o750,
        'attributes are those of the upper layer',
      );
      assert.ok(existsSync(join(root, '.dockerenv')));
      await snapshots.remove(key);
      await snapshots.remove(key);
      assert.deepEqual(snapshots.active(), []);
    });

    subject('createLayer() is atomic, and shares one fill', async (snapshots, dataRoot) => {
      const failure = new Error('disk full');
      const failing = snapshots.createLayer(one, null, async (directory) => {
        writeFileSync(join(directory, 'half'), '');
        throw failure;
      });
      await assert.rejects(failing, (error) => error === failure);
      assert.equal(snapshots.hasLayer(one), false);
      let fills = 0;
      const fill: Fill = async (directory) => {
        fills += 1;
        await new Promise((resolve) => setTimeout(resolve, 10));
        writeFileSync(join(directory, 'x'), '12345');
      };
      await Promise.all([snapshots.createLayer(one, null, fill), snapshots.createLayer(one, null, fill)]);
      await snapshots.createLayer(one, null, fill);
      assert.equal(fills, 1);
      assert.equal(await snapshots.layerSizeBytes(one), 5);
      const again = await open(dataRoot);
      assert.ok(again.hasLayer(one), 'layers are found again');
      assert.deepEqual(readdirSync(again.layerDirectories(one)[0] ?? ''), ['x']);
      await again.close();
      await snapshots.removeLayer(one);
      assert.equal(snapshots.hasLayer(one), false);
      await assert.rejects(snapshots.layerSizeBytes(one), (error) => isKind(error, 'not-found'));
    });

    subject('createLayer() takes a layer whose parent is still being made', async (snapshots) => {
      let release = (): void => {};
      const gate = new Promise<void>((resolve) => {
        release = resolve;
      });
      const parent = snapshots.createLayer(one, null, async (directory) => {
        await gate;
        writeFileSync(join(directory, 'below'), '');
      });
      const child = snapshots.createLayer(two, one, async (directory) => {
        writeFileSync(join(directory, 'above'), '');
      });
      release();
      await Promise.all([parent, child]);
      await snapshots.prepare(key, two);
      const root = await snapshots.mount(key);
      assert.ok(existsSync(join(root, 'below')) && existsSync(join(root, 'above')));
    });

    subject(
      'prepare() keeps snapshots apart, and refuses what is there or has no parent',
      async (snapshots) => {
        await base(snapshots);
        await snapshots.prepare(key, two);
        await assert.rejects(snapshots.prepare(key, two), (error) => isKind(error, 'already-exists'));
        await assert.rejects(snapshots.prepare(other, digestOf('no')), (error) => isKind(error, 'not-found'));
        await assert.rejects(snapshots.prepare('../x', two), (error) => isKind(error, 'invalid-parameter'));
        await assert.rejects(snapshots.mount(other), (error) => isKind(error, 'not-found'));
        await snapshots.prepare(other, two);
        writeFileSync(join(await snapshots.mount(key), 'mine'), '');
        assert.ok(!existsSync(join(await snapshots.mount(other), 'mine')));
        assert.deepEqual(new Set(snapshots.active()), new Set([key, other]));
        assert.deepEqual(snapshots.usedLayers(), new Set([one, two]));
        await Promise.all([key, other].map((each) => snapshots.remove(each)));
        assert.deepEqual(snapshots.usedLayers(), new Set());
      },
    );

    subject('prepare() without a parent gives an empty tree', async (snapshots) => {
      await snapshots.prepare(key, null);
      const root = await snapshots.mount(key);
      assert.deepEqual(readdirSync(root).toSorted(), ['.dockerenv', 'dev', 'etc', 'proc', 'sys']);
      assert.deepEqual(await snapshots.changes(key), []);
      assert.equal(await snapshots.usageBytes(key), 0);
    });

    subject('unmount() keeps what was written', async (snapshots, dataRoot) => {
      await base(snapshots);
      await snapshots.prepare(key, two);
      writeFileSync(join(await snapshots.mount(key), 'state'), 'kept');
      await snapshots.unmount(key);
      await snapshots.unmount(key);
      const again = await open(dataRoot);
      assert.equal(readFileSync(join(await again.mount(key), 'state'), 'utf8'), 'kept');
      assert.equal(await again.usageBytes(key), 4);
      await again.close();
    });

    subject('mount() of a discardable tree keeps what was written, too', async (snapshots) => {
      await snapshots.prepare(key, null);
      writeFileSync(join(await snapshots.mount(key, { isDiscardable: true }), 'state'), 'kept');
      for (const isDiscardable of [true, false]) {
        await snapshots.unmount(key);
        const root = await snapshots.mount(key, { isDiscardable });
        assert.equal(readFileSync(join(root, 'state'), 'utf8'), 'kept');
      }
    });

    subject('changes() tells additions, changes and deletions as docker diff does', async (snapshots) => {
      await base(snapshots);
      await snapshots.prepare(key, two);
      const root = await snapshots.mount(key);
      assert.deepEqual(await snapshots.changes(key), [], 'mount points for the runtime are no changes');
      change(root);
      assert.deepEqual(
        (await snapshots.changes(key)).map(({ path, kind }) => `${kind} ${path}`),
        [
          'modified /.dockerenv',
          'modified /etc',
          'added /etc/new',
          'modified /etc/upper',
          'deleted /etc/kept',
          'modified /opaque',
          'deleted /opaque/new',
          'added /opaque/other',
          'modified /tmp',
          'added /tree',
          'added /tree/b',
          'added /tree/b/c',
          'added /tree/link',
        ].toSorted((a, b) => ((a.split(' ')[1] ?? '') < (b.split(' ')[1] ?? '') ? -1 : 1)),
      );
    });

    subject(
      'diff() packs the changes as a layer that makes the same tree again',
      async (snapshots, dataRoot) => {
        await base(snapshots);
        await snapshots.prepare(key, two);
        const root = await snapshots.mount(key);
        change(root);
        const archive = join(dataRoot, 'diff.tar');
        const bytes = Buffer.concat(await Array.fromAsync(snapshots.diff(key)));
        writeFileSync(archive, bytes);
        const names = new Set<string>();
        for await (const entry of readTar(snapshots.diff(key))) names.add(entry.path);
        assert.ok(names.has('etc/.wh.kept') && names.has('tree/b/c'), [...names].join(' '));
        assert.ok(!names.has('etc/hosts') && !names.has('dev/console'), 'mount points are not committed');
        const three = digestOf('three');
        await snapshots.createLayer(three, two, async (directory, form) => {
          await unpackLayer({ source: archive, directory, form }, linuxSyscall());
        });
        await snapshots.prepare(other, three);
        const copy = await snapshots.mount(other);
        assert.deepEqual(listing(copy), listing(root));
        assert.deepEqual(await snapshots.changes(other), []);
      },
    );

    subject('sweep() removes what nobody keeps, and half-made layers', async (snapshots, dataRoot) => {
      await base(snapshots);
      await snapshots.prepare(key, two);
      await snapshots.prepare(other, two);
      await snapshots.mount(other);
      const again = await open(dataRoot);
      const layers = join(dataRoot, again.driver, 'layers');
      mkdirSync(join(layers, '.new-0123456789abcdef-00000000/fs/deep'), { recursive: true });
      mkdirSync(join(layers, 'ffffffffffffffff'));
      // As it is when the engine died in the middle of its removal.
      await again.prepare('removed', one);
      rmSync(join(dataRoot, again.driver, 'active/removed/parent'));
      assert.deepEqual(again.usedLayers(), new Set([one, two]));
      await again.sweep(new Set([key]));
      assert.deepEqual(again.active(), [key]);
      assert.equal(readdirSync(layers).length, 2);
      await again.mount(key);
      await again.close();
    });
  });
}

async function fill(
  members: readonly TarSource[],
  directory: string,
  form: 'overlay' | 'merged',
): Promise<void> {
  const source = `${directory}.tar`;
  writeFileSync(source, Buffer.concat(await Array.fromAsync(writeTar(members))));
  try {
    await unpackLayer({ source, directory, form }, linuxSyscall());
  } finally {
    unlinkSync(source);
  }
}

async function base(snapshots: Snapshotter): Promise<void> {
  const at = { mtimeSeconds: 1_700_000_000 };
  const file = (path: string, text: string): TarSource => ({
    path,
    type: 'file',
    mode: 0o644,
    body: Buffer.from(text),
    ...at,
  });
  const directory = (path: string, mode: number): TarSource => ({ path, type: 'directory', mode, ...at });
  await snapshots.createLayer(one, null, (target, form) =>
    fill(
      [
        directory('etc', 0o755),
        file('etc/upper', 'one'),
        file('etc/kept', 'one'),
        file('etc/gone', 'one'),
        directory('opaque', 0o755),
        file('opaque/old', 'one'),
        directory('tmp', 0o1777),
      ],
      target,
      form,
    ),
  );
  await snapshots.createLayer(two, one, (target, form) =>
    fill(
      [
        directory('etc', 0o750),
        file('etc/upper', 'two'),
        file('etc/.wh.gone', ''),
        directory('opaque', 0o755),
        file('opaque/.wh..wh..opq', ''),
        file('opaque/new', 'two'),
      ],
      target,
      form,
    ),
  );
}

function change(root: string): void {
  writeFileSync(join(root, '.dockerenv'), 'x');
  writeFileSync(join(root, 'etc/upper'), 'changed');
  writeFileSync(join(root, 'etc/new'), '');
  rmSync(join(root, 'etc/kept'));
  rmSync(join(root, 'opaque'), { recursive: true });
  mkdirSync(join(root, 'opaque'));
  writeFileSync(join(root, 'opaque/other'), '');
  chmodSync(join(root, 'opaque'), 0o700);
  chmodSync(join(root, 'tmp'), 0o700);
  mkdirSync(join(root, 'tree/b'), { recursive: true });
  writeFileSync(join(root, 'tree/b/c'), 'c');
  linkSync(join(root, 'tree/b/c'), join(root, 'tree/link'));
  mkdirSync(join(root, 'gone-again'));
  rmSync(join(root, 'gone-again'), { recursive: true });
  symlinkSync('x', join(root, 'gone-link'));
  unlinkSync(join(root, 'gone-link'));
}

/** Without the mark of the init tree, which always lies above the layers. */
function listing(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path !== '.dockerenv')
    .map((path) => {
      const stat = lstatSync(join(root, path));
      return `${path} ${stat.mode.toString(8)} ${stat.isFile() ? `${stat.size} ${stat.nlink}` : ''}`;
    })
    .toSorted();
}
