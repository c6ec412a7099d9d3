import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind, type ErrorKind } from '../errors/index.ts';
import type { IpamPoolConfig } from '../spec/index.ts';
import { defaultAddressPools, parseSubnet } from './ipam/index.ts';
import { newNetwork, planNetwork, type NetworkCreate, type Surroundings } from './user-network.ts';

const other = {
  ...newNetwork('other', 'bridge'),
  bridge: { name: 'br-other', subnet: '10.1.0.0/16', gateway: '10.1.0.1', mtu: 1500 },
};
const around: Surroundings = {
  networks: [other],
  taken: [parseSubnet('172.17.0.0/16')],
  pools: defaultAddressPools,
  mtu: 1400,
};

const plan = (change: Partial<NetworkCreate> = {}, pool?: IpamPoolConfig) =>
  planNetwork(
    {
      name: 'app',
      driver: '',
      internal: false,
      attachable: false,
      enableIpv6: false,
      ipam: pool === undefined ? null : { Driver: 'default', Options: null, Config: [pool] },
      options: {},
      labels: {},
      ...change,
    },
    around,
  );

test('planNetwork() takes the first free pool, and names the bridge after the network', () => {
  const { id, bridge } = plan();
  assert.deepEqual(bridge, {
    name: `br-${id.slice(0, 12)}`,
    mtu: 1400,
    subnet: '172.18.0.0/16',
    gateway: '172.18.0.1',
  });
});

test('planNetwork() keeps what it is told', () => {
  const { bridge, user } = plan(
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
      Subnet: '10.2.3.4/24',
      IPRange: '10.2.3.128/25',
      Gateway: '10.2.3.254',
      AuxiliaryAddresses: { nas: '10.2.3.5' },
    },
  );
  assert.deepEqual(bridge, {
    name: 'mine0',
    mtu: 1300,
    subnet: '10.2.3.0/24',
    gateway: '10.2.3.254',
    range: '10.2.3.128/25',
    auxiliary: ['10.2.3.5'],
    internal: true,
    neighbours: false,
    masquerade: false,
    hostAddress: '127.0.0.1',
    interfacePrefix: 'net',
  });
  assert.equal(user?.options['com.docker.network.driver.mtu'], '1300');
});

const refusals: [string, ErrorKind, RegExp, Partial<NetworkCreate>, IpamPoolConfig?][] = [
  ['a name that exists', 'conflict', /network with name other already exists/, { name: 'other' }],
  ['a predefined name', 'forbidden', /not permitted on predefined host network/, { name: 'host' }],
  ['no name', 'invalid-parameter', /name is empty/, { name: ' ' }],
  ['a name with a slash', 'invalid-parameter', /invalid network name/, { name: 'a/b' }],
  ['an unknown driver', 'not-found', /plugin "x" not found/, { driver: 'x' }],
  ['a second host network', 'forbidden', /only one instance of "host"/, { driver: 'host' }],
  ['IPv6', 'not-implemented', /IPv4 only/, { enableIpv6: true }],
  ['an overlap', 'forbidden', /Pool overlaps with other one/, {}, { Subnet: '10.1.2.0/24' }],
  ['no subnet', 'invalid-parameter', /invalid subnet/, {}, { Subnet: '10.1.2.0' }],
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
