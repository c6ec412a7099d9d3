import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordingSyscall } from './fake.ts';

test('recordingSyscall() records calls and answers as told', () => {
  const sys = recordingSyscall({ pidfdOpen: () => 7 });
  sys.mount('a', '/b', 'overlay', 1, null);
  assert.equal(sys.pidfdOpen(12), 7);
  assert.equal(
    sys.inNetworkNamespace('/ns', () => 5),
    5,
  );
  assert.throws(() => sys.socket(1, 2, 0), { code: 'ENOSYS' });
  assert.deepEqual(
    sys.calls.map(({ name }) => name),
    ['mount', 'pidfdOpen', 'inNetworkNamespace', 'socket'],
  );
  assert.deepEqual(sys.calls[0]?.args, ['a', '/b', 'overlay', 1, null]);
});
