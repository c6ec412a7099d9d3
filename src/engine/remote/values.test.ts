import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineError } from '../../errors/index.ts';
import { decode, encode } from './values.ts';

const none = (): never => assert.fail('nothing live in here');
const over = (value: unknown): unknown => decode(JSON.parse(JSON.stringify(encode(value, none))), none);

test('encode() and decode() keep what JSON cannot say', () => {
  const value = {
    big: 1n << 70n,
    bytes: Buffer.from([0, 255]),
    map: new Map([['a', [1n]]]),
    list: [undefined, null, 'x'],
    nested: { $map: 'a label', $bytes: 1 },
    empty: {},
  };
  assert.deepEqual(over(value), value);
  assert.deepEqual(over({ gone: undefined, kept: 1 }), { kept: 1 });
});

test('encode() and decode() keep errors: kind, code, details', () => {
  const error = new EngineError('conflict', 'in use', { code: 'busy', details: { by: ['a'] } });
  const other = over(error) as EngineError;
  assert.deepEqual(
    [other.kind, other.code, other.message, other.details],
    ['conflict', 'busy', 'in use', { by: ['a'] }],
  );
  assert.equal((over(new DOMException('stop', 'AbortError')) as EngineError).kind, 'cancelled');
});
