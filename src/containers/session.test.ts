import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RuntimeStreams } from '../runtime/index.ts';
import { ContainerSession } from './session.ts';

function streams(): RuntimeStreams {
  return {
    onOutput: () => undefined,
    onEnd: () => undefined,
    writeInput: () => Promise.resolve(),
    closeInput: () => undefined,
    pause: () => undefined,
    resume: () => undefined,
    close: () => undefined,
  };
}

test('ContainerSession.onEnd comes after what the end waits for', async () => {
  const exit = Promise.withResolvers<void>();
  const session = new ContainerSession({
    tty: false,
    stdin: false,
    stdout: true,
    stderr: true,
    closeInput: false,
    detachKeys: null,
    replay: null,
    live: true,
    beforeEnd: () => exit.promise,
    onDetach: () => undefined,
    onClosed: () => undefined,
  });
  let ended = false;
  session.onEnd = () => (ended = true);
  const source = streams();
  session.connect(source);
  session.begin();
  source.onEnd(undefined);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(ended, false);
  exit.resolve();
  await exit.promise;
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(ended, true);
});
