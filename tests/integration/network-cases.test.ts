/**
 * Options of networks and ports, and what can be seen of them, with real packets and the stock docker CLI. With
 * NETWORK_CASES_ENGINE=dockerd the same cases run on Docker's own daemon, which shows that they are right.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { NetworkWorld } from '../fixtures/network-world.ts';
import { networkCases } from './network/cases.ts';

const directory = process.env['CORACLE_TEST_NETWORK_WORLD'];

if (directory === undefined) {
  // The machine's own links, mounts and firewall are not touched, whatever fails: all runs in namespaces.
  test('network cases', { skip: missing() }, () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const temporary = mkdtempSync(join(tmpdir(), 'coracle-world-'));
    const argv = ['--net', '--mount', process.execPath, '--test-reporter=spec', import.meta.filename];
    try {
      const result = spawnSync('unshare', argv, {
        env: { ...env, CORACLE_TEST_NETWORK_WORLD: temporary },
        encoding: 'utf8',
        timeout: 240_000,
      });
      if (process.env['NETWORK_CASES_VERBOSE'] !== undefined) process.stderr.write(result.stdout);
      assert.equal(result.status, 0, result.stdout + result.stderr);
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  });
} else {
  describe('network cases', () => {
    const kind = process.env['NETWORK_CASES_ENGINE'] === 'dockerd' ? 'dockerd' : 'coracle';
    const world = new NetworkWorld(directory, kind);
    before(() => world.open());
    after(() => world.close());
    beforeEach(() => world.reset());

    for (const { title, see, expected, notDockerd } of networkCases) {
      const skip = kind === 'dockerd' && notDockerd !== undefined ? notDockerd : false;
      test(title, { skip, timeout: 30_000 }, async () => assert.deepEqual(await see(world), expected));
    }

    if (kind === 'coracle') lifeTests(world);
  });
}

/** What only our engine promises: containers' networks do not need it. */
function lifeTests(world: NetworkWorld): void {
  test('ports are reached while the engine is dead; the next one adopts them and answers names', async () => {
    await world.ok('network', 'create', '--subnet', '10.98.0.0/24', 'app');
    await world.run('--name', 'web', '--network', 'app', '-p', '8080:80');
    await world.serveTcp('web', 80);
    await world.crash();
    assert.equal(await world.ask('neighbour', world.hostAddress, 8080), '198.51.100.2');
    assert.equal(await world.ask('host', world.hostAddress, 8080), '198.51.100.1');
    await world.restart();
    assert.equal(await world.ask('neighbour', world.hostAddress, 8080), '198.51.100.2');
    assert.equal(await world.resolve('web', 'web'), '10.98.0.2');
    const { code, stderr } = await world.docker('run', '--rm', '-p', '8080:80', 'IMAGE', 'true');
    assert.equal(code, 125);
    assert.match(stderr, /port is already allocated/);
    await world.ok('rm', '-f', 'web');
    assert.equal(await world.ask('neighbour', world.hostAddress, 8080), 'refused');
  });

  test('a bridge that somebody deleted is made again, and containers are put back on it', async () => {
    await world.ok('network', 'create', '--subnet', '10.98.0.0/24', 'app');
    await world.run('--name', 'web', '--network', 'app', '-p', '8080:80');
    await world.serveTcp('web', 80);
    const id = await world.ok('network', 'inspect', '-f', '{{.Id}}', 'app');
    await world.crash();
    world.deleteLink(`br-${id.slice(0, 12)}`);
    assert.equal(await world.ask('neighbour', world.hostAddress, 8080), 'timeout');
    await world.restart();
    assert.equal(await world.ask('neighbour', world.hostAddress, 8080), '198.51.100.2');
  });

  test('a source address that is none of the network’s does not leave it', async () => {
    await world.run('--name', 'liar', '--cap-add', 'NET_ADMIN');
    await world.ok('exec', 'liar', 'ip', 'addr', 'add', '10.200.0.1/32', 'dev', 'lo');
    const seen = await world.datagramsAtNeighbour(7000, async () => {
      await world.send('liar', world.neighbourAddress, 7000, { source: '10.200.0.1', text: 'spoofed' });
      await world.send('liar', world.neighbourAddress, 7000, { text: 'honest' });
    });
    assert.deepEqual(seen, ['honest']);
  });

  test('a client of a UDP port that never stops sending reaches the container that comes, and the next', async () => {
    const client = world.sendForever(world.hostAddress, 5353);
    try {
      for (const name of ['first', 'second']) {
        await world.run('--name', name, '--network', 'bridge', '-p', '5353:53/udp');
        // Another address each time.
        await world.run('--name', `${name}-neighbour`);
        await world.serveUdp(name, 53);
        client.seen.length = 0;
        await world.until(() => client.seen.length > 0, 3000);
        assert.equal(client.seen[0], world.neighbourAddress);
        // Its socket would keep the namespace.
        world.stopServers();
        await world.ok('rm', '-f', name);
      }
    } finally {
      client.stop();
    }
  });

  test('rules that somebody flushed are written again with the next container', async () => {
    await world.run('--name', 'web', '-p', '8080:80');
    await world.serveTcp('web', 80);
    world.nft('flush', 'ruleset');
    assert.equal(await world.ask('neighbour', world.hostAddress, 8080), 'refused');
    await world.run('--name', 'two', '-p', '8081:80');
    assert.equal(await world.ask('neighbour', world.hostAddress, 8080), '198.51.100.2');
  });
}

function missing(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  return spawnSync('docker', ['--version']).status === 0 ? false : 'needs the docker CLI';
}
