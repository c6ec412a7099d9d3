import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind } from '../../errors/index.ts';
import { AddressPool } from './address-pool.ts';
import { chooseSubnet, defaultAddressPools } from './pools.ts';
import { formatAddress, formatSubnet, overlaps, parseAddress, parseSubnet } from './subnet.ts';

const choose = (taken: string[], pools = defaultAddressPools): string =>
  formatSubnet(chooseSubnet(pools, taken.map(parseSubnet)));

test('parseSubnet() clears host bits and knows the whole range of addresses', () => {
  assert.equal(formatSubnet(parseSubnet('10.1.2.3/16')), '10.1.0.0/16');
  assert.equal(formatSubnet(parseSubnet('255.255.255.255/32')), '255.255.255.255/32');
  assert.equal(formatAddress(parseAddress('192.168.1.2')), '192.168.1.2');
  assert.throws(
    () => parseSubnet('fd00::/64'),
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
