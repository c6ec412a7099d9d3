import assert from 'node:assert/strict';
import { closeSync, existsSync, mkdtempSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { LinuxProcesses } from './processes.ts';
import { LibuvWatcher } from './watcher.ts';

const processes = new LinuxProcesses();
const watcher = new LibuvWatcher();
const directory = mkdtempSync(join(tmpdir(), 'watcher-'));
after(() => {
  watcher.close();
  rmSync(directory, { recursive: true });
});

test('DescriptorWatcher.watchReadable() calls back until removed', async () => {
  const [read, write] = processes.pipe();
  let calls = 0;
  const watch = watcher.watchReadable(read, () => calls++);
  await delay(5);
  assert.equal(calls, 0);
  writeSync(write, 'x');
  await delay(5);
  assert.ok(calls > 1, 'level-triggered: nothing was read');
  watch.remove();
  const last = calls;
  await delay(5);
  assert.equal(calls, last);
  closeSync(read);
  closeSync(write);
});

test('DescriptorWatcher.openStream() moves bytes with back-pressure and ends', async () => {
  const [read, write] = processes.pipe();
  const input = watcher.openStream(write, 'write');
  const output = watcher.openStream(read, 'read');
  let bytes = 0;
  output.pause();
  output.onData = (data) => (bytes += data.length);
  const ended = new Promise((resolve) => (output.onClose = resolve));
  let isTaken = false;
  const written = input.write(Buffer.alloc(1 << 20)).then(() => (isTaken = true));
  input.endWrite();
  await delay(10);
  assert.deepEqual([bytes, isTaken], [0, false]);
  output.resume();
  await written;
  assert.equal(await ended, undefined);
  assert.equal(bytes, 1 << 20);
  await assert.rejects(input.write(Buffer.from('x')), { code: 'EPIPE' });
});

test('ByteStream.drain() delivers what is there while paused', async () => {
  const [read, write] = processes.pipe();
  const output = watcher.openStream(read, 'read');
  output.pause();
  let text = '';
  output.onData = (data) => (text += data.toString());
  writeSync(write, 'abc');
  output.drain();
  assert.equal(text, 'abc');
  output.close();
  closeSync(write);
  await delay(1);
});

test('DescriptorWatcher.connectPacket() throws for a socket that is not there, however long its path', () => {
  assert.throws(() => watcher.connectPacket(join(directory, 'none')), { code: 'ENOENT' });
  assert.throws(() => watcher.connectPacket(join(directory, 'n'.repeat(150), 'none')), { code: 'ENOENT' });
});

test('DescriptorWatcher.listenForDescriptor() cleans up when closed', async () => {
  const path = join(directory, 'console');
  const listener = watcher.listenForDescriptor(path);
  assert.ok(existsSync(path));
  listener.close();
  await assert.rejects(listener.received, { code: 'cancelled' });
  assert.equal(existsSync(path), false);
});
