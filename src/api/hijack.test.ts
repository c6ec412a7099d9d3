import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { frame } from './connection.ts';
import { FakeSession } from './fake-engine.ts';
import { startTestApi, type TestApi } from './test-server.ts';

const upgrade = 'Connection: Upgrade\r\nUpgrade: tcp\r\n';

function send(socket: Socket, path: string, headers = '', body = ''): void {
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: docker\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`,
  );
}

/** Reads until the blank line that ends the head; gives the head and what came after it. */
async function readHead(socket: Socket): Promise<[head: string, rest: Buffer]> {
  let bytes = Buffer.alloc(0);
  for (;;) {
    const end = bytes.indexOf('\r\n\r\n');
    if (end >= 0) return [bytes.subarray(0, end).toString(), bytes.subarray(end + 4)];
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    bytes = Buffer.concat([bytes, chunk]);
  }
}

async function readToEnd(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'end');
  return Buffer.concat(chunks);
}

async function create(api: TestApi): Promise<void> {
  await api.call('POST', '/containers/create?name=c', { Image: 'busybox' });
}

const attachPath = '/v1.45/containers/c/attach?stream=1&stdin=1&stdout=1&stderr=1';

describe('attach', () => {
  for (const [label, headers] of [
    ['with Upgrade', upgrade],
    ['without Upgrade', ''],
  ] as const) {
    it(`pump() carries input, half-close and framed output ${label}`, async () => {
      await using api = await startTestApi();
      await create(api);
      const { session } = api.engine.fake;
      const socket = api.connect();
      send(socket, attachPath, headers);
      const [head] = await readHead(socket);
      if (headers === '') {
        assert.equal(head, 'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream');
      } else {
        assert.match(head, /^HTTP\/1\.1 101 UPGRADED\r\n/);
        assert.match(head, /Content-Type: application\/vnd\.docker\.multiplexed-stream/);
      }
      socket.end('GET /_ping HTTP/1.1\r\n\r\n');
      await session.whenInputClosed();
      // Bytes that look like a request are input all the same.
      assert.equal(Buffer.concat(session.inputs).toString(), 'GET /_ping HTTP/1.1\r\n\r\n');
      const rest = readToEnd(socket);
      session.onOutput('stdout', Buffer.from('out'));
      session.onOutput('stderr', Buffer.from('err'));
      session.onEnd({ detached: false });
      assert.deepEqual(
        await rest,
        Buffer.concat([frame('stdout', Buffer.from('out')), frame('stderr', Buffer.from('err'))]),
      );
    });
  }

  it('pump() sends a terminal raw', async () => {
    await using api = await startTestApi();
    await create(api);
    const session = (api.engine.fake.session = new FakeSession(true));
    const socket = api.connect();
    send(socket, attachPath, upgrade);
    const [head] = await readHead(socket);
    assert.match(head, /vnd\.docker\.raw-stream/);
    await session.whenBegun();
    const rest = readToEnd(socket);
    session.onOutput('stdout', Buffer.from('$ '));
    session.onEnd({ detached: false });
    assert.equal((await rest).toString(), '$ ');
    socket.end();
  });

  it('pump() pauses the session while the client does not read', async () => {
    await using api = await startTestApi();
    await create(api);
    const { session } = api.engine.fake;
    const socket = api.connect();
    send(socket, attachPath, upgrade);
    await session.whenBegun();
    socket.pause();
    const chunk = Buffer.alloc(65_536);
    let written = 0;
    while (!session.paused && written < 100) {
      session.onOutput('stdout', chunk);
      written++;
    }
    assert.ok(session.paused);
    assert.ok(written < 100);
    socket.resume();
    while (session.paused) await new Promise((resolve) => setImmediate(resolve));
    socket.destroy();
  });

  it('pump() closes the session when the client is gone', async () => {
    await using api = await startTestApi();
    await create(api);
    const { session } = api.engine.fake;
    const socket = api.connect();
    send(socket, attachPath, upgrade);
    await session.whenBegun();
    socket.destroy();
    // A unix socket says that the other side is gone when it is written to.
    while (!session.closed) {
      session.onOutput('stdout', Buffer.from('nobody'));
      await new Promise((resolve) => setImmediate(resolve));
    }
  });

  it('answers an unknown container as JSON, before any upgrade', async () => {
    await using api = await startTestApi();
    const socket = api.connect();
    send(socket, '/v1.45/containers/nope/attach?stream=1', upgrade);
    const answer = (await readToEnd(socket)).toString();
    assert.match(answer, /^HTTP\/1\.1 404 Not Found\r\n/);
    assert.match(answer, /\{"message":"No such container: nope"\}\n$/);
    socket.end();
  });

  for (const headers of [upgrade, '']) {
    it(`exec start keeps input that comes before the process runs, ${headers === '' ? 'without' : 'with'} Upgrade`, async () => {
      await using api = await startTestApi();
      await create(api);
      const { fake } = api.engine;
      const { promise, resolve } = Promise.withResolvers<FakeSession>();
      fake.startExec = () => promise;
      const execId = await fake.createExec('c', { attachStdin: true } as never);
      const socket = api.connect();
      const body = '{"Detach":false,"Tty":false}';
      send(socket, `/exec/${execId}/start`, `Content-Type: application/json\r\n${headers}`, body);
      await readHead(socket);
      socket.end('early');
      await new Promise((done) => setTimeout(done, 20));
      resolve(fake.session);
      await fake.session.whenInputClosed();
      assert.equal(Buffer.concat(fake.session.inputs).toString(), 'early');
      socket.destroy();
    });
  }
});
