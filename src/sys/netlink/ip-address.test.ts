import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind } from '../../errors/index.ts';
import { formatIp, maskBytes, parseCidr, parseIp } from './ip-address.ts';

test('parseIp() and formatIp() agree on every form', () => {
  for (const [text, canonical] of [
    ['10.1.2.3', '10.1.2.3'],
    ['::', '::'],
    ['::1', '::1'],
    ['fd00::1', 'fd00::1'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['::ffff:10.0.0.1', '::ffff:a00:1'],
  ] as const) {
    assert.equal(formatIp(parseIp(text).bytes), canonical, text);
  }
});

test('parseIp() and parseCidr() refuse anything else', () => {
  for (const text of ['', '10.0.0', '10.0.0.256', 'fe80::1%eth0', '1::2::3', 'x']) {
    assert.throws(
      () => parseIp(text),
      (error) => isKind(error, 'invalid-parameter'),
      text,
    );
  }
  for (const text of ['10.0.0.1', '10.0.0.1/', '10.0.0.1/33', 'fd00::/129', '10.0.0.1/-1', '/8']) {
    assert.throws(() => parseCidr(text), text);
  }
});

test('maskBytes() clears or sets the bits behind the prefix', () => {
  const { bytes } = parseIp('10.1.255.3');
  assert.equal(formatIp(maskBytes(bytes, 20)), '10.1.240.0');
  assert.equal(formatIp(maskBytes(bytes, 20, 1)), '10.1.255.255');
  assert.equal(formatIp(maskBytes(bytes, 0)), '0.0.0.0');
  assert.equal(formatIp(maskBytes(bytes, 32, 1)), '10.1.255.3');
});
