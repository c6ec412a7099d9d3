import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SyscallError } from '../../errors/index.ts';
import { LinuxProcesses } from './processes.ts';

const processes = new LinuxProcesses();
const shell = (script: string): { path: string; argv: string[] } => ({
  path: '/bin/sh',
  argv: ['sh', '-c', script],
});

test('ProcessSpawner.run() passes input, environment and directory, and collects both outputs', async () => {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'spawn-')));
  try {
    const result = await processes.run({
      ...shell('cat; echo "$NAME" >&2; pwd; exit 3'),
      stdin: 'input ',
      env: { NAME: 'value' },
      cwd: directory,
    });
    assert.deepEqual(result, {
      exitCode: 3,
      signal: null,
      stdout: `input ${directory}\n`,
      stderr: 'value\n',
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('ProcessSpawner.run() takes more output and input than a pipe holds', async () => {
  const input = Buffer.alloc(900_000, 'x');
  const { stdout } = await processes.run({ ...shell('cat'), stdin: input });
  assert.equal(stdout.length, input.length);
  const cut = await processes.run(shell('head -c 3000000 /dev/zero'));
  assert.equal(cut.exitCode, 0);
  assert.equal(cut.stdout.length, 1024 * 1024);
});

test('ProcessSpawner.run() does not wait for a grandchild that keeps the pipes', async () => {
  const { stdout } = await processes.run(shell('sleep 20 & echo $!'));
  process.kill(Number(stdout), 'SIGKILL');
});

test('ProcessSpawner.run() kills the child when aborted', async () => {
  const abort = new AbortController();
  const running = processes.run({ path: '/bin/sleep', argv: ['sleep', '20'], signal: abort.signal });
  abort.abort(new Error('enough'));
  await assert.rejects(running, /enough/);
});

test('ProcessSpawner.spawn() reports signals, and starts the child with none blocked or ignored', async () => {
  const child = processes.spawn({ path: '/bin/sleep', argv: ['sleep', '20'], newSession: true });
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  // Node itself ignores SIGPIPE.
  assert.match(status, /^SigIgn:\t0+$/m);
  assert.match(status, /^SigBlk:\t0+$/m);
  assert.match(status, /^NSsid:\t/m);
  child.kill(15);
  assert.deepEqual(await child.exited, { exitCode: null, signal: 15 });
  // The number may be somebody else's by now.
  child.kill(9);
});

test('ProcessSpawner.spawn() leaves no descriptor of ours in the child', async () => {
  const [read, write] = processes.pipe();
  const own = openSync('/dev/null', 'r');
  const child = processes.spawn({ ...shell('exec ls /proc/self/fd >&5'), fds: { 5: write } });
  closeSync(write);
  try {
    assert.equal((await child.exited).exitCode, 0);
    const text = readFileSync(read, 'utf8');
    // 3 is the directory that ls reads.
    assert.deepEqual(text.trim().split('\n'), ['0', '1', '2', '3', '5']);
  } finally {
    for (const fd of [read, own]) closeSync(fd);
  }
});

test('ProcessSpawner.spawn() throws when there is no such program', () => {
  assert.throws(
    () => processes.spawn({ path: '/nonexistent', argv: ['x'] }),
    (error) => error instanceof SyscallError && error.errno === 'ENOENT',
  );
  assert.throws(() => processes.spawn({ path: '/bin/sh', argv: ['a\0b'] }), /EINVAL|a\\u0000b/);
});

test('ProcessSpawner.waitForExit() resolves for what is gone, now or later', async () => {
  const child = processes.spawn({ path: '/bin/sleep', argv: ['sleep', '0.05'] });
  await processes.waitForExit(child.pid);
  await child.exited;
  await processes.waitForExit(child.pid);
  const abort = new AbortController();
  const waiting = processes.waitForExit(process.pid, abort.signal);
  abort.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
});
