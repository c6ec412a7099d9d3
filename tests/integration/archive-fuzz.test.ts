/** A short run of the fuzzer of archives with seeds that stay the same; tests/fuzz/archives.ts runs longer. Needs root. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FuzzHarness } from '../fuzz/harness.ts';

const cases = 400;

test(`${cases} made-up archives are taken or clearly refused, and leave nothing behind`, async () => {
  await using harness = await FuzzHarness.open();
  const results = { done: 0, refused: 0, wrong: 0 };
  for (let seed = 7_000_000; seed < 7_000_000 + cases; seed += 1) {
    const { door, result, text } = await harness.run(seed);
    assert.notEqual(result, 'wrong', `seed ${seed}: ${door}: ${text}`);
    results[result] += 1;
  }
  assert.ok(results.done > cases / 20, 'some are whole');
  assert.ok(results.refused > cases / 4, 'some are broken');
});
