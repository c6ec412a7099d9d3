import type { NetworkCase } from './case.ts';

const newer = 'dockerd 20.10 has no such option';
const option = (name: string, value: string): string[] => ['-o', `com.docker.network.${name}=${value}`];
const endpointOption = (name: string, value: string): string =>
  `driver-opt=com.docker.network.endpoint.${name}=${value}`;

/** Options of networks’ drivers and of endpoints. */
export const optionCases: NetworkCase[] = [
  {
    title: 'links are named after the network’s prefix, each with the next number',
    async see(world) {
      await world.ok('network', 'create', ...option('container_iface_prefix', 'lan'), 'a');
      await world.ok('network', 'create', ...option('container_iface_prefix', 'lan'), 'b');
      await world.run('--name', 'one', '--network', 'a');
      await world.ok('network', 'connect', 'b', 'one');
      return linksOf(await world.ok('exec', 'one', 'ip', '-o', 'link'));
    },
    expected: ['lan0', 'lan1'],
  },
  {
    title: 'a link has the name that its endpoint asks for, and the others count without it',
    notDockerd: newer,
    async see(world) {
      await world.ok('network', 'create', 'a');
      await world.ok('network', 'create', 'b');
      await world.run(
        '--name',
        'one',
        '--network',
        `name=a,${endpointOption('ifname', 'uplink')}`,
        '--network',
        'b',
      );
      return linksOf(await world.ok('exec', 'one', 'ip', '-o', 'link'));
    },
    expected: ['eth0', 'uplink'],
  },
  {
    title: 'a name that another link of the container has is refused, and the container does not start',
    notDockerd: newer,
    async see(world) {
      await world.ok('network', 'create', 'a');
      await world.ok('network', 'create', 'b');
      const same = (network: string) => [
        '--network',
        `name=${network},${endpointOption('ifname', 'uplink')}`,
      ];
      const { code } = await world.docker(
        'run',
        '--name',
        'one',
        ...same('a'),
        ...same('b'),
        'IMAGE',
        'true',
      );
      return [code, await world.ok('network', 'inspect', '-f', '{{len .Containers}}', 'a', 'b')];
    },
    expected: [125, '0\n0'],
  },
  {
    title: 'sysctls of one link are set before the container’s program runs',
    notDockerd: newer,
    async see(world) {
      await world.ok('network', 'create', 'a');
      const sysctls = 'net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.conf.IFNAME.forwarding=0';
      const attachment = `name=a,"${endpointOption('sysctls', sysctls)}"`;
      const paths = ['log_martians', 'forwarding'].map((name) => `/proc/sys/net/ipv4/conf/eth0/${name}`);
      return world.ok('run', '--rm', '--network', attachment, 'IMAGE', 'cat', ...paths);
    },
    expected: '1\n0',
  },
  {
    title: 'a sysctl that is of no link is refused, and one that there is not',
    notDockerd: newer,
    async see(world) {
      await world.ok('network', 'create', 'a');
      const refusals = [];
      for (const sysctl of ['net.ipv4.ip_forward=1', 'net.ipv4.conf.IFNAME.no_such=1']) {
        const words = [
          'run',
          '--rm',
          '--network',
          `name=a,${endpointOption('sysctls', sysctl)}`,
          'IMAGE',
          'true',
        ];
        const { code, stderr } = await world.docker(...words);
        refusals.push(code, /unrecognised network interface sysctl|is not a sysctl file/.exec(stderr)?.[0]);
      }
      return refusals;
    },
    expected: [125, 'unrecognised network interface sysctl', 125, 'is not a sysctl file'],
  },
  {
    title: 'the default route goes to the network with the highest priority, else to the first by name',
    notDockerd: newer,
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.81.0.0/24', 'a');
      await world.ok('network', 'create', '--subnet', '10.82.0.0/24', 'b');
      await world.run('--name', 'plain', '--network', 'b', '--network', 'a');
      await world.run('--name', 'ranked', '--network', 'a', '--network', 'name=b,gw-priority=1');
      const seen = [
        await routeOf(world.ok('exec', 'plain', 'ip', 'route')),
        await routeOf(world.ok('exec', 'ranked', 'ip', 'route')),
      ];
      await world.ok('network', 'create', '--subnet', '10.83.0.0/24', 'c');
      await world.ok('network', 'connect', '--gw-priority', '5', 'c', 'ranked');
      seen.push(await routeOf(world.ok('exec', 'ranked', 'ip', 'route')));
      await world.ok('network', 'disconnect', 'c', 'ranked');
      seen.push(await routeOf(world.ok('exec', 'ranked', 'ip', 'route')));
      return seen;
    },
    expected: ['10.81.0.1', '10.82.0.1', '10.83.0.1', '10.82.0.1'],
  },
  {
    title: 'each family’s default route is chosen for itself',
    notDockerd: newer,
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.81.0.0/24', 'four');
      await world.ok('network', 'create', '--ipv4=false', '--ipv6', '--subnet', 'fd81::/64', 'six');
      await world.run('--name', 'one', '--network', 'four', '--network', 'six');
      return [
        await routeOf(world.ok('exec', 'one', 'ip', 'route')),
        await routeOf(world.ok('exec', 'one', 'ip', '-6', 'route')),
      ];
    },
    expected: ['10.81.0.1', 'fd81::1'],
  },
  {
    title: 'of several networks the one of --network has the first link, the others follow by name',
    notDockerd: 'the CLI sends several from API 1.44 on',
    async see(world) {
      for (const name of ['a', 'b', 'c']) await world.ok('network', 'create', name);
      await world.run('--name', 'one', '--network', 'b', '--network', 'c', '--network', 'a');
      const links: Record<string, string> = {};
      for (const network of ['a', 'b', 'c']) {
        const address = await world.address('one', network);
        const line = (await world.ok('exec', 'one', 'ip', '-o', 'addr'))
          .split('\n')
          .find((text) => text.includes(`${address}/`));
        links[network] = /^\d+: (\S+)/.exec(line ?? '')?.[1] ?? '';
      }
      return links;
    },
    expected: { b: 'eth0', a: 'eth1', c: 'eth2' },
  },
  {
    title: 'everything that --network says of one of several networks is done to that one',
    notDockerd: 'the CLI sends several from API 1.44 on',
    async see(world) {
      await world.ok('network', 'create', '--ipv6', '--subnet', '10.81.0.0/24', '--subnet', 'fd81::/64', 'a');
      await world.ok('network', 'create', 'b');
      const said =
        'name=a,ip=10.81.0.9,ip6=fd81::9,mac-address=02:11:11:11:11:11,alias=nine,link-local-ip=169.254.9.9';
      await world.run('--name', 'one', '--network', 'b', '--network', said);
      const format =
        '{{with index .NetworkSettings.Networks "a"}}{{.IPAddress}} {{.GlobalIPv6Address}} {{.MacAddress}} {{.Aliases}}{{end}}';
      const other = '{{with index .NetworkSettings.Networks "b"}}{{.IPAMConfig}} {{.Aliases}}{{end}}';
      return [
        await world.ok('inspect', '-f', format, 'one'),
        await world.ok('inspect', '-f', other, 'one'),
        (await world.ok('exec', 'one', 'ip', 'addr', 'show', 'eth1')).includes('169.254.9.9/16'),
      ];
    },
    expected: ['10.81.0.9 fd81::9 02:11:11:11:11:11 [nine]', '<nil> []', true],
  },
  {
    title: 'a router of the user’s is the containers’ gateway instead of the bridge',
    async see(world) {
      const options = ['--subnet', '10.81.0.0/24', '--aux-address', 'DefaultGatewayIPv4=10.81.0.254'];
      await world.ok('network', 'create', ...options, 'a');
      await world.run('--name', 'one', '--network', 'a');
      const format = '{{(index .NetworkSettings.Networks "a").Gateway}}';
      return [
        await routeOf(world.ok('exec', 'one', 'ip', 'route')),
        await world.ok('inspect', '-f', format, 'one'),
        (await world.ok('network', 'inspect', '-f', '{{(index .IPAM.Config 0).Gateway}}', 'a')) ===
          '10.81.0.254',
      ];
    },
    expected: ['10.81.0.254', '10.81.0.254', false],
  },
  {
    title: 'inhibit_ipv4 leaves the bridge without an address, and containers reach each other',
    notDockerd: newer,
    async see(world) {
      const options = ['--subnet', '10.81.0.0/24', ...option('bridge.inhibit_ipv4', 'true')];
      await world.ok('network', 'create', ...options, ...option('bridge.name', 'bare0'), 'a');
      await world.run('--name', 'one', '--network', 'a');
      await world.run('--name', 'two', '--network', 'a');
      await world.serveTcp('one', 80);
      return [world.ip('-o', '-4', 'addr', 'show', 'bare0'), await world.ask('two', '10.81.0.2', 80)];
    },
    expected: ['', '10.81.0.3'],
  },
  {
    title: 'a network cannot be made with options that mean nothing',
    notDockerd: newer,
    async see(world) {
      const asked: string[][] = [
        option('bridge.enable_icc', 'maybe'),
        option('bridge.gateway_mode_ipv4', 'x'),
        option('bridge.gateway_mode_ipv6', 'isolated'),
        option('bridge.host_binding_ipv4', 'x'),
        option('host_ipv6', '10.0.0.1'),
        option('driver.mtu', 'x'),
        ['--subnet', '10.81.0.1/24'],
        ['--subnet', '10.81.0.0/24', '--subnet', '10.82.0.0/24'],
        ['--ipv4=false'],
        ['--ipam-driver', 'null'],
        ['-d', 'nosuch'],
      ];
      const errors = [];
      for (const words of asked) {
        const { code, stderr } = await world.docker('network', 'create', ...words, 'wrong');
        errors.push(`${code} ${stderr.replace(/^.*?daemon: /s, '').replaceAll('com.docker.network.', '')}`);
      }
      return errors;
    },
    expected: [
      '1 failed to parse bridge.enable_icc value: maybe (strconv.ParseBool: parsing "maybe": invalid syntax)',
      '1 failed to parse bridge.gateway_mode_ipv4 value: x (unknown gateway mode x)',
      "1 gateway mode 'isolated' can only be used for an internal network",
      '1 failed to parse bridge.host_binding_ipv4 value: x (nil ip)',
      '1 failed to parse host_ipv6 value: 10.0.0.1 (nil ip)',
      '1 failed to parse driver.mtu value: x (strconv.Atoi: parsing "x": invalid syntax)',
      '1 invalid network config:\ninvalid subnet 10.81.0.1/24: it should be 10.81.0.0/24',
      "1 bridge driver doesn't support multiple subnets",
      '1 IPv4 or IPv6 must be enabled',
      '1 ipv4 pool is empty',
      '1 plugin "nosuch" not found',
    ],
  },
  {
    title: 'subnets of a size that is asked for are cut from the pools',
    notDockerd: newer,
    async see(world) {
      await world.ok('network', 'create', '--ipv6', '--subnet', '0.0.0.0/24', '--subnet', '::/96', 'small');
      const format = '{{range .IPAM.Config}}{{.Subnet}} {{end}}';
      const [four = '', six = ''] = (await world.ok('network', 'inspect', '-f', format, 'small')).split(' ');
      return [/^(172|192)\..*\/24$/.test(four), /^fd.*\/96$/.test(six)];
    },
    expected: [true, true],
  },
];

const linksOf = (text: string): string[] =>
  [...text.matchAll(/^\d+: ([^:@]+)/gm)]
    .map((found) => found[1] ?? '')
    .filter((name) => name !== 'lo')
    .sort();

const routeOf = async (text: Promise<string>): Promise<string | undefined> =>
  /default via (\S+)/.exec(await text)?.[1];
