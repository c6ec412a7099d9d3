import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind } from '../errors/index.ts';
import type { EventMessage } from '../spec/index.ts';
import { MemoryEventBus, eventFilter } from './index.ts';

function collect(): { bus: MemoryEventBus; seen: EventMessage[]; remove: () => void } {
  const bus = new MemoryEventBus();
  const seen: EventMessage[] = [];
  const subscription = bus.subscribe((event) => seen.push(event));
  return { bus, seen, remove: () => subscription.remove() };
}

test('MemoryEventBus.publish() stamps rising times and stops at removal of the listener', () => {
  const { bus, seen, remove } = collect();
  for (let i = 0; i < 50; i++) bus.publish('container', 'start', 'a', {});
  for (let i = 1; i < seen.length; i++) assert.ok(seen[i]!.timeNano > seen[i - 1]!.timeNano);
  assert.ok(Math.abs(seen[0]!.time - Date.now() / 1000) < 2);
  remove();
  bus.publish('container', 'die', 'a', {});
  assert.equal(seen.length, 50);
});

test('MemoryEventBus.recent() keeps the last 256', () => {
  const bus = new MemoryEventBus();
  for (let i = 0; i < 1000; i++) bus.publish('daemon', `e${i}`, 'd', {});
  const recent = bus.recent();
  assert.equal(recent.length, 256);
  assert.equal(recent[0]?.Action, 'e744');
  assert.equal(recent.at(-1)?.Action, 'e999');
});

test('MemoryEventBus.publish() reports a listener that throws and goes on', () => {
  const errors: unknown[] = [];
  const bus = new MemoryEventBus((error) => errors.push(error));
  let second = 0;
  bus.subscribe(() => {
    throw new Error('mine');
  });
  bus.subscribe(() => second++);
  bus.publish('volume', 'create', 'v', {});
  assert.equal(second, 1);
  assert.equal(errors.length, 1);
});

const filterCases: [string, [string, string[]][], boolean][] = [
  ['type', [['type', ['container']]], true],
  ['another type', [['type', ['image']]], false],
  ['one of two types', [['type', ['image', 'container']]], true],
  ['id prefix', [['container', ['abc']]], true],
  ['name', [['container', ['web']]], true],
  ['another container', [['container', ['zzz']]], false],
  ['label key', [['label', ['tier']]], true],
  ['label pair', [['label', ['tier=front']]], true],
  ['label value differs', [['label', ['tier=back']]], false],
  ['all labels are required', [['label', ['tier', 'missing']]], false],
  ['image without tag', [['image', ['busybox']]], true],
  ['image with tag', [['image', ['busybox:1']]], true],
  ['exec_create by its beginning', [['event', ['exec_create']]], true],
  ['another action', [['event', ['exec_die']]], false],
  ['a volume filter leaves container events out', [['volume', ['web']]], false],
  ['both must hold', [['container', ['web']], ['event', ['die']]], false], // prettier-ignore
  ['scope', [['scope', ['local']]], true],
];
for (const [title, entries, expected] of filterCases) {
  test(`eventFilter() ${expected ? 'passes' : 'holds back'}: ${title}`, () => {
    const { bus, seen } = collect();
    bus.publish('container', 'exec_create: sh -c true', 'abcdef', {
      name: 'web',
      image: 'busybox:1',
      tier: 'front',
    });
    assert.equal(eventFilter(new Map(entries))(seen[0]!), expected);
  });
}

test('eventFilter() refuses a name it does not know', () => {
  assert.throws(
    () => eventFilter(new Map([['colour', ['red']]])),
    (error) => isKind(error, 'invalid-parameter'),
  );
});
