import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Entitlements } from './entitlements.ts';

const device = (name: string) => ({ name, isRequired: false });

describe('Entitlements', () => {
  test('allows what is named, and nothing else', () => {
    const some = new Entitlements([
      'network.host',
      'device=example.com/a=1',
      'device=example.com/b=1,alias=gpu',
    ]);
    some.require('network.host');
    assert.throws(() => some.require('security.insecure'), { message: 'security.insecure is not allowed' });
    assert.deepEqual(some.device(device('example.com/a=1')), device('example.com/a=1'));
    assert.deepEqual(some.device(device('gpu')), device('example.com/b=1'));
    assert.throws(() => some.device(device('example.com/b=1')), /is requested by the build but not allowed/);
    assert.deepEqual(new Entitlements(['device']).device(device('any')), device('any'));
  });

  test('refuses what there is not, and what the configuration forbids', () => {
    assert.throws(() => new Entitlements(['nonsense']), { message: 'unknown entitlement nonsense' });
    assert.throws(() => new Entitlements(['device=a,b=c']), /unknown device config key "b"/);
    assert.throws(() => new Entitlements(['network.host'], ['network.host']), {
      message: 'granting entitlement network.host is not allowed by build daemon configuration',
    });
  });
});
