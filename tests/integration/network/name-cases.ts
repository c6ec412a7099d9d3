import { dnsQuery } from '../../fixtures/dns.ts';
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
    expected: ['db.app', 'NOERROR'],
  },
  {
    title: 'one alias of several containers is answered with all',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.97.0.0/24', 'app');
      for (const name of ['aa', 'bb', 'cc'])
        await world.run('--name', name, '--network', 'app', '--network-alias', 'all');
      return [await world.resolve('aa', 'all'), await world.resolve('aa', 'all', 'A', 'tcp')];
    },
    expected: ['10.97.0.2 10.97.0.3 10.97.0.4', '10.97.0.2 10.97.0.3 10.97.0.4'],
  },
  {
    title: 'names of other networks are not answered',
    async see(world) {
      await world.ok('network', 'create', 'a');
      await world.ok('network', 'create', 'b');
      await world.run('--name', 'one', '--network', 'a');
      await world.run('--name', 'two', '--network', 'b');
      return world.resolve('two', 'one');
    },
    expected: 'NXDOMAIN',
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
    title: 'other names are asked of the host’s name server, by UDP and TCP, with what EDNS says',
    async see(world) {
      await world.ok('network', 'create', 'app');
      await world.run('--name', 'web', '--network', 'app');
      world.takeAsked();
      const udp = await world.resolve('web', 'one.example');
      const tcp = await world.resolve('web', 'one.example', 'A', 'tcp');
      const edns = await world.lookup('web', 'one.example', 'A', { edns: 1232 });
      return [udp, tcp, edns.records, world.takeAsked()];
    },
    expected: [
      '192.0.2.1',
      '192.0.2.1',
      ['192.0.2.1'],
      ['udp one.example 1', 'tcp one.example 1', 'udp one.example 1 1232'],
    ],
  },
  {
    title: 'an answer too big for a datagram says so, and comes whole by TCP or where EDNS allows it',
    async see(world) {
      await world.ok('network', 'create', 'app');
      await world.run('--name', 'web', '--network', 'app');
      const [udp, edns, tcp] = [
        await world.lookup('web', 'big.example'),
        await world.lookup('web', 'big.example', 'A', { edns: 4096 }),
        await world.lookup('web', 'big.example', 'A', { protocol: 'tcp' }),
      ];
      return [udp.truncated, edns.truncated, edns.records.length, tcp.truncated, tcp.records.length];
    },
    expected: [true, false, 60, false, 60],
  },
  {
    title: 'what the outside says is passed on: no such name, no record of this type, its own failure',
    async see(world) {
      await world.ok('network', 'create', 'app');
      await world.run('--name', 'web', '--network', 'app');
      return [
        await world.resolve('web', 'nosuch.example'),
        await world.resolve('web', 'one.example', 'AAAA'),
        await world.resolve('web', 'six.example', 'AAAA'),
        await world.resolve('web', 'fail.example'),
      ];
    },
    expected: ['NXDOMAIN', 'NOERROR', '2001:db8::6', 'SERVFAIL'],
  },
  {
    title: 'servers of --dns are asked instead of the host’s, in order, from the container’s own network',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.97.0.0/24', 'app');
      await world.run('--name', 'refuses', '--network', 'app', '--ip', '10.97.0.100');
      const words = ['--dns', '10.97.0.100', '--dns', world.neighbourAddress];
      await world.run('--name', 'web', '--network', 'app', ...words);
      world.takeAsked();
      return [await world.resolve('web', 'one.example'), world.takeAsked()];
    },
    expected: ['192.0.2.1', ['udp one.example 1']],
  },
  {
    title: 'a container of an internal network asks nobody outside',
    async see(world) {
      await world.ok('network', 'create', '--internal', 'inside');
      await world.run('--name', 'web', '--network', 'inside');
      await world.run('--name', 'db', '--network', 'inside');
      world.takeAsked();
      const [outside, inside] = [await world.resolve('web', 'one.example'), await world.resolve('web', 'db')];
      return [outside, /^\d/.test(inside), world.takeAsked()];
    },
    expected: ['SERVFAIL', true, []],
    notDockerd: 'it hands out a default route there (until 25), and asks',
  },
  {
    title: 'a server that nothing leads to has no answer, and does no harm',
    async see(world) {
      await world.ok('network', 'create', '--internal', '--subnet', '10.97.0.0/24', 'inside');
      await world.run('--name', 'web', '--network', 'inside', '--dns', '203.0.113.9');
      return [
        await world.resolve('web', 'one.example'),
        await world.resolve('web', 'one.example', 'A', 'tcp'),
        await world.resolve('web', 'web'),
      ];
    },
    expected: ['SERVFAIL', 'SERVFAIL', '10.97.0.2'],
    notDockerd: 'it hands out a default route there (until 25), and waits',
  },
  {
    title: 'a name server on a loopback address of the host is asked there, whatever it is called',
    async see(world) {
      await world.ok('network', 'create', 'app');
      const seen = [];
      for (const address of ['127.0.0.53', '127.0.0.11']) {
        seen.push(
          await world.withHostResolver(address, async () => {
            await world.run('--name', 'web', '--network', 'app');
            const found = await world.resolve('web', 'one.example');
            await world.ok('rm', '-f', 'web');
            return found;
          }),
        );
      }
      return seen;
    },
    expected: ['192.0.2.1', '192.0.2.1'],
  },
  {
    title: 'a container that is told to ask itself for names outside does not ask for ever',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.97.0.0/24', 'app');
      await world.run('--name', 'web', '--network', 'app', '--dns', '127.0.0.11');
      return [await world.resolve('web', 'one.example'), await world.resolve('web', 'web')];
    },
    expected: ['SERVFAIL', '10.97.0.2'],
    onDockerd: {
      expected: ['timeout', '10.97.0.2'],
      because: 'it asks itself until nobody waits any more (until 25)',
    },
  },
  {
    title: 'ndots keeps names without dots from servers outside',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.97.0.0/24', 'app');
      await world.run('--name', 'web', '--network', 'app', '--dns-option', 'ndots:2');
      world.takeAsked();
      return [await world.resolve('web', 'short'), await world.resolve('web', 'web'), world.takeAsked()];
    },
    expected: ['NOERROR', '10.97.0.2', []],
  },
  {
    title: 'search list and options are written for the container’s resolver, ndots:0 where nobody said',
    async see(world) {
      await world.ok('network', 'create', 'app');
      const words = ['--dns-search', 'search.example', '--dns-option', 'attempts:3'];
      await world.run('--name', 'web', '--network', 'app', ...words);
      await world.run('--name', 'plain', ...words, '--dns', '192.0.2.53');
      const lines = async (name: string) =>
        (await world.ok('exec', name, 'cat', '/etc/resolv.conf'))
          .split('\n')
          .filter((line) => line !== '' && !line.startsWith('#'))
          .sort();
      return [await lines('web'), await lines('plain')];
    },
    expected: [
      ['nameserver 127.0.0.11', 'options attempts:3 ndots:0', 'search search.example'],
      ['nameserver 192.0.2.53', 'options attempts:3', 'search search.example'],
    ],
  },
  {
    title: 'a container in another’s network asks its name server, and has its names',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.97.0.0/24', 'app');
      await world.run('--name', 'db', '--network', 'app');
      await world.run('--name', 'web', '--network', 'app');
      await world.run('--name', 'beside', '--network', 'container:web');
      const file = await world.ok('exec', 'beside', 'cat', '/etc/resolv.conf');
      return [await world.resolve('beside', 'db'), file.includes('nameserver 127.0.0.11')];
    },
    expected: ['10.97.0.2', true],
  },
  {
    title: 'a container of two networks is known in each by its address there, and knows both',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.97.0.0/24', 'front');
      await world.ok('network', 'create', '--subnet', '10.98.0.0/24', 'back');
      await world.run('--name', 'edge', '--network', 'front');
      await world.ok('network', 'connect', '--alias', 'inner', 'back', 'edge');
      await world.run('--name', 'web', '--network', 'front');
      await world.run('--name', 'db', '--network', 'back');
      return [
        await world.resolve('web', 'edge'),
        await world.resolve('db', 'edge'),
        await world.resolve('db', 'inner'),
        await world.resolve('web', 'inner'),
        await world.resolve('edge', 'db'),
        await world.resolve('edge', 'web'),
      ];
    },
    expected: ['10.97.0.2', '10.98.0.2', '10.98.0.2', 'NXDOMAIN', '10.98.0.3', '10.97.0.3'],
  },
  {
    title: 'round robin: the first of several addresses is another one now and then',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.97.0.0/24', 'app');
      for (const name of ['aa', 'bb', 'cc'])
        await world.run('--name', name, '--network', 'app', '--network-alias', 'all');
      const first = new Set<string>();
      for (let count = 0; count < 60; count++)
        first.add((await world.lookup('aa', 'all', 'A', { isSorted: false })).records[0] ?? '');
      return [...first].sort();
    },
    expected: ['10.97.0.2', '10.97.0.3', '10.97.0.4'],
  },
  {
    title: 'mail for a container has no record of its own, and nobody outside is asked',
    async see(world) {
      await world.ok('network', 'create', 'app');
      await world.run('--name', 'web', '--network', 'app');
      world.takeAsked();
      return [(await world.lookup('web', 'web', 'MX')).code, world.takeAsked()];
    },
    expected: ['NOERROR', []],
  },
  {
    title: 'a name of ours has no records of other types either, without anybody being asked',
    async see(world) {
      await world.ok('network', 'create', 'app');
      await world.run('--name', 'web', '--network', 'app');
      world.takeAsked();
      return [(await world.lookup('web', 'web', 'HTTPS')).code, world.takeAsked()];
    },
    expected: ['NOERROR', []],
    onDockerd: {
      expected: ['NXDOMAIN', ['udp web 65']],
      because:
        'it tells servers outside the names of containers, and believes them that there is no such name',
    },
  },
  {
    title: 'messages that are none do no harm',
    async see(world) {
      await world.ok('network', 'create', '--subnet', '10.97.0.0/24', 'app');
      await world.run('--name', 'web', '--network', 'app');
      const question = dnsQuery('web', 'A');
      const loop = Buffer.concat([question.subarray(0, 12), Buffer.from('c00c00010001', 'hex')]);
      const pieces = Array.from({ length: question.length }, (_, length) => question.subarray(0, length));
      await world.babble('web', [...pieces, loop, Buffer.alloc(600, 255), Buffer.alloc(12)]);
      return world.resolve('web', 'web');
    },
    expected: '10.97.0.2',
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
