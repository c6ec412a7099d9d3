import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind } from '../../errors/index.ts';
import { AddressPool } from './address-pool.ts';
import { NetworkAddresses } from './network-addresses.ts';
import { chooseSubnet, defaultAddressPools, effectivePools } from './pools.ts';
import { formatAddress, formatSubnet, overlaps, parseAddress, parseSubnet } from './subnet.ts';

const choose = (taken: string[], pools = defaultAddressPools): string =>
  formatSubnet(chooseSubnet(pools, taken.map(parseSubnet)));

test('parseSubnet() clears host bits and knows the whole range of addresses', () => {
  assert.equal(formatSubnet(parseSubnet('10.1.2.3/16')), '10.1.0.0/16');
  assert.equal(formatSubnet(parseSubnet('255.255.255.255/32')), '255.255.255.255/32');
  assert.equal(formatSubnet(parseSubnet('fd00:1:2:3:4::1/64')), 'fd00:1:2:3::/64');
  for (const text of ['192.168.1.2', 'fd00::5', '::']) {
    const { value, family } = parseAddress(text);
    assert.equal(formatAddress(value, family), text);
  }
  assert.throws(
    () => parseSubnet('10.0.0.0'),
    (error) => isKind(error, 'invalid-parameter'),
  );
});

test('overlaps() is true when one holds a part of the other', () => {
  const both = (a: string, b: string) => [
    overlaps(parseSubnet(a), parseSubnet(b)),
    overlaps(parseSubnet(b), parseSubnet(a)),
  ];
  assert.deepEqual(both('10.0.0.0/8', '10.255.0.0/16'), [true, true]);
  assert.deepEqual(both('10.0.0.0/16', '10.1.0.0/16'), [false, false]);
  assert.deepEqual(both('0.0.0.0/0', '192.168.0.0/24'), [true, true]);
  assert.deepEqual(both('fd00::/48', 'fd00:0:0:7::/64'), [true, true]);
  assert.deepEqual(both('0.0.0.0/0', '::/0'), [false, false]);
});

test('chooseSubnet() goes through the pools in order', () => {
  assert.equal(choose([]), '172.17.0.0/16');
  assert.equal(choose(['172.17.5.0/24']), '172.18.0.0/16');
  assert.equal(choose(['172.16.0.0/12']), '192.168.0.0/20');
  assert.equal(choose(['172.16.0.0/12', '192.168.0.0/17']), '192.168.128.0/20');
  assert.equal(choose(['172.17.0.0/16', '172.18.0.1/32', '172.19.0.0/16', '172.20.0.0/16']), '172.21.0.0/16');
  const pools = [{ base: '10.10.0.0/16', size: 24 }];
  assert.equal(choose(['10.10.0.0/23', '10.10.2.128/25'], pools), '10.10.3.0/24');
});

test('chooseSubnet() says when all are taken, and refuses pools that cannot be cut', () => {
  assert.throws(
    () => choose(['0.0.0.0/0']),
    (error) => isKind(error, 'unavailable'),
  );
  for (const size of [8, 31, 16.5]) {
    assert.throws(
      () => choose([], [{ base: '10.0.0.0/16', size }]),
      (error) => isKind(error, 'invalid-parameter'),
    );
  }
});

test('AddressPool.allocate() gives the lowest free address and ends before broadcast', () => {
  const pool = new AddressPool(parseSubnet('10.0.0.0/29'));
  pool.reserve('10.0.0.1');
  assert.deepEqual([pool.allocate(), pool.allocate(), pool.allocate()], ['10.0.0.2', '10.0.0.3', '10.0.0.4']);
  pool.release('10.0.0.3');
  pool.release('10.0.0.3');
  assert.deepEqual([pool.allocate(), pool.allocate(), pool.allocate()], ['10.0.0.3', '10.0.0.5', '10.0.0.6']);
  assert.throws(
    () => pool.allocate(),
    (error) => isKind(error, 'unavailable'),
  );
  pool.release('10.0.0.2');
  assert.equal(pool.allocate(), '10.0.0.2');
});

