import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind } from '../../errors/index.ts';
import { addressMessage, readAddress, readRoute, routeMessage } from './address-message.ts';
import {
  checkLinkName,
  createBridgeMessage,
  createVethMessage,
  formatMac,
  parseMac,
  readLink,
} from './link-message.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

test('createBridgeMessage() writes name, address and kind', () => {
  assert.deepEqual(
    createBridgeMessage('br0', { mac: '02:42:01:02:03:04' }).finish(1),
    hex(`44000000 1000 0506 01000000 00000000
         00000000 00000000 00000000 00000000
         0800 0300 62723000
         0a00 0100 024201020304 0000
         1000 1200 0b00 0100 62726964676500 00`),
  );
});

test('createVethMessage() puts the peer into its namespace under its name, the first end up on the bridge', () => {
  const bytes = createVethMessage({
    name: 'v0',
    masterIndex: 9,
    peerName: 'eth0',
    peerNamespaceFd: 21,
    mtu: 1400,
  }).finish(2);
  assert.deepEqual(
    bytes,
    hex(`7c000000 1000 0506 02000000 00000000
         00000000 00000000 01000000 01000000
         0700 0300 763000 00
         0800 0a00 09000000
         0800 0400 78050000
         4400 1200
           0900 0100 7665746800 000000
           3400 0200
             3000 0100
               00000000 00000000 00000000 00000000
               0900 0300 6574683000 000000
               0800 1c00 15000000
               0800 0400 78050000`),
  );
});

test('addressMessage() adds the broadcast address for IPv4 and leaves out DAD for IPv6', () => {
  assert.deepEqual(
    addressMessage(2, '10.1.2.3/16').finish(1),
    hex(`30000000 1400 0506 01000000 00000000
         02 10 00 00 02000000
         0800 0200 0a010203 0800 0100 0a010203 0800 0400 0a01ffff`),
  );
  assert.deepEqual(
    addressMessage(2, 'fd00::3/64', { replace: true }).finish(1),
    hex(`40000000 1400 0505 01000000 00000000
         0a 40 02 00 02000000
         1400 0200 fd000000000000000000000000000003
         1400 0100 fd000000000000000000000000000003`),
  );
});

test('routeMessage() writes a default route and one to a network', () => {
  assert.deepEqual(
    routeMessage({ destination: 'default', gateway: '10.1.0.1' }, 2).finish(1),
    hex(`2c000000 1800 0506 01000000 00000000
         02 00 00 00 fe 03 00 01 00000000
         0800 0500 0a010001 0800 0400 02000000`),
  );
  const payload = routeMessage({ destination: '10.2.3.4/8', scopeLink: true }, 3).finish(1).subarray(16);
  assert.deepEqual(readRoute(payload), { destination: '10.0.0.0/8', index: 3, family: 4, table: 254 });
  assert.equal(payload.readUInt8(6), 253);
});

test('readLink() reads flags, kind and master', () => {
  const bytes = hex(`00000100 05000000 43100000 00000000
    0900 0300 76657468 00000000
    0800 0400 dc050000
    0800 0a00 07000000
    0a00 0100 024201020304 0000
    0d00 1200 0900 0100 76657468 00 000000`);
  assert.deepEqual(readLink(bytes), {
    index: 5,
    name: 'veth',
    kind: 'veth',
    up: true,
    mac: '02:42:01:02:03:04',
    master: 7,
    mtu: 1500,
  });
});

test('readAddress() prefers the local address of a point-to-point link', () => {
  const bytes = hex('02 20 80 00 03000000 0800 0100 0a000002 0800 0200 0a000001 0700 0300 703000 00');
  assert.deepEqual(readAddress(bytes), {
    index: 3,
    label: 'p0',
    address: '10.0.0.1',
    prefixLength: 32,
    family: 4,
    scope: 0,
  });
});

test('checkLinkName() and parseMac() refuse what the kernel would', () => {
  for (const name of ['', 'sixteen-letters-', 'a/b', 'a b', '..', 'a\0b']) {
    assert.throws(
      () => checkLinkName(name),
      (error) => isKind(error, 'invalid-parameter'),
    );
  }
  assert.equal(checkLinkName('fifteen-letters'), 'fifteen-letters');
  assert.throws(() => parseMac('02:42:01:02:03'));
  assert.equal(formatMac(parseMac('02-42-0A-02-03-04')), '02:42:0a:02:03:04');
});
