import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { after, test, type TestContext } from 'node:test';
import type { DatagramSocket } from '../process.ts';
import { LinuxSyscall } from './linux-syscall.ts';
import { LibuvWatcher } from './watcher.ts';

const AF_INET = 2;
const SOCK_DGRAM = 2;
const watcher = new LibuvWatcher();
after(() => watcher.close());

/** The socket under test; `answer` says what it does with a datagram. */
function open(answer: (socket: DatagramSocket, message: Buffer, from: Buffer) => void): number {
  const syscall = new LinuxSyscall();
  const fd = syscall.socket(AF_INET, SOCK_DGRAM, 0);
  const port = syscall.bind(fd, '127.0.0.1', 0);
  const socket = watcher.openDatagrams(fd, (message, from) => answer(socket, message, from));
  return port;
}

async function connectTo(port: number, context: TestContext): Promise<{ client: Socket; heard: string[] }> {
  const client = createSocket('udp4');
  const heard: string[] = [];
  client.on('message', (message) => heard.push(message.toString()));
  client.connect(port, '127.0.0.1');
  await once(client, 'connect');
  context.after(() => client.close());
  return { client, heard };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

test(
  'DatagramSocket gives each its own answer, however many ask at once',
  { timeout: 5000 },
  async (context) => {
    const port = open((socket, message, from) => socket.send(Buffer.from(`${message.toString()}!`), from));
    const clients = [await connectTo(port, context), await connectTo(port, context)];
    const asked = Array.from({ length: 100 }, (_, number) => `${number}`);
    for (const text of asked)
      for (const [index, { client }] of clients.entries()) client.send(`${index} ${text}`);
    await until(() => clients.every(({ heard }) => heard.length === asked.length));
    for (const [index, { heard }] of clients.entries())
      assert.deepEqual(
        heard,
        asked.map((text) => `${index} ${text}!`),
      );
  },
);

test('DatagramSocket drops what is longer than 4 KiB, and goes on', { timeout: 5000 }, async (context) => {
  const seen: number[] = [];
  const port = open((_socket, message) => seen.push(message.length));
  const { client } = await connectTo(port, context);
  for (const length of [4097, 4096, 0, 1]) client.send(Buffer.alloc(length));
  await until(() => seen.includes(1));
  assert.deepEqual(seen, [4096, 0, 1]);
});

test(
  'DatagramSocket answers later as well, and with the largest datagram',
  { timeout: 5000 },
  async (context) => {
    const port = open((socket, message, from) => {
      const [answer, to] = [message.toString().repeat(65_507), Buffer.from(from)];
      setImmediate(() => socket.send(Buffer.from(answer), to));
    });
    const { client, heard } = await connectTo(port, context);
    client.send('x');
    await until(() => heard.length > 0);
    assert.equal(heard[0], 'x'.repeat(65_507));
  },
);

test(
  'DatagramSocket that is closed by its own handler answers what came before, nothing after',
  { timeout: 5000 },
  async (context) => {
    const port = open((socket, message, from) => {
      socket.send(message, from);
      if (message.toString() === 'end') socket.close();
    });
    const { client, heard } = await connectTo(port, context);
    client.on('error', () => {});
    for (const text of ['one', 'end', 'more']) client.send(text);
    await until(() => heard.includes('end'));
    client.send('late');
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(heard, ['one', 'end']);
  },
);
