import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { BuildExecProcess } from './build-spec.ts';
import { knownCapabilities } from './capabilities.ts';
import { buildSpec } from './container-spec.ts';
import { buildExecProcess } from './exec-process.ts';
import { emptyConfig, specInput } from './test-input.ts';

const root = mkdtempSync(join(tmpdir(), 'coracle-exec-'));
after(() => rmSync(root, { recursive: true }));
mkdirSync(join(root, 'etc'));
writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/root:\napp:x:1000:1000::/srv:\n');
writeFileSync(join(root, 'etc/group'), 'root:x:0:\nvideo:x:44:app\n');

const base = buildSpec(
  specInput(root, {
    config: { Tty: true, WorkingDir: '/etc' },
    hostConfig: { Ulimits: [{ Name: 'core', Soft: -1, Hard: -1 }] },
  }),
).spec.process;

const exec = (changes: Partial<Parameters<BuildExecProcess>[0]> = {}) =>
  buildExecProcess({
    base,
    containerConfig: emptyConfig(),
    rootPath: root,
    command: ['id'],
    tty: false,
    env: null,
    user: '',
    workingDir: '',
    privileged: false,
    containerPrivileged: false,
    boundingCapabilities: knownCapabilities,
    ...changes,
  });

test('buildExecProcess() is the first process without its terminal', () => {
  const process = exec();
  assert.equal(process.terminal, false);
  assert.deepEqual(process.args, ['id']);
  assert.equal(process.cwd, '/etc');
  assert.deepEqual(process.user, base.user);
  assert.deepEqual(process.capabilities, base.capabilities);
  assert.ok(!process.env.includes('TERM=xterm'));
  assert.ok(process.env.includes('HOME=/root'));
});

test('buildExecProcess() with a terminal, environment and directory', () => {
  const process = exec({ tty: true, env: ['A=1', 'HOSTNAME'], workingDir: '/tmp', consoleSize: [10, 20] });
  assert.ok(process.env.includes('TERM=xterm'));
  assert.ok(process.env.includes('A=1'));
  assert.ok(!process.env.some((variable) => variable.startsWith('HOSTNAME')));
  assert.equal(process.cwd, '/tmp');
  assert.deepEqual(process.consoleSize, { height: 10, width: 20 });
});

test("buildExecProcess() as another user has that user's groups and home", () => {
  const process = exec({ user: 'app', groupAdd: ['7'] });
  assert.deepEqual(process.user, { uid: 1000, gid: 1000, additionalGids: [1000, 44, 7] });
  assert.ok(process.env.includes('HOME=/srv'));
  assert.throws(() => exec({ user: 'nope' }), {
    message: 'unable to find user nope: no matching entries in passwd file',
  });
});

test('buildExecProcess() keeps a HOME that the container set', () => {
  const process = exec({
    base: { ...base, env: ['HOME=/own'] },
    containerConfig: emptyConfig({ Env: ['HOME=/own'] }),
    user: 'app',
  });
  assert.deepEqual(process.env, ['HOME=/own']);
});

test('buildExecProcess() privileged has all capabilities of the engine', () => {
  assert.deepEqual(exec({ privileged: true }).capabilities?.bounding, knownCapabilities);
});

test('buildExecProcess() mends limits that were kept as JSON', () => {
  const kept = JSON.parse(JSON.stringify(base)) as typeof base;
  assert.equal(
    JSON.stringify(exec({ base: kept }).rlimits),
    '[{"type":"RLIMIT_CORE","soft":18446744073709551615,"hard":18446744073709551615}]',
  );
});
