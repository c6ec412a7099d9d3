import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBuilderGc } from './builder-gc.ts';

const parse = (gc: unknown): ReturnType<typeof parseBuilderGc> => parseBuilderGc(JSON.stringify({ gc }));

test('parseBuilderGc() takes sizes and filters in the forms that dockerd takes', () => {
  assert.equal(parseBuilderGc(undefined), undefined);
  assert.equal(parseBuilderGc('{}'), undefined);
  assert.deepEqual(parse({}), { space: {} });
  assert.deepEqual(parse({ Enabled: true, DefaultKeepStorage: '20GB', defaultMinFreeSpace: '1g' }), {
    space: { reservedBytes: 20 * 2 ** 30, minFreeBytes: 2 ** 30 },
  });
  assert.deepEqual(parse({ defaultReservedSpace: '2GB', defaultKeepStorage: '1GB' })?.space, {
    reservedBytes: 2 * 2 ** 30,
  });
  assert.deepEqual(parse({ enabled: false, policy: [{}] }), { rules: [] });
  const [first, second] =
    parse({
      policy: [
        { reservedSpace: '10GB', filter: ['unused-for=2200h'] },
        { all: true, keepStorage: '1KB', maxUsedSpace: '3KB', filter: { until: { '3300h': true } } },
      ],
    })?.rules ?? [];
  assert.deepEqual([first?.all, first?.reservedBytes], [false, 10 * 2 ** 30]);
  assert.equal(Math.round((first?.unusedForMs ?? 0) / 3_600_000), 2200);
  assert.deepEqual([second?.all, second?.reservedBytes, second?.maxUsedBytes], [true, 1024, 3072]);
  assert.equal(Math.round((second?.unusedForMs ?? 0) / 3_600_000), 3300);
});

test('parseBuilderGc() refuses what it does not understand', () => {
  for (const [gc, message] of [
    [{ defaultKeepStorage: 'much' }, /could not get builder GC policy: failed to parse defaultKeepStorage/],
    [{ policy: [{ minFreeSpace: 7 }] }, /failed to parse minFreeSpace/],
    [{ policy: [{ filter: ['nonsense=1'] }] }, /invalid filter 'nonsense'/],
    [{ policy: [{ filter: ['until=1h', 'unused-for=1h'] }] }, /conflicting filters/],
    [{ policy: {} }, /policy must be a list/],
    [7, /gc must be an object/],
  ] as const) {
    assert.throws(() => parse(gc), { kind: 'invalid-parameter', message });
  }
});
