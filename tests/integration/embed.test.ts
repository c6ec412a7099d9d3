/** The engine as a library: in the program, and the same calls to a daemon that holds the root. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Engine, containerCreate } from '../../src/engine/index.ts';
import { isKind } from '../../src/errors/index.ts';
import { TestDaemon } from '../fixtures/daemon.ts';

interface Place {
  open(): Promise<Engine>;
  isRemote: boolean;
  end(): Promise<void>;
}

function inThisProcess(): Place {
  const directory = mkdtempSync(join(tmpdir(), 'coracle-embed-'));
  const roots = { dataRoot: join(directory, 'data'), execRoot: join(directory, 'run') };
  const bridge = { name: `coe${process.pid.toString(36)}` };
  const end = (): Promise<void> => Promise.resolve(rmSync(directory, { recursive: true, force: true }));
  return { open: () => Engine.open({ ...roots, bridge }), isRemote: false, end };
}

async function inDaemon(): Promise<Place> {
  const daemon = await TestDaemon.start();
  const { dataRoot, execRoot } = daemon;
  return { open: () => Engine.open({ dataRoot, execRoot }), isRemote: true, end: () => daemon.dispose() };
}

for (const [title, make] of [
  ['in this process', inThisProcess],
  ['that a daemon holds', inDaemon],
] as const)
  describe(`Engine.open() of a root ${title}`, () => {
    let place: Place;
    let engine: Engine;
    before(async () => {
      place = await make();
      engine = await place.open();
      const image = await engine.images.bootstrap('busybox', {});
      assert.deepEqual(image.tags, ['busybox:latest']);
    });
    after(async () => {
      await engine.close();
      await place.end();
    });

    test('says where the engine is', async () => {
      assert.equal(engine.isRemote, place.isRemote);
      assert.match((await engine.facts()).id, /^[0-9a-f-]{36}$/);
    });

    test('run() gives output and exit code, takes input, leaves nothing, and is told in events', async () => {
      const seen: string[] = [];
      const listener = await engine.events.subscribe((event) => seen.push(`${event.Type} ${event.Action}`));
      const script = 'echo out; echo err >&2; exit 3';
      const result = await engine.run({ image: 'busybox', command: ['sh', '-c', script] });
      assert.deepEqual(
        [result.exitCode, result.output.toString(), result.errors.toString()],
        [3, 'out\n', 'err\n'],
      );
      const echoed = await engine.run({ image: 'busybox', command: ['cat'], input: 'given' });
      assert.equal(echoed.output.toString(), 'given');
      listener.remove();
      assert.deepEqual(seen.filter((line) => line.startsWith('container')).slice(0, 5), [
        'container create',
        'container attach',
        'container start',
        'container die',
        'container destroy',
      ]);
      assert.deepEqual(await engine.containers.list({ all: true }), []);
    });

    test('builder.build() gives an image of a context, and leaves nothing when it is aborted', async () => {
      const context = async function* (dockerfile: string): AsyncGenerator<Uint8Array> {
        yield Buffer.from(dockerfile);
      };
      let said = '';
      const built = await engine.builder.build({
        context: context(
          'FROM busybox\nARG KEY\nRUN echo "$KEY, $(ulimit -n)" > /made\nCMD ["cat", "/made"]\n',
        ),
        buildArgs: { KEY: 'value' },
        limits: { ulimits: [{ Name: 'nofile', Soft: 99, Hard: 99 }] },
        tags: ['embed-built'],
        onMessage: ({ stream = '' }) => (said += stream),
      });
      assert.deepEqual(built.images, [
        { platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`, id: built.imageId },
      ]);
      assert.match(said, /Successfully tagged embed-built:latest\n$/);
      const { output } = await engine.run({ image: 'embed-built' });
      assert.equal(output.toString(), 'value, 99\n');
      const controller = new AbortController();
      const hanging = engine.builder.build({
        context: context('FROM busybox\nRUN echo runs; sleep 1000\n'),
        signal: controller.signal,
        onMessage: ({ stream = '' }) => {
          if (stream.includes('runs\n') && !stream.includes('RUN')) controller.abort();
        },
      });
      await assert.rejects(hanging, (error) => isKind(error, 'cancelled'));
      assert.equal(spawnSync('pgrep', ['-f', 'echo runs; sleep 1000']).status, 1);
      await engine.images.remove('embed-built');
    });

    test('run() bears much output and ends when it is aborted', async () => {
      const command = ['sh', '-c', 'yes 0123456789 | head -c 20000000'];
      const { output } = await engine.run({ image: 'busybox', command });
      assert.equal(output.length, 20_000_000);
      const signal = AbortSignal.timeout(300);
      await assert.rejects(engine.run({ image: 'busybox', command: ['sleep', '100'], signal }), (error) =>
        isKind(error, 'cancelled'),
      );
      assert.deepEqual(await engine.containers.list({ all: true }), []);
    });

    test('errors keep their kind and text', async () => {
      await assert.rejects(
        async () => engine.containers.inspect('nobody'),
        (error) => isKind(error, 'not-found') && /No such container: nobody/.test(String(error)),
      );
      await assert.rejects(engine.images.remove('nothing'), (error) => isKind(error, 'not-found'));
    });

    test('streams go both ways: save and load, logs, archives', async () => {
      const progress: string[] = [];
      const { tags } = await engine.images.load(engine.images.save(['busybox'], {}), {
        onProgress: (step) => progress.push(step.status ?? step.stream ?? ''),
      });
      assert.deepEqual(tags, ['busybox:latest']);

      const request = containerCreate({ image: 'busybox', command: ['echo', 'hi'] });
      const { id } = await engine.containers.create(request);
      try {
        const { result } = await engine.containers.wait(id, 'next-exit');
        await engine.containers.start(id);
        assert.equal((await result).exitCode, 0);
        const { entries } = await engine.containers.logs(id, { stdout: true, stderr: true, follow: false });
        const lines: string[] = [];
        for await (const page of entries)
          for (const { stream, data } of page) lines.push(`${stream} ${data.toString()}`);
        assert.deepEqual(lines, ['stdout hi\n']);
        const { archive } = await engine.containers.readArchive(id, '/bin/busybox');
        await engine.containers.writeArchive(id, '/tmp', archive, {
          noOverwriteDirNonDir: false,
          copyUidGid: false,
        });
        assert.equal((await engine.containers.statPath(id, '/tmp/busybox')).name, 'busybox');
      } finally {
        await engine.containers.remove(id, { force: true, volumes: true, link: false });
      }
      assert.deepEqual((await engine.images.remove('busybox')).at(0), {
        kind: 'untagged',
        reference: 'busybox:latest',
      });
    });
  });

test('Engine.open() refuses a root that another program holds without a daemon', async () => {
  const place = inThisProcess();
  try {
    await using engine = await place.open();
    assert.ok(!engine.isRemote);
    await assert.rejects(place.open(), (error) => isKind(error, 'unavailable'));
  } finally {
    await place.end();
  }
});
