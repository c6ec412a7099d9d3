import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { memoryRecords } from '../../records/index.ts';
import { CacheMounts } from './cache-mounts.ts';
import type { StepMount } from './run-mounts.ts';

type CacheMount = Extract<StepMount, { kind: 'cache' }>;

const { signal } = new AbortController();

function mount(sharing: CacheMount['sharing'], more: Partial<CacheMount> = {}): CacheMount {
  const [uid = 0, gid = 0] = [process.getuid?.(), process.getgid?.()];
  const common = { kind: 'cache', target: '/m', id: 'id', source: '', from: '', readOnly: false } as const;
  return { ...common, sharing, mode: 0o755, uid, gid, ...more };
}

async function withMounts(body: (mounts: CacheMounts, directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'cache-mounts-'));
  using records = memoryRecords();
  try {
    const mounts = new CacheMounts(join(directory, 'mounts'), records);
    mounts.recover();
    await body(mounts, directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('CacheMounts.take() gives a shared cache to all, a private one to one at a time', () =>
  withMounts(async (mounts) => {
    const [one, two] = [
      await mounts.take(mount('shared'), '', signal),
      await mounts.take(mount('shared'), '', signal),
    ];
    assert.equal(one.path, two.path);
    const third = await mounts.take(mount('private'), '', signal);
    assert.notEqual(third.path, one.path);
    for (const { release } of [one, two, third]) release();
    const fourth = await mounts.take(mount('private'), '', signal);
    assert.equal(fourth.path, one.path);
    fourth.release();
  }));

test('CacheMounts.take() has others wait for a locked cache, unless they are stopped', () =>
  withMounts(async (mounts) => {
    const first = await mounts.take(mount('locked'), '', signal);
    let hasSecond = false;
    const second = mounts.take(mount('locked'), '', signal).then((taken) => {
      hasSecond = true;
      return taken;
    });
    const stop = new AbortController();
    const stopped = mounts.take(mount('locked'), '', stop.signal);
    stop.abort(new Error('stopped'));
    await assert.rejects(stopped, /stopped/);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(hasSecond, false);
    first.release();
    assert.equal((await second).path, first.path);
    (await second).release();
  }));

test('CacheMounts keeps what is written, begins with a seed, and removes nothing that is used', () =>
  withMounts(async (mounts, directory) => {
    const seed = join(directory, 'seed');
    mkdirSync(seed);
    writeFileSync(join(seed, 'f'), 'seed');
    const seeded = mount('shared', { from: 'stage' });
    const first = await mounts.take(seeded, seed, signal);
    assert.equal(readFileSync(join(first.path, 'f'), 'utf8'), 'seed');
    writeFileSync(join(first.path, 'f'), 'written');
    const [listed] = mounts.list();
    assert.equal(listed?.isInUse, true);
    const { name } = listed;
    assert.equal(mounts.remove(name), false);
    first.release();
    const again = await mounts.take(seeded, seed, signal);
    assert.equal(readFileSync(join(again.path, 'f'), 'utf8'), 'written');
    again.release();
    assert.equal(mounts.list()[0]?.record.uses, 2);
    assert.ok(((await mounts.sizesBytes()).get(name) ?? 0) > 0);
    assert.equal(mounts.remove(name), true);
    assert.equal(existsSync(again.path), false);
    assert.deepEqual(mounts.list(), []);
  }));

test('CacheMounts.recover() removes directories without a record', () =>
  withMounts(async (mounts, directory) => {
    const { path, release } = await mounts.take(mount('shared'), '', signal);
    release();
    const lost = join(directory, 'mounts/lost.new');
    mkdirSync(lost);
    mounts.recover();
    assert.equal(existsSync(lost), false);
    assert.equal(existsSync(path), true);
    assert.equal(mounts.list().length, 1);
  }));
