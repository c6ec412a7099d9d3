import type { NetworkCase } from './case.ts';

const trusting = 'it looks at no addresses inside of a network';

/** Packets that must not arrive, each beside one that does. */
export const isolationCases: NetworkCase[] = [
  {
    title: 'a container cannot send with its neighbour’s address, nor with a free one of the network',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.89.0.0/24', 'app');
      await world.run('--name', 'server', '--network', 'app');
      await world.run('--name', 'client', '--network', 'app');
      await world.run('--name', 'liar', '--network', 'app', '--cap-add', 'NET_ADMIN');
      for (const address of ['10.89.0.3', '10.89.0.99', '10.77.0.1'])
        await world.ok('exec', 'liar', 'ip', 'addr', 'add', `${address}/32`, 'dev', 'lo');
      return world.datagramsAt('server', 7000, async () => {
        // First of all: the others' questions for the server's link address are not answered either.
        await world.send('liar', '10.89.0.2', 7000, { source: '10.89.0.4', text: 'as itself' });
        await world.send('liar', '10.89.0.2', 7000, { source: '10.89.0.3', text: 'as the client' });
        await world.send('liar', '10.89.0.2', 7000, { source: '10.89.0.99', text: 'as nobody' });
        await world.send('liar', '10.89.0.2', 7000, { source: '10.77.0.1', text: 'routed' });
        await world.send('client', '10.89.0.2', 7000, { text: 'the client' });
      });
    },
    expected: ['as itself', 'routed', 'the client'],
    onDockerd: {
      expected: ['as itself', 'as the client', 'as nobody', 'routed', 'the client'],
      because: trusting,
    },
  },
  {
    title: 'a container cannot answer for an address of the network that it was not given',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.89.0.0/24', 'app');
      await world.run('--name', 'one', '--network', 'app', '--cap-add', 'NET_ADMIN');
      await world.run('--name', 'two', '--network', 'app');
      await world.ok('exec', 'one', 'ip', 'addr', 'add', '10.89.0.99/24', 'dev', 'eth0');
      await world.serveTcp('one', 80);
      return [await world.ask('two', '10.89.0.2', 80), await world.ask('two', '10.89.0.99', 80)];
    },
    expected: ['10.89.0.3', 'timeout'],
    onDockerd: { expected: ['10.89.0.3', '10.89.0.3'], because: trusting },
  },
  {
    title: 'a container cannot send from another link address',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.89.0.0/24', 'app');
      await world.run('--name', 'one', '--network', 'app');
      await world.run('--name', 'two', '--network', 'app', '--cap-add', 'NET_ADMIN');
      await world.serveTcp('one', 80);
      const before = await world.ask('two', '10.89.0.2', 80);
      await world.ok('exec', 'two', 'ip', 'link', 'set', 'eth0', 'address', '02:42:0a:59:00:77');
      return [before, await world.ask('two', '10.89.0.2', 80)];
    },
    expected: ['10.89.0.3', 'timeout'],
    onDockerd: { expected: ['10.89.0.3', '10.89.0.3'], because: trusting },
  },
  {
    title: 'a container cannot send with its neighbour’s IPv6 address, nor answer for another',
    async see(world) {
      await world.ok(
        'network',
        'create',
        '--ipv6',
        '--subnet',
        '10.89.0.0/24',
        '--subnet',
        'fd89::/64',
        'app',
      );
      await world.run('--name', 'server', '--network', 'app');
      await world.run('--name', 'client', '--network', 'app');
      await world.run('--name', 'liar', '--network', 'app', '--cap-add', 'NET_ADMIN');
      for (const words of ['fd89::99/64 dev eth0', 'fd89::3/128 dev lo'])
        await world.ok('exec', 'liar', 'ip', '-6', 'addr', 'add', ...words.split(' '));
      await world.serveTcp('liar', 80, '::');
      const seen = await world.datagramsAt(
        'server',
        7000,
        async () => {
          await world.send('liar', 'fd89::2', 7000, { source: 'fd89::4', text: 'as itself' });
          await world.send('liar', 'fd89::2', 7000, { source: 'fd89::3', text: 'as the client' });
        },
        '::',
      );
      return [seen, await world.ask('server', 'fd89::4', 80), await world.ask('server', 'fd89::99', 80)];
    },
    expected: [['as itself'], 'fd89::2', 'timeout'],
    notDockerd: trusting,
  },
  {
    title: 'nobody outside sends to a container’s own address, at a published port or another',
    async see(world) {
      await world.run('--name', 'web', '-p', '8080:80');
      await world.serveTcp('web', 80);
      await world.serveTcp('web', 81);
      const address = await world.address('web', 'bridge');
      return [
        await world.ask('neighbour', world.hostAddress, 8080),
        await world.ask('neighbour', address, 80),
        await world.ask('neighbour', address, 81),
        await world.ask('host', address, 81).then((seen) => seen.startsWith('172.')),
      ];
    },
    expected: ['198.51.100.2', 'timeout', 'timeout', true],
    notDockerd: 'it drops such packets since 28',
  },
  {
    title: 'a port bound to 127.0.0.1 is not reached by a packet to 127.0.0.1 from the link',
    async see(world) {
      await world.run('--name', 'web', '-p', '127.0.0.1:8080:80/udp', '-p', '8081:80/udp');
      await world.run('--name', 'other');
      return world.datagramsAt('web', 80, async () => {
        // As an attacker on the link has it: 127.0.0.0/8 behind the host.
        world.routeAtNeighbour('127.0.0.0/9', world.hostAddress);
        await world.send('neighbour', '127.0.0.1', 8080, {
          source: world.neighbourAddress,
          text: 'loopback',
        });
        await world.send('neighbour', world.hostAddress, 8080, { text: 'bound' });
        await world.send('neighbour', world.hostAddress, 8081, { text: 'published' });
      });
    },
    expected: ['published'],
  },
  {
    title: 'an internal network is not left by a route that a container makes itself',
    async see(world) {
      await world.ok('network', 'create', '--internal', '--subnet', '10.89.0.0/24', 'inside');
      await world.run('--name', 'one', '--network', 'inside', '--cap-add', 'NET_ADMIN');
      await world.run('--name', 'web', '-p', '8080:80');
      await world.serveTcp('web', 80);
      await world.ok('exec', 'one', 'ip', 'route', 'add', 'default', 'via', '10.89.0.1');
      const arrived = await world.datagramsAtNeighbour(7000, () =>
        world.send('one', world.neighbourAddress, 7000, { text: 'out' }),
      );
      return [arrived, await world.ask('one', world.hostAddress, 8080)];
    },
    expected: [[], 'timeout'],
    notDockerd: 'its own processes hand the published port on',
  },
];
