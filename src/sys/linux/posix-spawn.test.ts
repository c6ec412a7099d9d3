import assert from 'node:assert/strict';
import { test } from 'node:test';
import { descriptorPlan } from './posix-spawn.ts';

/** What a child's descriptors are after the plan, starting from these of ours. */
function execute(fds: Record<number, number | 'null'>, ours: Map<number, string>): Map<number, string> {
  const table = new Map(ours);
  for (const { kind, fd, source } of descriptorPlan(fds)) {
    if (kind === 'null') table.set(fd, 'null');
    else if (kind === 'close') table.delete(fd);
    else if (kind === 'closefrom') for (const open of table.keys()) if (open >= fd) table.delete(open);
    if (kind !== 'dup2') continue;
    const what = table.get(source);
    assert.ok(what !== undefined, `dup2 of ${source}, which is closed`);
    table.set(fd, what);
  }
  return table;
}

const ours = new Map(Array.from({ length: 12 }, (_none, fd) => [fd, `ours${fd}`]));

test('descriptorPlan() gives /dev/null for what is not asked for, and nothing else', () => {
  assert.deepEqual(
    [...execute({}, ours)],
    [
      [0, 'null'],
      [1, 'null'],
      [2, 'null'],
    ],
  );
});

test('descriptorPlan() exchanges descriptors that are each other’s targets', () => {
  const table = execute({ 0: 1, 1: 2, 2: 0, 3: 4, 4: 3, 6: 6 }, ours);
  assert.deepEqual(Object.fromEntries(table), {
    0: 'ours1',
    1: 'ours2',
    2: 'ours0',
    3: 'ours4',
    4: 'ours3',
    6: 'ours6',
  });
});

test('descriptorPlan() gives one descriptor to several targets', () => {
  const table = execute({ 1: 3, 2: 3, 3: 9 }, ours);
  assert.deepEqual(Object.fromEntries(table), { 0: 'null', 1: 'ours3', 2: 'ours3', 3: 'ours9' });
});
