import type { NetworkWorld } from '../../fixtures/network-world.ts';
import type { NetworkCase } from './case.ts';

/** What the daemon says to each of these, without ids. */
async function answers(world: NetworkWorld, commands: readonly (readonly string[])[]): Promise<string[]> {
  const said: string[] = [];
  for (const words of commands) {
    const { stdout, stderr, code } = await world.docker(...words);
    const text = (code === 0 ? stdout : stderr)
      .replace(/^.*daemon: /, '')
      .replaceAll(/[0-9a-f]{64}/g, 'ID')
      .replaceAll(/"[0-9a-f]{12}"/g, '"ID"')
      .replace(':\n', ': ')
      .split('\n')[0];
    said.push(`${code} ${text}`);
  }
  return said;
}

export const membershipCases: NetworkCase[] = [
  {
    title: 'what is said when a network cannot be removed, and that one of stopped containers can',
    async see(world) {
      await world.ok('network', 'create', 'busy');
      await world.ok('network', 'create', 'idle');
      await world.run('--name', 'one', '--network', 'busy');
      await world.run('--name', 'two', '--network', 'idle');
      await world.ok('stop', '-t', '0', 'two');
      const removals = ['nosuch', 'bridge', 'host', 'none', 'busy', 'idle'].map((name) => [
        'network',
        'rm',
        name,
      ]);
      return answers(world, [...removals, ['start', 'two']]);
    },
    expected: [
      '1 network nosuch not found',
      '1 bridge is a pre-defined network and cannot be removed',
      '1 host is a pre-defined network and cannot be removed',
      '1 none is a pre-defined network and cannot be removed',
      '1 error while removing network: network busy has active endpoints (name:"one" id:"ID")',
      '0 idle',
      '1 failed to set up container networking: network ID not found',
    ],
    onDockerd: {
      expected: [
        '1 network nosuch not found',
        '1 bridge is a pre-defined network and cannot be removed',
        '1 host is a pre-defined network and cannot be removed',
        '1 none is a pre-defined network and cannot be removed',
        '1 error while removing network: network busy id ID has active endpoints',
        '0 idle',
        '1 network ID not found',
      ],
      because: 'two texts were others until 28',
    },
  },
  {
    title: 'what is said when a container cannot be connected or disconnected',
    async see(world) {
      await world.ok('network', 'create', 'app');
      await world.run('--name', 'one', '--network', 'app');
      await world.run('--name', 'onhost', '--network', 'host');
      await world.run('--name', 'alone', '--network', 'none');
      await world.run('--name', 'joined', '--network', 'container:one');
      const network = (...words: string[]): string[] => ['network', ...words];
      return answers(world, [
        network('connect', 'app', 'one'),
        network('connect', 'nosuch', 'one'),
        network('connect', 'app', 'nosuch'),
        network('connect', 'host', 'one'),
        network('connect', 'none', 'one'),
        network('connect', 'app', 'onhost'),
        network('connect', 'app', 'alone'),
        network('connect', 'app', 'joined'),
        network('connect', '--alias', 'x', 'bridge', 'one'),
        network('connect', '--ip', '10.1.2.3', 'bridge', 'one'),
        network('disconnect', 'bridge', 'one'),
        network('disconnect', 'nosuch', 'one'),
        network('disconnect', 'app', 'nosuch'),
        network('disconnect', 'host', 'onhost'),
        network('disconnect', '-f', 'app', 'one'),
        network('disconnect', 'app', 'one'),
      ]);
    },
    expected: [
      '1 endpoint with name one already exists in network app',
      '1 network nosuch not found',
      '1 No such container: nosuch',
      '1 container cannot be disconnected from host network or connected to host network',
      '1 container cannot be connected to multiple networks with one of the networks in private (none) mode',
      '1 container sharing network namespace with another container or host cannot be connected to any other network',
      '1 container cannot be connected to multiple networks with one of the networks in private (none) mode',
      '1 container sharing network namespace with another container or host cannot be connected to any other network',
      '1 invalid endpoint settings: network-scoped aliases are only supported for user-defined networks',
      '1 invalid endpoint settings: * user-specified IP address is supported on user-defined networks only',
      '1 container ID is not connected to network bridge',
      '1 network nosuch not found',
      '1 No such container: nosuch',
      '1 container cannot be disconnected from host network or connected to host network',
      '0 ',
      '1 container ID is not connected to network app',
    ],
    onDockerd: {
      expected: [
        '1 endpoint with name one already exists in network app',
        '1 network nosuch not found',
        '1 No such container: nosuch',
        '1 container cannot be disconnected from host network or connected to host network',
        '1 container cannot be connected to multiple networks with one of the networks in private (none) mode',
        '1 container sharing network namespace with another container or host cannot be connected to any other network',
        '1 container cannot be connected to multiple networks with one of the networks in private (none) mode',
        '1 container sharing network namespace with another container or host cannot be connected to any other network',
        '1 network-scoped alias is supported only for containers in user defined networks',
        '1 user specified IP address is supported on user defined networks only',
        '1 container ID is not connected to network bridge',
        '1 network nosuch not found',
        '1 No such container: nosuch',
        '1 container cannot be disconnected from host network or connected to host network',
        '0 ',
        '1 container ID is not connected to network app',
      ],
      because: 'the texts of two were others until 28',
    },
  },
  {
    title: 'a stopped container shows the networks that it will be in, without addresses',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.97.0.0/24', 'app');
      await world.ok('create', '--name', 'one', 'IMAGE', 'sleep', '60');
      await world.ok('network', 'connect', '--ip', '10.97.0.9', '--alias', 'x', 'app', 'one');
      const format =
        '{{range $name, $n := .NetworkSettings.Networks}}{{$name}} [{{$n.IPAddress}}] {{with $n.IPAMConfig}}{{.IPv4Address}}{{end}} {{$n.Aliases}};{{end}}';
      const look = async (): Promise<string> =>
        (await world.ok('inspect', '-f', format, 'one')).replaceAll(/ ?[0-9a-f]{12}/g, '');
      const stopped = await look();
      const members = await world.ok('network', 'inspect', '-f', '{{len .Containers}}', 'app');
      await world.ok('start', 'one');
      return [stopped, members, (await look()).replace(/bridge \[[0-9.]+\]/, 'bridge [ADDRESS]')];
    },
    expected: [
      'app [] 10.97.0.9 [x];bridge []  [];',
      '0',
      'app [10.97.0.9] 10.97.0.9 [x];bridge [ADDRESS]  [];',
    ],
  },
  {
    title: 'who is in a network is shown with name, addresses and MAC, and follows a rename',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.97.0.0/24', 'app');
      await world.run('--name', 'one', '--network', 'app');
      await world.ok('rename', 'one', 'first');
      const format =
        '{{range .Containers}}{{.Name}} {{.MacAddress}} {{.IPv4Address}} {{.IPv6Address}}|{{end}}';
      return world.ok('network', 'inspect', '-f', format, 'app');
    },
    expected: 'first 02:42:0a:61:00:02 10.97.0.2/24 |',
  },
  {
    title: 'thirty-two containers started at once have an address each, and one name for all',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.97.0.0/24', 'app');
      const words = ['--network', 'app', '--network-alias', 'all'];
      await Promise.all(Array.from({ length: 32 }, () => world.run(...words)));
      await world.run('--name', 'asks', '--network', 'app');
      const found = await world.lookup('asks', 'all', 'A', { edns: 4096 });
      const members = await world.ok('network', 'inspect', '-f', '{{len .Containers}}', 'app');
      return [new Set(found.records).size, members];
    },
    expected: [32, '33'],
    notDockerd: 'it takes half a minute for it',
  },
];
