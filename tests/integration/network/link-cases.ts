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
];
