/** The snapshotters on the real kernel: overlay mounts, trusted attributes, devices. Needs root. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isKind } from '../../src/errors/index.ts';
import { openSnapshotter } from '../../src/snapshots/index.ts';
import { snapshotterSuite } from '../../src/snapshots/suite.ts';
import { chainIds, digestOf } from '../../src/spec/index.ts';
import { linuxSyscall, recordingSyscall } from '../../src/sys/index.ts';
import { SyscallError } from '../../src/errors/index.ts';

const syscall = linuxSyscall();
snapshotterSuite('OverlaySnapshotter', (dataRoot) =>
  openSnapshotter({ dataRoot, syscall, driver: 'overlay2' }),
);
snapshotterSuite('CopySnapshotter', (dataRoot) => openSnapshotter({ dataRoot, syscall, driver: 'vfs' }));

async function inDataRoot(body: (dataRoot: string) => Promise<void>): Promise<void> {
  const dataRoot = mkdtempSync(join(tmpdir(), 'coracle-snapshots-'));
  try {
    await body(dataRoot);
  } finally {
    rmSync(dataRoot, { recursive: true, force: true });
  }
}

test('openSnapshotter() takes overlay2 where it works, and stays with vfs where that was used', () =>
  inDataRoot(async (dataRoot) => {
    const first = await openSnapshotter({ dataRoot, syscall });
    assert.equal(first.driver, 'overlay2');
    await first.close();
    const vfs = await openSnapshotter({ dataRoot, syscall, driver: 'vfs' });
    await vfs.prepare('a'.repeat(64), null);
    await vfs.close();
    const next = await openSnapshotter({ dataRoot, syscall });
    assert.equal(next.driver, 'vfs');
    await next.sweep(new Set());
    await next.close();
  }));

test('openSnapshotter() falls back to vfs and says why; refuses when overlay2 was asked for', () =>
  inDataRoot(async (dataRoot) => {
    const without = recordingSyscall({
      mountOverlay: () => {
        throw new SyscallError('mount', 'ENODEV', 'overlay');
      },
    });
    const snapshots = await openSnapshotter({ dataRoot, syscall: without });
    assert.equal(snapshots.driver, 'vfs');
    assert.match(String(snapshots.status.find(([name]) => name === 'Reason')), /ENODEV/);
    await snapshots.close();
    const asked = openSnapshotter({ dataRoot: join(dataRoot, 'x'), syscall: without, driver: 'overlay2' });
    await assert.rejects(asked, (error) => isKind(error, 'unavailable'));
    const unknown = openSnapshotter({ dataRoot, syscall, driver: 'zfs' });
    await assert.rejects(unknown, (error) => isKind(error, 'invalid-parameter'));
  }));

test('OverlaySnapshotter.mount() mounts 127 layers', () =>
  inDataRoot(async (dataRoot) => {
    const snapshots = await openSnapshotter({ dataRoot, syscall, driver: 'overlay2' });
    const chain = chainIds(Array.from({ length: 127 }, (_, index) => digestOf(String(index))));
    for (const [index, chainId] of chain.entries()) {
      await snapshots.createLayer(chainId, chain[index - 1] ?? null, async (directory) => {
        writeFileSync(join(directory, `file-${index}`), '');
      });
    }
    const key = 'c'.repeat(64);
    await snapshots.prepare(key, chain.at(-1) ?? null);
    const root = await snapshots.mount(key);
    assert.equal(readdirSync(root).filter((name) => name.startsWith('file-')).length, 127);
    await snapshots.remove(key);
    await snapshots.close();
  }));

test('OverlaySnapshotter.remove() takes a tree away that is in use, and deletes a large one in the background', () =>
  inDataRoot(async (dataRoot) => {
    const snapshots = await openSnapshotter({ dataRoot, syscall, driver: 'overlay2' });
    const key = 'd'.repeat(64);
    await snapshots.prepare(key, null);
    const root = await snapshots.mount(key);
    for (let index = 0; index < 300; index += 1) writeFileSync(join(root, `f${index}`), '');
    const previous = process.cwd();
    process.chdir(root);
    try {
      await snapshots.remove(key);
    } finally {
      process.chdir(previous);
    }
    assert.deepEqual(snapshots.active(), []);
    await snapshots.close();
    assert.deepEqual(readdirSync(join(dataRoot, 'overlay2/trash')), []);
    assert.equal(statSync(dataRoot).isDirectory(), true);
  }));
