import type { NetworkWorld } from '../../fixtures/network-world.ts';
import type { NetworkCase } from './case.ts';

const dual = ['--ipv6', '--subnet', '10.87.0.0/24', '--subnet', 'fd87::/64'];
const app = ['--subnet', '10.86.0.0/24', 'app'];

/** A container with IPv4 alone, 10.86.0.2, whose server tells each client where it came from. */
async function runWeb(world: NetworkWorld, ...options: string[]): Promise<void> {
  await world.ok('network', 'create', ...app);
  await world.run('--name', 'web', '--network', 'app', ...options);
  await world.serveTcp('web', 80);
}

/** Ports of IPv6 that the kernel cannot lead into a container. */
export const proxyCases: NetworkCase[] = [
  {
    title: 'a port leads into a container without IPv6 by IPv6 as well: from outside, localhost and the host',
    async see(world) {
      await runWeb(world, '-p', '8080:80');
      return [
        await world.ask('neighbour', world.hostAddress6, 8080),
        await world.ask('host', '::1', 8080),
        await world.ask('host', world.hostAddress6, 8080),
        // IPv4 keeps the client's address.
        await world.ask('neighbour', world.hostAddress, 8080),
        (await world.ok('port', 'web')).split('\n').map((line) => line.replace('[::]', '::')),
        await world.bind(8080, '::'),
      ];
    },
    expected: [
      '10.86.0.1',
      '10.86.0.1',
      '10.86.0.1',
      '198.51.100.2',
      ['80/tcp -> 0.0.0.0:8080', '80/tcp -> :::8080'],
      'EADDRINUSE',
    ],
  },
  {
    title: 'a port bound to an IPv6 address leads into a container without IPv6, and is reached there alone',
    async see(world) {
      await runWeb(world, '-p', '[::1]:8080:80', '-p', `[${world.hostAddress6}]:8081:80`);
      return [
        await world.ask('host', '::1', 8080),
        await world.ask('neighbour', world.hostAddress6, 8080),
        await world.ask('host', '127.0.0.1', 8080),
        await world.ask('neighbour', world.hostAddress6, 8081),
        await world.ask('host', '::1', 8081),
      ];
    },
    expected: ['10.86.0.1', 'refused', 'refused', '10.86.0.1', 'refused'],
  },
  {
    title: 'a UDP port leads into a container without IPv6 by IPv6, for each client',
    async see(world) {
      await world.ok('network', 'create', ...app);
      await world.run('--name', 'dns', '--network', 'app', '-p', '5353:53/udp');
      await world.serveUdp('dns', 53);
      return [
        await world.ask('neighbour', world.hostAddress6, 5353, 'udp'),
        await world.ask('host', '::1', 5353, 'udp'),
        await world.ask('neighbour', world.hostAddress, 5353, 'udp'),
      ];
    },
    expected: ['10.86.0.1', '10.86.0.1', '198.51.100.2'],
  },
  {
    title: 'localhost’s IPv6 leads to the ports of a container that has IPv6; the server sees the bridge',
    async see(world) {
      await world.ok('network', 'create', ...dual, 'dual');
      await world.run('--name', 'web', '--network', 'dual', '-p', '8080:80', '-p', '[::1]:8081:80');
      await world.serveTcp('web', 80, '::');
      return [
        await world.ask('host', '::1', 8080),
        await world.ask('host', '::1', 8081),
        await world.ask('neighbour', world.hostAddress6, 8081),
        await world.ask('neighbour', world.hostAddress6, 8080),
      ];
    },
    expected: ['fd87::1', 'fd87::1', 'refused', '2001:db8:1::2'],
    notDockerd: 'dockerd 20.10 hands all IPv6 ports to a process, so that servers see the bridge',
  },
  {
    title: 'ports of IPv6 lead into their container while the engine is dead, and by the next, until it ends',
    async see(world) {
      await runWeb(world, '-p', '8080:80', '-p', '5353:53/udp');
      await world.serveUdp('web', 53);
      const pid = await world.pidOf('web');
      const seen = async (): Promise<string[]> => [
        await world.ask('neighbour', world.hostAddress6, 8080),
        await world.ask('host', '::1', 5353, 'udp'),
      ];
      await world.crash();
      // Whoever comes in between waits for an answer.
      const dead = await seen();
      await world.restart();
      const next = await seen();
      await world.stop();
      const stopped = await seen();
      world.stopServers();
      process.kill(pid, 'SIGKILL');
      await world.eventually(async () => (await world.ask('host', '::1', 8080)) === 'refused');
      await world.restart();
      await world.ok('start', 'web');
      await world.serveTcp('web', 80);
      return [dead, next, stopped, await world.ask('host', '::1', 8080)];
    },
    expected: [
      ['10.86.0.1', '10.86.0.1'],
      ['10.86.0.1', '10.86.0.1'],
      ['10.86.0.1', '10.86.0.1'],
      '10.86.0.1',
    ],
    notDockerd: 'a promise of our engine',
  },
  {
    title: 'an internal network with IPv6 is not left by ports of the host either',
    async see(world) {
      await runWeb(world, '-p', '8080:80');
      await world.ok(
        'network',
        'create',
        '--internal',
        ...dual,
        '-o',
        'com.docker.network.bridge.name=in0',
        'inside',
      );
      await world.ok('network', 'create', '--ipv6', '--subnet', 'fd85::/64', 'outside');
      await world.run('--name', 'in', '--network', 'inside', '--cap-add', 'NET_ADMIN');
      await world.run('--name', 'out', '--network', 'outside');
      await world.ok('exec', 'in', 'ip', '-6', 'route', 'add', 'default', 'via', 'fd87::1');
      const linkLocal = /inet6 (fe80:\S+)\//.exec(world.ip('-6', 'addr', 'show', 'in0'))?.[1] ?? '';
      await world.serveTcp(undefined, 8089, '::');
      const byLink = (port: number): Promise<string> =>
        world.ok('exec', 'in', 'sh', '-c', `nc ${linkLocal}%eth0 ${port} </dev/null 2>&1; true`);
      return [
        await world.ask('out', world.hostAddress6, 8080),
        await world.ask('in', world.hostAddress6, 8080),
        await world.ask('in', 'fd87::1', 8080),
        (await byLink(8089)).startsWith('fe80:'),
        (await byLink(8080)).includes('10.86.0'),
      ];
    },
    expected: ['10.86.0.1', 'ECONNRESET', 'ECONNRESET', true, false],
    notDockerd: 'its processes hand on whatever comes',
  },
  {
    title: 'with userland-proxy=false ports of IPv6 lead to IPv6 alone, and ::1 nowhere',
    async see(world) {
      return world.withFlags(['--userland-proxy=false'], async () => {
        await runWeb(world, '-p', '8080:80', '-p', '[::1]:8081:80');
        await world.ok('network', 'create', ...dual, 'dual');
        await world.run('--name', 'six', '--network', 'dual', '-p', '8082:80');
        await world.serveTcp('six', 80, '::');
        return [
          await world.ask('neighbour', world.hostAddress6, 8080),
          await world.ask('host', '::1', 8080),
          await world.ask('host', '::1', 8081),
          await world.ok('port', 'web'),
          await world.ask('host', '::1', 8082),
          await world.ask('neighbour', world.hostAddress6, 8082),
        ];
      });
    },
    expected: ['refused', 'refused', 'refused', '80/tcp -> 0.0.0.0:8080', 'refused', '2001:db8:1::2'],
    notDockerd: 'the case starts our own daemon again',
  },
];
