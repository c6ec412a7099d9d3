import type { NetworkWorld } from '../../fixtures/network-world.ts';
import type { NetworkCase } from './case.ts';

const dual = ['--ipv6', '--subnet', '10.88.0.0/24', '--subnet', 'fd88::/64'];
const noIpv6 = 'dockerd 20.10 hands IPv6 ports to a process, so that servers see the bridge';
const mapElements = (world: NetworkWorld, map: string): string[] => {
  const table = `coracle_${world.bridge}`;
  const elements = /elements = \{([^}]*)\}/.exec(world.nft('list', 'map', 'inet', table, map))?.[1];
  return (elements ?? '')
    .split(',')
    .map((element) => element.trim())
    .filter((element) => element !== '');
};

/** Ranges, IPv6, and who has the host's ports. */
export const portCases: NetworkCase[] = [
  {
    title: 'ten thousand ports are one element of a map, with their own numbers',
    async see(world) {
      await world.run('--name', 'web', '-p', '5000-14999:5000-14999');
      for (const port of [5000, 9999, 14999]) await world.serveTcp('web', port);
      const asked = [];
      for (const port of [5000, 9999, 14999, 12345])
        asked.push(await world.ask('neighbour', world.hostAddress, port));
      return [mapElements(world, 'port_ranges'), asked, await world.bind(12345), await world.bind(15000)];
    },
    expected: [
      ['tcp . 5000-14999 : 172.17.0.2 . 0-14999'],
      ['198.51.100.2', '198.51.100.2', '198.51.100.2', 'refused'],
      'EADDRINUSE',
      'bound',
    ],
    notDockerd: 'it starts a process for each, of which the machine has not enough',
  },
  {
    title: 'a range with other numbers inside is one element, upwards and downwards',
    async see(world) {
      await world.run('--name', 'up', '-p', '2000-2999:7001-8000');
      await world.run('--name', 'down', '-p', '198.51.100.1:9000-9999:80-1079/udp');
      for (const port of [7001, 7500, 8000]) await world.serveTcp('up', port);
      for (const port of [80, 580, 1079]) await world.serveUdp('down', port);
      const asked = [];
      for (const port of [2000, 2499, 2999, 2500])
        asked.push(await world.ask('neighbour', world.hostAddress, port));
      for (const port of [9000, 9500, 9999])
        asked.push(await world.ask('neighbour', world.hostAddress, port, 'udp'));
      return [
        mapElements(world, 'port_ranges').length,
        mapElements(world, 'bound_port_ranges').length,
        asked,
        await world.ask('host', '127.0.0.1', 2499).then((seen) => seen.startsWith('172.')),
      ];
    },
    expected: [
      1,
      1,
      [...Array<string>(3).fill('198.51.100.2'), 'refused', ...Array<string>(3).fill('198.51.100.2')],
      true,
    ],
    notDockerd: 'it starts a process for each port',
  },
  {
    title: 'ports go to both families of a container, whose server sees the client’s address',
    async see(world) {
      await world.ok('network', 'create', ...dual, 'dual');
      await world.run('--name', 'web', '--network', 'dual', '-p', '8080:80', '-p', '9000-9002:90-92');
      await world.serveTcp('web', 80, '::');
      await world.serveTcp('web', 80);
      await world.serveTcp('web', 91, '::');
      const bindings = JSON.parse(
        await world.ok('inspect', '-f', '{{json (index .NetworkSettings.Ports "80/tcp")}}', 'web'),
      ) as unknown;
      return [
        bindings,
        await world.ask('neighbour', world.hostAddress6, 8080),
        await world.ask('neighbour', world.hostAddress, 8080),
        await world.ask('host', world.hostAddress6, 8080),
        await world.ask('neighbour', world.hostAddress6, 9001),
        [await world.bind(8080, '::'), await world.bind(8080)],
      ];
    },
    expected: [
      [
        { HostIp: '0.0.0.0', HostPort: '8080' },
        { HostIp: '::', HostPort: '8080' },
      ],
      '2001:db8:1::2',
      '198.51.100.2',
      '2001:db8:1::1',
      '2001:db8:1::2',
      ['EADDRINUSE', 'EADDRINUSE'],
    ],
    notDockerd: noIpv6,
  },
  {
    title: 'a port bound to an IPv6 address is reached there alone; [::] means IPv6 alone',
    async see(world) {
      await world.ok('network', 'create', ...dual, 'dual');
      const options = ['-p', `[${world.hostAddress6}]:8080:80`, '-p', '[::]:8081:80'];
      await world.run('--name', 'web', '--network', 'dual', ...options);
      await world.serveTcp('web', 80, '::');
      return [
        await world.ask('neighbour', world.hostAddress6, 8080),
        await world.ask('neighbour', world.hostAddress, 8080),
        await world.ask('neighbour', world.hostAddress6, 8081),
        await world.ask('neighbour', world.hostAddress, 8081),
        await world.bind(8081, '0.0.0.0'),
      ];
    },
    expected: ['2001:db8:1::2', 'refused', '2001:db8:1::2', 'refused', 'bound'],
    notDockerd: noIpv6,
  },
  {
    title: 'a neighbour and the container itself reach it by the host’s IPv6 port',
    async see(world) {
      await world.ok('network', 'create', ...dual, 'dual');
      await world.run('--name', 'web', '--network', 'dual', '-p', '8080:80');
      await world.run('--name', 'other', '--network', 'dual');
      await world.serveTcp('web', 80, '::');
      return [
        await world.ask('other', world.hostAddress6, 8080),
        await world.ask('web', world.hostAddress6, 8080),
      ];
    },
    expected: ['fd88::1', 'fd88::1'],
    notDockerd: noIpv6,
  },
  {
    title: 'ports stay reserved while the engine is dead, until their container ends',
    async see(world) {
      const pid = await world
        .run('--name', 'web', '-p', '8080:80', '-p', '5353:53/udp')
        .then(() => world.pidOf('web'));
      await world.crash();
      const dead = [await world.bind(8080), await world.bind(5353, '0.0.0.0', 'udp')];
      process.kill(pid, 'SIGKILL');
      await world.eventually(async () => (await world.bind(8080)) === 'bound');
      await world.restart();
      await world.ok('start', 'web');
      return [dead, await world.bind(8080)];
    },
    expected: [['EADDRINUSE', 'EADDRINUSE'], 'EADDRINUSE'],
    notDockerd: 'its processes that hold the ports end with it',
  },
  {
    title: 'a container gets none of the sockets that hold its ports',
    async see(world) {
      await world.run('--name', 'web', '-p', '8080-8090:8080-8090');
      const inside = await world.ok('exec', 'web', 'sh', '-c', 'ls -l /proc/1/fd | grep -c socket; true');
      await world.ok('restart', '-t', '0', 'web');
      return [inside, await world.ok('port', 'web', '8085').then((text) => text.split('\n')[0])];
    },
    expected: ['0', '0.0.0.0:8085'],
  },
];
