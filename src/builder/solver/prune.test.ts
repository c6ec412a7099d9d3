import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultRules } from './prune.ts';

test('defaultRules() takes shares of the disk as dockerd does, unless a space is given', () => {
  const GB = 1_000_000_000;
  const [easy, stale, rest, all] = defaultRules({}, 100 * 2 ** 30);
  const share = { reservedBytes: 11 * GB, maxUsedBytes: 81 * GB, minFreeBytes: 21 * GB };
  // A hundredth of e·π·φ of what is reserved.
  assert.equal(easy?.maxUsedBytes, 1_519_933_825);
  assert.deepEqual(rest, { all: false, ...share });
  assert.deepEqual(all, { all: true, ...share });
  assert.equal(stale?.unusedForMs, 60 * 24 * 60 * 60 * 1000);
  const [small, , given] = defaultRules({ reservedBytes: 2 * GB }, 100 * 2 ** 30);
  assert.equal(small?.maxUsedBytes, 512_000_000);
  assert.deepEqual(given, { all: false, reservedBytes: 2 * GB });
});
