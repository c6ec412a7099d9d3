import type { NetworkCase } from './case.ts';

/** What networks are called, listed, made from and told of. */
export const managementCases: NetworkCase[] = [
  {
    title: 'networks are made from a configuration, which they keep in use',
    async see(world) {
      const settings = [
        '--subnet',
        '10.71.0.0/24',
        '-o',
        'com.docker.network.driver.mtu=1300',
        '--label',
        'a=b',
      ];
      await world.ok('network', 'create', '--config-only', ...settings, 'settings');
      await world.ok('network', 'create', '--config-from', 'settings', '--internal', 'made');
      await world.run('--name', 'one', '--network', 'made');
      const seen =
        '{{.Driver}} {{.ConfigOnly}} {{.ConfigFrom.Network}} {{.Internal}} {{.Labels.a}} {{(index .IPAM.Config 0).Subnet}}';
      const inspected = (await world.ok('network', 'inspect', '-f', seen, 'settings', 'made')).split('\n');
      const link = await world.ok('exec', 'one', 'ip', 'addr', 'show', 'eth0');
      const refused = [];
      for (const words of [
        ['network', 'rm', 'settings'],
        ['run', '--rm', '--network', 'settings', 'IMAGE', 'true'],
        ['network', 'create', '--config-from', 'nosuch', 'x'],
        ['network', 'create', '--config-only', '--internal', 'x'],
        ['network', 'create', '--config-from', 'settings', '--subnet', '10.72.0.0/24', 'x'],
        ['network', 'create', '--config-from', 'settings', '-o', 'a=b', 'x'],
      ])
        refused.push((await world.docker(...words)).stderr.split('\n')[0]?.replace(/^.*?daemon: /, ''));
      return [inspected, link.includes('mtu 1300'), link.includes('10.71.0.2/24'), refused];
    },
    expected: [
      ['null true  false b 10.71.0.0/24', 'bridge false settings true b 10.71.0.0/24'],
      true,
      true,
      [
        'error while removing network: configuration network "settings" is in use',
        'failed to set up container networking: cannot create endpoint on configuration-only network',
        'configuration network "nosuch" does not exist',
        'configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.',
        'user-specified configurations are not supported if the network depends on a configuration network',
        'network driver options are not supported if the network depends on a configuration network',
      ],
    ],
    onDockerd: {
      expected: [
        ['null true  false b 10.71.0.0/24', 'bridge false settings true b 10.71.0.0/24'],
        true,
        true,
        [
          'error while removing network: configuration network "settings" is in use',
          'cannot create endpoint on configuration-only network',
          'configuration network "nosuch" does not exist',
          'configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.',
          'user specified configurations are not supported if the network depends on a configuration network',
          'network driver options are not supported if the network depends on a configuration network',
        ],
      ],
      because: 'one text has another hyphen since, one more words before it',
    },
  },
  {
    title: 'what only a swarm has is refused',
    async see(world) {
      const refused = [];
      for (const words of [['-d', 'overlay'], ['--scope', 'swarm'], ['--ingress']]) {
        const { code, stderr } = await world.docker('network', 'create', ...words, 'x');
        refused.push([code, stderr.replace(/^.*?daemon: /s, '')]);
      }
      return refused;
    },
    expected: [
      [
        1,
        'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
      ],
      [1, 'cannot create a swarm scoped network when swarm is not active'],
      [1, 'Ingress network can only be global scope network'],
    ],
  },
  {
    title: 'lists are filtered by name, id, driver, label, use, scope and type',
    async see(world) {
      const id = await world.ok('network', 'create', '--label', 'tier=web', 'front');
      await world.ok('network', 'create', '--label', 'tier=db', 'back');
      await world.run('--network', 'front');
      const list = async (...filters: string[]) => {
        const words = filters.flatMap((filter) => ['--filter', filter]);
        return (await world.ok('network', 'ls', '--format', '{{.Name}}', ...words))
          .split('\n')
          .sort()
          .join(' ');
      };
      return [
        await list('name=^fr'),
        await list(`id=${id.slice(0, 10)}`),
        await list('driver=host'),
        await list('label=tier', 'name=a'),
        await list('label=tier=web'),
        await list('dangling=true'),
        await list('dangling=false', 'type=custom'),
        await list('type=builtin'),
        await list('scope=swarm'),
      ];
    },
    expected: ['front', 'front', 'host', 'back', 'front', 'back', 'front', 'bridge host none', ''],
    onDockerd: {
      expected: ['front', 'front', 'host', 'back', 'front', 'back front', '', 'bridge host none', ''],
      because: 'dockerd 20.10 does not know in a list who uses what',
    },
  },
  {
    title: 'what is wrong with an endpoint is said when the container is made, not when it starts',
    notDockerd: 'dockerd 20.10 says it when the container starts',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.73.0.0/24', 'a');
      const refused = [];
      for (const words of [
        ['--network', 'a', '--ip', '10.74.0.1'],
        ['--network', 'a', '--ip6', 'fd00::1', '--link-local-ip', '0.0.0.0'],
        ['--ip', '10.74.0.1'],
      ])
        refused.push((await world.docker('create', ...words, 'IMAGE')).stderr.replace(/^.*?daemon: /s, ''));
      return [refused, await world.ok('ps', '-aq')];
    },
    expected: [
      [
        'invalid config for network a: invalid endpoint settings:\nno configured subnet contains IP address 10.74.0.1',
        'invalid config for network a: invalid endpoint settings:\n* invalid link-local IP address: 0.0.0.0\n* no configured subnet contains IP address fd00::1',
        'invalid config for network bridge: invalid endpoint settings:\n* user-specified IP address is supported on user-defined networks only\n* no configured subnet contains IP address 10.74.0.1',
      ],
      '',
    ],
  },
  {
    title: 'that a network is made, removed or pruned is told as an event',
    async see(world) {
      const since = String(Math.floor(Date.now() / 1000));
      await world.ok('network', 'create', 'short');
      await world.ok('network', 'rm', 'short');
      await world.ok('network', 'prune', '-f');
      const until = String(Date.now() / 1000);
      const format =
        '{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}} {{.Actor.Attributes.reclaimed}}';
      const words = ['--since', since, '--until', until, '--filter', 'type=network', '--format', format];
      return (await world.ok('events', ...words)).split('\n').slice(-3);
    },
    expected: [
      'create short bridge <no value>',
      'destroy short bridge <no value>',
      'prune <no value> <no value> 0',
    ],
  },
  {
    title: 'prune leaves what is in use, what is labelled, what is younger and configurations',
    async see(world) {
      await world.ok('network', 'create', 'used');
      await world.ok('network', 'create', '--label', 'keep', 'labelled');
      await world.ok('network', 'create', '--config-only', 'settings');
      await world.ok('network', 'create', 'idle');
      await world.run('--network', 'used');
      const left = async () =>
        (await world.ok('network', 'ls', '--format', '{{.Name}}', '--filter', 'type=custom'))
          .split('\n')
          .sort()
          .join(' ');
      await world.ok('network', 'prune', '-f', '--filter', 'until=10m');
      const seen = [await left()];
      await world.ok('network', 'prune', '-f', '--filter', 'label!=keep');
      seen.push(await left());
      return seen;
    },
    expected: ['idle labelled settings used', 'labelled settings used'],
  },
];
