import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeConfig } from './config-merge.ts';
import { testConfig } from './test-doubles.ts';

const image = {
  User: 'app',
  Env: ['A=image', 'B=image'],
  Entrypoint: ['/entry'],
  Cmd: ['arg'],
  Labels: { a: 'image', b: 'image' },
  WorkingDir: '/work',
  Volumes: { '/data': {} },
  ExposedPorts: { '80/tcp': {} },
  StopSignal: 'SIGINT',
  Healthcheck: { Test: ['CMD', 'x'], Interval: 5 },
};

test('mergeConfig() takes from the image what the user left open', () => {
  const merged = mergeConfig(testConfig(), image);
  assert.equal(merged.User, 'app');
  assert.deepEqual(merged.Env, ['A=image', 'B=image']);
  assert.deepEqual([merged.Entrypoint, merged.Cmd], [['/entry'], ['arg']]);
  assert.equal(merged.WorkingDir, '/work');
  assert.equal(merged.StopSignal, 'SIGINT');
  assert.deepEqual(merged.Healthcheck, image.Healthcheck);
});

test('mergeConfig() lets the user win, by key where there are keys', () => {
  const user = testConfig({
    Env: ['A=user', 'C'],
    Labels: { a: 'user' },
    Volumes: { '/more': {} },
    ExposedPorts: { '90/udp': {} },
    Healthcheck: { Retries: 2 },
  });
  const merged = mergeConfig(user, image);
  assert.deepEqual(merged.Env, ['A=user', 'C', 'B=image']);
  assert.deepEqual(merged.Labels, { a: 'user', b: 'image' });
  assert.deepEqual(Object.keys(merged.Volumes ?? {}), ['/data', '/more']);
  assert.deepEqual(Object.keys(merged.ExposedPorts ?? {}), ['80/tcp', '90/udp']);
  assert.deepEqual(merged.Healthcheck, { Retries: 2, Test: ['CMD', 'x'], Interval: 5 });
  assert.deepEqual(user.Labels, { a: 'user' }, 'the request is not changed');
});

test('mergeConfig() drops the command of the image with its entry point', () => {
  const merged = mergeConfig(testConfig({ Entrypoint: ['/mine'] }), image);
  assert.deepEqual([merged.Entrypoint, merged.Cmd], [['/mine'], null]);
  const none = mergeConfig(testConfig({ Entrypoint: [''], Cmd: ['ls'] }), image);
  assert.deepEqual([none.Entrypoint, none.Cmd], [null, ['ls']]);
});

test('mergeConfig() refuses when nothing is left to run', () => {
  assert.throws(() => mergeConfig(testConfig(), {}), { message: 'No command specified' });
  assert.throws(() => mergeConfig(testConfig({ Entrypoint: [''] }), image), /No command specified/);
});
