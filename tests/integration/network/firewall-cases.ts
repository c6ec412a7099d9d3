import { writeFileSync } from 'node:fs';
import type { NetworkWorld } from '../../fixtures/network-world.ts';
import type { NetworkCase } from './case.ts';

const notDockerd = 'the option or the behaviour is our own';

/** As dockerd and ufw leave a machine: nothing is forwarded that no rule accepts, bridged packets included. */
async function whereForwardingIsDropped<T>(world: NetworkWorld, body: () => Promise<T>): Promise<T> {
  writeFileSync('/proc/sys/net/bridge/bridge-nf-call-iptables', '1');
  const script = `*filter
:FORWARD DROP
:DOCKER-USER -
:THEIRS -
-A FORWARD -j DOCKER-USER
-A FORWARD -j THEIRS
-A DOCKER-USER -j RETURN
COMMIT
`;
  const refused = world.iptables(script) + world.iptables('*filter\n:FORWARD DROP\nCOMMIT\n', 'ip6tables');
  if (refused !== '') throw new Error(refused);
  try {
    return await body();
  } finally {
    await world.reset();
    world.nft('delete', 'table', 'ip', 'filter');
    world.nft('delete', 'table', 'ip6', 'filter');
    writeFileSync('/proc/sys/net/bridge/bridge-nf-call-iptables', '0');
  }
}

/** The neighbour's, another each time: the last connections of the one before keep it. */
let outsidePort = 9100;

/** What of `one` and `two` on the network `app` is reached. */
async function reached(world: NetworkWorld): Promise<string[]> {
  await world.serveTcp('one', 80);
  await world.serveTcp('neighbour', ++outsidePort);
  const inside = await world.ask('two', await world.address('one', 'app'), 80);
  return [
    inside === (await world.address('two', 'app')) ? 'reached' : inside,
    await world.ask('two', world.neighbourAddress, outsidePort),
    await world.ask('neighbour', world.hostAddress, 8080),
  ];
}

/** An input policy of the operator's, while `body` runs. */
async function withInput<T>(world: NetworkWorld, rules: string, body: () => Promise<T>): Promise<T> {
  const table = 'inet operators_own';
  world.nft(
    `table ${table} { chain input { type filter hook input priority filter; policy drop; iifname "lo" accept; ct state established,related accept; icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; ${rules} }; }`,
  );
  try {
    return await body();
  } finally {
    world.nft('delete', 'table', ...table.split(' '));
  }
}

const gated = ['--publish-policy', 'host-firewall'];

