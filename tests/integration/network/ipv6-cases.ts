import { readFileSync } from 'node:fs';
import type { NetworkCase } from './case.ts';

const before27 = 'dockerd 20.10 has no IPv6 without a subnet that the user names';
const noIpv6Tables = 'dockerd 20.10 masks no IPv6 addresses and filters no IPv6 packets unless it is told to';

export const ipv6Cases: NetworkCase[] = [
  {
    title: '--ipv6 gives each network a /64 of the engine’s own unique local prefix',
    notDockerd: before27,
    async see(world) {
      await world.ok('network', 'create', '--ipv6', 'a');
      await world.ok('network', 'create', '--ipv6', 'b');
      const subnets = [];
      for (const name of ['a', 'b']) {
        const format = '{{.EnableIPv4}} {{.EnableIPv6}} {{(index .IPAM.Config 1).Subnet}}';
        subnets.push((await world.ok('network', 'inspect', '-f', format, name)).split(' '));
      }
      const [one = [], two = []] = subnets;
      const prefix = (subnet = '') => subnet.split(':').slice(0, 3).join(':');
      return [
        one.slice(0, 2),
        /^fd[0-9a-f]{2}:[0-9a-f]{1,4}:[0-9a-f]{1,4}:[0-9a-f:]*\/64$/.test(one[2] ?? ''),
        prefix(one[2]) === prefix(two[2]),
        one[2] === two[2],
      ];
    },
    expected: [['true', 'true'], true, true, false],
  },
  {
    title: 'a container of a dual network has addresses, prefixes and gateways of both families',
    async see(world) {
      await world.ok(
        'network',
        'create',
        '--ipv6',
        '--subnet',
        '10.77.0.0/24',
        '--subnet',
        'fd77:1::/64',
        'dual',
      );
      await world.run('--name', 'one', '--network', 'dual');
      const format =
        '{{with index .NetworkSettings.Networks "dual"}}{{.IPAddress}}/{{.IPPrefixLen}} {{.Gateway}} ' +
        '{{.GlobalIPv6Address}}/{{.GlobalIPv6PrefixLen}} {{.IPv6Gateway}}{{end}}';
      return [
        await world.ok('inspect', '-f', format, 'one'),
        await world.ok(
          'network',
          'inspect',
          '-f',
          '{{range .Containers}}{{.IPv4Address}} {{.IPv6Address}}{{end}}',
          'dual',
        ),
        (await world.ok('exec', 'one', 'ip', '-6', 'addr', 'show', 'eth0')).includes(
          'inet6 fd77:1::2/64 scope global',
        ),
        /default via fd77:1::1 dev eth0/.test(await world.ok('exec', 'one', 'ip', '-6', 'route')),
        (await world.ok('exec', 'one', 'cat', '/etc/hosts'))
          .split('\n')
          .slice(-2)
          .map((line) => line.split('\t')[0]),
      ];
    },
    expected: [
      '10.77.0.2/24 10.77.0.1 fd77:1::2/64 fd77:1::1',
      '10.77.0.2/24 fd77:1::2/64',
      true,
      true,
      ['10.77.0.2', 'fd77:1::2'],
    ],
  },
  {
    title:
      'an address of IPv6 can be used the moment a container starts: nobody looks whether it is a duplicate',
    async see(world) {
      await world.ok('network', 'create', '--ipv6', '--subnet', 'fd77:1::/64', 'dual');
      const seen = await world.ok(
        'run',
        '--rm',
        '--network',
        'dual',
        'IMAGE',
        'ip',
        '-6',
        'addr',
        'show',
        'scope',
        'global',
      );
      return [seen.includes('fd77:1::2/64'), seen.includes('tentative')];
    },
    expected: [true, false],
  },
  {
    title: 'containers of a dual network reach each other by IPv6, those of two networks do not',
    async see(world) {
      await world.ok('network', 'create', '--ipv6', '--subnet', 'fd77:1::/64', 'a');
      await world.ok('network', 'create', '--ipv6', '--subnet', 'fd77:2::/64', 'b');
      await world.run('--name', 'one', '--network', 'a');
      await world.run('--name', 'two', '--network', 'a');
      await world.run('--name', 'three', '--network', 'b');
      await world.serveTcp('one', 80, '::');
      return [await world.ask('two', 'fd77:1::2', 80), await world.ask('three', 'fd77:1::2', 80)];
    },
    expected: ['fd77:1::3', 'timeout'],
    notDockerd: 'dockerd 20.10 forwards and filters IPv6 only as it is told to',
  },
  {
    title: 'a container reaches the world by IPv6 with the host’s address',
    notDockerd: noIpv6Tables,
    async see(world) {
      await world.ok('network', 'create', '--ipv6', '--subnet', 'fd77:1::/64', 'a');
      await world.run('--name', 'one', '--network', 'a');
      await world.serveTcp('neighbour', 8086, '::');
      return world.ask('one', world.neighbourAddress6, 8086);
    },
    expected: '2001:db8:1::1',
  },
  {
    title: 'nobody outside reaches a container’s own IPv6 address',
    async see(world) {
      await world.ok('network', 'create', '--ipv6', '--subnet', 'fd77:1::/64', 'a');
      await world.run('--name', 'one', '--network', 'a');
      await world.serveTcp('one', 80, '::');
      const outside = await world.ask('neighbour', 'fd77:1::2', 80);
      const fromHost = (): Promise<string> => world.ask('host', 'fd77:1::2', 80);
      // dockerd's containers are heard when their address is known to be nobody else's.
      await world.eventually(async () => (await fromHost()) !== 'timeout');
      return [outside, await fromHost()];
    },
    expected: ['timeout', 'fd77:1::1'],
  },
  {
    title: 'a container whose network has no IPv6 cannot send any',
    async see(world) {
      await world.run('--name', 'one');
      return [
        // No route, or no address to send from.
        /^E(NETUNREACH|ADDRNOTAVAIL)$/.test(await world.ask('one', world.hostAddress6, 80)),
        await world.ok('exec', 'one', 'cat', '/proc/sys/net/ipv6/conf/eth0/disable_ipv6'),
      ];
    },
    expected: [true, '1'],
  },
  {
    title: 'a network of IPv6 alone gives no IPv4',
    notDockerd: 'dockerd 20.10 has IPv4 in every network',
    async see(world) {
      await world.ok('network', 'create', '--ipv4=false', '--ipv6', '--subnet', 'fd77:6::/64', 'six');
      await world.run('--name', 'one', '--network', 'six');
      await world.run('--name', 'two', '--network', 'six');
      await world.serveTcp('one', 80, '::');
      const format =
        '{{with index .NetworkSettings.Networks "six"}}{{.IPAddress}}|{{.Gateway}}|{{.GlobalIPv6Address}}|{{.MacAddress}}{{end}}';
      return [
        await world.ok(
          'network',
          'inspect',
          '-f',
          '{{.EnableIPv4}} {{.EnableIPv6}} {{json .IPAM.Config}}',
          'six',
        ),
        await world.ok('inspect', '-f', format, 'one'),
        (await world.ok('exec', 'one', 'ip', 'addr', 'show', 'eth0')).includes('inet '),
        await world.ask('two', 'fd77:6::2', 80),
      ];
    },
    expected: [
      'false true [{"Subnet":"fd77:6::/64","Gateway":"fd77:6::1"}]',
      '||fd77:6::2|02:42:00:00:00:02',
      false,
      'fd77:6::3',
    ],
  },
  {
    title: 'static addresses of both families, and a link-local one, are given and shown again',
    async see(world) {
      await world.ok(
        'network',
        'create',
        '--ipv6',
        '--subnet',
        '10.77.0.0/24',
        '--subnet',
        'fd77:1::/64',
        'dual',
      );
      const options = ['--network', 'dual', '--ip', '10.77.0.77', '--ip6', 'fd77:1::77'];
      await world.run(
        '--name',
        'one',
        ...options,
        '--link-local-ip',
        '169.254.7.7',
        '--link-local-ip',
        'fe80::7',
      );
      const addresses = await world.ok('exec', 'one', 'ip', 'addr', 'show', 'eth0');
      const format =
        '{{with index .NetworkSettings.Networks "dual"}}{{.IPAddress}} {{.GlobalIPv6Address}} {{json .IPAMConfig}}{{end}}';
      return [
        await world.ok('inspect', '-f', format, 'one'),
        ['10.77.0.77/24', 'fd77:1::77/64', '169.254.7.7/16', 'fe80::7/64'].filter((one) =>
          addresses.includes(one),
        ),
      ];
    },
    expected: [
      '10.77.0.77 fd77:1::77 {"IPv4Address":"10.77.0.77","IPv6Address":"fd77:1::77","LinkLocalIPs":["169.254.7.7","fe80::7"]}',
      ['10.77.0.77/24', 'fd77:1::77/64', '169.254.7.7/16', 'fe80::7/64'],
    ],
  },
  {
    title: 'a static IPv6 address that is taken, in no subnet, or none is refused',
    async see(world) {
      await world.ok('network', 'create', '--ipv6', '--subnet', 'fd77:1::/64', 'dual');
      await world.run('--name', 'one', '--network', 'dual', '--ip6', 'fd77:1::77');
      const refusals = [];
      for (const address of ['fd77:1::77', 'fd77:2::1', '10.0.0.1', '::']) {
        const words = ['run', '--rm', '--network', 'dual', '--ip6', address, 'IMAGE', 'true'];
        const { code, stderr } = await world.docker(...words);
        const known = [
          'Address already in use',
          'no configured subnet contains IP address fd77:2::1',
          'invalid IPv6 address: ',
        ];
        refusals.push([code, known.find((text) => stderr.includes(text))]);
      }
      return refusals;
    },
    expected: [
      [125, 'Address already in use'],
      [125, 'no configured subnet contains IP address fd77:2::1'],
      [125, 'invalid IPv6 address: '],
      [125, 'invalid IPv6 address: '],
    ],
    onDockerd: {
      expected: [
        [125, 'Address already in use'],
        [125, undefined],
        [125, 'invalid IPv6 address: '],
        [125, undefined],
      ],
      because: 'its texts of that time',
    },
  },
  {
    title: 'a range of IPv6 and reserved addresses of it are kept to',
    async see(world) {
      const options = [
        '--ipv6',
        '--subnet',
        'fd77:1::/64',
        '--ip-range',
        'fd77:1::100/120',
        '--gateway',
        'fd77:1::ff',
      ];
      await world.ok('network', 'create', ...options, '--aux-address', 'printer=fd77:1::100', 'ranged');
      await world.run('--name', 'one', '--network', 'ranged');
      const config = JSON.parse(
        await world.ok('network', 'inspect', '-f', '{{json .IPAM.Config}}', 'ranged'),
      ) as unknown[];
      return [config.at(-1), await world.address6('one', 'ranged')];
    },
    expected: [
      {
        Subnet: 'fd77:1::/64',
        IPRange: 'fd77:1::100/120',
        Gateway: 'fd77:1::ff',
        AuxiliaryAddresses: { printer: 'fd77:1::100' },
      },
      'fd77:1::101',
    ],
  },
  {
    title: 'an IPv6 address that was given back is given again, and neighbours find who has it now',
    async see(world) {
      await world.ok('network', 'create', '--ipv6', '--subnet', 'fd77:1::/64', 'dual');
      await world.run('--name', 'watcher', '--network', 'dual');
      const answers = [];
      for (const name of ['first', 'second']) {
        await world.run('--name', name, '--network', 'dual');
        await world.serveTcp(name, 80, '::');
        answers.push(await world.address6(name, 'dual'), await world.ask('watcher', 'fd77:1::3', 80));
        world.stopServers();
        await world.ok('rm', '-f', name);
      }
      return answers;
    },
    expected: ['fd77:1::3', 'fd77:1::2', 'fd77:1::3', 'fd77:1::2'],
  },
  {
    title: 'IPv6 that a container switches off for itself is given no address',
    notDockerd: 'dockerd 20.10 gives it, and cannot',
    async see(world) {
      await world.ok('network', 'create', '--ipv6', '--subnet', 'fd77:1::/64', 'dual');
      await world.run('--name', 'one', '--network', 'dual', '--sysctl', 'net.ipv6.conf.all.disable_ipv6=1');
      const addresses = await world.ok('exec', 'one', 'ip', 'addr', 'show', 'eth0');
      return [await world.address6('one', 'dual'), addresses.includes('inet '), addresses.includes('inet6')];
    },
    expected: ['', true, false],
  },
  {
    title: 'a running container gets IPv6 when it is connected, and the route goes when it is disconnected',
    async see(world) {
      await world.ok('network', 'create', '--ipv6', '--subnet', 'fd77:1::/64', 'dual');
      await world.run('--name', 'one');
      const route = async () =>
        /default via (\S+)/.exec(await world.ok('exec', 'one', 'ip', '-6', 'route'))?.[1];
      const seen = [await route()];
      await world.ok('network', 'connect', '--ip6', 'fd77:1::9', 'dual', 'one');
      seen.push(await route(), await world.address6('one', 'dual'));
      await world.ok('network', 'disconnect', 'dual', 'one');
      seen.push(await route());
      return seen;
    },
    expected: [undefined, 'fd77:1::1', 'fd77:1::9', undefined],
  },
  {
    title: 'neither the host nor a container takes routes from router advertisements of a bridge',
    async see(world) {
      const options = ['--ipv6', '--subnet', 'fd77:1::/64', '-o', 'com.docker.network.bridge.name=six0'];
      await world.ok('network', 'create', ...options, 'dual');
      const link = 'net/ipv6/conf/eth0/accept_ra';
      const inside = await world.ok('run', '--rm', '--network', 'dual', 'IMAGE', 'cat', `/proc/sys/${link}`);
      return [readFileSync('/proc/sys/net/ipv6/conf/six0/accept_ra', 'utf8').trim(), inside];
    },
    expected: ['0', '0'],
    onDockerd: { expected: ['0', '1'], because: 'it leaves containers to their neighbours' },
  },
  {
    title: 'an internal network of both families leads nowhere',
    async see(world) {
      await world.ok('network', 'create', '--internal', '--ipv6', '--subnet', 'fd77:1::/64', 'inside');
      await world.run('--name', 'one', '--network', 'inside');
      await world.run('--name', 'two', '--network', 'inside');
      await world.serveTcp('one', 80, '::');
      return [
        await world.ask('two', 'fd77:1::2', 80),
        await world.ask('one', world.neighbourAddress6, 80),
        await world.ask('neighbour', 'fd77:1::2', 80),
        await world.ok('inspect', '-f', '{{(index .NetworkSettings.Networks "inside").IPv6Gateway}}', 'one'),
      ];
    },
    expected: ['fd77:1::3', 'ENETUNREACH', 'timeout', ''],
    notDockerd: 'it gives containers a default route there all the same (until 25)',
  },
  {
    title: 'a source address of IPv6 that is none of the network’s does not leave it',
    notDockerd: noIpv6Tables,
    async see(world) {
      await world.ok('network', 'create', '--ipv6', '--subnet', 'fd77:1::/64', 'a');
      await world.run('--name', 'one', '--network', 'a', '--cap-add', 'NET_ADMIN');
      await world.ok('exec', 'one', 'ip', '-6', 'addr', 'add', 'fd99::1/128', 'dev', 'lo');
      return world.datagramsAtNeighbour(
        7001,
        async () => {
          await world.send('one', world.neighbourAddress6, 7001, { source: 'fd99::1', text: 'spoofed' });
          await world.send('one', world.neighbourAddress6, 7001, { source: 'fd77:1::2', text: 'honest' });
        },
        '::',
      );
    },
    expected: ['honest'],
  },
  {
    title: 'IPv6 outlives the engine and its bridge, and is given to nobody else',
    notDockerd: 'a promise of our engine',
    async see(world) {
      await world.ok('network', 'create', '--ipv6', '--subnet', 'fd77:1::/64', 'dual');
      await world.run('--name', 'one', '--network', 'dual', '-p', '8086:80');
      await world.serveTcp('one', 80, '::');
      const bridge = `br-${(await world.ok('network', 'inspect', '-f', '{{.Id}}', 'dual')).slice(0, 12)}`;
      const reached = () => world.ask('neighbour', world.hostAddress6, 8086);
      const seen = [await reached()];
      await world.crash();
      seen.push(await reached());
      world.deleteLink(bridge);
      await world.restart();
      seen.push(await reached());
      world.removeAddress(bridge, 'fd77:1::1/64');
      await world.eventually(async () => (await reached()) === world.neighbourAddress6, 'the address');
      await world.run('--name', 'two', '--network', 'dual');
      return [...seen, await world.address6('two', 'dual')];
    },
    expected: ['2001:db8:1::2', '2001:db8:1::2', '2001:db8:1::2', 'fd77:1::3'],
  },
  {
    title: 'ports of a container that has IPv6 alone follow its IPv6 route',
    notDockerd: 'dockerd 20.10 has IPv4 in every network',
    async see(world) {
      await world.ok('network', 'create', '--ipv4=false', '--ipv6', '--subnet', 'fd77:1::/64', 'a');
      await world.ok('network', 'create', '--ipv4=false', '--ipv6', '--subnet', 'fd77:2::/64', 'b');
      await world.run('--name', 'one', '--network', 'a', '-p', '8087:80');
      await world.serveTcp('one', 80, '::');
      const reached = () => world.ask('neighbour', world.hostAddress6, 8087);
      const seen = [await reached()];
      await world.ok('network', 'connect', '--gw-priority', '3', 'b', 'one');
      seen.push(await reached());
      await world.ok('network', 'disconnect', 'a', 'one');
      seen.push(await reached());
      await world.ok('network', 'disconnect', 'b', 'one');
      return [...seen, await reached()];
    },
    expected: ['2001:db8:1::2', '2001:db8:1::2', '2001:db8:1::2', 'ECONNRESET'],
  },
];
