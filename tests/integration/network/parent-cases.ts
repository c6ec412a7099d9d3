import type { NetworkWorld } from '../../fixtures/network-world.ts';
import type { NetworkCase } from './case.ts';

const own = ['--subnet', '198.51.100.0/24', '--ip-range', '198.51.100.64/26', '--gateway', '198.51.100.2'];
const own6 = [
  '--ipv6',
  '--subnet',
  '2001:db8:1::/64',
  '--ip-range',
  '2001:db8:1::100/120',
  '--gateway',
  '2001:db8:1::2',
];
const onWan = ['-o', 'parent=wan0'];

/** Networks on a link of the host, beside which containers appear. */
export const parentCases: NetworkCase[] = [
  {
    title:
      'macvlan: a container is the neighbour’s neighbour, with addresses of both families and a MAC of its own',
    async see(world) {
      await world.ok('network', 'create', '-d', 'macvlan', ...own, ...own6, ...onWan, 'lan');
      await world.run('--name', 'one', '--network', 'lan');
      await world.serveTcp('one', 80);
      await world.serveTcp('one', 81, '::');
      await world.serveTcp('neighbour', 82);
      return [
        await world.address('one', 'lan'),
        await world.address6('one', 'lan'),
        await world.ask('neighbour', '198.51.100.64', 80),
        await world.ask('neighbour', '2001:db8:1::100', 81),
        await world.ask('one', world.neighbourAddress, 82),
        /default via 198\.51\.100\.2 dev eth0/.test(await world.ok('exec', 'one', 'ip', 'route')),
        await world.ok('network', 'inspect', '-f', '{{.Driver}} {{.Scope}} {{.Options.parent}}', 'lan'),
      ];
    },
    expected: [
      '198.51.100.64',
      '2001:db8:1::100',
      '198.51.100.2',
      '2001:db8:1::2',
      '198.51.100.64',
      true,
      'macvlan local wan0',
    ],
  },
  {
    title: 'macvlan: containers reach each other in the mode bridge, and not in the mode private',
    async see(world) {
      const seen = [];
      for (const mode of ['bridge', 'private']) {
        await world.ok(
          'network',
          'create',
          '-d',
          'macvlan',
          ...own,
          ...onWan,
          '-o',
          `macvlan_mode=${mode}`,
          `lan-${mode}`,
        );
        await world.run('--name', `${mode}1`, '--network', `lan-${mode}`);
        await world.run('--name', `${mode}2`, '--network', `lan-${mode}`);
        await world.serveTcp(`${mode}1`, 80);
        seen.push(
          (await world.ask(`${mode}2`, '198.51.100.64', 80)).replace(/^(EHOSTUNREACH|timeout)$/, 'nothing'),
        );
        world.stopServers();
        await world.ok('rm', '-f', `${mode}1`, `${mode}2`);
        await world.ok('network', 'rm', `lan-${mode}`);
      }
      return seen;
    },
    expected: ['198.51.100.65', 'nothing'],
  },
  {
    title: 'macvlan: one container has the whole parent in the mode passthru, again and again',
    async see(world) {
      parentOf(world);
      await world.ok(
        'network',
        'create',
        '-d',
        'macvlan',
        '--subnet',
        '10.61.0.0/24',
        '-o',
        'parent=par0',
        '-o',
        'macvlan_mode=passthru',
        'all',
      );
      const codes = [];
      for (let round = 0; round < 2; round++)
        codes.push((await world.docker('run', '--rm', '--network', 'all', 'IMAGE', 'true')).code);
      const refused = [];
      for (const mode of ['bridge', 'passthru']) {
        const words = ['--subnet', '10.62.0.0/24', '-o', 'parent=par0', '-o', `macvlan_mode=${mode}`, 'more'];
        refused.push(
          /using parent interface par0/.test(
            (await world.docker('network', 'create', '-d', 'macvlan', ...words)).stderr,
          ),
        );
      }
      return [codes, refused];
    },
    expected: [
      [0, 0],
      [true, true],
    ],
    notDockerd: 'dockerd 20.10 lets a passthru parent be shared',
  },
  {
    title: 'macvlan: without a parent containers have each other alone, on a link that goes with the network',
    notDockerd: 'it needs links of the kind dummy, which not every kernel has',
    async see(world) {
      const id = await world.ok('network', 'create', '-d', 'macvlan', '--subnet', '10.61.0.0/24', 'alone');
      const parent = `dm-${id.slice(0, 12)}`;
      const made = world.ip('-o', 'link', 'show', parent) !== '';
      await world.run('--name', 'one', '--network', 'alone');
      await world.run('--name', 'two', '--network', 'alone');
      await world.serveTcp('one', 80);
      const seen = [
        made,
        // No address is taken for a gateway: there is none.
        await world.ask('two', '10.61.0.1', 80),
        /default/.test(await world.ok('exec', 'two', 'ip', 'route')),
      ];
      world.stopServers();
      await world.ok('rm', '-f', 'one', 'two');
      await world.ok('network', 'rm', 'alone');
      return [...seen, world.ip('-o', 'link', 'show', parent)];
    },
    expected: [true, '10.61.0.2', false, ''],
  },
  {
    title: 'macvlan: a network has several subnets, each with its own gateway, until all are full',
    async see(world) {
      // In no order: docker's own client has none for them.
      const subnets = ['10.61.0', '10.62.0'].flatMap((net) => [
        '--subnet',
        `${net}.0/30`,
        '--gateway',
        `${net}.1`,
      ]);
      await world.ok('network', 'create', '-d', 'macvlan', ...subnets, ...onWan, 'lan');
      const format =
        '{{with index .NetworkSettings.Networks "lan"}}{{.IPAddress}}/{{.IPPrefixLen}} {{.Gateway}}{{end}}';
      const seen = [];
      for (const [name, ...options] of [['one', '--ip', '10.62.0.2'], ['two']]) {
        await world.run('--name', name ?? '', '--network', 'lan', ...options);
        seen.push(await world.ok('inspect', '-f', format, name ?? ''));
      }
      return [...seen, (await world.docker('run', '--network', 'lan', 'IMAGE', 'true')).code];
    },
    expected: ['10.62.0.2/30 10.62.0.1', '10.61.0.2/30 10.61.0.1', 125],
  },
  {
    title: 'macvlan: parents that are not there, loopback and modes that are none are refused',
    async see(world) {
      const refused = [];
      for (const options of [
        ['parent=lo'],
        ['parent=nosuch'],
        ['parent=nosuch.10'],
        ['parent=wan0.5000'],
        ['macvlan_mode=x'],
      ]) {
        const words = options.flatMap((text) => ['-o', text]);
        const { code, stderr } = await world.docker('network', 'create', '-d', 'macvlan', ...words, 'x');
        refused.push(`${code} ${stderr.replace(/^.*?daemon: /s, '')}`);
      }
      return refused;
    },
    expected: [
      '1 loopback interface is not a valid macvlan parent link',
      '1 invalid subinterface vlan name nosuch, example formatting is eth0.10',
      '1 -o parent interface was not found on the host: nosuch',
      '1 vlan id must be between 1-4094, received: 5000',
      "1 requested macvlan mode 'x' is not valid, 'bridge' mode is the macvlan driver default",
    ],
    onDockerd: {
      expected: [
        '1 loopback interface is not a valid macvlan parent link',
        '1 invalid subinterface vlan name nosuch, example formatting is eth0.10',
        '1 -o parent interface does was not found on the host: nosuch',
        '1 vlan id must be between 1-4094, received: 5000',
        "1 requested macvlan mode 'x' is not valid, 'bridge' mode is the macvlan driver default",
      ],
      because: 'one text has been set right since',
    },
  },
  {
    title: 'macvlan: a VLAN of the parent is made and goes with the network, where the kernel has VLANs',
    async see(world) {
      const { code, stderr } = await world.docker(
        'network',
        'create',
        '-d',
        'macvlan',
        '-o',
        'parent=wan0.10',
        'tagged',
      );
      if (code !== 0) return /failed to create wan0\.10 vlan link/.test(stderr);
      const made = world.ip('-d', 'link', 'show', 'wan0.10').includes('vlan protocol 802.1Q id 10');
      await world.ok('network', 'rm', 'tagged');
      return made && world.ip('link', 'show', 'wan0.10') === '';
    },
    expected: true,
  },
  {
    title: 'macvlan: addresses stay when the engine crashes, and are given to nobody else',
    notDockerd: 'a promise of our engine',
    async see(world) {
      await world.ok('network', 'create', '-d', 'macvlan', ...own, ...onWan, 'lan');
      await world.run('--name', 'one', '--network', 'lan');
      await world.serveTcp('one', 80);
      await world.crash();
      const dead = await world.ask('neighbour', '198.51.100.64', 80);
      await world.restart();
      await world.run('--name', 'two', '--network', 'lan');
      return [dead, await world.ask('neighbour', '198.51.100.64', 80), await world.address('two', 'lan')];
    },
    expected: ['198.51.100.2', '198.51.100.2', '198.51.100.65'],
  },
  {
    title: 'macvlan: a container is connected to it and disconnected while it runs',
    async see(world) {
      await world.ok('network', 'create', '-d', 'macvlan', ...own, ...onWan, 'lan');
      await world.run('--name', 'one');
      const links = async () => (await world.ok('exec', 'one', 'ip', '-o', 'link')).split('\n').length;
      const seen = [await links()];
      await world.ok('network', 'connect', '--ip', '198.51.100.99', 'lan', 'one');
      seen.push(await links());
      await world.ok('network', 'disconnect', 'lan', 'one');
      seen.push(await links());
      return seen;
    },
    expected: [2, 3, 2],
  },
  {
    title:
      'ipvlan: containers share the parent’s MAC, where the kernel has ipvlan; an error says so where not',
    async see(world) {
      await world.ok('network', 'create', '-d', 'ipvlan', ...own, ...onWan, 'lan');
      const { code, stderr } = await world.docker(
        'run',
        '-d',
        '--name',
        'one',
        '--network',
        'lan',
        'IMAGE',
        'sleep',
        '600',
      );
      if (code !== 0) return [code, /failed to create the ipvlan port/.test(stderr)];
      await world.serveTcp('one', 80);
      return [code + 125, (await world.ask('neighbour', '198.51.100.64', 80)) === '198.51.100.2'];
    },
    expected: [125, true],
  },
  {
    title:
      'ipvlan: in the mode l3 the default route leads out of the link itself, where the kernel has ipvlan',
    async see(world) {
      const words = ['-d', 'ipvlan', '--subnet', '10.63.0.0/24', ...onWan, '-o', 'ipvlan_mode=l3', 'routed'];
      await world.ok('network', 'create', ...words);
      const { code, stdout, stderr } = await world.docker(
        'run',
        '--rm',
        '--network',
        'routed',
        'IMAGE',
        'ip',
        'route',
      );
      return code === 0
        ? stdout.startsWith('default dev eth0')
        : /failed to create the ipvlan port/.test(stderr);
    },
    expected: true,
  },
];

/** A link that nobody else uses, for the time of the case. */
function parentOf(world: NetworkWorld): void {
  world.ip('link', 'add', 'par0', 'type', 'veth', 'peer', 'name', 'par1');
  world.ip('link', 'set', 'par0', 'up');
}
