import type { NetworkWorld } from '../../fixtures/network-world.ts';
import type { NetworkCase } from './case.ts';

const newer = 'dockerd 20.10 has one gateway mode, nat';
const option = (name: string, value: string): string[] => ['-o', `com.docker.network.${name}=${value}`];
const mode = (value: string): string[] => [
  ...option('bridge.gateway_mode_ipv4', value),
  ...option('bridge.gateway_mode_ipv6', value),
];
const dual = ['--ipv6', '--subnet', '10.84.0.0/24', '--subnet', 'fd84::/64'];

/** How a bridge's containers and the world reach each other: the neighbour sends all it does not know to the host. */
export const gatewayCases: NetworkCase[] = [
  {
    title: 'gateway mode routed: containers appear with their own addresses, and answer echo requests alone',
    notDockerd: newer,
    async see(world) {
      await world.ok('network', 'create', ...dual, ...mode('routed'), 'a');
      await world.run('--name', 'one', '--network', 'a');
      await serveWorld(world, 8400);
      await world.serveTcp('one', 80);
      await world.serveTcp('one', 81, '::');
      return [
        await world.ask('one', world.neighbourAddress, 8400),
        await world.ask('one', world.neighbourAddress6, 8401),
        world.neighbourPings('10.84.0.2'),
        world.neighbourPings('fd84::2'),
        await world.ask('neighbour', '10.84.0.2', 80),
        await world.ask('neighbour', 'fd84::2', 81),
      ];
    },
    expected: ['10.84.0.2', 'fd84::2', true, true, 'timeout', 'timeout'],
  },
  {
    title: 'gateway mode nat: nobody reaches a container’s own address, by echo request neither',
    notDockerd: 'dockerd 20.10 keeps no packet from containers but by the policy of the host’s firewall',
    async see(world) {
      await world.ok('network', 'create', ...dual, ...mode('nat'), 'a');
      await world.run('--name', 'one', '--network', 'a');
      return [world.neighbourPings('10.84.0.2'), world.neighbourPings('fd84::2')];
    },
    expected: [false, false],
  },
  {
    title:
      'gateway mode nat-unprotected: every port is reached at the container’s own address, the other way is masked',
    notDockerd: newer,
    async see(world) {
      await world.ok('network', 'create', ...dual, ...mode('nat-unprotected'), 'a');
      await world.run('--name', 'one', '--network', 'a');
      await serveWorld(world, 8404);
      await world.serveTcp('one', 80);
      await world.serveTcp('one', 81, '::');
      return [
        await world.ask('neighbour', '10.84.0.2', 80),
        await world.ask('neighbour', 'fd84::2', 81),
        await world.ask('one', world.neighbourAddress, 8404),
        await world.ask('one', world.neighbourAddress6, 8405),
      ];
    },
    expected: ['198.51.100.2', '2001:db8:1::2', '198.51.100.1', '2001:db8:1::1'],
  },
  {
    title: 'a family’s mode is its own: IPv4 masked, IPv6 routed',
    notDockerd: newer,
    async see(world) {
      await world.ok('network', 'create', ...dual, ...option('bridge.gateway_mode_ipv6', 'routed'), 'a');
      await world.run('--name', 'one', '--network', 'a');
      await serveWorld(world, 8406);
      return [
        await world.ask('one', world.neighbourAddress, 8406),
        await world.ask('one', world.neighbourAddress6, 8407),
        world.neighbourPings('10.84.0.2'),
        world.neighbourPings('fd84::2'),
      ];
    },
    expected: ['198.51.100.1', 'fd84::2', false, true],
  },
  {
    title:
      'gateway mode isolated: the bridge has no address, the first goes to a container, neighbours have each other',
    notDockerd: newer,
    async see(world) {
      const options = [...dual, ...mode('isolated'), ...option('bridge.name', 'iso0')];
      await world.ok('network', 'create', '--internal', ...options, 'a');
      await world.run('--name', 'one', '--network', 'a');
      await world.run('--name', 'two', '--network', 'a');
      await world.serveTcp('one', 80);
      await world.serveTcp('one', 81, '::');
      return [
        world.ip('-o', 'addr', 'show', 'iso0'),
        JSON.parse(await world.ok('network', 'inspect', '-f', '{{json .IPAM.Config}}', 'a')),
        await world.ask('two', '10.84.0.1', 80),
        await world.ask('two', 'fd84::1', 81),
      ];
    },
    expected: ['', [{ Subnet: '10.84.0.0/24' }, { Subnet: 'fd84::/64' }], '10.84.0.2', 'fd84::2'],
  },
  {
    title:
      'gateway mode routed: a published port is open at the container’s own address, and none on the host',
    notDockerd: newer,
    async see(world) {
      await world.ok('network', 'create', ...dual, ...mode('routed'), 'a');
      await world.run('--name', 'one', '--network', 'a', '-p', '8480:80', '-p', '8481:81');
      await world.serveTcp('one', 80);
      await world.serveTcp('one', 81, '::');
      return [
        await world.ask('neighbour', '10.84.0.2', 80),
        await world.ask('neighbour', 'fd84::2', 81),
        await world.ask('neighbour', world.hostAddress, 8480),
        await world.ask('neighbour', world.hostAddress6, 8481),
      ];
    },
    expected: ['198.51.100.2', '2001:db8:1::2', 'refused', 'refused'],
  },
  {
    title:
      'trusted_host_interfaces: from those links published ports are reached at containers’ own addresses',
    notDockerd: newer,
    async see(world) {
      const options = [...dual, ...option('bridge.trusted_host_interfaces', 'wan0:nosuch0')];
      await world.ok('network', 'create', ...options, 'a');
      await world.run('--name', 'one', '--network', 'a', '-p', '8482:80', '-p', '8483:81');
      await world.serveTcp('one', 80);
      await world.serveTcp('one', 81, '::');
      await world.serveTcp('one', 82);
      return [
        await world.ask('neighbour', '10.84.0.2', 80),
        await world.ask('neighbour', 'fd84::2', 81),
        await world.ask('neighbour', '10.84.0.2', 82),
        await world.ask('neighbour', world.hostAddress, 8482),
      ];
    },
    expected: ['198.51.100.2', '2001:db8:1::2', 'timeout', '198.51.100.2'],
  },
  {
    title: 'host_ipv4 and host_ipv6 are the addresses that containers appear with',
    notDockerd: 'dockerd 20.10 has no host_ipv6, and masks no IPv6',
    async see(world) {
      world.ip('addr', 'add', '198.51.100.9/24', 'dev', 'wan0');
      world.ip('addr', 'add', '2001:db8:1::9/64', 'dev', 'wan0', 'nodad');
      const options = [...option('host_ipv4', '198.51.100.9'), ...option('host_ipv6', '2001:db8:1::9')];
      await world.ok('network', 'create', ...dual, ...options, 'a');
      await world.run('--name', 'one', '--network', 'a');
      await serveWorld(world, 8410);
      const seen = [
        await world.ask('one', world.neighbourAddress, 8410),
        await world.ask('one', world.neighbourAddress6, 8411),
      ];
      world.ip('addr', 'del', '198.51.100.9/24', 'dev', 'wan0');
      world.ip('addr', 'del', '2001:db8:1::9/64', 'dev', 'wan0');
      return seen;
    },
    expected: ['198.51.100.9', '2001:db8:1::9'],
  },
  {
    title: 'enable_ip_masquerade=false shows containers’ own addresses of both families',
    notDockerd: 'dockerd 20.10 forwards no IPv6 by itself',
    async see(world) {
      await world.ok('network', 'create', ...dual, ...option('bridge.enable_ip_masquerade', 'false'), 'a');
      await world.run('--name', 'one', '--network', 'a');
      await serveWorld(world, 8412);
      return [
        await world.ask('one', world.neighbourAddress, 8412),
        await world.ask('one', world.neighbourAddress6, 8413),
      ];
    },
    expected: ['10.84.0.2', 'fd84::2'],
  },
];

/** Tells containers the address that they are seen by, IPv6 at the next port. Ports are of one case each. */
async function serveWorld(world: NetworkWorld, port: number): Promise<void> {
  await world.serveTcp('neighbour', port);
  await world.serveTcp('neighbour', port + 1, '::');
}
