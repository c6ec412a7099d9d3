/** The policy that removes unused images, as a daemon follows it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { TestDaemon } from '../fixtures/daemon.ts';

const runs = process.getuid?.() === 0 && spawnSync('busybox', ['true']).status === 0;

describe('daemon --image-gc', { skip: runs ? false : 'needs root and busybox' }, () => {
  let daemon: TestDaemon;
  let directory: string;
  let config: string;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'coracle-test-'));
    config = join(directory, 'daemon.json');
    writeFileSync(config, '{}');
    daemon = await TestDaemon.start(['--config-file', config]);
  });
  after(async () => {
    await daemon?.dispose();
    rmSync(directory, { recursive: true, force: true });
  });

  function docker(...argv: string[]): string {
    const { status, stdout, stderr } = spawnSync('docker', argv, {
      encoding: 'utf8',
      timeout: 30_000,
      env: { ...process.env, DOCKER_HOST: daemon.host },
    });
    assert.equal(status, 0, `docker ${argv.join(' ')}: ${stderr}`);
    return stdout.trim();
  }
  const tags = async (): Promise<string[]> =>
    ((await daemon.call('GET', '/images/json')).body as { RepoTags: string[] }[])
      .flatMap(({ RepoTags }) => RepoTags)
      .toSorted();

  test('removes what nothing uses, and nothing that a container uses', async () => {
    const since = Math.floor(Date.now() / 1000);
    const script = (name: string, label: string) =>
      `mkdir -p $D/bin && cp /bin/busybox $D/bin/sh && echo ${name} >$D/name && ` +
      `tar -C $D -c . | docker import -c 'CMD ["sh"]' ${label} - ${name}:1; rm -r $D`;
    for (const [name, label] of [
      ['unused', ''],
      ['kept', '-c "LABEL keep=1"'],
      ['running', ''],
      ['stopped', ''],
    ] as const) {
      const made = spawnSync('sh', ['-c', `D=$(mktemp -d) && ${script(name, label)}`], {
        env: { ...process.env, DOCKER_HOST: daemon.host },
      });
      assert.equal(made.status, 0, String(made.stderr));
    }
    docker(
      'run',
      '-d',
      '--name',
      'running',
      '--stop-timeout',
      '0',
      'running:1',
      'sh',
      '-c',
      'while :; do sleep 9; done',
    );
    docker('create', '--name', 'stopped', 'stopped:1');
    // From here on with a policy; nothing was removed without.
    assert.equal((await tags()).length, 4);
    await daemon.stop();
    const policy = { 'keep-bytes': '1', 'unused-for': '0', 'except-labels': ['keep'], interval: '1s' };
    writeFileSync(config, JSON.stringify({ 'image-gc': policy }));
    await daemon.start();
    for (let tries = 0; (await tags()).length > 3; tries += 1) {
      assert.ok(tries < 300, `left: ${(await tags()).join(' ')}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    // Another round changes nothing.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.deepEqual(await tags(), ['kept:1', 'running:1', 'stopped:1']);
    const events = docker(
      'events',
      '--since',
      String(since),
      '--until',
      String(Math.ceil(Date.now() / 1000)),
    );
    assert.match(events, /image untag sha256:/);
    assert.match(events, /image delete sha256:/);
    assert.match(events, /image prune {2}\(reclaimed=\d+\)/);
    docker('rm', '-f', 'running', 'stopped');
    for (let tries = 0; (await tags()).length > 1; tries += 1) {
      assert.ok(tries < 150, `left: ${(await tags()).join(' ')}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.deepEqual(await tags(), ['kept:1']);
  });
});
