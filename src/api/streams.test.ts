import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { frame } from './connection.ts';
import { startTestApi, type TestApi } from './test-server.ts';

function open(api: TestApi, path: string): Promise<IncomingMessage> {
  const sent = request({ socketPath: api.socketPath, path, agent: false });
  sent.on('error', () => undefined);
  sent.end();
  return once(sent, 'response').then(([response]) => response as IncomingMessage);
}

const timeNs = 1_700_000_000_000_000_006n;

test('GET /containers/{id}/logs frames entries and prints times with nine digits', async () => {
  await using api = await startTestApi();
  await api.call('POST', '/containers/create?name=c', { Image: 'busybox' });
  api.engine.fake.logEntries.push(
    { stream: 'stdout', timeNs, data: Buffer.from('a\n') },
    { stream: 'stderr', timeNs, data: Buffer.from('b\n') },
  );
  const answer = await api.call('GET', '/containers/c/logs?stdout=1&stderr=1&timestamps=1&tail=5&since=1.5');
  assert.equal(answer.headers['content-type'], 'application/vnd.docker.multiplexed-stream');
  assert.equal(
    answer.body,
    frame('stdout', Buffer.from('2023-11-14T22:13:20.000000006Z a\n')).toString() +
      frame('stderr', Buffer.from('2023-11-14T22:13:20.000000006Z b\n')).toString(),
  );
  const [, options] = api.engine.fake.calls.at(-1) as [string, Record<string, unknown>];
  assert.equal(options['tail'], 5);
  assert.equal(options['sinceNs'], 1_500_000_000n);
  const old = await api.call('GET', '/v1.41/containers/c/logs?stdout=1');
  assert.equal(old.headers['content-type'], 'application/vnd.docker.raw-stream');
  assert.equal((await api.call('GET', '/containers/c/logs')).status, 400);
});

test('GET /events streams lines with nanoseconds as a number, and lets go of a client that left', async () => {
  await using api = await startTestApi();
  const filters = encodeURIComponent(JSON.stringify({ type: { container: true } }));
  const response = await open(api, `/v1.41/events?filters=${filters}`);
  api.engine.events.publish('volume', 'create', 'v', {});
  api.engine.events.publish('container', 'start', 'abc', { image: 'busybox', name: 'c' });
  const [line] = (await once(response, 'data')) as [Buffer];
  const event = JSON.parse(line.toString()) as Record<string, unknown>;
  assert.match(line.toString(), /"timeNano":\d{19}\}\n$/);
  assert.equal(event['status'], 'start');
  assert.equal(event['from'], 'busybox');
  assert.deepEqual(event['Actor'], { ID: 'abc', Attributes: { image: 'busybox', name: 'c' } });
  const info = async (): Promise<unknown> => (await api.call('GET', '/info')).json()['NEventsListener'];
  assert.equal(await info(), 1);
  response.destroy();
  while ((await info()) !== 0) await new Promise((resolve) => setImmediate(resolve));
});

test('GET /events with since and until ends at once when both are past', async () => {
  await using api = await startTestApi();
  api.engine.events.publish('container', 'start', 'abc', { image: 'busybox' });
  const until = Date.now() / 1000 + 0.01;
  await new Promise((resolve) => setTimeout(resolve, 20));
  const answer = await api.call('GET', `/v1.55/events?since=1&until=${until.toFixed(3)}`);
  assert.equal(answer.headers['content-type'], 'application/jsonl');
  const event = JSON.parse(answer.body) as Record<string, unknown>;
  assert.equal(event['Action'], 'start');
  assert.equal('status' in event, false);
  assert.equal((await api.call('GET', '/events?since=2&until=1')).status, 400);
});

test('GET /events refuses a broken filter', async () => {
  await using api = await startTestApi();
  const answer = await api.call('GET', '/events?filters=%7B');
  assert.equal(answer.status, 400);
  assert.equal(answer.json()['message'], 'invalid filter');
});

test('POST /exec/{id}/start answers JSON for an unknown id and detaches with 200', async () => {
  await using api = await startTestApi();
  await api.call('POST', '/containers/create?name=c', { Image: 'busybox' });
  assert.equal((await api.call('POST', '/containers/c/exec', { Cmd: [] })).status, 400);
  const { Id } = (await api.call('POST', '/containers/c/exec', { Cmd: ['ls', '-l'] })).json<{ Id: string }>();
  const unknown = await api.call('POST', '/exec/x/start', { Detach: true });
  assert.equal(unknown.json()['message'], 'No such exec instance: x');
  assert.equal((await api.call('POST', `/exec/${Id}/start`, { Detach: true })).status, 200);
  const inspected = (await api.call('GET', `/exec/${Id}/json`)).json();
  assert.deepEqual(inspected['ProcessConfig'], {
    tty: false,
    entrypoint: 'ls',
    arguments: ['-l'],
    privileged: false,
  });
});

test('POST /containers/{id}/resize refuses what is no number', async () => {
  await using api = await startTestApi();
  const answer = await api.call('POST', '/containers/c/resize?h=x&w=1');
  assert.equal(answer.json()['message'], 'invalid resize height "x": invalid syntax');
});
