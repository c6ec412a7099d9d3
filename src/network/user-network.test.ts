import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind, type ErrorKind } from '../errors/index.ts';
import type { IpamPoolConfig } from '../spec/index.ts';
import { effectivePools, parseSubnet } from './ipam/index.ts';
import { newNetwork, planNetwork, type NetworkCreate, type Surroundings } from './user-network.ts';

const other = {
  ...newNetwork('other', 'bridge'),
  bridge: { name: 'br-other', mtu: 1500 },
  pools: [{ subnet: '10.1.0.0/16', gateway: '10.1.0.1' }],
};
const around: Surroundings = {
  networks: [other],
  taken: [parseSubnet('172.17.0.0/16')],
  pools: effectivePools(undefined, 'test'),
  mtu: 1400,
};

const plan = (change: Partial<NetworkCreate> = {}, pool?: IpamPoolConfig) =>
  planNetwork(
    {
      name: 'app',
      driver: '',
      internal: false,
      attachable: false,
      ipam: pool === undefined ? null : { Driver: 'default', Options: null, Config: [pool] },
      options: {},
      labels: {},
      ...change,
    },
    around,
  );

test('planNetwork() takes the first free pool, and names the bridge after the network', () => {
  const { id, bridge, pools } = plan();
  assert.deepEqual(bridge, { name: `br-${id.slice(0, 12)}`, mtu: 1400 });
  assert.deepEqual(pools, [{ subnet: '172.18.0.0/16', gateway: '172.18.0.1' }]);
});

test('planNetwork() keeps what it is told', () => {
  const { bridge, pools, user } = plan(
    {
      internal: true,
      options: {
        'com.docker.network.bridge.name': 'mine0',
        'com.docker.network.bridge.enable_icc': 'false',
        'com.docker.network.bridge.enable_ip_masquerade': 'false',
        'com.docker.network.bridge.host_binding_ipv4': '127.0.0.1',
        'com.docker.network.driver.mtu': '1300',
        'com.docker.network.container_iface_prefix': 'net',
      },
    },
    {
      Subnet: '10.2.3.0/24',
      IPRange: '10.2.3.128/25',
      Gateway: '10.2.3.254',
      AuxiliaryAddresses: { nas: '10.2.3.5' },
    },
  );
  assert.deepEqual(bridge, {
    name: 'mine0',
    mtu: 1300,
    internal: true,
    neighbours: false,
    masquerade: false,
    hostAddress: '127.0.0.1',
    interfacePrefix: 'net',
  });
  assert.deepEqual(pools, [
    { subnet: '10.2.3.0/24', gateway: '10.2.3.254', range: '10.2.3.128/25', auxiliary: ['10.2.3.5'] },
  ]);
  assert.equal(user?.options['com.docker.network.driver.mtu'], '1300');
});

test('planNetwork() gives IPv6 a subnet of the engine’s own prefix, with IPv4 or alone', () => {
  const { pools, user } = plan({ enableIpv6: true });
  assert.deepEqual(
    pools?.map(({ gateway }) => gateway),
    ['172.18.0.1', 'fd81:884c:7d65::1'],
  );
  assert.deepEqual(
    user?.ipam.Config,
    pools?.map(({ subnet, gateway }) => ({ Subnet: subnet, Gateway: gateway })),
  );
  const alone = plan({ enableIpv4: false, options: { 'com.docker.network.enable_ipv6': 'true' } });
  assert.deepEqual(alone.pools, [{ subnet: 'fd81:884c:7d65::/64', gateway: 'fd81:884c:7d65::1' }]);
  assert.deepEqual([alone.user?.enableIpv4, alone.user?.enableIpv6], [false, true]);
});

test('planNetwork() takes the first address of a range for the gateway, and a router that is named', () => {
  const { pools } = plan(
    {},
    { Subnet: '10.3.0.0/16', IPRange: '10.3.5.0/24', AuxiliaryAddresses: { DefaultGatewayIPv4: '10.3.0.9' } },
  );
  assert.deepEqual(pools, [
    {
      subnet: '10.3.0.0/16',
      gateway: '10.3.5.0',
      router: '10.3.0.9',
      range: '10.3.5.0/24',
      auxiliary: ['10.3.0.9'],
    },
  ]);
});

test('planNetwork() needs no gateway in an isolated network, nor where a router of the parent’s may be one', () => {
  assert.deepEqual(plan({ internal: true, options: mode('isolated') }).pools, [{ subnet: '172.18.0.0/16' }]);
  const { id, pools, parent, bridge } = plan({ driver: 'macvlan' });
  assert.deepEqual(pools, [{ subnet: '172.18.0.0/16' }]);
  assert.deepEqual(parent, { name: `dm-${id.slice(0, 12)}`, made: 'dummy', mode: 'bridge', internal: true });
  assert.equal(bridge, undefined);
});

test('planNetwork() keeps a configuration as it is, and makes networks from it', () => {
  const configuration = plan(
    {
      name: 'base',
      configOnly: true,
      labels: { a: 'b' },
      options: { 'com.docker.network.driver.mtu': '1300' },
    },
    { Subnet: '10.5.0.0/24' },
  );
  assert.deepEqual([configuration.driver, configuration.pools], ['null', undefined]);
  const made = planNetwork(
    {
      name: 'app',
      driver: '',
      internal: true,
      attachable: false,
      ipam: null,
      options: {},
      labels: {},
      configFrom: 'base',
    },
    { ...around, networks: [other, configuration] },
  );
  assert.deepEqual(made.pools, [{ subnet: '10.5.0.0/24', gateway: '10.5.0.1' }]);
  assert.deepEqual([made.bridge?.mtu, made.bridge?.internal, made.labels], [1300, true, { a: 'b' }]);
  assert.equal(made.user?.configFrom, 'base');
});

