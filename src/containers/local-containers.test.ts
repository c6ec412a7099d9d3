import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineError, isKind } from '../errors/index.ts';
import type { ContainerConfig, HostConfig } from '../spec/index.ts';
import type { LocalContainers } from './local-containers.ts';
import { TestRooms, testConfig, testHostConfig } from './test-doubles.ts';

function create(
  containers: LocalContainers,
  config: Partial<ContainerConfig> = {},
  hostConfig: Partial<HostConfig> = {},
  name?: string,
): Promise<string> {
  return containers
    .create({
      config: testConfig(config),
      hostConfig: testHostConfig(hostConfig),
      networkingConfig: { EndpointsConfig: {} },
      ...(name === undefined ? {} : { name }),
    })
    .then(({ id }) => id);
}

const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

test('LocalContainers lives a container from create to removal, with events in Docker order', async () => {
  using rooms = new TestRooms();
  const containers = rooms.containers();
  const id = await create(containers, { Cmd: ['echo', 'hi'], Labels: { a: 'b' } }, {}, 'web');
  assert.equal(containers.inspect('web').state.status, 'created');
  assert.equal(containers.inspect(id.slice(0, 5)).name, 'web');
  assert.equal(containers.inspect(id).config.Hostname, id.slice(0, 12));
  const waited = containers.wait('web', 'next-exit');
  const output: string[] = [];
  const session = await containers.attach('web', {
    stdin: false,
    stdout: true,
    stderr: true,
    logs: false,
    stream: true,
  });
  const ended = Promise.withResolvers<void>();
  session.onOutput = (stream, chunk) => output.push(`${stream}:${chunk.toString()}`);
  session.onEnd = () => ended.resolve();
  session.begin();
  rooms.runtime.onStart = (task) => {
    task.write('stdout', 'first byte');
    task.end(3);
  };
  await containers.start('web');
  assert.deepEqual(await waited.result, { exitCode: 3 });
  await ended.promise;
  assert.deepEqual(output, ['stdout:first byte']);
  const { state, networks } = containers.inspect('web');
  assert.equal(state.status, 'exited');
  assert.equal(state.pid, 0);
  assert.equal(networks['bridge']?.IPAddress, '');
  assert.equal(rooms.sandboxes.size, 0);
  assert.equal(rooms.mounted.size, 0);
  await containers.remove('web', { force: false, volumes: false, link: false });
  await containers.close();
  assert.equal(rooms.trees.size, 0);
  assert.deepEqual(rooms.actions(), ['create', 'attach', 'start', 'die', 'destroy']);
  const die = rooms.seen.find((event) => event.Action === 'die');
  assert.deepEqual(die?.Actor.Attributes, {
    a: 'b',
    image: 'busybox',
    name: 'web',
    exitCode: '3',
    execDuration: '0',
  });
  assert.deepEqual(rooms.backgroundErrors, []);
});

test('LocalContainers.create() names the owner of a name that is taken, and undoes itself', async () => {
  using rooms = new TestRooms();
  const containers = rooms.containers();
  const id = await create(containers, {}, {}, 'web');
  await assert.rejects(
    create(containers, {}, {}, '/web'),
    (error) =>
      isKind(error, 'conflict') &&
      (error as Error).message ===
        `Conflict. The container name "/web" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`,
  );
  await assert.rejects(create(containers, {}, {}, 'a'), /Invalid container name \(a\)/);
  await assert.rejects(create(containers, { Image: 'none' }, {}, 'x1'), (error) =>
    isKind(error, 'not-found'),
  );
  assert.equal(rooms.trees.size, 1);
  assert.equal(containers.list({ all: true }).length, 1);
});

test('LocalContainers.inspect() refuses an ambiguous prefix and an unknown name', async () => {
  using rooms = new TestRooms();
  const containers = rooms.containers();
  for (let i = 0; i < 17; i++) await create(containers);
  const first = containers.list({ all: true }).map((record) => record.id[0] ?? '');
  const twice = first.find((character, i) => first.indexOf(character) !== i) ?? '';
  assert.throws(() => containers.inspect(twice), {
    message: `multiple IDs found with provided prefix: ${twice}`,
  });
  assert.throws(() => containers.inspect('nobody'), { message: 'No such container: nobody' });
});

test('LocalContainers.start() keeps a failed container as created, with exit code and error', async () => {
  using rooms = new TestRooms();
  const containers = rooms.containers();
  const id = await create(containers, {}, {}, 'bad');
  rooms.runtime.failCreate = new EngineError(
    'internal',
    'OCI runtime create failed: exec: "nope": executable file not found in $PATH: unknown',
  );
  await assert.rejects(containers.start('bad'), (error) => isKind(error, 'invalid-parameter'));
  const { state } = containers.inspect(id);
  assert.equal(state.status, 'created');
  assert.equal(state.exitCode, 127);
  assert.match(state.error, /executable file not found/);
  assert.equal(rooms.sandboxes.size + rooms.mounted.size, 0);
  assert.deepEqual(rooms.actions(), ['create']);
});

