import type { NetworkCase } from './case.ts';

export const userNetworkCases: NetworkCase[] = [
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
      return [code, /user.specified IP address is supported on user.defined networks only/.test(stderr)];
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