test('chooseSubnet() keeps to the family and to a size that was asked for', () => {
  const pools = effectivePools(undefined, 'engine');
  const first = chooseSubnet(pools, [], 6);
  assert.match(formatSubnet(first), /^fd[0-9a-f]{2}:[0-9a-f:]+::\/64$/);
  const [base] = effectivePools([], 'engine');
  assert.equal(base?.size, 64);
  const second = formatSubnet(chooseSubnet(pools, [first], 6));
  assert.equal(second, formatSubnet(first).replace('::/64', ':1::/64'));
  assert.equal(formatSubnet(chooseSubnet(pools, [], 4, 24)), '172.17.0.0/24');
  assert.equal(formatSubnet(chooseSubnet(pools, [], 4, 14)), '172.20.0.0/14');
});

test('effectivePools() adds a unique local prefix of the engine’s own unless one of IPv6 is configured', () => {
  const own = (id: string) => effectivePools(undefined, id).at(-1)?.base;
  // SHA-256 of the id, its bytes 3 to 7.
  assert.equal(own('test'), 'fd81:884c:7d65::/48');
  assert.notEqual(own('a'), own('b'));
  const configured = [{ base: 'fd01::/48', size: 64 }];
  assert.equal(effectivePools(configured, 'test'), configured);
});

test('AddressPool gives addresses of IPv6, and all of the smallest networks', () => {
  const six = new AddressPool(parseSubnet('fd00::/64'), parseSubnet('fd00::10:0/112'));
  assert.equal(six.allocate(), 'fd00::10:0');
  assert.equal(new AddressPool(parseSubnet('fd00::/64')).allocate(), 'fd00::1');
  const pair = new AddressPool(parseSubnet('10.0.0.4/31'));
  assert.deepEqual([pair.allocate(), pair.allocate()], ['10.0.0.4', '10.0.0.5']);
});

test('NetworkAddresses.take() gives one of each family, or none when one of them cannot be had', () => {
  const addresses = new NetworkAddresses([
    { subnet: '10.0.0.0/29', gateway: '10.0.0.1' },
    { subnet: 'fd00::/64', gateway: 'fd00::1', router: 'fd00::9', auxiliary: ['fd00::2'] },
  ]);
  assert.deepEqual(addresses.take({}), {
    4: { address: '10.0.0.2', prefixLength: 29, gateway: '10.0.0.1' },
    6: { address: 'fd00::3', prefixLength: 64, gateway: 'fd00::9' },
  });
  assert.throws(
    () => addresses.take({ 6: 'fd01::1' }),
    (error) => isKind(error, 'invalid-parameter'),
  );
  assert.equal(addresses.take({}, [4])[4]?.address, '10.0.0.3');
  addresses.release(['10.0.0.2', 'fd00::3']);
  assert.deepEqual(
    Object.values(addresses.take({})).map(({ address }) => address),
    ['10.0.0.2', 'fd00::3'],
  );
});

test('NetworkAddresses.status() counts what is in use and what is left, as far as 64 bits can say', () => {
  const addresses = new NetworkAddresses([
    { subnet: '10.0.0.0/24', gateway: '10.0.0.1', range: '10.0.0.128/29', auxiliary: ['10.0.0.129'] },
    { subnet: 'fd00::/64', gateway: 'fd00::1' },
    { subnet: 'fd01::/48' },
  ]);
  addresses.take({});
  assert.deepEqual(addresses.status(), {
    '10.0.0.0/24': { IPsInUse: 5n, DynamicIPsAvailable: 6n },
    'fd00::/64': { IPsInUse: 3n, DynamicIPsAvailable: 2n ** 64n - 3n },
    'fd01::/48': { IPsInUse: 1n, DynamicIPsAvailable: 2n ** 64n - 1n },
  });
});

test('AddressPool.reserve() refuses what is taken, outside, the network and its broadcast address', () => {
  const pool = new AddressPool(parseSubnet('10.0.0.0/29'));
  pool.reserve('10.0.0.2');
  assert.throws(
    () => pool.reserve('10.0.0.2'),
    (error) => isKind(error, 'conflict'),
  );
  for (const address of ['10.0.0.0', '10.0.0.7', '10.0.0.8', 'x']) {
    assert.throws(
      () => pool.reserve(address),
      (error) => isKind(error, 'invalid-parameter'),
    );
  }
  assert.equal(pool.allocate(), '10.0.0.1');
  assert.equal(pool.allocate(), '10.0.0.3');
});
