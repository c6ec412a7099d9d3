/** The engine as a library: no daemon, no socket. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Engine } from '../../src/engine/index.ts';
import { isKind } from '../../src/errors/index.ts';

test('Engine.open() runs a container in this process, and holds its root alone', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'coracle-embed-'));
  const roots = { dataRoot: join(directory, 'data'), execRoot: join(directory, 'run') };
  try {
    const bridge = { name: `coe${process.pid.toString(36)}` };
    await using engine = await Engine.open({ ...roots, bridge });
    await assert.rejects(Engine.open({ ...roots, bridge }), (error) => isKind(error, 'unavailable'));
    const image = await engine.images.bootstrap('busybox', {});
    assert.deepEqual(image.tags, ['busybox:latest']);
    const seen: string[] = [];
    const listener = engine.events.subscribe((event) => seen.push(`${event.Type} ${event.Action}`));
    const result = await engine.run({
      image: 'busybox',
      command: ['sh', '-c', 'echo out; echo err >&2; exit 3'],
    });
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
    assert.deepEqual(engine.containers.list({ all: true }), []);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
