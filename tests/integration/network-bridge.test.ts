import assert from 'node:assert/strict';
import { execFile as execFileCallback, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { Server, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { isKind } from '../../src/errors/index.ts';
import { BridgeNetworks, type BridgeNetworksOptions } from '../../src/network/index.ts';
import { memoryRecords, type Records } from '../../src/records/index.ts';
import { createNetlink, createSpawner, createWatcher, linuxSyscall } from '../../src/sys/index.ts';

const execFile = promisify(execFileCallback);
const AF_INET = 2;
const SOCK_STREAM = 1;
const directory = process.env['CORACLE_TEST_NETWORK_DIRECTORY'];

if (directory === undefined) {
  // The machine's own links, mounts and firewall are not touched, whatever fails: the tests below run in namespaces.
  test('BridgeNetworks', { skip: process.getuid?.() === 0 ? false : 'needs root' }, () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const temporary = mkdtempSync(join(tmpdir(), 'coracle-network-'));
    const argv = ['--net', '--mount', process.execPath, '--test-reporter=spec', import.meta.filename];
    try {
      const result = spawnSync('unshare', argv, {
        env: { ...env, CORACLE_TEST_NETWORK_DIRECTORY: temporary },
        encoding: 'utf8',
        timeout: 60_000,
      });
      assert.equal(result.status, 0, result.stdout + result.stderr);
    } finally {
      rmSync(temporary, { recursive: true });
    }
  });
} else {
  void describe('BridgeNetworks', () => insideTests(directory));
}

function insideTests(directory: string): void {
  const syscall = linuxSyscall();
  const netlink = createNetlink(syscall);
  const world = join(directory, 'world');
  const common = { syscall, netlink, spawner: createSpawner(), watcher: createWatcher(), sandboxesAhead: 0 };
  let number = 0;

  const engine = (records: Records, options: Partial<BridgeNetworksOptions> = {}) =>
    new BridgeNetworks({ ...common, records, execRoot: join(directory, `exec${++number}`), ...options });
  const attach = (networks: BridgeNetworks, containerId: string) => {
    networks.createSandbox(containerId);
    return networks.attach({ containerId, containerName: containerId, network: 'bridge', settings: {} });
  };
  const bridges = () =>
    netlink
      .links()
      .filter(({ kind, name }) => kind === 'bridge' && name !== 'wan0')
      .map(({ name }) => name);
  /** Both of a bridge, without the word before the name. */
  const tables = () => [
    ...new Set(spawnSync('nft', ['list', 'tables'], { encoding: 'utf8' }).stdout.match(/coracle_\w+/g)),
  ];

  /** A server in the namespace; connections are answered with the address they came from. */
  async function listen(namespace: string | undefined): Promise<{ port: number; server: Server }> {
    const make = () => syscall.socket(AF_INET, SOCK_STREAM, 0);
    const fd = namespace === undefined ? make() : syscall.inNetworkNamespace(namespace, make);
    const server = new Server((socket) => socket.end((socket.remoteAddress ?? '').replace('::ffff:', '')));
    server.listen({ fd });
    await once(server, 'listening');
    return { port: (server.address() as AddressInfo).port, server };
  }

  /** What the server at the address answers to a connection out of the namespace. */
  async function ask(namespace: string, host: string, port: number, timeoutMs = 5000): Promise<string> {
    const script = `
      const socket = require('node:net').connect(${port}, '${host}');
      socket.setTimeout(${timeoutMs}, () => { console.error('timeout'); process.exit(1); });
      socket.pipe(process.stdout);`;
    const argv = [`--net=${namespace}`, process.execPath, '-e', script];
    return (await execFile('nsenter', argv, { timeout: 10_000 })).stdout;
  }

  before(() => {
    netlink.setLink('lo', { up: true });
    syscall.createNetworkNamespace(world);
    netlink.createBridge('wan0', { mtu: 1450 });
    netlink.addAddress('wan0', '198.51.100.1/24');
    netlink.addAddress('wan0', '172.17.9.1/24');
    netlink.setLink('wan0', { up: true });
    netlink.createVeth({ name: 'wan1', bridge: 'wan0', peerName: 'eth0', peerNamespace: world, mtu: 1450 });
    netlink.inNamespace(world, (there) => {
      there.addAddress('eth0', '198.51.100.2/24');
      there.setLink('eth0', { up: true });
    });
    netlink.addRoute({ destination: 'default', gateway: '198.51.100.2' });
  });

  after(() => {
    syscall.removeNetworkNamespace(world);
    netlink.close();
  });

  test('open() gives the default network IPv6, a range, a router and the rest of what dockerd’s flags say', async () => {
    const records = memoryRecords();
    const options = { ipv6: true, engineId: 'test', fixedCidr: '10.9.8.0/24', defaultGateway: '10.9.8.254' };
    const networks = engine(records, {
      ...options,
      neighbours: false,
      masquerade: false,
      hostAddress: '127.0.0.1',
    });
    await networks.open();
    const { EnableIPv6, IPAM, Options } = networks.inspect('bridge');
    assert.equal(EnableIPv6, true);
    assert.deepEqual(IPAM.Config, [
      { Subnet: '10.9.8.0/24', IPRange: '10.9.8.0/24', Gateway: '10.9.8.1' },
      { Subnet: 'fd81:884c:7d65::/64', Gateway: 'fd81:884c:7d65::1' },
    ]);
    assert.equal(Options['com.docker.network.bridge.enable_icc'], 'false');
    assert.equal(Options['com.docker.network.bridge.host_binding_ipv4'], '127.0.0.1');
    const given = attach(networks, 'c1');
    assert.deepEqual(
      [given.IPAddress, given.Gateway, given.GlobalIPv6Address, given.IPv6Gateway],
      ['10.9.8.2', '10.9.8.254', 'fd81:884c:7d65::2', 'fd81:884c:7d65::1'],
    );
    assert.doesNotMatch(
      spawnSync('nft', ['list', 'ruleset'], { encoding: 'utf8' }).stdout,
      /oifname != .* masquerade/,
    );
    // The next engine finds both subnets as they were.
    const next = engine(records, options);
    await next.open();
    assert.deepEqual(next.inspect('bridge').IPAM.Config, IPAM.Config);
    next.removeSandbox('c1');
    await next.close();
    await networks.close();
  });

  test('open() makes a bridge beside what is there; close() removes all of it', async () => {
    const networks = engine(memoryRecords());
    await networks.open();
    const bridge = networks.inspect('bridge');
    assert.deepEqual(bridge.IPAM.Config, [{ Subnet: '172.18.0.0/16', Gateway: '172.18.0.1' }]);
    assert.equal(bridge.Options['com.docker.network.driver.mtu'], '1450');
    assert.deepEqual(networks.hostGateway(), ['172.18.0.1']);
    assert.deepEqual(bridges(), ['coracle0']);
    assert.deepEqual(tables(), ['coracle_coracle0']);
    assert.deepEqual(
      networks
        .list()
        .map(({ Name }) => Name)
        .sort(),
      ['bridge', 'host', 'none'],
    );
    await networks.open();
    await networks.close();
    assert.deepEqual(bridges(), []);
    assert.deepEqual(tables(), []);
  });

  test('attach() gives a place from which host, neighbours and the world can be reached, not the other way', async () => {
    const networks = engine(memoryRecords());
    await networks.open();
    const a = attach(networks, 'a');
    const b = attach(networks, 'b');
    assert.deepEqual(
      [a.IPAddress, a.IPPrefixLen, a.Gateway, a.MacAddress],
      ['172.18.0.2', 16, '172.18.0.1', '02:42:ac:12:00:02'],
    );
    assert.equal(b.IPAddress, '172.18.0.3');
    const path = networks.sandbox('a')?.path ?? '';
    const there = networks.sandbox('b')?.path ?? '';
    const [atHost, atB, atWorld, atA] = [
      await listen(undefined),
      await listen(there),
      await listen(world),
      await listen(path),
    ];
    try {
      assert.equal(await ask(path, '172.18.0.1', atHost.port), '172.18.0.2');
      assert.equal(await ask(path, b.IPAddress, atB.port), '172.18.0.2');
      assert.equal(await ask(path, '198.51.100.2', atWorld.port), '198.51.100.1');
      netlink.inNamespace(world, (outside) =>
        outside.addRoute({ destination: '172.18.0.0/16', gateway: '198.51.100.1' }),
      );
      await assert.rejects(ask(world, a.IPAddress, atA.port, 300), /timeout/);
    } finally {
      for (const { server } of [atHost, atB, atWorld, atA]) server.close();
    }
    netlink.inNamespace(path, (own) => {
      assert.deepEqual(
        own.links().map(({ name }) => name),
        ['lo', 'eth0'],
      );
      assert.ok(!own.addresses().some(({ link, family }) => link === 'eth0' && family === 6));
    });
    const shown = networks.inspect('bridge').Containers['a'];
    assert.deepEqual(shown, {
      Name: 'a',
      EndpointID: a.EndpointID,
      MacAddress: '02:42:ac:12:00:02',
      IPv4Address: '172.18.0.2/16',
      IPv6Address: '',
    });

    networks.removeSandbox('a');
    assert.equal(attach(networks, 'c').IPAddress, '172.18.0.2');
    const atC = await listen(networks.sandbox('c')?.path);
    assert.equal(await ask(there, '172.18.0.2', atC.port), '172.18.0.3');
    atC.server.close();
    await networks.detach('c', 'bridge');
    await assert.rejects(networks.detach('c', 'bridge'), (error) => isKind(error, 'not-found'));
    for (const id of ['a', 'b', 'c']) networks.removeSandbox(id);
    await networks.close();
    assert.deepEqual(bridges(), []);
  });

  test('attach() undoes itself when the namespace is not there, and refuses twice', async () => {
    const networks = engine(memoryRecords());
    await networks.open();
    assert.throws(
      () => networks.attach({ containerId: 'x', containerName: 'x', network: 'bridge', settings: {} }),
      (error) => isKind(error, 'not-found'),
    );
    attach(networks, 'a');
    assert.throws(
      () => networks.attach({ containerId: 'a', containerName: 'a', network: 'bridge', settings: {} }),
      (error) => isKind(error, 'conflict'),
    );
    const { path } = networks.createSandbox('b');
    syscall.removeNetworkNamespace(path);
    const links = netlink.links().length;
    assert.throws(() =>
      networks.attach({ containerId: 'b', containerName: 'b', network: 'bridge', settings: {} }),
    );
    assert.equal(netlink.links().length, links);
    networks.createSandbox('b');
    assert.equal(
      networks.attach({ containerId: 'b', containerName: 'b', network: 'bridge', settings: {} }).IPAddress,
      '172.18.0.3',
    );
    assert.equal(
      networks.attach({ containerId: 'h', containerName: 'h', network: 'host', settings: {} }).IPAddress,
      '',
    );
    assert.deepEqual(Object.keys(networks.inspect('host').Containers), ['h']);
    networks.sweep(new Set());
    assert.deepEqual(networks.inspect('host').Containers, {});
    await networks.close();
    assert.deepEqual(bridges(), []);
  });

  test('sweep() after a restart keeps the living and removes the rest', async () => {
    const records = memoryRecords();
    const execRoot = join(directory, 'restart');
    const first = engine(records, { execRoot });
    await first.open();
    const kept = attach(first, 'kept');
    attach(first, 'gone');
    const id = first.inspect('bridge').Id;
    first.createSandbox('half-made');
    // No close(): the engine was killed. The firewall was flushed meanwhile.
    spawnSync('nft', ['flush', 'ruleset']);

    const second = engine(records, { execRoot });
    await second.open();
    second.sweep(new Set(['kept']));
    assert.equal(second.inspect('bridge').Id, id);
    assert.deepEqual(tables(), ['coracle_coracle0']);
    assert.deepEqual(Object.keys(second.inspect('bridge').Containers), ['kept']);
    assert.equal(readdirSync(join(execRoot, 'netns')).length, 1);
    assert.equal(attach(second, 'new').IPAddress, '172.18.0.3');
    const { server, port } = await listen(second.sandbox('kept')?.path);
    assert.equal(await ask(second.sandbox('new')?.path ?? '', kept.IPAddress, port), '172.18.0.3');
    server.close();
    await second.close();
    assert.deepEqual(bridges(), ['coracle0'], 'in use, so it stays');
    const third = engine(records, { execRoot });
    await third.open();
    third.sweep(new Set());
    await third.close();
    assert.deepEqual(bridges(), []);
    await first.close();
  });

  test('attach() writes the firewall table again when somebody flushed it', async () => {
    const networks = engine(memoryRecords());
    await networks.open();
    spawnSync('nft', ['flush', 'ruleset']);
    assert.equal(netlink.firewallTableExists('coracle_coracle0'), false);
    attach(networks, 'a');
    for (let i = 0; i < 200 && !netlink.firewallTableExists('coracle_coracle0'); i++) await delay(10);
    assert.ok(netlink.firewallTableExists('coracle_coracle0'));
    assert.match(networks.notes.join('\n'), /had been removed by somebody/);
    networks.removeSandbox('a');
    await networks.close();
    assert.deepEqual(tables(), []);
  });

  test('open() leaves nothing when the firewall refuses', async () => {
    const failed = { exitCode: 1, signal: null, stdout: '', stderr: 'refused' };
    const networks = engine(memoryRecords(), {
      spawner: { run: () => Promise.resolve(failed) },
      sandboxesAhead: 1,
    });
    await assert.rejects(networks.open(), /refused/);
    assert.deepEqual(bridges(), []);
  });

  test('Two engines with their own records use their own bridges', async () => {
    const [one, two] = [engine(memoryRecords()), engine(memoryRecords())];
    await one.open();
    await two.open();
    assert.deepEqual(bridges().sort(), ['coracle0', 'coracle1']);
    assert.deepEqual([...one.hostGateway(), ...two.hostGateway()], ['172.18.0.1', '172.19.0.1']);
    const a = attach(one, 'a');
    attach(two, 'b');
    const { server, port } = await listen(one.sandbox('a')?.path);
    await assert.rejects(ask(two.sandbox('b')?.path ?? '', a.IPAddress, port, 300), /timeout/);
    server.close();
    one.removeSandbox('a');
    two.removeSandbox('b');
    await one.close();
    assert.deepEqual(bridges(), ['coracle1']);
    await two.close();
  });

  test('open() takes the bridge, its address and the pools that it is told', async () => {
    const networks = engine(memoryRecords(), { bridge: 'own-br0', bip: '10.77.0.1/24', mtu: 1300 });
    await networks.open();
    assert.deepEqual(networks.inspect('bridge').IPAM.Config, [
      { Subnet: '10.77.0.0/24', Gateway: '10.77.0.1' },
    ]);
    assert.deepEqual(tables(), ['coracle_own_br0']);
    assert.equal(attach(networks, 'a').IPAddress, '10.77.0.2');
    networks.removeSandbox('a');
    await networks.close();
    assert.deepEqual(bridges(), []);
  });

  test('starts wait for no process and no turn of the event loop, ports and names included', async () => {
    let processes = 0;
    const spawner: BridgeNetworksOptions['spawner'] = {
      run: (options) => {
        processes++;
        return common.spawner.run(options);
      },
    };
    const networks = engine(memoryRecords(), { spawner });
    await networks.open();
    await networks.create({
      name: 'app',
      driver: 'bridge',
      internal: false,
      attachable: false,
      ipam: null,
      options: {},
      labels: {},
    });
    const before = processes;
    const ids = Array.from({ length: 32 }, (_, number) => `many${number}`);
    const ports = ids.map((id, number) => {
      networks.createSandbox(id);
      networks.attach({ containerId: id, containerName: id, network: 'app', settings: {} });
      const bindings = { '80/tcp': [{ HostIp: '', HostPort: String(7000 + number) }] };
      const published = networks.publish(id, { bindings, exposed: null, publishAll: false });
      networks.answerNames(id, { servers: [] });
      return published['80/tcp']?.[0]?.HostPort;
    });
    assert.equal(processes, before);
    assert.deepEqual(
      ports,
      ids.map((_, number) => String(7000 + number)),
    );
    const table = spawnSync('nft', ['list', 'ruleset'], { encoding: 'utf8' }).stdout;
    for (const port of ports) assert.match(table, new RegExp(`tcp \\. ${port} : `));
    const inside = netlink.inNamespace(networks.sandbox('many31')?.path ?? '', (own) =>
      own.firewallTableExists('coracle_dns', 'ip'),
    );
    assert.ok(inside);
    for (const id of ids) networks.removeSandbox(id);
    await networks.remove('app');
    await networks.close();
  });

  test('createSandbox() takes namespaces made ahead, which close() and sweep() remove', async () => {
    const records = memoryRecords();
    const execRoot = join(directory, 'ahead');
    const made = () => readdirSync(join(execRoot, 'netns')).length;
    const networks = engine(records, { execRoot, sandboxesAhead: 2 });
    await networks.open();
    for (let i = 0; i < 200 && made() < 2; i++) await delay(10);
    assert.equal(made(), 2);
    const { id, path } = networks.createSandbox('a', { network: 'bridge' });
    assert.equal(made(), 2);
    const ports = () => netlink.links().filter(({ name }) => /^cor[0-9a-f]{7}$/.test(name)).length;
    assert.equal(ports(), 1);
    const given = networks.attach({ containerId: 'a', containerName: 'a', network: 'bridge', settings: {} });
    assert.equal(ports(), 1);
    assert.equal(given.MacAddress, '02:42:ac:12:00:02');
    netlink.inNamespace(path, (own) => {
      const link = own.links().find(({ name }) => name === 'eth0');
      assert.deepEqual([link?.mac, link?.up], ['02:42:ac:12:00:02', true]);
      assert.equal(own.routes().find(({ destination }) => destination === 'default')?.gateway, '172.18.0.1');
    });
    assert.equal(path, join(execRoot, 'netns', id.slice(0, 12)));
    assert.deepEqual(networks.sandbox('a'), { id, path });
    networks.sweep(new Set(['a']));
    assert.equal(networks.sandbox('a')?.id, id);
    // Killed: what it made ahead is swept by the next.
    const next = engine(records, { execRoot });
    await next.open();
    next.sweep(new Set(['a']));
    assert.equal(made(), 1);
    next.removeSandbox('a');
    assert.equal(next.sandbox('a'), undefined);
    await networks.close();
    await next.close();
    assert.equal(made(), 0);
  });
}
