import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isKind } from '../../src/errors/index.ts';
import type { RuntimeExec, RuntimeStreams, RuntimeTask } from '../../src/runtime/index.ts';
import { runtimeFixture } from './runtime-fixture.ts';

const reason = process.getuid?.() === 0 ? false : 'needs root';
const runtimes = ['/usr/bin/crun', '/usr/sbin/runc'].map((path) => ({
  path,
  skip: reason === false && !existsSync(path) ? `${path} is not installed` : reason,
}));

interface CreateChange {
  terminal?: boolean;
  memory?: number;
  openStdin?: boolean;
  stdinOnce?: boolean;
  logPath?: string;
}

/** What a client of the streams got. */
function listen(streams: RuntimeStreams) {
  const heard = { stdout: '', stderr: '', bytes: 0, ended: Promise.resolve<Error | undefined>(undefined) };
  streams.onOutput = (stream, chunk) => {
    heard.bytes += chunk.length;
    if (heard[stream].length < 10_000) heard[stream] += chunk.toString();
  };
  heard.ended = new Promise((resolve) => {
    streams.onEnd = resolve;
  });
  return heard;
}

for (const { path, skip } of runtimes) {
  describe(`ConmonRuntime with ${path}`, { skip }, () => {
    let fixture: ReturnType<typeof runtimeFixture>;
    let runtime: ReturnType<typeof fixture.open>;

    before(() => {
      fixture = runtimeFixture({ runtimePath: path });
      runtime = fixture.open();
    });
    after(() => fixture.dispose());

    async function create(
      args: string[],
      change: CreateChange = {},
    ): Promise<{ id: string; task: RuntimeTask }> {
      const id = fixture.newId();
      const task = await runtime.create({
        id,
        spec: fixture.spec(id, args, change),
        openStdin: change.openStdin === true,
        stdinOnce: change.stdinOnce === true,
        logPath: change.logPath ?? null,
      });
      return { id, task };
    }

    /** Attaches, starts, waits and deletes. */
    async function run(args: string[], change: CreateChange = {}) {
      const { id, task } = await create(args, change);
      const heard = listen(task.attach());
      await runtime.start(id);
      const exit = await task.exited;
      assert.equal(await heard.ended, undefined);
      await runtime.delete(id);
      return { ...heard, ...exit };
    }

    async function execute(
      containerId: string,
      args: string[],
      change: Partial<RuntimeExec> & { terminal?: boolean } = {},
    ): Promise<{ execId: string; task: RuntimeTask }> {
      const execId = fixture.newId();
      const process = fixture.spec(containerId, args, change).process;
      const task = await runtime.exec({
        execId,
        containerId,
        process,
        openStdin: false,
        attached: true,
        ...change,
      });
      return { execId, task };
    }

    test('ConmonRuntime.create() lets a client attach before the first byte', async () => {
      for (let round = 0; round < 5; round++) {
        const { stdout, stderr, exitCode } = await run(['sh', '-c', 'echo out; echo err >&2; exit 7']);
        assert.deepEqual({ stdout, stderr, exitCode }, { stdout: 'out\n', stderr: 'err\n', exitCode: 7 });
      }
    });

    test('ConmonRuntime.delete() leaves no file, state or cgroup behind', async () => {
      const { id } = await create(['sleep', '100']);
      const parent = fixture.cgroupsPath(id).slice(0, -id.length - 1);
      await runtime.start(id);
      if (fixture.cgroups.setup.driver === 'cgroupfs') assert.ok(fixture.cgroups.children(parent).length > 0);
      await runtime.delete(id);
      await runtime.delete(id);
      assert.deepEqual(await runtime.known(), []);
      assert.deepEqual(readdirSync(join(fixture.execRoot, 'runtimes', runtime.name)), []);
      if (fixture.cgroups.setup.driver === 'cgroupfs') assert.deepEqual(fixture.cgroups.children(parent), []);
    });

    test('ConmonRuntime.create() reports a command that cannot be run as Docker does', async () => {
      writeFileSync(join(fixture.rootfs, 'bin/noexec'), '');
      chmodSync(join(fixture.rootfs, 'bin/noexec'), 0o644);
      for (const [program, text, exitCode] of [
        ['nosuch', /: exec: "nosuch": executable file not found in \$PATH: unknown$/, 127],
        ['/nosuch', /: exec: "\/nosuch": stat \/nosuch: no such file or directory: unknown$/, 127],
        ['/bin/noexec', /: exec: "\/bin\/noexec": permission denied: unknown$/, 126],
        ['/tmp', /: exec: "\/tmp": (?:permission denied|is a directory): unknown$/, 126],
      ] as const) {
        await assert.rejects(create([program]), (error: Error & { details?: { exitCode?: number } }) => {
          assert.match(error.message, /^failed to create task for container: .*OCI runtime create failed: /);
          assert.match(error.message, text);
          assert.equal(error.details?.exitCode, exitCode);
          return isKind(error, 'invalid-parameter');
        });
      }
      assert.deepEqual(await runtime.known(), []);
      assert.deepEqual(readdirSync(join(fixture.execRoot, 'runtimes', runtime.name)), []);
    });

    test('ConmonRuntime.kill() reports 128 + signal, and not-found afterwards', async () => {
      const { id, task } = await create(['sleep', '100']);
      await runtime.start(id);
      await runtime.kill(id, 9);
      assert.equal((await task.exited).exitCode, 137);
      await assert.rejects(runtime.kill(id, 15), (error) => isKind(error, 'not-found'));
      await assert.rejects(runtime.exec({} as RuntimeExec & { containerId: string }));
      await runtime.delete(id);
    });

    test('RuntimeTask.exited tells of an OOM kill', async () => {
      const exit = await run(['sh', '-c', 'x=$(yes | head -c 50000000); echo ${#x}'], { memory: 16 << 20 });
      assert.deepEqual(
        { exitCode: exit.exitCode, oomKilled: exit.oomKilled },
        { exitCode: 137, oomKilled: true },
      );
    });

    test('RuntimeTask.attach() delivers 100 MB to a reader that pauses', async () => {
      const size = 100 << 20;
      const { id, task } = await create(['head', '-c', String(size), '/dev/zero']);
      const streams = task.attach();
      const heard = listen(streams);
      const count = streams.onOutput;
      let sincePause = 0;
      let isPaused = false;
      let whilePaused = 0;
      streams.onOutput = (stream, chunk) => {
        count(stream, chunk);
        if (isPaused) whilePaused += chunk.length;
        sincePause += chunk.length;
        if (sincePause < 20 << 20) return;
        sincePause = 0;
        isPaused = true;
        streams.pause();
        setTimeout(() => {
          isPaused = false;
          streams.resume();
        }, 20);
      };
      const memory = process.memoryUsage().rss;
      await runtime.start(id);
      assert.equal((await task.exited).exitCode, 0);
      await heard.ended;
      assert.equal(heard.bytes, size);
      assert.equal(whilePaused, 0);
      assert.ok(process.memoryUsage().rss - memory < 80 << 20, 'memory grew with the output');
      await runtime.delete(id);
    });

    test('RuntimeTask.exited resolves while a client pauses, and what was written still comes', async () => {
      const { id, task } = await create(['yes']);
      const streams = task.attach();
      const heard = listen(streams);
      streams.pause();
      await runtime.start(id);
      await delay(100);
      await runtime.kill(id, 9);
      assert.equal((await task.exited).exitCode, 137);
      assert.equal(heard.bytes, 0);
      streams.resume();
      await heard.ended;
      assert.ok(heard.bytes > 0);
      await runtime.delete(id);
    });

    test('RuntimeTask.attach() serves several clients, also after the end', async () => {
      const { id, task } = await create(['sh', '-c', 'echo a; sleep 0.1; echo b']);
      const all = [listen(task.attach()), listen(task.attach()), listen(task.attach())];
      await runtime.start(id);
      await task.exited;
      await Promise.all(all.map(({ ended }) => ended));
      assert.deepEqual(
        all.map(({ stdout }) => stdout),
        ['a\nb\n', 'a\nb\n', 'a\nb\n'],
      );
      const late = listen(task.attach());
      assert.equal(await late.ended, undefined);
      await runtime.delete(id);
      assert.equal(await listen(task.attach()).ended, undefined);
    });

    test('RuntimeStreams.closeInput() half-closes: the answer still comes', async () => {
      const { id, task } = await create(['sh', '-c', 'sleep 0.1; wc -c'], {
        openStdin: true,
        stdinOnce: true,
      });
      const other = task.attach();
      const streams = task.attach();
      const heard = listen(streams);
      await runtime.start(id);
      // One that leaves must not take the input with it.
      other.close();
      const chunk = Buffer.alloc(1 << 20, 'a');
      for (let count = 0; count < 8; count++) await streams.writeInput(chunk);
      streams.closeInput();
      assert.equal((await task.exited).exitCode, 0);
      await heard.ended;
      assert.equal(heard.stdout.trim(), String(8 << 20));
      await runtime.delete(id);
    });

    test('RuntimeStreams.closeInput() leaves stdin open without stdinOnce', async () => {
      const { id, task } = await create(['cat'], { openStdin: true });
      const first = task.attach();
      const firstHeard = listen(first);
      await runtime.start(id);
      await first.writeInput(Buffer.from('one'));
      while (firstHeard.stdout !== 'one') await delay(5);
      first.closeInput();
      first.close();
      const second = task.attach();
      const heard = listen(second);
      await second.writeInput(Buffer.from('two'));
      while (heard.stdout === '') await delay(5);
      assert.equal(heard.stdout, 'two');
      await runtime.delete(id);
    });

    test('RuntimeTask.resize() sets the size of the terminal, the last of several wins', async () => {
      const { id, task } = await create(['sh', '-c', 'read x; stty size'], {
        openStdin: true,
        stdinOnce: true,
        terminal: true,
      });
      const streams = task.attach();
      const heard = listen(streams);
      await runtime.start(id);
      await Promise.all([task.resize(10, 20), task.resize(30, 40), task.resize(41, 119)]);
      await delay(50);
      await streams.writeInput(Buffer.from('\n'));
      await task.exited;
      await heard.ended;
      assert.match(heard.stdout, /41 119\r\n$/);
      await runtime.delete(id);
    });

    test('ConmonRuntime.reopenLog() loses no line', async () => {
      const logPath = join(fixture.execRoot, 'reopen.log');
      const { id, task } = await create(
        ['sh', '-c', 'i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); sleep 0.001; done'],
        { logPath },
      );
      await runtime.start(id);
      await delay(60);
      renameSync(logPath, `${logPath}.1`);
      await runtime.reopenLog(id);
      await task.exited;
      const lines = [`${logPath}.1`, logPath].flatMap((file) =>
        readFileSync(file, 'utf8').trim().split('\n'),
      );
      assert.deepEqual(
        lines.map((line) => line.split(' ').at(-1)),
        Array.from({ length: 200 }, (_none, index) => String(index)),
      );
      await runtime.delete(id);
    });

    test('ConmonRuntime.pause(), resume() and update() reach the cgroup', async () => {
      const { id } = await create(['sleep', '100']);
      await runtime.start(id);
      await runtime.pause(id);
      await runtime.resume(id);
      await runtime.update(id, { memory: { limit: 64 << 20 } });
      assert.equal(fixture.cgroups.stats(fixture.cgroupsPath(id)).memoryLimitBytes, 64 << 20);
      await assert.rejects(runtime.start(id), (error: Error) =>
        error.message.startsWith('OCI runtime start failed'),
      );
      await runtime.delete(id);
    });

    test('RuntimeTask.exited resolves when the monitor is killed', async () => {
      const { id, task } = await create(['sleep', '100']);
      await runtime.start(id);
      process.kill(task.monitorPid, 'SIGKILL');
      assert.equal((await task.exited).exitCode, 137);
      await runtime.delete(id);
    });

    test('ConmonRuntime.exec() runs, with streams, input, a terminal, or detached', async () => {
      const { id } = await create(['sleep', '100']);
      await runtime.start(id);
      const plain = await execute(id, ['sh', '-c', 'echo out; echo err >&2; exit 3']);
      // Output waits for the first client.
      await delay(50);
      const heard = listen(plain.task.attach());
      assert.equal((await plain.task.exited).exitCode, 3);
      await heard.ended;
      assert.deepEqual([heard.stdout, heard.stderr], ['out\n', 'err\n']);

      const cat = await execute(id, ['wc', '-c'], { openStdin: true });
      const streams = cat.task.attach();
      const counted = listen(streams);
      await streams.writeInput(Buffer.alloc(1 << 20));
      streams.closeInput();
      assert.equal((await cat.task.exited).exitCode, 0);
      await counted.ended;
      assert.equal(counted.stdout.trim(), String(1 << 20));

      const terminal = await execute(id, ['sh', '-c', 'read x; stty size'], {
        terminal: true,
        openStdin: true,
      });
      const console_ = terminal.task.attach();
      const shown = listen(console_);
      await terminal.task.resize(33, 77);
      await delay(20);
      await console_.writeInput(Buffer.from('\n'));
      await terminal.task.exited;
      await shown.ended;
      assert.match(shown.stdout, /33 77\r\n$/);

      const detached = await execute(id, ['sh', '-c', 'exit 5'], { attached: false });
      assert.equal((await detached.task.exited).exitCode, 5);
      for (const { execId } of [plain, cat, terminal, detached]) await runtime.deleteExec(id, execId);
      assert.deepEqual(readdirSync(join(fixture.execRoot, 'containers', id, 'exec')), []);

      for (const attached of [true, false]) {
        await assert.rejects(execute(id, ['nosuch'], { attached }), {
          message:
            'OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": ' +
            'executable file not found in $PATH: unknown',
        });
      }
      await runtime.delete(id);
    });

    test('ConmonRuntime.exec() passes 20 MB on without loss', async () => {
      const { id } = await create(['sleep', '100']);
      await runtime.start(id);
      const { task } = await execute(id, ['head', '-c', String(20 << 20), '/dev/zero']);
      const heard = listen(task.attach());
      await task.exited;
      await heard.ended;
      assert.equal(heard.bytes, 20 << 20);
      await runtime.delete(id);
    });
  });
}

