import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { startTestApi } from './test-server.ts';

const mask = Buffer.from([1, 2, 3, 4]);

/** A client's frame: masked. */
function clientFrame(opcode: number, payload: string): Buffer {
  const bytes = Buffer.from(payload);
  const head = Buffer.from([0x80 | opcode, 0x80 | bytes.length]);
  return Buffer.concat([head, mask, bytes.map((byte, at) => byte ^ (mask[at & 3] as number))]);
}

test('GET /containers/{id}/attach/ws carries both directions in WebSocket frames', async () => {
  await using api = await startTestApi();
  await api.call('POST', '/containers/create?name=c', { Image: 'busybox' });
  const { session } = api.engine.fake;
  const socket = api.connect();
  socket.write(
    'GET /containers/c/attach/ws?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  const [head] = (await once(socket, 'data')) as [Buffer];
  // The key and its answer of RFC 6455 section 1.3.
  assert.match(head.toString(), /^HTTP\/1\.1 101 /);
  assert.match(head.toString(), /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/);
  await session.whenBegun();

  session.onOutput('stdout', Buffer.from('out'));
  const [message] = (await once(socket, 'data')) as [Buffer];
  assert.deepEqual(message, Buffer.from([0x82, 3, ...Buffer.from('out')]));

  const ping = clientFrame(9, 'x');
  socket.write(Buffer.concat([ping, clientFrame(1, 'in'), clientFrame(2, 'put').subarray(0, 3)]));
  const [pong] = (await once(socket, 'data')) as [Buffer];
  assert.deepEqual(pong, Buffer.from([0x8a, 1, ...Buffer.from('x')]));
  socket.write(Buffer.concat([clientFrame(2, 'put').subarray(3), clientFrame(8, '')]));
  await session.whenInputClosed();
  assert.equal(Buffer.concat(session.inputs).toString(), 'input');
  socket.destroy();
});

test('GET /containers/{id}/attach/ws refuses what is no WebSocket', async () => {
  await using api = await startTestApi();
  const answer = await api.call('GET', '/containers/c/attach/ws');
  assert.equal(answer.status, 400);
  assert.equal(answer.json()['message'], 'not websocket protocol');
});
