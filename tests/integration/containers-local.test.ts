/** Containers of an engine in this process, on the real runtime, network and snapshots. Needs root. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ContainerCreate } from '../../src/containers/index.ts';
import { testConfig, testHostConfig } from '../../src/containers/test-doubles.ts';
import { LocalEngine } from '../../src/engine/index.ts';
import type { ContainerConfig, HostConfig } from '../../src/spec/index.ts';
import { writeBusyboxTree } from '../fixtures/busybox-tree.ts';

const directory = mkdtempSync(join(tmpdir(), 'containers-'));
const image = 'containers-test:busybox';
const tick = (ms = 10): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function open(): Promise<LocalEngine> {
  return LocalEngine.open({
    dataRoot: join(directory, 'data'),
    execRoot: join(directory, 'run'),
    bridge: { name: `cort${process.pid.toString(36)}`.slice(0, 14) },
    onLog: (level, message) => {
      if (level === 'error') errors.push(message);
    },
  });
}

const errors: string[] = [];

describe('LocalContainers on the real rooms', () => {
  let engine: LocalEngine;

  before(async () => {
    engine = await open();
    const tree = mkdtempSync(join(directory, 'tree-'));
    writeBusyboxTree(tree);
    const tar = spawn('tar', ['-C', tree, '--numeric-owner', '--owner=0', '--group=0', '-c', '.']);
    await engine.images.import(tar.stdout, {
      reference: image,
      changes: ['CMD ["sh"]', 'ENV PATH=/bin:/usr/bin'],
    });
  });

  after(async () => {
    for (const { id } of engine.containers.list({ all: true })) await remove(id);
    await engine.close();
    rmSync(directory, { recursive: true, force: true });
    assert.deepEqual(errors, []);
  });

  async function create(
    cmd: string[],
    host: Partial<HostConfig> = {},
    config: Partial<ContainerConfig> = {},
    name?: string,
  ): Promise<string> {
    const request: ContainerCreate = {
      config: testConfig({ Image: image, Cmd: cmd, ...config }),
      hostConfig: testHostConfig(host),
      networkingConfig: { EndpointsConfig: {} },
      ...(name === undefined ? {} : { name }),
    };
    return (await engine.containers.create(request)).id;
  }

  async function run(
    cmd: string[],
    host: Partial<HostConfig> = {},
    config: Partial<ContainerConfig> = {},
    input?: string,
  ): Promise<{ output: string; exitCode: number; id: string }> {
    const id = await create(cmd, host, config);
    const { containers } = engine;
    const session = await containers.attach(id, {
      stdin: input !== undefined,
      stdout: true,
      stderr: true,
      logs: false,
      stream: true,
    });
    let output = '';
    const ended = Promise.withResolvers<void>();
    session.onOutput = (_stream, chunk) => (output += chunk.toString());
    session.onEnd = () => ended.resolve();
    session.begin();
    const waited = containers.wait(id, host.AutoRemove === true ? 'removed' : 'next-exit');
    await containers.start(id);
    if (input !== undefined) {
      await session.writeInput(Buffer.from(input));
      session.closeInput();
    }
    const { exitCode } = await waited.result;
    await ended.promise;
    return { output, exitCode, id };
  }

  async function exec(id: string, cmd: string[]): Promise<{ output: string; exitCode: number | null }> {
    const { containers } = engine;
    const execId = await containers.createExec(id, {
      attachStdin: false,
      attachStdout: true,
      attachStderr: true,
      tty: false,
      detachKeys: '',
      env: null,
      cmd,
      privileged: false,
      user: '',
      workingDir: '',
    });
    const session = await containers.startExec(execId, { attach: true, tty: false });
    assert.ok(session);
    let output = '';
    const ended = Promise.withResolvers<void>();
    session.onOutput = (_stream, chunk) => (output += chunk.toString());
    session.onEnd = () => ended.resolve();
    session.begin();
    await ended.promise;
    while (containers.inspectExec(execId).running) await tick();
    return { output, exitCode: containers.inspectExec(execId).exitCode };
  }

  const remove = (id: string): Promise<void> =>
    engine.containers.remove(id, { force: true, volumes: true, link: false });

  test('run with input, exit code and auto-removal', async () => {
    const { output, exitCode, id } = await run(
      ['sh', '-c', 'cat; exit 3'],
      { AutoRemove: true },
      { OpenStdin: true, StdinOnce: true },
      'in\n',
    );
    assert.deepEqual([output, exitCode], ['in\n', 3]);
    assert.throws(() => engine.containers.inspect(id), /No such container/);
  });

  test('anonymous volumes are filled from the image and go with --rm', async () => {
    const before = engine.volumes.list().length;
    const { output } = await run(['ls', '/etc'], { AutoRemove: true }, { Volumes: { '/etc': {} } });
    assert.match(output, /passwd/);
    assert.equal(engine.volumes.list().length, before);
  });

  test('exec, pause, stop and start again', async () => {
    const { containers } = engine;
    const id = await create(['sh', '-c', 'trap "exit 7" TERM; echo up; while :; do sleep 0.05; done']);
    await containers.start(id);
    assert.deepEqual(await exec(id, ['sh', '-c', 'echo hi; exit 4']), { output: 'hi\n', exitCode: 4 });
    await containers.pause(id);
    assert.equal(containers.inspect(id).state.status, 'paused');
    await containers.unpause(id);
    await containers.stop(id, { timeoutSeconds: 5 });
    assert.equal(containers.inspect(id).state.exitCode, 7);
    await containers.start(id);
    assert.equal(containers.inspect(id).state.status, 'running');
    const lines: string[] = [];
    for await (const entries of containers.logs(id, { stdout: true, stderr: true, follow: false }).entries) {
      lines.push(...entries.map((entry) => entry.data.toString()));
    }
    assert.equal(lines[0], 'up\n');
    await remove(id);
  });

  test('another container joins network and processes, and needs it to run', async () => {
    const { containers } = engine;
    const id = await create(['sleep', '100'], {}, {}, 'donor');
    const modes = { NetworkMode: 'container:donor', PidMode: 'container:donor' };
    await assert.rejects(run(['true'], modes), /cannot join network of a non running container/);
    await containers.start(id);
    const { output } = await run(['sh', '-c', 'hostname; cat /proc/1/comm'], modes);
    assert.equal(output, `${id.slice(0, 12)}\nsleep\n`);
    await remove(id);
  });

  test('commit makes an image of what was written', async () => {
    const { containers, images } = engine;
    const { id } = await run(['sh', '-c', 'echo kept > /made']);
    const request = { tag: '', message: 'why', author: '', pause: true };
    const made = await containers.commit(id, { ...request, repository: 'made', changes: ['USER 33'] });
    assert.equal(images.get('made').id, made);
    const { output } = await run(['sh', '-c', 'cat /made; id -u'], { AutoRemove: true }, { Image: 'made' });
    assert.equal(output, 'kept\n33\n');
    await remove(id);
  });

  test('24 containers at a time live and go', async () => {
    const results = await Promise.all(
      Array.from({ length: 24 }, (_, i) => run(['sh', '-c', `exit ${i}`], { AutoRemove: true })),
    );
    assert.deepEqual(
      results.map((result) => result.exitCode),
      results.map((_, i) => i),
    );
  });

  test('the next engine finds what runs, and what ended meanwhile', async () => {
    const { containers } = engine;
    const lives = await create(['sleep', '100'], {}, {}, 'lives');
    const ends = await create(['sh', '-c', 'sleep 0.3; exit 9'], {}, {}, 'ends');
    const once = await create(['sh', '-c', 'sleep 0.3'], { AutoRemove: true }, {}, 'once');
    for (const id of [lives, ends, once]) await containers.start(id);
    const { pid } = containers.inspect(lives).state;
    await engine.close();
    await tick(600);
    engine = await open();
    assert.equal(engine.containers.inspect('lives').state.pid, pid);
    assert.deepEqual(
      [engine.containers.inspect('ends').state.status, engine.containers.inspect('ends').state.exitCode],
      ['exited', 9],
    );
    assert.throws(() => engine.containers.inspect('once'), /No such container/);
    assert.equal((await exec(lives, ['echo', 'still'])).output, 'still\n');
    const waited = engine.containers.wait('lives', 'next-exit');
    await engine.containers.kill('lives', 'SIGKILL');
    assert.equal((await waited.result).exitCode, 137);
    await remove(lives);
    await remove(ends);
  });
});