export const firewallCases: NetworkCase[] = [
  {
    title: 'where iptables drops what is forwarded, networks work, and the rules for it go with them',
    async see(world) {
      return whereForwardingIsDropped(world, async () => {
        await world.ok('network', 'create', 'app');
        await world.run('--name', 'one', '--network', 'app', '-p', '8080:80');
        await world.run('--name', 'two', '--network', 'app');
        const open = await reached(world);
        const id = await world.ok('network', 'inspect', '-f', '{{.Id}}', 'app');
        const bridge = `br-${id.slice(0, 12)}`;
        const rules = world.iptablesForward().map((rule) => rule.replaceAll(bridge, 'BRIDGE'));
        await world.reset();
        const left = world.iptablesForward().filter((rule) => rule.includes(bridge));
        return [open, rules.filter((rule) => !rule.includes(world.bridge)), left];
      });
    },
    expected: [
      ['reached', '198.51.100.1', '198.51.100.2'],
      [
        '-P FORWARD DROP',
        '-A FORWARD -j DOCKER-USER',
        '-A FORWARD -o BRIDGE -m comment --comment "coracle:BRIDGE" -j ACCEPT',
        '-A FORWARD -i BRIDGE -m comment --comment "coracle:BRIDGE" -j ACCEPT',
        '-A FORWARD -j THEIRS',
      ],
      [],
    ],
    notDockerd,
  },
  {
    title: 'another program’s bridge stays closed to containers though iptables lets all of theirs pass',
    async see(world) {
      world.addBridge('theirs0');
      try {
        return await whereForwardingIsDropped(world, async () => {
          await world.ok('network', 'create', 'app');
          await world.run('--name', 'one', '--network', 'app');
          await world.serveTcp('neighbour', ++outsidePort);
          return [
            await world.ask('one', '10.66.0.2', outsidePort),
            await world.ask('one', world.neighbourAddress, outsidePort),
          ];
        });
      } finally {
        world.deleteLink('theirs0p');
        world.deleteLink('theirs0');
      }
    },
    expected: ['timeout', '198.51.100.1'],
    notDockerd,
  },
  {
    title: 'a firewall that begins to drop while the engine runs is noticed with the next container',
    async see(world) {
      await world.ok('network', 'create', 'app');
      await world.run('--name', 'one', '--network', 'app', '-p', '8080:80');
      return whereForwardingIsDropped(world, async () => {
        await world.run('--name', 'two', '--network', 'app');
        await world.eventually(() => Promise.resolve(world.iptablesForward().length >= 5));
        return reached(world);
      });
    },
    expected: ['reached', '198.51.100.1', '198.51.100.2'],
    notDockerd,
  },
  {
    title: 'iptables=false leaves the chains of others alone, and info says what that means',
    async see(world) {
      return whereForwardingIsDropped(world, () =>
        world.withFlags(['--iptables=false'], async () => {
          await world.ok('network', 'create', 'app');
          await world.run('--name', 'one', '--network', 'app', '-p', '8080:80');
          await world.run('--name', 'two', '--network', 'app');
          const warnings = await world.ok('info', '-f', '{{json .Warnings}}');
          return [
            await reached(world),
            world.iptablesForward().some((rule) => rule.includes('coracle')),
            /drops forwarded packets by policy/.test(warnings),
          ];
        }),
      );
    },
    expected: [['timeout', 'timeout', 'timeout'], false, true],
    notDockerd,
  },
  {
    title: 'rules of the operator’s chain come before ours and stay when the engine ends',
    async see(world) {
      await world.run('--name', 'web', '-p', '8080:80', '-p', '8081:80');
      await world.serveTcp('web', 80);
      const table = `operator_${world.bridge}`;
      world.nft('add', 'rule', 'inet', table, 'prerouting', 'tcp', 'dport', '8080', 'drop');
      const before = [
        await world.ask('neighbour', world.hostAddress, 8080),
        await world.ask('neighbour', world.hostAddress, 8081),
      ];
      await world.stop();
      await world.restart();
      const after = await world.ask('neighbour', world.hostAddress, 8080);
      world.nft('flush', 'chain', 'inet', table, 'prerouting');
      return [before, after, await world.ask('neighbour', world.hostAddress, 8080)];
    },
    expected: [['timeout', '198.51.100.2'], 'timeout', '198.51.100.2'],
    notDockerd,
  },
  {
    title: 'a packet that the operator marks passes where ours would drop it',
    async see(world) {
      return world.withFlags(['--bridge-accept-fwmark', '0x10/0x10'], async () => {
        await world.run('--name', 'web');
        await world.serveTcp('web', 80);
        const address = await world.address('web', 'bridge');
        const before = await world.ask('neighbour', address, 80);
        world.nft(
          'table inet marking { chain prerouting { type filter hook prerouting priority -301; iifname "wan0" meta mark set 0x10; }; }',
        );
        const marked = await world.ask('neighbour', address, 80);
        world.nft('delete', 'table', 'inet', 'marking');
        return [before, marked];
      });
    },
    expected: ['timeout', '198.51.100.2'],
    notDockerd,
  },
  {
    title: 'with the policy host-firewall a port is reached that the host’s nftables let in, and no other',
    async see(world) {
      return world.withFlags(gated, async () => {
        await world.ok(
          'network',
          'create',
          '--ipv6',
          '--subnet',
          '10.88.0.0/24',
          '--subnet',
          'fd88::/64',
          'dual',
        );
        const ports = ['-p', '8080:80', '-p', '8081:80', '-p', '9000-9009:90-99', '-p', '5353:53/udp'];
        await world.run('--name', 'web', '--network', 'dual', ...ports);
        await world.serveTcp('web', 80);
        await world.serveTcp('web', 80, '::');
        await world.serveTcp('web', 95);
        await world.serveUdp('web', 53);
        const rules =
          'tcp dport { 8080, 9005 } accept; udp dport 5353 accept; tcp dport 8081 reject with tcp reset;';
        return withInput(world, rules, async () => [
          await world.ask('neighbour', world.hostAddress, 8080),
          await world.ask('neighbour', world.hostAddress6, 8080),
          await world.ask('neighbour', world.hostAddress, 9005),
          await world.ask('neighbour', world.hostAddress, 5353, 'udp'),
          await world.ask('neighbour', world.hostAddress, 8081),
          await world.ask('neighbour', world.hostAddress, 9006),
          await world.ask('neighbour', await world.address('web', 'dual'), 80),
          (await world.ask('host', '127.0.0.1', 8081)) === '10.88.0.1',
        ]);
      });
    },
    expected: [
      '198.51.100.2',
      '2001:db8:1::2',
      '198.51.100.2',
      '198.51.100.2',
      'refused',
      'timeout',
      'timeout',
      true,
    ],
    notDockerd,
  },
  {
    title: 'with the policy host-firewall ufw’s rules hold for published ports, by source address, too',
    async see(world) {
      return world.withFlags(gated, async () => {
        await world.run('--name', 'web', '-p', '8080:80', '-p', '8081:80', '-p', '8082:80');
        await world.serveTcp('web', 80);
        // As `ufw allow 8080/tcp; ufw allow from 192.0.2.7 to any port 8081; ufw allow from 198.51.100.2 to any port 8082`.
        const script = `*filter
:INPUT DROP
:ufw-before-input -
:ufw-user-input -
-A INPUT -j ufw-before-input
-A ufw-before-input -i lo -j ACCEPT
-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-input -m conntrack --ctstate INVALID -j DROP
-A ufw-before-input -j ufw-user-input
-A ufw-user-input -p tcp --dport 8080 -j ACCEPT
-A ufw-user-input -p tcp -s 192.0.2.7 --dport 8081 -j ACCEPT
-A ufw-user-input -p tcp -s 198.51.100.2 --dport 8082 -j ACCEPT
COMMIT
`;
        // ufw's sysctl.conf has it, too.
        writeFileSync('/proc/sys/net/ipv4/conf/all/rp_filter', '1');
        try {
          if (world.iptables(script) !== '') throw new Error('iptables refused');
          const asked = [];
          for (const port of [8080, 8081, 8082])
            asked.push(await world.ask('neighbour', world.hostAddress, port));
          return asked;
        } finally {
          writeFileSync('/proc/sys/net/ipv4/conf/all/rp_filter', '0');
          world.nft('delete', 'table', 'ip', 'filter');
        }
      });
    },
    expected: ['198.51.100.2', 'timeout', '198.51.100.2'],
    notDockerd,
  },
  {
    title:
      'with the policy host-firewall ports need no engine either, and the links for it go with the policy',
    async see(world) {
      const gate = () => world.ip('-o', 'link').match(/cog[0-9a-f]+[io]/g)?.length ?? 0;
      const during = await world.withFlags(gated, async () => {
        await world.run('--name', 'web', '-p', '8080:80');
        await world.serveTcp('web', 80);
        await world.crash();
        const dead = await withInput(world, 'tcp dport 8080 accept;', () =>
          world.ask('neighbour', world.hostAddress, 8080),
        );
        const links = gate() > 0;
        await world.restart();
        return [dead, links];
      });
      return [during, gate()];
    },
    expected: [['198.51.100.2', true], 0],
    notDockerd,
  },
];
