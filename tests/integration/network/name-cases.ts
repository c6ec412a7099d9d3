import type { NetworkCase } from './case.ts';

export const nameCases: NetworkCase[] = [
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
