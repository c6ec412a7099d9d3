import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  ApiClient,
  newestApiVersion,
  jsonValues,
  parseAddress,
  resolveEndpoint,
  StreamDemuxer,
  type Endpoint,
} from './index.ts';

const made: string[] = [];
after(() => {
  for (const path of made) rmSync(path, { recursive: true, force: true });
});

/** A directory that goes when the tests end. */
function temporary(prefix: string): string {
  const path = mkdtempSync(prefix);
  made.push(path);
  return path;
}

const servers: Server[] = [];
const sockets: Socket[] = [];
after(() => {
  for (const server of servers) server.close();
  for (const socket of sockets) socket.destroy();
});

/** A server that answers each request with the next of these raw answers; it notes what it was sent. */
async function serve(
  ...answers: string[]
): Promise<{ endpoint: Endpoint; sent: string[]; connections: () => number }> {
  const path = join(temporary(join(tmpdir(), 'coracle-client-')), 's');
  const sent: string[] = [];
  let connections = 0;
  const server = createServer({ allowHalfOpen: true }, (socket: Socket) => {
    connections++;
    sockets.push(socket);
    socket.on('data', (data) => {
      sent.push(String(data));
      const answer = answers.shift();
      if (answer !== undefined) socket.write(answer);
    });
    socket.on('end', () => socket.end());
    socket.on('error', () => {});
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  server.unref();
  return {
    endpoint: { address: { kind: 'unix', path }, url: `unix://${path}`, source: 'flag', context: 'default' },
    sent,
    connections: () => connections,
  };
}

const json = (body: string, status = '200 OK'): string =>
  `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nApi-Version: 1.41\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

test('ApiClient.get() parses the answer and uses its connection again', async () => {
  const { endpoint, sent, connections } = await serve(json('{"a":1}'), json('[]'));
  const client = new ApiClient({ endpoint, apiVersion: '1.41' });
  assert.deepEqual(await client.get('/x', { all: true, filters: '{"a":1}', skip: undefined }), { a: 1 });
  assert.deepEqual(await client.get('/y'), []);
  assert.equal(connections(), 1);
  assert.equal(client.serverApiVersion, '1.41');
  assert.match(sent[0] ?? '', /^GET \/v1\.41\/x\?all=1&filters=%7B%22a%22%3A1%7D HTTP\/1\.1\r\n/);
  client.close();
});

test('ApiClient falls back to the version of an older engine', async () => {
  const { endpoint, sent } = await serve(
    json(
      '{"message":"client version 1.51 is too new. Maximum supported API version is 1.41"}',
      '400 Bad Request',
    ),
    json('{}'),
    json('{}'),
  );
  const client = new ApiClient({ endpoint });
  await client.get('/a');
  await client.get('/b');
  assert.deepEqual(
    sent.map((text) => text.split(' ')[1]),
    [`/v${newestApiVersion}/a`, '/v1.41/a', '/v1.41/b'],
  );
  client.close();
});

test('ApiClient.request() reads chunked bodies', async () => {
  const { endpoint } = await serve(
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n',
  );
  const client = new ApiClient({ endpoint });
  assert.equal(await (await client.request('GET', '/')).text(), 'abcde');
  client.close();
});

test('ApiClient.request() throws the engine’s message', async () => {
  const { endpoint } = await serve(json('{"message":"No such container: x"}', '404 Not Found'));
  const client = new ApiClient({ endpoint });
  await assert.rejects(client.get('/x'), {
    status: 404,
    message: 'Error response from daemon: No such container: x',
  });
  client.close();
});

test('ApiClient.request() streams a body in chunks', async () => {
  const { endpoint, sent } = await serve();
  const client = new ApiClient({ endpoint, apiVersion: '1.51' });
  const body = (async function* () {
    yield Buffer.from('hello');
  })();
  void client.request('POST', '/load', { body }).catch(() => {});
  while (!sent.join('').endsWith('0\r\n\r\n')) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.match(sent.join(''), /Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/s);
});

test('ApiClient.hijack() hands over the socket with what came early, and can half-close it', async () => {
  const { endpoint } = await serve(
    'HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly',
  );
  const client = new ApiClient({ endpoint });
  const { socket, rest } = await client.hijack('/containers/x/attach');
  assert.equal(String(rest), 'early');
  socket.end();
  socket.resume();
  await new Promise((resolve) => socket.on('end', resolve));
});

test('ApiClient says when nobody is there', async () => {
  const client = new ApiClient({
    endpoint: {
      address: { kind: 'unix', path: '/nonexistent/s' },
      url: 'unix:///nonexistent/s',
      source: 'flag',
      context: 'default',
    },
  });
  await assert.rejects(client.get('/'), {
    message: 'Cannot connect to the Coracle daemon at unix:///nonexistent/s. Is the coracle daemon running?',
  });
});

test('StreamDemuxer.write() takes frames apart however they are cut', () => {
  const frame = (kind: number, text: string): Buffer =>
    Buffer.concat([Buffer.from([kind, 0, 0, 0, 0, 0, 0, text.length]), Buffer.from(text)]);
  const bytes = Buffer.concat([frame(1, 'out'), frame(2, 'err'), frame(1, '!')]);
  for (const size of [1, 3, 7, bytes.length]) {
    const got = { 1: '', 2: '' } as Record<number, string>;
    const demuxer = new StreamDemuxer((kind, payload) => (got[kind] += String(payload)));
    for (let at = 0; at < bytes.length; at += size) demuxer.write(bytes.subarray(at, at + size));
    assert.deepEqual(got, { 1: 'out!', 2: 'err' });
  }
  assert.throws(
    () => new StreamDemuxer(() => {}).write(Buffer.from('not framed')),
    /Unrecognized input header/,
  );
});

test('jsonValues() splits values however they are cut', async () => {
  const text = '{"a":"}{\\""}\r\n{"b":[1,{"c":2}]}{"d":"é"}';
  const bytes = Buffer.from(text);
  for (const size of [1, 2, 5, bytes.length]) {
    const chunks = (async function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    })();
    const values: unknown[] = [];
    for await (const value of jsonValues(chunks)) values.push(value);
    assert.deepEqual(values, [{ a: '}{"' }, { b: [1, { c: 2 }] }, { d: 'é' }]);
  }
});

test('resolveEndpoint() asks the flag, then the environment, then the context, then the default', async () => {
  const configDir = temporary(join(tmpdir(), 'coracle-config-'));
  const hash = createHash('sha256').update('far').digest('hex');
  mkdirSync(join(configDir, 'contexts/meta', hash), { recursive: true });
  writeFileSync(
    join(configDir, 'contexts/meta', hash, 'meta.json'),
    '{"Name":"far","Endpoints":{"docker":{"Host":"tcp://far:1"}}}',
  );
  const url = async (env: Record<string, string>, host?: string, context?: string) =>
    (await resolveEndpoint({ env, host, context, configDir })).url;
  assert.equal(await url({}), 'unix:///run/coracle/coracle.sock');
  assert.equal(await url({ DOCKER_HOST: 'unix:///d' }), 'unix:///d');
  assert.equal(await url({ DOCKER_HOST: 'unix:///d', CORACLE_HOST: 'unix:///c' }), 'unix:///c');
  assert.equal(await url({ CORACLE_HOST: 'unix:///c' }, 'unix:///f'), 'unix:///f');
  assert.equal(await url({ CORACLE_HOST: 'unix:///c' }, undefined, 'far'), 'tcp://far:1');
  writeFileSync(join(configDir, 'config.json'), '{"currentContext":"far"}');
  assert.equal(await url({}), 'tcp://far:1');
  assert.equal(await url({ CORACLE_HOST: 'unix:///c' }), 'unix:///c');
});

test('parseAddress() knows what it can speak', () => {
  assert.deepEqual(parseAddress('tcp://[::1]:99', null), { kind: 'tcp', host: '::1', port: 99, tls: null });
  assert.deepEqual(parseAddress('tcp://h', null), { kind: 'tcp', host: 'h', port: 2375, tls: null });
  assert.throws(() => parseAddress('ssh://h', null), /ssh:\/\/ addresses are not supported/);
  assert.throws(() => parseAddress('foo://x', null), /invalid bind address format: foo:\/\/x/);
});
