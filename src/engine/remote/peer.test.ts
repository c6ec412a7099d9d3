import assert from 'node:assert/strict';
import { test } from 'node:test';
import { duplexPair, type Duplex } from 'node:stream';
import { isKind } from '../../errors/index.ts';
import { Peer } from './peer.ts';

const nothing = Buffer.alloc(0);

/** Makes a call over a pair of connected streams. */
function callOver(
  onCall: (method: string, args: unknown[]) => Promise<unknown>,
  args: unknown[],
): { answer: Promise<unknown>; near: Duplex; served: Promise<void> } {
  const [near, far] = duplexPair();
  const served = Promise.withResolvers<void>();
  new Peer(far, nothing, { onCall, onEnd: () => served.resolve() });
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const caller = new Peer(near, nothing, {
    onResult: (result) => ('error' in result ? reject(result.error) : resolve(result.value)),
    onEnd: reject,
  });
  caller.call('room.method', args);
  return { answer: promise, near, served: served.promise };
}

test('Peer.call() gives functions and streams to the other side, and ends the connection after the answer', async () => {
  const told: unknown[] = [];
  const argument = (async function* () {
    yield Buffer.from('some ');
    yield Buffer.from('bytes');
  })();
  const { answer, served } = callOver(
    async (method, args) => {
      const [stream, { onProgress }] = args as [
        AsyncIterable<Buffer>,
        { onProgress: (text: string, count: bigint) => void },
      ];
      let text = '';
      for await (const chunk of stream) text += String(chunk);
      onProgress(text, 7n);
      return method;
    },
    [argument, { onProgress: (...args: unknown[]) => told.push(...args) }],
  );
  assert.equal(await answer, 'room.method');
  assert.deepEqual(told, ['some bytes', 7n]);
  await served;
});

test('Peer: a stream in an answer is produced as it is read, and ended when its reader stops', async () => {
  let produced = 0;
  const ended = Promise.withResolvers<void>();
  const { answer, served } = callOver(async () => {
    return (async function* () {
      try {
        for (;;) yield { number: produced++ };
      } finally {
        ended.resolve();
      }
    })();
  }, []);
  for await (const item of (await answer) as AsyncIterable<{ number: number }>) if (item.number === 9) break;
  await ended.promise;
  assert.ok(produced <= 15, `${produced} items were made for 10`);
  await served;
});

test('Peer: a signal aborts on the other side, a lost connection as well', async () => {
  const waits = (_: string, args: unknown[]): Promise<never> => {
    const [{ signal }] = args as [{ signal: AbortSignal }];
    return new Promise((_resolve, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason as Error)),
    );
  };
  const controller = new AbortController();
  const aborted = callOver(waits, [{ signal: controller.signal }]);
  controller.abort();
  await assert.rejects(aborted.answer, (error) => isKind(error, 'cancelled'));

  const cut = callOver(waits, [{ signal: new AbortController().signal }]);
  cut.near.destroy();
  await assert.rejects(cut.answer, (error) => isKind(error, 'unavailable'));
});

test('Peer: what came with an answer is given up when the caller goes', async () => {
  const given = Promise.withResolvers<void>();
  const pending = new Promise<never>(() => undefined);
  const { answer, near } = callOver(async () => ({ result: pending, cancel: () => given.resolve() }), []);
  const { result } = (await answer) as { result: Promise<never> };
  near.destroy();
  await given.promise;
  await assert.rejects(result, (error) => isKind(error, 'unavailable'));
});

test('Peer refuses what is no frame', async () => {
  const [near, far] = duplexPair();
  const ended = Promise.withResolvers<unknown>();
  new Peer(far, nothing, { onCall: () => assert.fail(), onEnd: ended.resolve });
  near.write(Buffer.from('GET / HTTP/1.1\r\n'));
  assert.ok(isKind(await ended.promise, 'unavailable'));

  const [other, end] = duplexPair();
  const broken = Promise.withResolvers<unknown>();
  new Peer(end, nothing, { onCall: () => assert.fail(), onEnd: broken.resolve });
  other.write(Buffer.from('\0\0\0\x01\0{', 'latin1'));
  assert.ok(isKind(await broken.promise, 'unavailable'));
});