const mode = (text: string) => ({ 'com.docker.network.bridge.gateway_mode_ipv4': text });
const ipamDriver = (name: string) => ({ Driver: name, Options: null, Config: null });

const refusals: [string, ErrorKind, RegExp, Partial<NetworkCreate>, IpamPoolConfig?][] = [
  ['a name that exists', 'conflict', /network with name other already exists/, { name: 'other' }],
  ['a predefined name', 'forbidden', /not permitted on predefined host network/, { name: 'host' }],
  ['no name', 'invalid-parameter', /name is empty/, { name: ' ' }],
  ['a name with a slash', 'invalid-parameter', /invalid network name/, { name: 'a/b' }],
  ['an unknown driver', 'not-found', /plugin "x" not found/, { driver: 'x' }],
  ['a second host network', 'forbidden', /only one instance of "host"/, { driver: 'host' }],
  ['an overlap', 'forbidden', /Pool overlaps with other one/, {}, { Subnet: '10.1.2.0/24' }],
  ['no subnet', 'invalid-parameter', /invalid subnet/, {}, { Subnet: '10.1.2.0' }],
  ['host bits', 'invalid-parameter', /it should be 10\.3\.0\.0\/24/, {}, { Subnet: '10.3.0.1/24' }],
  ['a gateway without a subnet', 'invalid-parameter', /invalid Prefix/, {}, { Gateway: '10.3.0.1' }],
  [
    'a range of the other family',
    'invalid-parameter',
    /parent subnet is an IPv4 block/,
    {},
    { Subnet: '10.3.0.0/24', IPRange: 'fd00::/80' },
  ],
  ['a range without a subnet', 'internal', /invalid address subpool/, {}, { IPRange: '10.3.0.0/24' }],
  ['no family', 'invalid-parameter', /IPv4 or IPv6 must be enabled/, { enableIpv4: false }],
  ['no addresses', 'invalid-parameter', /ipv4 pool is empty/, { ipam: ipamDriver('null') }],
  ['another address management', 'not-found', /could not resolve driver x/, { ipam: ipamDriver('x') }],
  [
    'two subnets on a bridge',
    'forbidden',
    /doesn't support multiple subnets/,
    { ipam: { ...ipamDriver(''), Config: [{ Subnet: '10.3.0.0/24' }, { Subnet: '10.4.0.0/24' }] } },
  ],
  [
    'multicast',
    'invalid-parameter',
    /multicast subnet 'ff00::\/64' is not allowed/,
    { enableIpv6: true },
    { Subnet: 'ff00::/64' },
  ],
  [
    'parts of the link-local prefix',
    'invalid-parameter',
    /'fe80::\/80' clashes/,
    { enableIpv6: true },
    { Subnet: 'fe80::/80' },
  ],
  [
    'an isolated gateway that leads out',
    'internal',
    /for an internal network/,
    { options: mode('isolated') },
  ],
  ['a gateway mode', 'invalid-parameter', /unknown gateway mode x/, { options: mode('x') }],
  [
    'names that would be more than names in the firewall’s rules',
    'invalid-parameter',
    /invalid interface name/,
    { options: { 'com.docker.network.bridge.trusted_host_interfaces': 'eth0:x" } accept' } },
  ],
  [
    'an address with a zone',
    'invalid-parameter',
    /nil ip/,
    { options: { 'com.docker.network.host_ipv6': 'fe80::1%" accept' } },
  ],
  ['overlay', 'forbidden', /not a swarm manager/, { driver: 'overlay' }],
  ['an ingress network', 'forbidden', /only be global scope/, { ingress: true }],
  ['the scope of a swarm', 'forbidden', /swarm is not active/, { scope: 'swarm' }],
  [
    'a configuration that is attachable',
    'forbidden',
    /can only contain/,
    { configOnly: true, attachable: true },
  ],
  ['a configuration that is not there', 'not-found', /"x" does not exist/, { configFrom: 'x' }],
  ['more than a configuration', 'forbidden', /user-specified/, { configFrom: 'x', labels: { a: '' } }],
  ['options beside one', 'forbidden', /driver options are not/, { configFrom: 'x', options: { a: '' } }],
  ['a configuration of another', 'forbidden', /cannot depend on/, { configFrom: 'x', configOnly: true }],
  ['a parent that is loopback', 'internal', /loopback/, { driver: 'macvlan', options: { parent: 'lo' } }],
  [
    'a mode of macvlan',
    'internal',
    /'x' is not valid/,
    { driver: 'macvlan', options: { macvlan_mode: 'x' } },
  ],
  ['a flag of ipvlan', 'internal', /flag 'x'/, { driver: 'ipvlan', options: { ipvlan_flag: 'x' } }],
  [
    'a gateway outside',
    'invalid-parameter',
    /invalid gateway/,
    {},
    { Subnet: '10.3.0.0/24', Gateway: '10.4.0.1' },
  ],
  [
    'a bridge that exists',
    'forbidden',
    /networks have same bridge name/,
    { options: { 'com.docker.network.bridge.name': 'br-other' } },
  ],
  [
    'an option that is no boolean',
    'invalid-parameter',
    /failed to parse/,
    { options: { 'com.docker.network.bridge.enable_icc': 'maybe' } },
  ],
];

for (const [what, kind, message, change, pool] of refusals) {
  test(`planNetwork() refuses ${what}`, () => {
    assert.throws(
      () => plan(change, pool),
      (error) => isKind(error, kind) && message.test((error as Error).message),
    );
  });
}
