import type { NetworkCase } from './case.ts';

export const linkCases: NetworkCase[] = [
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
  {
    title: 'the paper’s pair: a web program reaches its database by alias, and is reached from outside',
    async see(world) {
      await world.run('--name', 'db', '--expose', '5432');
      await world.run('--name', 'web', '--link', 'db:store', '-p', '8080:80');
      await world.serveTcp('db', 5432);
      await world.serveRelay('web', 80, { host: 'store', port: 5432 });
      const web = await world.address('web', 'bridge');
      const seen = [await world.ask('neighbour', world.hostAddress, 8080)];
      const address = await world.address('db', 'bridge');
      await world.ok('stop', '-t', '0', 'db');
      await world.run('--name', 'thief');
      await world.ok('start', 'db');
      await world.serveTcp('db', 5432);
      seen.push(await world.ask('neighbour', world.hostAddress, 8080));
      return [seen.map((one) => one === web), (await world.address('db', 'bridge')) === address];
    },
    // What the database sees is the web program, before and after; and it has moved.
    expected: [[true, true], false],
  },
  {
    title: 'variables of a link: first port, every port, ranges, and the target’s own but HOME and PATH',
    async see(world) {
      const ports = ['--expose', '7000-7002', '--expose', '53/udp', '--expose', '80'];
      await world.run('--name', 'db', ...ports, '-e', 'SECRET=s=t', '-e', 'HOME=/x', '-e', 'EMPTY=');
      await world.run('--name', 'web', '--link', 'db:the-store');
      const address = await world.address('db', 'bridge');
      return (await world.ok('exec', 'web', 'env'))
        .split('\n')
        .filter((line) => line.startsWith('THE_STORE'))
        .map((line) => line.replaceAll(address, 'ADDRESS'))
        .sort();
    },
    expected: [
      'THE_STORE_ENV_EMPTY=',
      'THE_STORE_ENV_SECRET=s=t',
      'THE_STORE_NAME=/web/the-store',
      'THE_STORE_PORT=udp://ADDRESS:53',
      'THE_STORE_PORT_53_UDP=udp://ADDRESS:53',
      'THE_STORE_PORT_53_UDP_ADDR=ADDRESS',
      'THE_STORE_PORT_53_UDP_PORT=53',
      'THE_STORE_PORT_53_UDP_PROTO=udp',
      'THE_STORE_PORT_7000_TCP=tcp://ADDRESS:7000',
      'THE_STORE_PORT_7000_TCP_ADDR=ADDRESS',
      'THE_STORE_PORT_7000_TCP_END=tcp://ADDRESS:7002',
      'THE_STORE_PORT_7000_TCP_PORT=7000',
      'THE_STORE_PORT_7000_TCP_PORT_END=7002',
      'THE_STORE_PORT_7000_TCP_PORT_START=7000',
      'THE_STORE_PORT_7000_TCP_PROTO=tcp',
      'THE_STORE_PORT_7000_TCP_START=tcp://ADDRESS:7000',
      'THE_STORE_PORT_7001_TCP=tcp://ADDRESS:7001',
      'THE_STORE_PORT_7001_TCP_ADDR=ADDRESS',
      'THE_STORE_PORT_7001_TCP_PORT=7001',
      'THE_STORE_PORT_7001_TCP_PROTO=tcp',
      'THE_STORE_PORT_7002_TCP=tcp://ADDRESS:7002',
      'THE_STORE_PORT_7002_TCP_ADDR=ADDRESS',
      'THE_STORE_PORT_7002_TCP_PORT=7002',
      'THE_STORE_PORT_7002_TCP_PROTO=tcp',
      'THE_STORE_PORT_80_TCP=tcp://ADDRESS:80',
      'THE_STORE_PORT_80_TCP_ADDR=ADDRESS',
      'THE_STORE_PORT_80_TCP_PORT=80',
      'THE_STORE_PORT_80_TCP_PROTO=tcp',
    ],
  },
  {
    title: 'links nobody can have: to itself, to the host’s network, from there, badly written',
    async see(world) {
      await world.run('--name', 'onhost', '--network', 'host');
      await world.run('--name', 'db');
      const errors = [];
      for (const words of [
        ['--name', 'me', '--link', 'me:x'],
        ['--link', 'onhost:x'],
        ['--network', 'host', '--link', 'db:x'],
        ['--network', 'container:db', '--link', 'db:x'],
        ['--link', 'db:x:y'],
      ]) {
        const { code, stderr } = await world.docker('run', '--rm', ...words, 'IMAGE', 'true');
        errors.push(`${code} ${stderr.replace(/^.*daemon: /, '').split('\n')[0]}`);
      }
      return errors;
    },
    expected: [
      '125 could not get container for me: No such container: me',
      "125 conflicting options: host type networking can't be used with links. This would result in undefined behavior",
      "125 conflicting options: host type networking can't be used with links. This would result in undefined behavior",
      "125 conflicting options: container type network can't be used with links. This would result in undefined behavior",
      '125 invalid argument "db:x:y" for "--link" flag: bad format for links: db:x:y',
    ],
  },
  {
    title: 'a link is shown, and follows a rename of either end',
    async see(world) {
      await world.run('--name', 'db');
      await world.run('--name', 'web', '--link', 'db:store');
      const shown: string[] = [];
      const look = async (name: string) =>
        shown.push(await world.ok('inspect', '-f', '{{json .HostConfig.Links}}', name));
      await look('web');
      await world.ok('rename', 'db', 'base');
      await look('web');
      await world.ok('rename', 'web', 'site');
      await look('site');
      return shown;
    },
    expected: ['["/db:/web/store"]', '["/base:/web/store"]', '["/base:/site/store"]'],
  },
  {
    title: 'a link by id, and without an alias',
    async see(world) {
      const id = await world.run('--name', 'db');
      await world.run('--name', 'web', '--link', 'db', '--link', `${id}:byid`);
      const hosts = await world.ok('exec', 'web', 'cat', '/etc/hosts');
      const address = await world.address('db', 'bridge');
      return hosts
        .split('\n')
        .filter((line) => line.startsWith(address))
        .map((line) => line.replace(address, 'ADDRESS').replace(id.slice(0, 12), 'ID'))
        .sort();
    },
    expected: ['ADDRESS\tbyid ID db', 'ADDRESS\tdb ID'],
  },
  {
    title: 'errors of removing links',
    async see(world) {
      await world.run('--name', 'db');
      await world.run('--name', 'web', '--link', 'db:store');
      const errors = [];
      for (const link of ['web', '/nosuch/store', 'web/other']) {
        const { stderr } = await world.docker('rm', '--link', link);
        errors.push(stderr.replace(/^.*daemon: /, ''));
      }
      return errors;
    },
    expected: [
      'Conflict, cannot remove the default link name of the container',
      'No such container: nosuch/store',
      'No such container: web/other',
    ],
  },
  {
    title: 'a link to a container that is on another network has no use',
    async see(world) {
      await world.ok('network', 'create', 'far');
      await world.run('--name', 'db', '--network', 'far');
      const { code, stderr } = await world.docker('run', '--rm', '--link', 'db:x', 'IMAGE', 'true');
      return `${code} ${stderr.replace(/^.*daemon: /, '').split('\n')[0]}`;
    },
    expected: '125 Cannot link to /db, as it does not belong to the default network',
  },
  {
    title: 'a link to one that has another’s network leads to that one',
    async see(world) {
      await world.run('--name', 'db');
      await world.run('--name', 'beside', '--network', 'container:db');
      await world.run('--name', 'web', '--link', 'beside:store');
      const hosts = await world.ok('exec', 'web', 'cat', '/etc/hosts');
      return [
        hosts.includes(`${await world.address('db', 'bridge')}\tstore `),
        await world.ok('inspect', '-f', '{{json .HostConfig.Links}}', 'web'),
      ];
    },
    expected: [true, '["/db:/web/store"]'],
  },
  {
    title: 'links on a network of the user’s come and go with connect and disconnect',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.97.0.0/24', 'app');
      await world.run('--name', 'db', '--network', 'app');
      await world.run('--name', 'web');
      await world.ok('network', 'connect', '--link', 'db:store', 'app', 'web');
      const linked = await world.resolve('web', 'store');
      const shown = await world.ok(
        'inspect',
        '-f',
        '{{json (index .NetworkSettings.Networks "app").Links}}',
        'web',
      );
      await world.ok('network', 'disconnect', 'app', 'web');
      await world.ok('network', 'connect', 'app', 'web');
      return [linked, shown, await world.resolve('web', 'store')];
    },
    expected: ['10.97.0.2', '["db:store"]', 'NXDOMAIN'],
  },
  {
    title: 'where neighbours are kept apart a link opens the ports that its target exposes, and nothing else',
    async see(world) {
      return world.withFlags(['--icc=false'], async () => {
        await world.run('--name', 'db', '--expose', '5432', '--expose', '53/udp');
        await world.run('--name', 'web', '--link', 'db:store');
        await world.run('--name', 'other');
        for (const port of [5432, 80]) await world.serveTcp('db', port);
        await world.serveUdp('db', 53);
        await world.serveTcp('web', 80);
        const [db, web] = [await world.address('db', 'bridge'), await world.address('web', 'bridge')];
        const seen = async () => [
          (await world.ask('web', db, 5432)) === web,
          (await world.ask('web', db, 53, 'udp')) === web,
          await world.ask('web', db, 80),
          await world.ask('other', db, 5432),
          await world.ask('db', web, 80),
          await world.ask('other', web, 80),
        ];
        const first = await seen();
        await world.crash();
        await world.restart(['--icc=false']);
        const adopted = await seen();
        await world.ok('rm', '--link', 'web/store');
        return [first, adopted, await world.ask('web', db, 5432)];
      });
    },
    expected: [
      [true, true, 'timeout', 'timeout', 'timeout', 'timeout'],
      [true, true, 'timeout', 'timeout', 'timeout', 'timeout'],
      'timeout',
    ],
    notDockerd: 'it needs br_netfilter for it',
  },
];
