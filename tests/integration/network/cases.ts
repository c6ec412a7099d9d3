import type { NetworkWorld } from '../../fixtures/network-world.ts';

/** One option and what can be seen of it. */
export interface NetworkCase {
  title: string;
  see: (world: NetworkWorld) => Promise<unknown>;
  expected: unknown;
  /** Why dockerd 20.10 does otherwise. */
  notDockerd?: string;
}

const portsOf = async (world: NetworkWorld, container: string): Promise<unknown> =>
  JSON.parse(await world.ok('inspect', '-f', '{{json .NetworkSettings.Ports}}', container));

/** dockerd 20.10 publishes on [::], too. */
const ipv4Only = (text: string): string =>
  text
    .split('\n')
    .filter((line) => !line.includes('::'))
    .join('\n');

const published: NetworkCase[] = [
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

const networks: NetworkCase[] = [
  {
    title: 'a network has the subnet, range, gateway and reserved addresses it was told',
    async see(world) {
      const options = ['--subnet', '10.91.0.0/24', '--ip-range', '10.91.0.128/25', '--gateway', '10.91.0.7'];
      await world.ok('network', 'create', ...options, '--aux-address', 'nas=10.91.0.128', 'mine');
      await world.run('--name', 'one', '--network', 'mine');
      return [
        JSON.parse(await world.ok('network', 'inspect', '-f', '{{json .IPAM.Config}}', 'mine')),
        await world.address('one', 'mine'),
      ];
    },
    expected: [
      [
        {
          Subnet: '10.91.0.0/24',
          IPRange: '10.91.0.128/25',
          Gateway: '10.91.0.7',
          AuxiliaryAddresses: { nas: '10.91.0.128' },
        },
      ],
      '10.91.0.129',
    ],
  },
  {
    title: 'containers of a network reach each other, those of two do not',
    async see(world) {
      await world.ok('network', 'create', 'a');
      await world.ok('network', 'create', 'b');
      await world.run('--name', 'one', '--network', 'a');
      await world.run('--name', 'two', '--network', 'a');
      await world.run('--name', 'three', '--network', 'b');
      await world.serveTcp('one', 80);
      const address = await world.address('one', 'a');
      return [
        (await world.ask('two', address, 80)) === (await world.address('two', 'a')),
        await world.ask('three', address, 80),
      ];
    },
    expected: [true, 'timeout'],
  },
  {
    title: 'a container reaches the world with the host’s address',
    async see(world) {
      await world.ok('network', 'create', 'a');
      await world.run('--name', 'one', '--network', 'a');
      await world.serveTcp(undefined, 8088);
      return world.ask('one', world.hostAddress, 8088).then((seen) => /^\d+\./.test(seen));
    },
    expected: true,
  },
  {
    title: 'an internal network reaches no world, and the world not it',
    async see(world) {
      await world.ok('network', 'create', '--internal', '--subnet', '10.92.0.0/24', 'inside');
      await world.run('--name', 'one', '--network', 'inside');
      await world.run('--name', 'two', '--network', 'inside');
      await world.serveTcp('one', 80);
      return [
        await world.ok('exec', 'one', 'ip', 'route'),
        await world.ask('two', '10.92.0.2', 80),
        await world.ask('neighbour', '10.92.0.2', 80),
        await world.ask('one', world.neighbourAddress, 80),
      ];
    },
    expected: ['10.92.0.0/24 dev eth0 scope link  src 10.92.0.2', '10.92.0.3', 'timeout', 'ENETUNREACH'],
    notDockerd: 'it gives containers a default route there all the same (until 25)',
  },
  {
    title: 'enable_icc=false keeps neighbours apart and lets them out',
    async see(world) {
      await world.ok('network', 'create', '-o', 'com.docker.network.bridge.enable_icc=false', 'apart');
      await world.run('--name', 'one', '--network', 'apart');
      await world.run('--name', 'two', '--network', 'apart');
      await world.serveTcp('one', 80);
      await world.serveTcp(undefined, 8089);
      return [
        await world.ask('two', await world.address('one', 'apart'), 80),
        /^\d+\./.test(await world.ask('two', world.hostAddress, 8089)),
      ];
    },
    expected: ['timeout', true],
    notDockerd: 'it needs br_netfilter for it, whose switch is off in a new namespace of some kernels',
  },
  {
    title: 'enable_ip_masquerade=false lets the container’s own address be seen',
    async see(world) {
      const option = 'com.docker.network.bridge.enable_ip_masquerade=false';
      await world.ok('network', 'create', '-o', option, '--subnet', '10.93.0.0/24', 'plain');
      await world.run('--name', 'one', '--network', 'plain');
      return world.nft('list', 'ruleset').includes('ip saddr 10.93.0.0/24 oifname != ');
    },
    expected: false,
  },
  {
    title: 'bridge name and MTU are as asked',
    async see(world) {
      await world.ok(
        'network',
        'create',
        '-o',
        'com.docker.network.bridge.name=mybr0',
        '-o',
        'com.docker.network.driver.mtu=1300',
        'named',
      );
      await world.run('--name', 'one', '--network', 'named');
      return (await world.ok('exec', 'one', 'ip', 'link', 'show', 'eth0')).includes('mtu 1300');
    },
    expected: true,
  },
  {
    title: 'a static address and MAC are given, and kept over a restart',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.94.0.0/24', 'fixed');
      const options = ['--network', 'fixed', '--ip', '10.94.0.99', '--mac-address', '02:11:22:33:44:55'];
      await world.run('--name', 'one', ...options);
      await world.ok('restart', '-t', '0', 'one');
      const format =
        '{{with (index .NetworkSettings.Networks "fixed")}}{{.IPAddress}} {{.MacAddress}}{{end}}';
      return world.ok('inspect', '-f', format, 'one');
    },
    expected: '10.94.0.99 02:11:22:33:44:55',
    notDockerd: 'the CLI has this option from API 1.44 on',
  },
  {
    title: 'a static address that is taken, or in no subnet, is refused',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.94.0.0/24', 'fixed');
      await world.run('--name', 'one', '--network', 'fixed', '--ip', '10.94.0.99');
      const taken = await world.docker(
        'run',
        '--rm',
        '--network',
        'fixed',
        '--ip',
        '10.94.0.99',
        'IMAGE',
        'true',
      );
      const far = await world.docker(
        'run',
        '--rm',
        '--network',
        'fixed',
        '--ip',
        '10.95.0.1',
        'IMAGE',
        'true',
      );
      return [taken.code, /Address already in use/.test(taken.stderr), far.code];
    },
    expected: [125, true, 125],
  },
  {
    title: 'a static address on the default bridge is refused',
    async see(world) {
      const { stderr, code } = await world.docker('run', '--rm', '--ip', '172.17.0.9', 'IMAGE', 'true');
      return [code, stderr.includes('user specified IP address is supported on user defined networks only')];
    },
    expected: [125, true],
  },
  {
    title: 'a name that exists, a predefined one and overlapping pools are refused',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.94.0.0/24', 'mine');
      const errors = [];
      for (const words of [['mine'], ['host'], ['--subnet', '10.94.0.0/16', 'wide'], ['-d', 'host', 'x']])
        errors.push((await world.docker('network', 'create', ...words)).stderr.replace(/^.*daemon: /, ''));
      return errors.map((text) =>
        [
          'already exists',
          'not permitted on predefined host network',
          'Pool overlaps',
          'only one instance of',
        ].find((known) => text.includes(known)),
      );
    },
    expected: [
      'already exists',
      'not permitted on predefined host network',
      'Pool overlaps',
      'only one instance of',
    ],
  },
  {
    title: 'a network with containers and a predefined one cannot be removed',
    async see(world) {
      await world.ok('network', 'create', 'busy');
      await world.run('--name', 'one', '--network', 'busy');
      const busy = await world.docker('network', 'rm', 'busy');
      const own = await world.docker('network', 'rm', 'bridge');
      return [/has active endpoints/.test(busy.stderr), /is a pre-defined network/.test(own.stderr)];
    },
    expected: [true, true],
  },
  {
    title: 'prune removes what nobody uses',
    async see(world) {
      await world.ok('network', 'create', 'used');
      await world.ok('network', 'create', '--label', 'keep=1', 'labelled');
      await world.ok('network', 'create', 'idle');
      await world.run('--network', 'used');
      await world.ok('network', 'prune', '-f', '--filter', 'label!=keep');
      return (await world.ok('network', 'ls', '--filter', 'type=custom', '--format', '{{.Name}}'))
        .split('\n')
        .sort();
    },
    expected: ['labelled', 'used'],
  },
  {
    title: 'connect gives a running container another link, disconnect takes it, with events',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.96.0.0/24', 'more');
      const since = String(Math.floor(Date.now() / 1000));
      const id = await world.run('--name', 'one');
      await world.ok('network', 'connect', '--ip', '10.96.0.50', 'more', 'one');
      const links = await world.ok('exec', 'one', 'ip', 'addr');
      const hosts = await world.ok('exec', 'one', 'cat', '/etc/hosts');
      await world.ok('network', 'disconnect', 'more', 'one');
      const after = await world.ok('exec', 'one', 'ip', 'addr');
      const until = String(Date.now() / 1000);
      const filters = ['type=network', 'network=more', 'event=connect', 'event=disconnect'];
      const format = '{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.container}}';
      const words = ['--since', since, '--until', until, '--format', format];
      const events = await world.ok('events', ...words, ...filters.flatMap((filter) => ['--filter', filter]));
      return [
        links.includes('10.96.0.50/24'),
        hosts.includes('10.96.0.50\t'),
        after.includes('eth1'),
        events.replaceAll(id, 'ID').split('\n'),
      ];
    },
    expected: [true, true, false, ['connect more ID', 'disconnect more ID']],
    notDockerd: 'it says twice that the container is disconnected',
  },
  {
    title: 'connect and disconnect of a stopped container hold from its next start',
    async see(world) {
      await world.ok('network', 'create', 'later');
      await world.ok('create', '--name', 'one', 'IMAGE', 'sleep', '60');
      await world.ok('network', 'connect', 'later', 'one');
      await world.ok('network', 'disconnect', 'bridge', 'one');
      await world.ok('start', 'one');
      return world.ok(
        'inspect',
        '-f',
        '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}',
        'one',
      );
    },
    expected: 'later',
  },
  {
    title: 'host, none and container networks connect to nothing else',
    async see(world) {
      await world.ok('network', 'create', 'mine');
      await world.run('--name', 'onhost', '--network', 'host');
      await world.run('--name', 'alone', '--network', 'none');
      await world.run('--name', 'joined', '--network', 'container:alone');
      const codes = [];
      for (const name of ['onhost', 'alone', 'joined'])
        codes.push((await world.docker('network', 'connect', 'mine', name)).code);
      return codes;
    },
    expected: [1, 1, 1],
  },
  {
    title: 'a network can be named by id and by its first digits',
    async see(world) {
      const id = await world.ok('network', 'create', 'mine');
      await world.run('--name', 'one', '--network', id.slice(0, 10));
      return world
        .ok('inspect', '-f', '{{range .NetworkSettings.Networks}}{{.NetworkID}}{{end}}', 'one')
        .then((seen) => seen === id);
    },
    expected: true,
  },
  {
    title: 'an unknown network is an error at the start',
    async see(world) {
      const { stderr, code } = await world.docker(
        'run',
        '--name',
        'one',
        '--network',
        'nosuch',
        'IMAGE',
        'true',
      );
      return [code, stderr.includes('network nosuch not found')];
    },
    expected: [125, true],
  },
];

