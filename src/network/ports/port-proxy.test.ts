import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { linuxSyscall } from '../../sys/index.ts';
import { proxyPort } from './port-proxy.ts';

const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const syscall = linuxSyscall();

/** A proxy at `port` of `::1` for the port of 127.0.0.1 that `clients` says. */
function proxy(protocol: 'tcp' | 'udp', targetOf: (client: string) => number | undefined) {
  const socket = syscall.socket(AF_INET6, protocol === 'tcp' ? SOCK_STREAM : SOCK_DGRAM, 0);
  const port = syscall.bind(socket, '::1', 0);
  const failures: Error[] = [];
  const target = (client: string) => {
    const there = targetOf(client);
    return there === undefined ? undefined : { address: '127.0.0.1', port: there };
  };
  const opened = proxyPort(protocol, socket, target, (error) => failures.push(error));
  return { port, failures, [Symbol.dispose]: () => opened.close() };
}

test('proxyPort() hands on both directions of a connection, each until its own end', async () => {
  await using server = createServer({ allowHalfOpen: true }, (socket) => {
    // Answers only when the client has said that it has said all.
    let asked = 0;
    socket.on('data', (chunk) => (asked += chunk.length));
    socket.on('end', () => socket.end('y'.repeat(asked * 100)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  using way = proxy('tcp', () => (server.address() as AddressInfo).port);
  const client = connect({ host: '::1', port: way.port, allowHalfOpen: true });
  client.end('x'.repeat(200_000));
  assert.equal((await text(client)).length, 20_000_000);
  assert.deepEqual(way.failures, []);
});

test('proxyPort() resets connections that lead nowhere, and of who is not welcome', async () => {
  let target: number | undefined = 1;
  const asked: string[] = [];
  using way = proxy('tcp', (client) => {
    asked.push(client);
    return target;
  });
  const errorOf = async (): Promise<string | undefined> => {
    const [error] = (await once(connect(way.port, '::1').resume(), 'close').then(
      () => [],
      (reason: unknown) => [reason],
    )) as [{ code?: string }?];
    return error?.code;
  };
  assert.equal(await errorOf(), 'ECONNRESET');
  target = undefined;
  assert.equal(await errorOf(), 'ECONNRESET');
  assert.deepEqual(asked, ['::1', '::1']);
});

test('proxyPort() answers each client of UDP with what the server says to it alone', async () => {
  await using server = createSocket('udp4');
  server.on('message', (message, from) => server.send(`${message.toString()}!`, from.port, from.address));
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  using way = proxy('udp', () => server.address().port);
  const ask = async (message: string): Promise<string> => {
    await using client = createSocket('udp6');
    client.send(message, way.port, '::1');
    const [answer] = (await once(client, 'message', { signal: AbortSignal.timeout(5000) })) as [Buffer];
    return answer.toString();
  };
  assert.deepEqual(await Promise.all([ask('one'), ask('two')]), ['one!', 'two!']);
  assert.equal(await ask('three'), 'three!');
  assert.deepEqual(way.failures, []);
});
