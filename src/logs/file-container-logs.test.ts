import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { LogReadOptions } from './container-log.ts';
import { FileContainerLogs } from './file-container-logs.ts';

const directory = mkdtempSync(join(tmpdir(), 'coracle-logs-'));
after(() => rmSync(directory, { recursive: true }));
const logs = new FileContainerLogs();
let number = 0;

const newPath = (): string => join(directory, `log${++number}`);
const record = (text: string, tag: 'F' | 'P' = 'F', stream = 'stdout'): string =>
  `2026-11-23T21:34:03.123456789+00:00 ${stream} ${tag} ${text}\n`;
const records = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => record(`line ${from + i}`)).join('');
const never = (): Promise<unknown> => new Promise(() => {});

async function collect(path: string, options: Partial<LogReadOptions> = {}, ended = never): Promise<string> {
  let text = '';
  const all = { stdout: true, stderr: true, follow: false, ...options };
  for await (const entries of logs.read(path, all, ended)) {
    for (const { data } of entries) text += data.toString();
  }
  return text;
}

/** What a follower has read so far. */
function follow(path: string, options: Partial<LogReadOptions> = {}) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const state = { text: '', done: Promise.resolve(), end: resolve };
  state.done = (async () => {
    const all = { stdout: true, stderr: true, follow: true, ...options };
    for await (const entries of logs.read(path, all, () => promise)) {
      for (const { data } of entries) state.text += data.toString();
    }
  })();
  return state;
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !condition(); i++) await delay(5);
  assert.ok(condition());
}

const lines = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => `line ${from + i}\n`).join('');

test('FileContainerLogs.read() reads rotated files oldest first, and nothing where nothing is', async () => {
  const path = newPath();
  assert.equal(await collect(path), '');
  writeFileSync(`${path}.2`, records(0, 2));
  writeFileSync(`${path}.1`, records(2, 4));
  writeFileSync(path, records(4, 6) + 'torn rec');
  assert.equal(await collect(path), lines(0, 6));
  assert.equal(logs.sizeBytes(path), Buffer.byteLength(records(0, 6)) + 8);
});

test('FileContainerLogs.read() finds the tail at every size, across files and blocks', async () => {
  const path = newPath();
  writeFileSync(`${path}.1`, records(0, 10_000));
  writeFileSync(path, records(10_000, 10_003));
  for (const tail of [0, 1, 3, 4, 5000, 9999, 10_003, 20_000]) {
    assert.equal(await collect(path, { tail }), lines(Math.max(0, 10_003 - tail), 10_003), `tail ${tail}`);
  }
});

test('FileContainerLogs.read() counts parts as the line they belong to', async () => {
  const path = newPath();
  writeFileSync(
    path,
    record('a') +
      record('b1', 'P') +
      record('b2', 'P') +
      record('b3') +
      record('c1', 'P') +
      record('c2', 'P'),
  );
  assert.equal(await collect(path, { tail: 1 }), 'c1c2');
  assert.equal(await collect(path, { tail: 2 }), 'b1b2b3\nc1c2');
  assert.equal(await collect(path, { tail: 3 }), 'a\nb1b2b3\nc1c2');
});

test('FileContainerLogs.read() passes records longer than its blocks', async () => {
  const path = newPath();
  const long = 'x'.repeat(1_000_000);
  writeFileSync(path, record('first') + record(long) + record('last'));
  assert.equal(await collect(path), `first\n${long}\nlast\n`);
  assert.equal(await collect(path, { tail: 2 }), `${long}\nlast\n`);
});

test('FileContainerLogs.read() follows, sees halves of records once they are whole, and ends after the rest', async () => {
  const path = newPath();
  const follower = follow(path);
  await delay(10);
  const whole = record('one');
  writeFileSync(path, whole.slice(0, 40));
  await delay(20);
  assert.equal(follower.text, '');
  appendFileSync(path, whole.slice(40));
  await until(() => follower.text === 'one\n');
  appendFileSync(path, record('two'));
  await until(() => follower.text === 'one\ntwo\n');
  appendFileSync(path, record('three'));
  follower.end();
  await follower.done;
  assert.equal(follower.text, 'one\ntwo\nthree\n');
});

test('FileContainerLogs.read() ends when it is aborted, and at a time that has passed', async () => {
  const path = newPath();
  writeFileSync(path, record('one'));
  const abort = new AbortController();
  const follower = follow(path, { signal: abort.signal });
  await until(() => follower.text === 'one\n');
  abort.abort();
  await follower.done;
  await follow(path, { untilNs: BigInt(Date.now()) * 1_000_000n }).done;
});

test('FileContainerLogs.rotateIfNeeded() keeps so many files, and readers every line once', async () => {
  const path = newPath();
  const limits = { maxSizeBytes: 2000, maxFiles: 3 };
  // As conmon does: close, make a new file, put it in place.
  const reopen = async (): Promise<void> => {
    appendFileSync(`${path}.1`, record('late'));
    await delay(2);
    writeFileSync(path, '');
  };
  writeFileSync(path, '');
  const fast = follow(path);
  const slow = logs.read(path, { stdout: true, stderr: true, follow: true }, () => fast.done);
  let expected = '';
  let rotated = 0;
  for (let n = 0; n < 300; n++) {
    appendFileSync(path, record(`line ${n}`));
    expected += `line ${n}\n`;
    if (await logs.rotateIfNeeded(path, limits, reopen)) {
      rotated++;
      expected += 'late\n';
    }
    if (n % 20 === 0) await until(() => fast.text === expected);
  }
  assert.ok(rotated > 5);
  fast.end();
  await fast.done;
  assert.equal(fast.text, expected);
  assert.deepEqual(
    readdirSync(directory)
      .filter((name) => name.startsWith(`log${number}`))
      .sort(),
    [`log${number}`, `log${number}.1`, `log${number}.2`],
  );
  // A reader that comes late gets what is kept, the youngest whole.
  let kept = '';
  for await (const entries of slow) for (const { data } of entries) kept += data.toString();
  assert.ok(kept.length > 0 && expected.endsWith(kept));
  assert.equal(await collect(path), kept);
  await logs.remove(path);
  assert.equal(logs.sizeBytes(path), 0);
});

test('FileContainerLogs.rotateIfNeeded() with one file forgets, and undoes itself when the monitor does not answer', async () => {
  const path = newPath();
  writeFileSync(path, records(0, 50));
  const fails = logs.rotateIfNeeded(path, { maxSizeBytes: 10, maxFiles: 2 }, () =>
    Promise.reject(new Error('gone')),
  );
  await assert.rejects(fails, /gone/);
  assert.equal(await collect(path), lines(0, 50));
  assert.equal(
    await logs.rotateIfNeeded(path, { maxSizeBytes: 1e6, maxFiles: 2 }, () => assert.fail()),
    false,
  );
  const reopen = async (): Promise<void> => writeFileSync(path, '');
  assert.equal(await logs.rotateIfNeeded(path, { maxSizeBytes: 10, maxFiles: 1 }, reopen), true);
  assert.ok(!existsSync(`${path}.1`));
  assert.equal(await collect(path), '');
});