describe('ConmonRuntime after a SIGKILL of the engine', { skip: reason }, () => {
  let fixture: ReturnType<typeof runtimeFixture>;
  before(() => {
    fixture = runtimeFixture();
  });
  after(() => fixture.dispose());

  test('ConmonRuntime.adopt() finds what runs and what ended meanwhile', async () => {
    const [running, ended] = [fixture.newId(), fixture.newId()];
    const execId = fixture.newId();
    const request = { openStdin: false, stdinOnce: false, logPath: null };
    const child = spawn(process.execPath, [join(import.meta.dirname, 'runtime-child.ts')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.end(
      JSON.stringify({
        execRoot: fixture.execRoot,
        create: [
          {
            ...request,
            id: running,
            spec: fixture.spec(running, ['sh', '-c', 'i=0; while sleep 0.05; do echo $i; i=$((i+1)); done']),
          },
          { ...request, id: ended, spec: fixture.spec(ended, ['sh', '-c', 'sleep 0.5; exit 9']) },
        ],
        exec: [
          {
            execId,
            containerId: running,
            process: fixture.spec(running, ['sh', '-c', 'sleep 1; exit 6']).process,
            openStdin: false,
            attached: false,
          },
        ],
      }),
    );
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    await delay(600);

    const runtime = fixture.open();
    assert.deepEqual((await runtime.known()).toSorted(), [running, ended].toSorted());
    const gone = await runtime.adopt(ended);
    assert.equal((await gone?.exited)?.exitCode, 9);
    const session = await runtime.adoptExec(running, execId);
    const task = await runtime.adopt(running);
    assert.ok(task !== undefined && session !== undefined);
    assert.equal((await session.exited).exitCode, 6);
    const heard = listen(task.attach());
    while (heard.stdout === '') await delay(5);
    await runtime.kill(running, 9);
    assert.equal((await task.exited).exitCode, 137);
    await heard.ended;
    await runtime.delete(running);
    await runtime.delete(ended);
    assert.equal(await runtime.adopt(running), undefined);
    assert.deepEqual(await runtime.known(), []);
  });
});