test('LocalContainers.start() removes a failed container that is to be removed', async () => {
  using rooms = new TestRooms();
  const containers = rooms.containers();
  await create(containers, {}, { AutoRemove: true }, 'bad');
  const removed = containers.wait('bad', 'removed');
  rooms.runtime.failStart = new Error('no space');
  await assert.rejects(containers.start('bad'), /no space/);
  assert.equal((await removed.result).exitCode, 128);
  await containers.close();
  assert.equal(rooms.trees.size, 0);
  assert.equal(rooms.runtime.tasks.size, 0);
});

test('LocalContainers answers removed-waiters of an auto-removed container when its name is free', async () => {
  using rooms = new TestRooms();
  const containers = rooms.containers();
  await create(containers, {}, { AutoRemove: true }, 'once');
  const removed = containers.wait('once', 'removed');
  await containers.start('once');
  rooms.runtime.task([...rooms.runtime.tasks.keys()][0] ?? '').end(0);
  assert.deepEqual(await removed.result, { exitCode: 0 });
  assert.throws(() => containers.inspect('once'), /No such container/);
  await create(containers, {}, {}, 'once');
  await containers.close();
  assert.equal(rooms.trees.size, 1);
  assert.deepEqual(rooms.backgroundErrors, []);
});

test('LocalContainers.stop() sends the stop signal, then SIGKILL when the time is over', async () => {
  using rooms = new TestRooms();
  const containers = rooms.containers();
  await create(containers, { StopSignal: 'SIGINT' }, {}, 'deaf');
  await containers.start('deaf');
  await containers.stop('deaf', { timeoutSeconds: 0 });
  assert.deepEqual(
    rooms.runtime.calls.filter((call) => call.startsWith('kill')),
    ['kill 2', 'kill 9'],
  );
  assert.equal(containers.inspect('deaf').state.exitCode, 137);
  assert.deepEqual(rooms.actions(), ['create', 'start', 'kill', 'kill', 'die', 'stop']);
  await assert.rejects(containers.stop('deaf', {}), (error) => isKind(error, 'not-modified'));
  await assert.rejects(containers.kill('deaf', ''), {
    message: `cannot kill container: deaf: container ${containers.inspect('deaf').id} is not running`,
  });
});

test('LocalContainers restarts by policy with back-off, until it is stopped', async () => {
  using rooms = new TestRooms();
  const containers = rooms.containers();
  const id = await create(containers, {}, { RestartPolicy: { Name: 'always', MaximumRetryCount: 0 } }, 'svc');
  await containers.start('svc');
  rooms.runtime.task(id).end(1);
  await tick();
  assert.equal(containers.inspect('svc').state.status, 'restarting');
  assert.equal(containers.inspect('svc').restartCount, 1);
  while (containers.inspect('svc').state.status !== 'running') await tick();
  await containers.stop('svc', {});
  await tick();
  assert.equal(containers.inspect('svc').state.status, 'exited');
  assert.equal(containers.inspect('svc').stoppedByUser, true);
  await containers.close();
});

test('LocalContainers.restart() neither removes nor counts', async () => {
  using rooms = new TestRooms();
  const containers = rooms.containers();
  await create(containers, {}, { AutoRemove: true }, 'r1');
  await containers.start('r1');
  await containers.restart('r1', {});
  assert.equal(containers.inspect('r1').state.status, 'running');
  assert.equal(containers.inspect('r1').restartCount, 0);
  assert.deepEqual(rooms.actions(), ['create', 'start', 'kill', 'die', 'stop', 'start', 'restart']);
  await containers.close();
});

test('LocalContainers.remove() refuses a running container and force removes it', async () => {
  using rooms = new TestRooms();
  const containers = rooms.containers();
  const id = await create(containers, {}, {}, 'run');
  await containers.start('run');
  await assert.rejects(containers.remove('run', { force: false, volumes: false, link: false }), {
    message: `You cannot remove a running container ${id}. Stop the container before attempting removal or force remove`,
  });
  await containers.remove('run', { force: true, volumes: false, link: false });
  assert.throws(() => containers.inspect('run'));
  await containers.close();
  assert.equal(rooms.runtime.tasks.size, 0);
});

