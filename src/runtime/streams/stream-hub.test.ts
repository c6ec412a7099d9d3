import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { SyscallError } from '../../errors/index.ts';
import type { RuntimeStreams } from '../container-runtime.ts';
import { StreamHub, type StreamHubOptions } from './stream-hub.ts';
import type { StreamSource } from './stream-source.ts';

/** A source that writes down what is asked of it. */
class FakeSource implements StreamSource {
  onOutput: StreamSource['onOutput'] = () => {};
  onEnd: StreamSource['onEnd'] = () => {};
  readonly asked: string[] = [];

  send(chunk: Uint8Array): Promise<void> {
    this.asked.push(`send ${Buffer.from(chunk).toString()}`);
    return Promise.resolve();
  }

  closeInput(): void {
    this.asked.push('closeInput');
  }

  pause(): void {
    this.asked.push('pause');
  }

  resume(): void {
    this.asked.push('resume');
  }

  close(): void {
    this.asked.push('close');
    this.onEnd();
  }
}

function makeHub(options: Partial<StreamHubOptions> = {}) {
  const sources: FakeSource[] = [];
  const hub = new StreamHub({
    connect: () => {
      const source = new FakeSource();
      sources.push(source);
      return source;
    },
    closesStdin: false,
    whenIdle: 'disconnect',
    ...options,
  });
  return { hub, sources, source: () => sources.at(-1) as FakeSource };
}

function hear(streams: RuntimeStreams): string[] {
  const heard: string[] = [];
  streams.onOutput = (stream, chunk) => heard.push(`${stream} ${chunk.toString()}`);
  streams.onEnd = () => heard.push('end');
  return heard;
}

test('StreamHub.attach() shares one connection, paused while one client pauses', () => {
  const { hub, sources, source } = makeHub();
  const [one, two] = [hub.attach(), hub.attach()];
  const [heardOne, heardTwo] = [hear(one), hear(two)];
  source().onOutput('stdout', Buffer.from('a'));
  one.pause();
  two.pause();
  // What the kernel had delivered already.
  source().onOutput('stderr', Buffer.from('b'));
  two.resume();
  assert.deepEqual(heardOne, ['stdout a']);
  assert.deepEqual(heardTwo, ['stdout a', 'stderr b']);
  one.resume();
  assert.deepEqual(heardOne, ['stdout a', 'stderr b']);
  assert.deepEqual(source().asked, ['pause', 'resume']);
  assert.equal(sources.length, 1);
});

test('StreamHub disconnects with the last client and connects again with the next', () => {
  const { hub, sources } = makeHub();
  const [one, two] = [hub.attach(), hub.attach()];
  one.pause();
  one.close();
  assert.deepEqual(sources[0]?.asked, ['pause', 'resume']);
  two.close();
  assert.deepEqual(sources[0]?.asked, ['pause', 'resume', 'close']);
  hub.attach();
  assert.equal(sources.length, 2);
});

test('StreamHub keeps the connection whose end would close stdin, until the input is closed', async () => {
  const { hub, source } = makeHub({ closesStdin: true });
  hub.attach().close();
  assert.deepEqual(source().asked, []);
  const streams = hub.attach();
  await streams.writeInput(Buffer.from('x'));
  streams.closeInput();
  streams.closeInput();
  await assert.rejects(streams.writeInput(Buffer.from('y')), { kind: 'conflict' });
  streams.close();
  assert.deepEqual(source().asked, ['send x', 'closeInput', 'close']);
});

test('StreamHub does not pass an end of input on for a stdin that stays open', () => {
  const { hub, source } = makeHub();
  hub.attach().closeInput();
  assert.deepEqual(source().asked, []);
});

test('StreamHub.drain() reads on for a client that pauses, which gets it all when it resumes', () => {
  const { hub, source } = makeHub();
  const streams = hub.attach();
  const heard = hear(streams);
  streams.pause();
  hub.drain();
  assert.deepEqual(source().asked, ['pause', 'resume']);
  source().onOutput('stdout', Buffer.from('a'));
  source().onEnd();
  assert.deepEqual(heard, []);
  streams.resume();
  assert.deepEqual(heard, ['stdout a', 'end']);
});

test('StreamHub.hold() keeps output and end for the first client', async () => {
  const { hub, source } = makeHub({ whenIdle: 'discard' });
  hub.hold();
  hub.finish(() => {
    source().onOutput('stdout', Buffer.from('late'));
    source().onEnd();
  });
  assert.deepEqual(source().asked, ['pause']);
  const heard = hear(hub.attach());
  await turn();
  assert.deepEqual(heard, ['stdout late', 'end']);
  const second = hear(hub.attach());
  await turn();
  assert.deepEqual(second, ['end']);
});

test('StreamHub.attach() ends at once when the task is gone', async () => {
  const { hub } = makeHub({
    connect: () => {
      throw new SyscallError('connect', 'ECONNREFUSED');
    },
  });
  const heard = hear(hub.attach());
  assert.deepEqual(heard, []);
  await turn();
  assert.deepEqual(heard, ['end']);
});
