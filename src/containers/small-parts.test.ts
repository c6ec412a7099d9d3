import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind } from '../errors/index.ts';
import { AsyncLock } from './async-lock.ts';
import { matchesLabels, matchesPattern, parseUntil } from './filter-values.ts';
import { logSettings } from './log-settings.ts';
import { ContainerNames } from './names.ts';
import { RestartTracker, restartsWithEngine } from './restart-policy.ts';
import { parseSignal } from './signals.ts';
import { startFailure } from './start-failure.ts';
import { formatNs, nowNs, parseNs } from './timestamp.ts';
import { parsePs } from './top.ts';

test('AsyncLock.run() runs bodies one after the other, also after one that throws', async () => {
  const lock = new AsyncLock();
  const order: string[] = [];
  const slow = lock.run(async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    order.push('slow');
    throw new Error('no');
  });
  const fast = lock.run(() => order.push('fast'));
  await assert.rejects(slow, /no/);
  await fast;
  assert.deepEqual(order, ['slow', 'fast']);
});

test('RestartTracker.delayAfterExit() doubles to a minute and begins anew after a long run', () => {
  const tracker = new RestartTracker();
  const always = { Name: 'always', MaximumRetryCount: 0 } as const;
  const delays = Array.from({ length: 12 }, () => tracker.delayAfterExit(always, 1, 50));
  assert.deepEqual(delays.slice(0, 4), [100, 200, 400, 800]);
  assert.equal(delays.at(-1), 60_000);
  assert.equal(tracker.delayAfterExit(always, 1, 10_000), 100);
  tracker.cancel();
  assert.equal(tracker.delayAfterExit(always, 1, 50), undefined);
});

test('RestartTracker.delayAfterExit() counts failures for on-failure', () => {
  const tracker = new RestartTracker();
  const twice = { Name: 'on-failure', MaximumRetryCount: 2 } as const;
  assert.equal(tracker.delayAfterExit(twice, 0, 1), undefined);
  assert.notEqual(tracker.delayAfterExit(twice, 1, 1), undefined);
  assert.notEqual(tracker.delayAfterExit(twice, 1, 1), undefined);
  assert.equal(tracker.delayAfterExit(twice, 1, 1), undefined);
});

test('restartsWithEngine() follows the policies', () => {
  const state = { exitCode: 0, stoppedByUser: true, restartCount: 0 };
  const wants = (name: 'always' | 'unless-stopped' | 'on-failure' | 'no', change = {}): boolean =>
    restartsWithEngine({ Name: name, MaximumRetryCount: 0 }, { ...state, ...change });
  assert.equal(wants('always'), true);
  assert.equal(wants('unless-stopped'), false);
  assert.equal(wants('unless-stopped', { stoppedByUser: false }), true);
  assert.equal(wants('on-failure', { stoppedByUser: false }), false);
  assert.equal(wants('on-failure', { stoppedByUser: false, exitCode: 1 }), true);
  assert.equal(wants('no', { stoppedByUser: false }), false);
});

test('parseSignal() reads numbers, names and real-time signals', () => {
  const cases: [string, number][] = [
    ['9', 9],
    ['KILL', 9],
    ['sigterm', 15],
    ['RTMIN', 34],
    ['SIGRTMIN+3', 37],
    ['RTMAX-1', 63],
  ];
  for (const [text, number] of cases) assert.equal(parseSignal(text), number, text);
  for (const text of ['0', '65', 'FOO', 'RTMIN+99', '']) {
    assert.throws(() => parseSignal(text), { message: `Invalid signal: ${text}` });
  }
});

test('startFailure() finds exit codes in the texts of runtimes', () => {
  const cases: [string, number][] = [
    ['exec: "x": executable file not found in $PATH: unknown', 127],
    ['exec: "/x": stat /x: no such file or directory: unknown', 127],
    ['exec: "/etc": permission denied: unknown', 126],
    ['exec: "/etc": is a directory', 126],
    ['mount a to b: not a directory', 127],
    ['something else', 128],
  ];
  for (const [text, exitCode] of cases) assert.equal(startFailure(new Error(text)).exitCode, exitCode, text);
});

test('ContainerNames.generate() gives valid names and reserves them', () => {
  const names = new ContainerNames();
  for (let i = 0; i < 500; i++) {
    const name = names.generate(`${i}`.padStart(64, 'a'));
    assert.match(name, /^[a-z]+_[a-z]+\d?$|^a{12}$/);
    assert.equal(names.owner(name), `${i}`.padStart(64, 'a'));
  }
});

test('parseNs() keeps all nine digits that formatNs() wrote', () => {
  for (const ns of [nowNs(), 1_700_000_000_000_000_001n, 1_700_000_000_120_000_000n, 0n]) {
    assert.equal(parseNs(formatNs(ns)), ns);
  }
  assert.equal(formatNs(1_700_000_000_120_000_000n), '2023-11-14T22:13:20.12Z');
  assert.equal(parseNs('2023-11-14T23:13:20.12+01:00'), 1_700_000_000_120_000_000n);
});

test('logSettings() rotates by default and reads sizes', () => {
  const of = (Config: Record<string, string>, Type = 'json-file') => logSettings({ Type, Config });
  assert.deepEqual(of({}), { written: true, maxSizeBytes: 10 << 20, maxFiles: 3 });
  assert.equal(of({ 'max-size': '20k', 'max-file': '1' }).maxSizeBytes, 20480);
  assert.equal(of({ 'max-size': '-1' }).maxSizeBytes, Infinity);
  assert.equal(of({}, 'none').written, false);
  assert.throws(() => of({}, 'nosuch'), /plugin "nosuch" not found/);
  assert.throws(() => of({ colour: 'red' }), /unknown log opt 'colour' for json-file log driver/);
  for (const bad of [{ 'max-size': 'big' }, { 'max-file': '0' }, { 'max-file': 'x' }]) {
    assert.throws(
      () => of(bad as Record<string, string>),
      (error) => isKind(error, 'invalid-parameter'),
    );
  }
});

test('parsePs() keeps the lines of the processes, and threads with them', () => {
  const output = 'UID   PID  CMD\nroot    1  init\nroot   22  sh -c  a b\nroot    -  -\nroot   33  other\n';
  assert.deepEqual(parsePs(output, new Set([22])), {
    titles: ['UID', 'PID', 'CMD'],
    processes: [
      ['root', '22', 'sh -c a b'],
      ['root', '-', '-'],
    ],
  });
});

test('parseUntil() reads durations, Unix times and dates', () => {
  assert.equal(parseUntil('1h30m', 10_000_000), 10_000_000 - 5_400_000);
  assert.equal(parseUntil('1700000000', 0), 1_700_000_000_000);
  assert.equal(parseUntil('2023-11-14T22:13:20Z', 0), 1_700_000_000_000);
  assert.throws(
    () => parseUntil('soon', 0),
    (error) => isKind(error, 'invalid-parameter'),
  );
});

test('matchesLabels() and matchesPattern() match as Docker does', () => {
  assert.equal(matchesLabels({ a: '1', b: '' }, ['a', 'b=']), true);
  assert.equal(matchesLabels({ a: '1' }, ['a=2']), false);
  assert.equal(matchesPattern('web_1', ['^web']), true);
  assert.equal(matchesPattern('web_1', ['x', 'b_']), true);
  assert.equal(matchesPattern('a[b', ['a[b']), true);
  assert.equal(matchesPattern('web', ['^x$']), false);
});
