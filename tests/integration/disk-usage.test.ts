/** `system df` against what du(1) finds below the data root. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { TestDaemon } from '../fixtures/daemon.ts';

interface DiskUsage {
  LayersSize: number;
  Images: { Id: string; RepoTags: string[]; Size: number; SharedSize: number; Containers: number }[] | null;
  Containers: { SizeRw: number }[] | null;
  Volumes: { Name: string; UsageData: { Size: number; RefCount: number } }[] | null;
  BuildCache: { Size: number; Shared: boolean }[] | null;
}

const runs = process.getuid?.() === 0 && spawnSync('busybox', ['true']).status === 0;

describe('system df', { skip: runs ? false : 'needs root and busybox' }, () => {
  let daemon: TestDaemon;
  let directory: string;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'coracle-test-'));
    daemon = await TestDaemon.start();
  });
  after(async () => {
    await daemon?.dispose();
    rmSync(directory, { recursive: true, force: true });
  });

  const du = (path: string): number =>
    Number(execFileSync('du', ['-sx', '--block-size=1', path], { encoding: 'utf8' }).split('\t')[0]);
  const df = async (version = '1.45', query = ''): Promise<DiskUsage> =>
    (await daemon.call('GET', `/v${version}/system/df?${query}`)).body as DiskUsage;
  function isWithin(actual: number, expected: number, what: string): void {
    const difference = Math.abs(actual - expected) / expected;
    assert.ok(
      difference <= 0.01,
      `${what}: ${actual} beside ${expected}, ${(difference * 100).toFixed(2)} %`,
    );
  }

  /** Files as a distribution has them: many small ones, some large, links and a hole. */
  function makeTree(root: string, number: number): void {
    mkdirSync(join(root, 'bin'), { recursive: true });
    writeFileSync(join(root, 'bin/sh'), readFileSync('/bin/busybox'), { mode: 0o755 });
    for (let group = 0; group < 60; group += 1) {
      const path = join(root, `usr/share/${number}/${group}`);
      mkdirSync(path, { recursive: true });
      for (let at = 0; at < 30; at += 1) writeFileSync(join(path, String(at)), randomBytes(at * 131));
    }
    writeFileSync(join(root, `large${number}`), randomBytes(40_000_000));
    writeFileSync(join(root, `sparse${number}`), 'x');
    truncateSync(join(root, `sparse${number}`), 30_000_000);
  }
  function docker(...argv: string[]): string {
    const { status, stdout, stderr } = spawnSync('docker', argv, {
      encoding: 'utf8',
      timeout: 60_000,
      env: { ...process.env, DOCKER_HOST: daemon.host, DOCKER_BUILDKIT: '0' },
    });
    assert.equal(status, 0, `docker ${argv.join(' ')}: ${stderr}`);
    return stdout.trim();
  }

  test('agrees with du within 1 %, in all and for each kind of thing', async () => {
    for (const number of [1, 2]) {
      const root = join(directory, String(number));
      makeTree(root, number);
      const archive = join(directory, `${number}.tar`);
      execFileSync('tar', ['-C', root, '-cSf', archive, '.']);
      docker('import', '-c', 'CMD ["sh"]', archive, `tree:${number}`);
      rmSync(root, { recursive: true });
      rmSync(archive);
    }
    const write =
      'mkdir -p /new/a; i=0; while [ $i -lt 500 ]; do echo $i > /new/a/$i; i=$((i+1)); done; ' +
      'dd if=/dev/urandom of=/new/large bs=1M count=12; cp /new/large /volume/; echo out';
    docker('run', '--name', 'writer', '-v', 'kept:/volume', 'tree:1', 'sh', '-c', write);
    docker('commit', 'writer', 'tree:3');
    docker('create', '--name', 'idle', 'tree:3');

    const usage = await df();
    const sum = (sizes: (number | undefined)[]): number =>
      sizes.reduce<number>((total, size) => total + (size ?? 0), 0);
    const containers = sum((usage.Containers ?? []).map(({ SizeRw }) => SizeRw));
    const volumes = sum((usage.Volumes ?? []).map(({ UsageData }) => UsageData.Size));
    const cache = sum((usage.BuildCache ?? []).map(({ Size, Shared }) => (Shared ? 0 : Size)));
    const root = daemon.dataRoot;
    isWithin(usage.LayersSize, du(join(root, 'content')) + du(join(root, 'overlay2/layers')), 'images');
    isWithin(containers, du(join(root, 'overlay2/active')) + du(join(root, 'containers')), 'containers');
    isWithin(volumes, du(join(root, 'volumes')), 'volumes');
    isWithin(usage.LayersSize + containers + volumes + cache, du(root), 'all');

    const image = (tag: string) => usage.Images?.find(({ RepoTags }) => RepoTags.includes(tag));
    const [first, second, third] = ['tree:1', 'tree:2', 'tree:3'].map(image);
    assert.equal(second?.SharedSize, 0);
    assert.equal(first?.SharedSize, third?.SharedSize);
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    const unique = [first, second, third].map(({ Size, SharedSize }) => Size - SharedSize);
    isWithin(sum(unique) + first.SharedSize, usage.LayersSize, 'what is unique and what is shared');
    assert.deepEqual(
      [first, second, third].map(({ Containers }) => Containers),
      [1, 0, 1],
    );
    assert.equal(usage.Volumes?.find(({ Name }) => Name === 'kept')?.UsageData.RefCount, 1);
  });

  test('counts what the build cache has, and what images have of it with them', async () => {
    const dockerfile = 'FROM tree:1\nRUN dd if=/dev/urandom of=/built bs=1M count=20\nRUN echo 1 > /last\n';
    writeFileSync(join(directory, 'Dockerfile'), dockerfile);
    const cacheBytes = async (): Promise<number> =>
      ((await df()).BuildCache ?? []).reduce((sum, { Size, Shared }) => sum + (Shared ? 0 : Size), 0);
    const check = async (): Promise<void> => {
      const usage = await df();
      const [containers, volumes] = [usage.Containers ?? [], usage.Volumes ?? []];
      const others = [
        ...containers.map(({ SizeRw }) => SizeRw),
        ...volumes.map(({ UsageData }) => UsageData.Size),
      ];
      const total = others.reduce((sum, size) => sum + size, usage.LayersSize + (await cacheBytes()));
      isWithin(total, du(daemon.dataRoot), 'all');
    };
    docker('build', '-t', 'built:1', directory);
    assert.ok((await cacheBytes()) < 1_000_000);
    await check();
    docker('rmi', 'built:1');
    // The blob and the files of the layer.
    isWithin(await cacheBytes(), 42_000_000, 'cache');
    await check();
    docker('builder', 'prune', '-af');
    assert.equal(await cacheBytes(), 0);
  });

  test('answers for the types asked for, and with totals since 1.52', async () => {
    const some = await df('1.45', 'type=volume&type=container');
    assert.equal(some.Images, null);
    assert.equal(some.LayersSize, 0);
    assert.equal(some.Volumes?.length, 1);
    assert.equal((await daemon.call('GET', '/v1.45/system/df?type=nosuch')).status, 400);
    const { ImageUsage } = (await daemon.call('GET', '/v1.52/system/df?type=image&verbose=1')).body as {
      ImageUsage: { TotalCount: number; ActiveCount: number; TotalSize: number; Items: unknown[] };
    };
    assert.equal(ImageUsage.TotalCount, 3);
    assert.equal(ImageUsage.ActiveCount, 2);
    assert.equal(ImageUsage.Items.length, 3);
    assert.equal(ImageUsage.TotalSize, (await df()).LayersSize);
  });

  test('follows removals', async () => {
    const beforeBytes = (await df()).LayersSize;
    docker('rmi', 'tree:2');
    const usage = await df();
    assert.ok(beforeBytes - usage.LayersSize > 80_000_000, 'blob and layer of a 40 MB image');
    // An image that only a container holds is still on the disk.
    docker('rmi', '-f', 'tree:3', 'tree:1');
    const root = daemon.dataRoot;
    const { LayersSize } = await df();
    isWithin(LayersSize, du(join(root, 'content')) + du(join(root, 'overlay2/layers')), 'held images');
  });
});