const names: NetworkCase[] = [
  {
    title: 'name, alias, short id and name with network are answered',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.97.0.0/24', 'app');
      const id = await world.run('--name', 'db', '--network', 'app', '--network-alias', 'data');
      await world.run('--name', 'web', '--network', 'app');
      const found = [];
      for (const name of ['db', 'data', id.slice(0, 12), 'db.app', 'DB'])
        found.push(await world.resolve('web', name));
      return found;
    },
    expected: ['10.97.0.2', '10.97.0.2', '10.97.0.2', '10.97.0.2', '10.97.0.2'],
  },
  {
    title: 'an address is answered with its name, and a name without IPv6 with nothing',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.97.0.0/24', 'app');
      await world.run('--name', 'db', '--network', 'app');
      await world.run('--name', 'web', '--network', 'app');
      return [await world.resolve('web', '10.97.0.2', 'PTR'), await world.resolve('web', 'db', 'AAAA')];
    },
    expected: ['db.app', 'ENODATA'],
  },
  {
    title: 'one alias of several containers is answered with all',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.97.0.0/24', 'app');
      for (const name of ['aa', 'bb', 'cc'])
        await world.run('--name', name, '--network', 'app', '--network-alias', 'all');
      return [await world.resolve('aa', 'all'), await world.resolve('aa', 'all', 'A', 'tcp')];
    },
    expected: ['10.97.0.2 10.97.0.3 10.97.0.4', '3'],
  },
  {
    title: 'names of other networks are not answered',
    async see(world) {
      await world.ok('network', 'create', 'a');
      await world.ok('network', 'create', 'b');
      await world.run('--name', 'one', '--network', 'a');
      await world.run('--name', 'two', '--network', 'b');
      return /^\d/.test(await world.resolve('two', 'one'));
    },
    expected: false,
  },
  {
    title: 'names follow rename, restart with another address, and disconnect',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.97.0.0/24', 'app');
      await world.run('--name', 'web', '--network', 'app');
      await world.run('--name', 'db', '--network', 'app');
      await world.ok('rename', 'db', 'base');
      const renamed = await world.resolve('web', 'base');
      await world.ok('stop', '-t', '0', 'base');
      const stopped = /^\d/.test(await world.resolve('web', 'base'));
      await world.run('--name', 'thief', '--network', 'app');
      await world.ok('start', 'base');
      const restarted = await world.resolve('web', 'base');
      await world.ok('network', 'disconnect', 'app', 'base');
      return [renamed, stopped, restarted, /^\d/.test(await world.resolve('web', 'base'))];
    },
    expected: ['10.97.0.3', false, '10.97.0.4', false],
  },
  {
    title: 'resolv.conf names the engine on networks of the user’s, and after a connect',
    async see(world) {
      await world.ok('network', 'create', 'app');
      await world.run('--name', 'web', '--network', 'app');
      await world.run('--name', 'late');
      await world.ok('network', 'connect', 'app', 'late');
      const server = async (name: string) =>
        (await world.ok('exec', name, 'cat', '/etc/resolv.conf')).match(/^nameserver .*$/m)?.[0];
      return [await server('web'), await server('late')];
    },
    expected: ['nameserver 127.0.0.11', 'nameserver 127.0.0.11'],
  },
  {
    title: 'a container can have port 53 itself, and names are answered all the same',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.97.0.0/24', 'app');
      await world.run('--name', 'dns', '--network', 'app');
      await world.serveUdp('dns', 53);
      await world.serveTcp('dns', 53);
      return world.resolve('dns', 'dns');
    },
    expected: '10.97.0.2',
  },
  {
    title: 'other names are asked of --dns servers, by UDP',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.97.0.0/24', 'app');
      await world.run('--name', 'lost', '--network', 'app', '--dns', '10.97.0.250');
      return /^\d/.test(await world.resolve('lost', 'example.com'));
    },
    expected: false,
  },
  {
    title: 'a link on a network of the user’s is an alias for this container alone',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.97.0.0/24', 'app');
      await world.run('--name', 'db', '--network', 'app');
      await world.run('--name', 'web', '--network', 'app', '--link', 'db:store');
      return [await world.resolve('web', 'store'), /^\d/.test(await world.resolve('db', 'store'))];
    },
    expected: ['10.97.0.2', false],
  },
];