test('LocalContainers.pause() stops exec and attach until unpause', async () => {
  using rooms = new TestRooms();
  const containers = rooms.containers();
  const id = await create(containers, {}, {}, 'p1');
  await assert.rejects(containers.pause('p1'), { message: `Container ${id} is not running` });
  await containers.start('p1');
  await containers.pause('p1');
  await assert.rejects(containers.pause('p1'), { message: `Container ${id} is already paused` });
  await assert.rejects(exec(containers, 'p1', ['true']), {
    message: 'Container p1 is paused, unpause the container before exec',
  });
  await containers.unpause('p1');
  await assert.rejects(containers.unpause('p1'), { message: `Container ${id} is not paused` });
  assert.equal(containers.inspect('p1').state.status, 'running');
});

function exec(containers: LocalContainers, name: string, cmd: string[]): Promise<string> {
  return containers.createExec(name, {
    attachStdin: true,
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
}

test('LocalContainers.startExec() streams, ends with the exit code, and runs once', async () => {
  using rooms = new TestRooms();
  const containers = rooms.containers();
  await create(containers, {}, {}, 'e1');
  await containers.start('e1');
  const id = await exec(containers, 'e1', ['sh', '-c', 'x']);
  rooms.runtime.onExec = (task) => {
    task.write('stderr', 'out');
    task.end(7);
  };
  const session = await containers.startExec(id, { attach: true, tty: false });
  assert.ok(session);
  const ended = Promise.withResolvers<void>();
  let output = '';
  session.onOutput = (stream, chunk) => (output += `${stream}:${chunk.toString()}`);
  session.onEnd = () => ended.resolve();
  session.begin();
  await ended.promise;
  await tick();
  assert.equal(output, 'stderr:out');
  assert.equal(containers.inspectExec(id).exitCode, 7);
  assert.equal(containers.inspectExec(id).running, false);
  await assert.rejects(containers.startExec(id, { attach: false, tty: false }), {
    message: `exec command ${id} has already run`,
  });
  assert.deepEqual(rooms.actions().slice(2), ['exec_create: sh -c x', 'exec_start: sh -c x', 'exec_die']);
});

test('LocalContainers.attach() detaches a terminal by its keys and leaves the container running', async () => {
  using rooms = new TestRooms();
  const containers = rooms.containers();
  const id = await create(containers, { Tty: true, OpenStdin: true, StdinOnce: true }, {}, 't1');
  const session = await containers.attach('t1', {
    stdin: true,
    stdout: true,
    stderr: true,
    logs: false,
    stream: true,
  });
  let reason: { detached: boolean } | undefined;
  session.onEnd = (given) => (reason = given);
  session.begin();
  const early = session.writeInput(Buffer.from('ab'));
  await containers.start('t1');
  await early;
  await session.writeInput(Buffer.from([0x10]));
  await session.writeInput(Buffer.from('c'));
  await session.writeInput(Buffer.from([0x64, 0x10, 0x11, 0x65]));
  assert.deepEqual(Buffer.concat(rooms.runtime.task(id).input).toString(), 'ab\x10cd');
  assert.deepEqual(reason, { detached: true });
  assert.equal(containers.inspect('t1').state.status, 'running');
  assert.ok(rooms.actions().includes('detach'));
});

test('LocalContainers.attach() closes the input of a container with stdin-once only', async () => {
  using rooms = new TestRooms();
  const containers = rooms.containers();
  for (const [name, once] of [
    ['once', true],
    ['kept', false],
  ] as const) {
    const id = await create(containers, { OpenStdin: true, StdinOnce: once }, {}, name);
    const session = await containers.attach(name, {
      stdin: true,
      stdout: true,
      stderr: true,
      logs: false,
      stream: true,
    });
    session.begin();
    await containers.start(name);
    session.closeInput();
    await tick();
    assert.equal(rooms.runtime.task(id).inputClosed, once);
  }
});

test('LocalContainers.attach() replays the log before the live streams', async () => {
  using rooms = new TestRooms();
  const containers = rooms.containers();
  const id = await create(containers, {}, {}, 'l1');
  await containers.start('l1');
  const session = await containers.attach('l1', {
    stdin: false,
    stdout: true,
    stderr: true,
    logs: true,
    stream: true,
  });
  let output = '';
  const ended = Promise.withResolvers<void>();
  session.onOutput = (_stream, chunk) => (output += chunk.toString());
  session.onEnd = () => ended.resolve();
  rooms.runtime.task(id).write('stdout', 'live');
  rooms.runtime.task(id).end(0);
  session.begin();
  await ended.promise;
  assert.equal(output, 'earlier\nlive');
});

test('LocalContainers.rename() frees the old name', async () => {
  using rooms = new TestRooms();
  const containers = rooms.containers();
  await create(containers, {}, {}, 'old');
  assert.throws(() => containers.rename('old', 'old'), /same name as its current name/);
  containers.rename('old', 'new');
  await create(containers, {}, {}, 'old');
  assert.equal(containers.list({ all: true }).length, 2);
  assert.throws(
    () => containers.rename('old', 'new'),
    (error) => isKind(error, 'conflict'),
  );
  assert.ok(containers.inspect('old'));
});

test('LocalContainers.open() adopts what runs, settles what ended, undoes half-made ones', async () => {
  using rooms = new TestRooms();
  const first = rooms.containers();
  const running = await create(first, {}, {}, 'running');
  const ended = await create(first, {}, {}, 'ended');
  const once = await create(first, {}, { AutoRemove: true }, 'once');
  const again = await create(
    first,
    {},
    { RestartPolicy: { Name: 'unless-stopped', MaximumRetryCount: 0 } },
    'again',
  );
  const half = await create(first, {}, {}, 'half');
  for (const name of ['running', 'ended', 'once', 'again']) await first.start(name);
  await first.close();
  // What a crash leaves: ends nobody saw, a start cut off, a tree without record.
  rooms.runtime.task(ended).end(5);
  rooms.runtime.task(once).end(0);
  rooms.runtime.task(again).end(1);
  await rooms.runtime.create({ ...rooms.runtime.created[0]!, id: half });
  rooms.sandboxes.add(half);
  rooms.trees.add('f'.repeat(64));
  rooms.seen.length = 0;

  const second = rooms.containers();
  await second.open();
  assert.equal(second.inspect(running).state.status, 'running');
  assert.equal(second.inspect(ended).state.status, 'exited');
  assert.equal(second.inspect(ended).state.exitCode, 5);
  assert.throws(() => second.inspect(once));
  assert.equal(second.inspect(half).state.status, 'created');
  while (second.inspect(again).state.status !== 'running') await tick();
  const waited = second.wait(running, 'not-running');
  rooms.runtime.task(running).end(9);
  assert.equal((await waited.result).exitCode, 9);
  await second.close();
  assert.deepEqual([...rooms.runtime.tasks.keys()], [again]);
  assert.deepEqual([...rooms.sandboxes], [again]);
  assert.equal(rooms.trees.has('f'.repeat(64)), false);
  assert.deepEqual(rooms.backgroundErrors, []);
});

test('LocalContainers.open() does not start again what its user stopped', async () => {
  using rooms = new TestRooms();
  const first = rooms.containers();
  for (const name of ['always', 'unless-stopped'] as const) {
    await create(first, {}, { RestartPolicy: { Name: name, MaximumRetryCount: 0 } }, name);
    await first.start(name);
    await first.stop(name, {});
  }
  await first.close();
  const second = rooms.containers();
  await second.open();
  while (second.inspect('always').state.status !== 'running') await tick();
  assert.equal(second.inspect('unless-stopped').state.status, 'exited');
  await second.close();
});

test('LocalContainers.open() finishes a removal that was cut off', async () => {
  using rooms = new TestRooms();
  const first = rooms.containers();
  const id = await create(first, {}, {}, 'gone');
  await first.close();
  const collection = rooms.records.collection<{ state: { status: string } }>('containers');
  const record = collection.get(id)!;
  record.state.status = 'removing';
  collection.put(id, record);
  const second = rooms.containers();
  await second.open();
  await second.close();
  assert.equal(second.list({ all: true }).length, 0);
  assert.equal(rooms.trees.size, 0);
});

test('LocalContainers health checks go from starting to unhealthy and healthy', async () => {
  using rooms = new TestRooms();
  const containers = rooms.containers();
  let exitCode = 1;
  rooms.runtime.onExec = (task) => {
    task.write('stdout', 'probed');
    task.end(exitCode);
  };
  const ms = 1_000_000;
  await create(
    containers,
    { Healthcheck: { Test: ['CMD-SHELL', 'check'], Interval: 10 * ms, Timeout: 1000 * ms, Retries: 2 } },
    {},
    'h1',
  );
  await containers.start('h1');
  assert.equal(containers.inspect('h1').state.health?.Status, 'starting');
  while (containers.inspect('h1').state.health?.Status !== 'unhealthy') await tick();
  exitCode = 0;
  while (containers.inspect('h1').state.health?.Status !== 'healthy') await tick();
  const { health } = containers.inspect('h1').state;
  assert.ok((health?.Log?.length ?? 0) <= 5);
  assert.equal(health?.Log?.at(-1)?.Output, 'probed');
  assert.deepEqual(rooms.runtime.execRequests[0]?.process.args, ['/bin/sh', '-c', 'check']);
  assert.deepEqual(
    rooms.actions().filter((action) => action.startsWith('health')),
    ['health_status: unhealthy', 'health_status: healthy'],
  );
  await containers.close();
});
