import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRefusedEntitlements } from './builder-entitlements.ts';

test('parseRefusedEntitlements() takes what is false', () => {
  const parse = (entitlements: unknown) => parseRefusedEntitlements(JSON.stringify({ entitlements }));
  assert.equal(parseRefusedEntitlements('{"gc":{}}'), undefined);
  assert.deepEqual(parse({ 'network-host': true }), []);
  assert.deepEqual(parse({ 'Network-Host': false, 'security-insecure': false }), [
    'network.host',
    'security.insecure',
  ]);
  assert.throws(() => parse({ 'security-insecure': 'no' }), /security-insecure must be true or false/);
});
