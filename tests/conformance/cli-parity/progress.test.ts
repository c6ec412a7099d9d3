/** What our client shows of a stream of progress messages, beside the stock docker client: byte for byte, on terminals too. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { withDockerClient } from '../../fixtures/docker-client.ts';

const bundle = fileURLToPath(new URL('../../../dist/cli.cjs', import.meta.url));
const messages: readonly object[] = [
  { status: 'Pulling from library/app', id: '1' },
  { status: 'Pulling fs layer', progressDetail: {}, id: 'aaa' },
  { status: 'Pulling fs layer', progressDetail: {}, id: 'bbb' },
  { status: 'Waiting', progressDetail: {}, id: 'bbb' },
  { status: 'Downloading', progressDetail: { current: 1, total: 1000 }, progress: '[> ] 1B/1kB', id: 'aaa' },
  { status: 'Downloading', progressDetail: { current: 123456, total: 1234567 }, id: 'aaa' },
  { status: 'Downloading', progressDetail: { current: 1234567, total: 1234567 }, id: 'aaa' },
  { status: 'Downloading', progressDetail: { current: 2234567, total: 1234567 }, id: 'aaa' },
  { status: 'Downloading', progressDetail: { current: 2234567 }, id: 'bbb' },
  { status: 'Steps', progressDetail: { current: 3, total: 7, units: 's' }, id: 'ccc' },
  { status: 'Steps', progressDetail: { current: 3, units: 's' }, id: 'ccc' },
  { status: 'Quiet', progressDetail: { current: 3, total: 7, hidecounts: true }, id: 'ccc' },
  { status: 'Old', progress: '[==>]', id: 'ddd' },
  { status: 'Download complete', progressDetail: {}, id: 'aaa' },
  { status: 'Importing', progressDetail: { current: 500, total: 1000 } },
  { stream: 'a stream\n' },
  { status: 'Pull complete', progressDetail: {}, id: 'bbb' },
  { status: 'Digest: sha256:x' },
  { progressDetail: {}, aux: { Tag: 'x' } },
  { status: 'Status: Downloaded newer image for app:1' },
];

describe(...withDockerClient('progress of a pull'), () => {
  const server = createServer((request, response) => {
    response.setHeader('Api-Version', '1.49');
    if (!(request.url ?? '').includes('/images/create')) return response.end('OK');
    request.resume();
    response.setHeader('Content-Type', 'application/json');
    return response.end(messages.map((message) => `${JSON.stringify(message)}\r\n`).join(''));
  });
  before(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
  after(() => {
    server.close();
    server.closeAllConnections();
  });

  /** @param columns of the terminal; 0 without one */
  async function shown(program: string, columns: number): Promise<string> {
    const host = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const command = `${columns === 0 ? '' : `stty cols ${columns}; `}${program} pull app:1`;
    const [shell = '', ...argv] =
      columns === 0 ? ['sh', '-c', command] : ['script', '-qec', command, '/dev/null'];
    const child = spawn(shell, argv, {
      env: { ...process.env, DOCKER_HOST: host, CORACLE_HOST: host, DOCKER_API_VERSION: '1.49' },
    });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await new Promise((resolve) => child.once('close', resolve));
    return text;
  }

  for (const columns of [200, 80, 0]) {
    test(columns === 0 ? 'without a terminal' : `on a terminal of ${columns} columns`, async () => {
      const ours = await shown(`${process.execPath} ${bundle}`, columns);
      assert.equal(ours, await shown('docker', columns));
      assert.match(ours, /Status: Downloaded newer image for app:1/);
    });
  }
});
