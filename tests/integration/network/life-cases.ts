import type { NetworkCase } from './case.ts';

const notDockerd = 'only our engine promises it: containers’ networks do not need the engine';

/** The engine dies, and the machine’s networking is changed behind its back. */
export const lifeCases: NetworkCase[] = [
  {
    title: 'ports are reached while the engine is dead; the next one adopts them and answers names',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.98.0.0/24', 'app');
      await world.run('--name', 'web', '--network', 'app', '-p', '8080:80');
      await world.serveTcp('web', 80);
      await world.crash();
      const dead = [
        await world.ask('neighbour', world.hostAddress, 8080),
        await world.ask('host', world.hostAddress, 8080),
      ];
      await world.restart();
      const { code, stderr } = await world.docker('run', '--rm', '-p', '8080:80', 'IMAGE', 'true');
      const adopted = [
        await world.ask('neighbour', world.hostAddress, 8080),
        await world.resolve('web', 'web'),
        code,
        /port is already allocated/.test(stderr),
      ];
      await world.ok('rm', '-f', 'web');
      return { dead, adopted, removed: await world.ask('neighbour', world.hostAddress, 8080) };
    },
    expected: {
      dead: ['198.51.100.2', '198.51.100.1'],
      adopted: ['198.51.100.2', '10.98.0.2', 125, true],
      removed: 'refused',
    },
    notDockerd,
  },
  {
    title: 'names are answered while the engine is dead, but not those of containers that end meanwhile',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.98.0.0/24', 'app');
      await world.run('--name', 'web', '--network', 'app');
      await world.run('--name', 'db', '--network', 'app', '--network-alias', 'data');
      const database = await world.pidOf('db');
      const resolver = await world.resolverOf('web');
      await world.crash();
      const dead = [];
      // A moment passes until somebody else has the sockets.
      await world.eventually(async () => (await resolver('db')) === '10.98.0.3');
      for (const name of ['data', 'one.example', 'nosuch.example']) dead.push(await resolver(name));
      dead.push(await resolver('10.98.0.3', 'PTR'), await resolver('db', 'AAAA'));
      process.kill(database, 'SIGKILL');
      await world.eventually(async () => (await resolver('db')) === 'NXDOMAIN');
      dead.push(await resolver('web'));
      await world.restart();
      const alive = [await resolver('web'), await resolver('db')];
      await world.ok('start', 'db');
      return { dead, alive: [...alive, await resolver('db')] };
    },
    expected: {
      dead: ['10.98.0.3', '192.0.2.1', 'NXDOMAIN', 'db.app', 'NOERROR', '10.98.0.2'],
      alive: ['10.98.0.2', 'NXDOMAIN', '10.98.0.3'],
    },
    notDockerd,
  },
  {
    title: 'names outlive an engine that is told to end, and nobody answers them twice afterwards',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.98.0.0/24', 'app');
      await world.run('--name', 'web', '--network', 'app');
      const resolver = await world.resolverOf('web');
      await world.stop();
      await world.eventually(async () => (await resolver('web')) === '10.98.0.2');
      await world.restart();
      await world.ok('rename', 'web', 'site');
      return [await resolver('site'), await resolver('web')];
    },
    expected: ['10.98.0.2', 'NXDOMAIN'],
    notDockerd,
  },
  {
    title: 'a bridge that somebody deleted is made again, and containers are put back on it',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.98.0.0/24', 'app');
      await world.run('--name', 'web', '--network', 'app', '-p', '8080:80');
      await world.serveTcp('web', 80);
      const id = await world.ok('network', 'inspect', '-f', '{{.Id}}', 'app');
      await world.crash();
      world.deleteLink(`br-${id.slice(0, 12)}`);
      const gone = await world.ask('neighbour', world.hostAddress, 8080);
      await world.restart();
      return [gone, await world.ask('neighbour', world.hostAddress, 8080)];
    },
    expected: ['timeout', '198.51.100.2'],
    notDockerd,
  },
  {
    title: 'a source address that is none of the network’s does not leave it',
    async see(world) {
      await world.run('--name', 'liar', '--cap-add', 'NET_ADMIN');
      await world.ok('exec', 'liar', 'ip', 'addr', 'add', '10.200.0.1/32', 'dev', 'lo');
      return world.datagramsAtNeighbour(7000, async () => {
        await world.send('liar', world.neighbourAddress, 7000, { source: '10.200.0.1', text: 'spoofed' });
        await world.send('liar', world.neighbourAddress, 7000, { text: 'honest' });
      });
    },
    expected: ['honest'],
    onDockerd: { expected: ['spoofed', 'honest'], because: 'it looks at no source address' },
  },
  {
    title: 'a client of a UDP port that never stops sending reaches the container that comes, and the next',
    async see(world) {
      const client = world.sendForever(world.hostAddress, 5353);
      const seen = [];
      try {
        for (const name of ['first', 'second']) {
          await world.run('--name', name, '--network', 'bridge', '-p', '5353:53/udp');
          // Another address each time.
          await world.run('--name', `${name}-neighbour`);
          await world.serveUdp(name, 53);
          client.seen.length = 0;
          await world.until(() => client.seen.length > 0, 3000);
          seen.push(client.seen[0]);
          // Its socket would keep the namespace.
          world.stopServers();
          await world.ok('rm', '-f', name);
        }
        return seen;
      } finally {
        client.stop();
      }
    },
    expected: ['198.51.100.2', '198.51.100.2'],
    onDockerd: {
      expected: ['172.17.0.1', '172.17.0.1'],
      because: 'its proxy in user space has the flow that the kernel does not look up again',
    },
  },
  {
    title: 'what others take while the engine runs comes back: all rules, some, the bridge, its address',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.98.0.0/24', 'app');
      await world.run('--name', 'web', '--network', 'app', '-p', '8080:80');
      await world.run('--name', 'other', '-p', '8081:80');
      await world.serveTcp('web', 80);
      await world.serveTcp('other', 80);
      const bridge = `br-${(await world.ok('network', 'inspect', '-f', '{{.Id}}', 'app')).slice(0, 12)}`;
      const isBack = async (): Promise<boolean> => {
        const [web, own, other] = await Promise.all([
          world.ask('neighbour', world.hostAddress, 8080),
          // To itself and around: what ports of a bridge are told is there as well.
          world.ask('web', world.hostAddress, 8080),
          world.ask('neighbour', world.hostAddress, 8081),
        ]);
        return web === world.neighbourAddress && own === '10.98.0.1' && other === world.neighbourAddress;
      };
      const losses: Record<string, () => unknown> = {
        nothing: () => {},
        'all rules': () => world.nft('flush', 'ruleset'),
        'some rules': () => world.nft('flush', 'table', 'inet', `coracle_${bridge.replaceAll('-', '_')}`),
        'its bridge': () => world.deleteLink(bridge),
        'default bridge': () => world.deleteLink(world.bridge),
        'its address': () => world.removeAddress(bridge, '10.98.0.1/24'),
      };
      const back: string[] = [];
      for (const [name, lose] of Object.entries(losses)) {
        lose();
        await world.eventually(isBack, `return of ${name}`);
        back.push(name);
      }
      // Links that were made ahead led to the bridge that is gone.
      await world.run('--name', 'late', '-p', '8082:80');
      await world.serveTcp('late', 80);
      return [back, await world.ask('neighbour', world.hostAddress, 8082)];
    },
    expected: [
      ['nothing', 'all rules', 'some rules', 'its bridge', 'default bridge', 'its address'],
      '198.51.100.2',
    ],
    notDockerd,
  },
  {
    title: 'what others take while the engine is dead is back when the next one has started',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.98.0.0/24', 'app');
      await world.run('--name', 'web', '--network', 'app', '-p', '8080:80');
      await world.run('--name', 'other', '-p', '8081:80');
      await world.serveTcp('web', 80);
      await world.serveTcp('other', 80);
      const bridge = `br-${(await world.ok('network', 'inspect', '-f', '{{.Id}}', 'app')).slice(0, 12)}`;
      await world.crash();
      world.nft('flush', 'ruleset');
      world.deleteLink(bridge);
      world.deleteLink(world.bridge);
      await world.restart();
      return [
        await world.ask('neighbour', world.hostAddress, 8080),
        await world.ask('web', world.hostAddress, 8080),
        await world.ask('neighbour', world.hostAddress, 8081),
        await world.resolve('web', 'web'),
      ];
    },
    expected: ['198.51.100.2', '10.98.0.1', '198.51.100.2', '10.98.0.2'],
    notDockerd,
  },
  {
    title:
      'containers are back on a parent that somebody took when it is there again, made by the engine or not',
    async see(world) {
      const macvlan = ['network', 'create', '-d', 'macvlan', '--subnet'];
      const addParent = (): void => {
        world.ip('link', 'add', 'par0', 'type', 'veth', 'peer', 'name', 'par1');
        for (const end of ['par1', 'par0']) world.ip('link', 'set', end, 'up');
      };
      addParent();
      await world.ok(...macvlan, '10.62.0.0/24', '--gateway', '10.62.0.9', '-o', 'parent=par0', 'lan');
      const id = await world.ok(...macvlan, '10.61.0.0/24', 'alone');
      for (const network of ['lan', 'alone']) {
        for (const name of ['one', 'two'])
          await world.run('--name', `${network}-${name}`, '--network', network);
        await world.serveTcp(`${network}-one`, 80);
      }
      const isBack = async (network: string, address: string, from: string): Promise<boolean> =>
        (await world.ask(`${network}-two`, address, 80)) === from;
      const own = () => isBack('alone', '10.61.0.1', '10.61.0.2');
      const hosts = () => isBack('lan', '10.62.0.1', '10.62.0.2');
      const seen = [await own(), await hosts()];
      world.deleteLink(`dm-${id.slice(0, 12)}`);
      await world.eventually(own, 'return of the engine’s own');
      world.deleteLink('par0');
      const down = async (): Promise<boolean> =>
        /network lan is not up/.test((await world.docker('run', '--network', 'lan', 'IMAGE', 'true')).stderr);
      await world.eventually(down, 'loss of the host’s');
      addParent();
      await world.eventually(hosts, 'return of the host’s');
      seen.push(
        (await world.ok('exec', 'lan-two', 'ip', 'route')).startsWith('default via 10.62.0.9 dev eth0'),
      );
      await world.crash();
      world.deleteLink(`dm-${id.slice(0, 12)}`);
      await world.restart();
      seen.push(await own());
      world.deleteLink('par0');
      return seen;
    },
    expected: [true, true, true, true],
    notDockerd,
  },
  {
    title: 'a connection goes on while the engine dies and comes back',
    async see(world) {
      await world.run('--name', 'web', '-p', '8080:80');
      const talk = await world.talk('neighbour', 'web', { port: 80, published: 8080 });
      const said = [await talk.say('one')];
      await world.crash();
      said.push(await talk.say('two'));
      await world.restart();
      said.push(await talk.say('three'));
      return said;
    },
    expected: ['one', 'two', 'three'],
    notDockerd,
  },
  {
    title: 'what an engine that was killed left half made is removed by the next',
    async see(world) {
      await world.run('--name', 'web');
      await world.serveTcp('web', 80);
      await world.crash();
      const orphan = world.makeOrphan(world.bridge);
      await world.restart();
      await world.eventually(async () => !world.hostLinks().includes(orphan));
      return /^\d/.test(await world.ask('host', await world.address('web', 'bridge'), 80));
    },
    expected: true,
    notDockerd,
  },
];