const links: NetworkCase[] = [
  {
    title: 'a linked pair: hosts and environment; the web follows when the database has another address',
    async see(world) {
      await world.run('--name', 'db', '--expose', '5432', '-e', 'SECRET=s');
      await world.run('--name', 'web', '--link', 'db:store', '-p', '8080:80');
      const environment = await world.ok('exec', 'web', 'env');
      const port = environment.match(/^STORE_PORT_5432_TCP_PORT=.*$/m)?.[0];
      const before = await world.address('db', 'bridge');
      await world.ok('stop', '-t', '0', 'db');
      await world.run('--name', 'thief');
      await world.ok('start', 'db');
      const after = await world.address('db', 'bridge');
      const hosts = await world.ok('exec', 'web', 'cat', '/etc/hosts');
      return [
        port,
        environment.includes('STORE_NAME=/web/store'),
        environment.includes('STORE_ENV_SECRET=s'),
        before === after,
        hosts.includes(`${after}\tstore `),
        hosts.includes(`${before}\tstore `),
        await world.ok('inspect', '-f', '{{.HostConfig.Links}}', 'web'),
      ];
    },
    expected: ['STORE_PORT_5432_TCP_PORT=5432', true, true, false, true, false, '[/db:/web/store]'],
  },
  {
    title: 'a link to what does not exist or run is refused',
    async see(world) {
      const none = await world.docker('run', '--rm', '--link', 'nosuch:x', 'IMAGE', 'true');
      await world.ok('create', '--name', 'db', 'IMAGE', 'true');
      const idle = await world.docker('run', '--rm', '--link', 'db:x', 'IMAGE', 'true');
      return [none.code, idle.code, /Cannot link to a non running container: \/db AS /.test(idle.stderr)];
    },
    expected: [125, 125, true],
  },
  {
    title: 'a removed link is gone from hosts and inspect',
    async see(world) {
      await world.run('--name', 'db');
      await world.run('--name', 'web', '--link', 'db:store');
      await world.ok('rm', '--link', 'web/store');
      return world.ok('inspect', '-f', '{{len .HostConfig.Links}}', 'web');
    },
    expected: '0',
  },
];

export const networkCases: readonly NetworkCase[] = [...published, ...networks, ...names, ...links];
