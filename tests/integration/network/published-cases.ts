import type { NetworkWorld } from '../../fixtures/network-world.ts';
import type { NetworkCase } from './case.ts';

const portsOf = async (world: NetworkWorld, container: string): Promise<unknown> =>
  JSON.parse(await world.ok('inspect', '-f', '{{json .NetworkSettings.Ports}}', container));

/** dockerd 20.10 publishes on [::], too. */
const ipv4Only = (text: string): string =>
  text
    .split('\n')
    .filter((line) => !line.includes('::'))
    .join('\n');

export const publishedCases: NetworkCase[] = [
  {
    title: 'a published port is reached from a neighbour, whose address the server sees',
    async see(world) {
      await world.run('--name', 'web', '-p', '8080:80');
      await world.serveTcp('web', 80);
      return world.ask('neighbour', world.hostAddress, 8080);
    },
    expected: '198.51.100.2',
  },
  {
    title: 'a published port is reached on the host’s own address, which the server sees',
    async see(world) {
      await world.run('--name', 'web', '-p', '8080:80');
      await world.serveTcp('web', 80);
      return world.ask('host', world.hostAddress, 8080);
    },
    expected: '198.51.100.1',
  },
  {
    title: 'a published port is reached on localhost; the server sees the bridge',
    async see(world) {
      await world.run('--name', 'web', '-p', '8080:80');
      await world.serveTcp('web', 80);
      const gateway = await world.ok('inspect', '-f', '{{.NetworkSettings.Gateway}}', 'web');
      return (await world.ask('host', '127.0.0.1', 8080)) === gateway;
    },
    expected: true,
  },
  {
    title: 'a port without a binding is not reached from a neighbour',
    async see(world) {
      await world.run('--name', 'web', '-p', '8080:80', '--expose', '81');
      await world.serveTcp('web', 81);
      return [
        await world.ask('neighbour', world.hostAddress, 81),
        await world.ask('neighbour', await world.address('web', 'bridge'), 81),
      ];
    },
    expected: ['refused', 'timeout'],
    notDockerd: 'it drops such packets only when it turned forwarding on itself',
  },
  {
    title: 'a port bound to 127.0.0.1 is reached from the host and not from a neighbour',
    async see(world) {
      await world.run('--name', 'web', '-p', '127.0.0.1:8080:80');
      await world.serveTcp('web', 80);
      const fromHost = await world.ask('host', '127.0.0.1', 8080);
      return [
        fromHost === 'refused' || fromHost === 'timeout' ? fromHost : 'reached',
        await world.ask('neighbour', world.hostAddress, 8080),
        await world.ask('neighbour', await world.address('web', 'bridge'), 80),
      ];
    },
    expected: ['reached', 'refused', 'timeout'],
    notDockerd: 'it lets packets to the container’s own address pass (until 28)',
  },
  {
    title: 'a port bound to one address is reached there alone',
    async see(world) {
      await world.run('--name', 'web', '-p', '198.51.100.1:8080:80');
      await world.serveTcp('web', 80);
      return [
        await world.ask('neighbour', world.hostAddress, 8080),
        await world.ask('host', '127.0.0.1', 8080),
        await world.ok('port', 'web'),
      ];
    },
    expected: ['198.51.100.2', 'refused', '80/tcp -> 198.51.100.1:8080'],
  },
  {
    title: 'a UDP port is published',
    async see(world) {
      await world.run('--name', 'dns', '-p', '5353:53/udp');
      await world.serveUdp('dns', 53);
      return [
        await world.ask('neighbour', world.hostAddress, 5353, 'udp'),
        ipv4Only(await world.ok('port', 'dns')),
      ];
    },
    expected: ['198.51.100.2', '53/udp -> 0.0.0.0:5353'],
  },
  {
    title: 'a range is published, first and last port',
    async see(world) {
      await world.run('--name', 'web', '-p', '9000-9010:9000-9010');
      await world.serveTcp('web', 9000);
      await world.serveTcp('web', 9010);
      return [
        await world.ask('neighbour', world.hostAddress, 9000),
        await world.ask('neighbour', world.hostAddress, 9010),
        await world.ask('neighbour', world.hostAddress, 9005),
      ];
    },
    expected: ['198.51.100.2', '198.51.100.2', 'refused'],
  },
  {
    title: 'a range is published under other numbers, each by its place',
    async see(world) {
      await world.run('--name', 'web', '-p', '9100-9102:80-82');
      await world.serveTcp('web', 81);
      return [await world.ask('neighbour', world.hostAddress, 9101), await portsOf(world, 'web')].map(
        (seen) => (typeof seen === 'string' ? seen : Object.keys(seen as object)),
      );
    },
    expected: ['198.51.100.2', ['80/tcp', '81/tcp', '82/tcp']],
  },
  {
    title: 'a port without a number gets a free one of the dynamic range',
    async see(world) {
      await world.run('--name', 'web', '-p', '80');
      await world.serveTcp('web', 80);
      const [line = ''] = (await world.ok('port', 'web', '80')).split('\n');
      const port = Number(line.split(':').at(-1));
      return [port >= 32768, await world.ask('neighbour', world.hostAddress, port)];
    },
    expected: [true, '198.51.100.2'],
  },
  {
    title: 'publish-all publishes every exposed port',
    async see(world) {
      await world.run('--name', 'web', '-P', '--expose', '80', '--expose', '53/udp');
      return Object.entries((await portsOf(world, 'web')) as Record<string, unknown[] | null>).map(
        ([port, bindings]) => [port, (bindings?.length ?? 0) > 0],
      );
    },
    expected: [
      ['53/udp', true],
      ['80/tcp', true],
    ],
  },
  {
    title: 'one port is published twice',
    async see(world) {
      await world.run('--name', 'web', '-p', '8080:80', '-p', '8081:80');
      await world.serveTcp('web', 80);
      return [
        await world.ask('neighbour', world.hostAddress, 8080),
        await world.ask('neighbour', world.hostAddress, 8081),
      ];
    },
    expected: ['198.51.100.2', '198.51.100.2'],
  },
  {
    title: 'a container reaches its neighbour by the host’s port, and itself',
    async see(world) {
      await world.run('--name', 'web', '-p', '8080:80');
      await world.run('--name', 'other');
      await world.serveTcp('web', 80);
      const isReached = async (from: string) => /^\d+\./.test(await world.ask(from, world.hostAddress, 8080));
      return [await isReached('other'), await isReached('web')];
    },
    expected: [true, true],
  },
  {
    title: 'a container of another network reaches a published port and not the container’s own',
    async see(world) {
      await world.ok('network', 'create', 'far');
      await world.run('--name', 'web', '-p', '8080:80');
      await world.run('--name', 'other', '--network', 'far');
      await world.serveTcp('web', 80);
      return [
        /^\d+\./.test(await world.ask('other', world.hostAddress, 8080)),
        await world.ask('other', await world.address('web', 'bridge'), 80),
      ];
    },
    expected: [true, 'timeout'],
  },
  {
    title: 'a port that a container has is refused, and the other container stays created',
    async see(world) {
      await world.run('--name', 'web', '-p', '8080:80');
      const { stderr, code } = await world.docker(
        'run',
        '-d',
        '--name',
        'two',
        '-p',
        '8080:81',
        'IMAGE',
        'true',
      );
      return [
        code,
        stderr.includes('Bind for 0.0.0.0:8080 failed: port is already allocated'),
        /driver failed programming external connectivity on endpoint two \([0-9a-f]{64}\)/.test(stderr),
        await world.ok('inspect', '-f', '{{.State.Status}}', 'two'),
      ];
    },
    expected: [125, true, true, 'created'],
  },
  {
    title: 'a port that a program of the host has is refused',
    async see(world) {
      await world.serveTcp(undefined, 8099);
      const { stderr, code } = await world.docker('run', '--rm', '-p', '8099:80', 'IMAGE', 'true');
      return [code, /8099.*address already in use/.test(stderr)];
    },
    expected: [125, true],
  },
  {
    title: 'a published port is taken: a program of the host cannot have it',
    async see(world) {
      await world.run('--name', 'web', '-p', '8080:80');
      return world.serveTcp(undefined, 8080).then(
        () => 'bound',
        (error: { errno?: string }) => error.errno,
      );
    },
    expected: 'EADDRINUSE',
  },
  {
    title: 'different addresses share a port number',
    async see(world) {
      await world.run('--name', 'one', '-p', '127.0.0.1:8080:80');
      const { code } = await world.docker('run', '-d', '-p', '198.51.100.1:8080:80', 'IMAGE', 'sleep', '9');
      return code;
    },
    expected: 0,
  },
  {
    title: 'the port is free and closed when the container has ended',
    async see(world) {
      await world.run('--name', 'web', '-p', '8080:80');
      await world.ok('rm', '-f', 'web');
      const closed = await world.ask('neighbour', world.hostAddress, 8080);
      await world.run('--name', 'next', '-p', '8080:80');
      await world.serveTcp('next', 80);
      return [closed, await world.ask('neighbour', world.hostAddress, 8080)];
    },
    expected: ['refused', '198.51.100.2'],
  },
  {
    title: 'a stopped container shows no ports, and publishes again when started',
    async see(world) {
      await world.run('--name', 'web', '-p', '8080:80');
      await world.ok('stop', '-t', '0', 'web');
      const stopped = await portsOf(world, 'web');
      await world.ok('start', 'web');
      return [stopped, ipv4Only(await world.ok('port', 'web'))];
    },
    expected: [{}, '80/tcp -> 0.0.0.0:8080'],
  },
  {
    title: 'ps shows what is published and what is only exposed',
    async see(world) {
      await world.run('--name', 'web', '-p', '127.0.0.1:8080:80', '--expose', '81');
      return world.ok('ps', '--format', '{{.Ports}}');
    },
    expected: '81/tcp, 127.0.0.1:8080->80/tcp',
  },
  {
    title: 'ports follow when the container leaves the network they lead through',
    async see(world) {
      await world.ok('network', 'create', 'a');
      await world.ok('network', 'create', 'b');
      await world.run('--name', 'web', '--network', 'a', '-p', '8080:80');
      await world.ok('network', 'connect', 'b', 'web');
      await world.serveTcp('web', 80);
      await world.ok('network', 'disconnect', 'a', 'web');
      return world.ask('neighbour', world.hostAddress, 8080);
    },
    expected: '198.51.100.2',
  },
];
