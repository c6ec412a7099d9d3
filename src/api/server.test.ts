import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { describe, it } from 'node:test';
import { EngineError } from '../errors/index.ts';
import { startTestApi } from './test-server.ts';

describe('createApiServer()', () => {
  it('answers ping with the headers clients negotiate by', async () => {
    await using api = await startTestApi();
    for (const path of ['/_ping', '/v1.24/_ping', '/v1.55/_ping']) {
      const answer = await api.call('GET', path);
      assert.equal(answer.status, 200);
      assert.equal(answer.body, 'OK');
      assert.equal(answer.headers['api-version'], '1.55');
      assert.equal(answer.headers['ostype'], 'linux');
      assert.equal(answer.headers['docker-experimental'], 'false');
      assert.equal(answer.headers['builder-version'], '1');
      assert.equal(answer.headers['swarm'], 'inactive');
      assert.equal(answer.headers['content-length'], '2');
    }
    const head = await api.call('HEAD', '/_ping');
    assert.equal(head.headers['content-length'], '0');
    assert.equal(head.headers['cache-control'], 'no-cache, no-store, must-revalidate');
  });

  it('refuses versions outside its range with the texts of Docker', async () => {
    await using api = await startTestApi();
    const old = await api.call('GET', '/v1.10/info');
    assert.equal(old.status, 400);
    assert.equal(
      old.body,
      'client version 1.10 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version\n',
    );
    const young = await api.call('GET', '/v1.99/info');
    assert.equal(young.status, 400);
    assert.equal(
      young.body,
      '{"message":"client version 1.99 is too new. Maximum supported API version is 1.55"}\n',
    );
  });

  it('answers 404 for unknown paths and methods', async () => {
    await using api = await startTestApi();
    for (const [method, path] of [
      ['GET', '/nope'],
      ['GET', '/v1.41/nope'],
      ['DELETE', '/info'],
      ['GET', '/containers/create'],
    ] as const) {
      const answer = await api.call(method, path);
      assert.equal(answer.status, 404, `${method} ${path}`);
      assert.equal(answer.body, '{"message":"page not found"}\n');
    }
    assert.equal((await api.call('OPTIONS', '/anything')).status, 200);
  });

  it('does not offer an operation to versions before it', async () => {
    await using api = await startTestApi();
    assert.equal((await api.call('POST', '/v1.24/containers/prune')).status, 404);
  });

  it('maps error kinds to statuses', async () => {
    await using api = await startTestApi();
    await api.call('POST', '/containers/create?name=c', { Image: 'busybox' });
    assert.equal((await api.call('GET', '/containers/zz/json')).status, 404);
    assert.equal((await api.call('POST', '/containers/c/start')).status, 204);
    const again = await api.call('POST', '/containers/c/start');
    assert.equal(again.status, 304);
    assert.equal(again.body, '');
    const kill = await api.call('POST', '/containers/c/kill');
    assert.equal(kill.status, 409);
    assert.match(String(kill.json()['message']), /container a+1 is not running$/);
  });

  it('sends the head of a wait at once and the body at the end', async () => {
    await using api = await startTestApi();
    await api.call('POST', '/containers/create?name=c', { Image: 'busybox' });
    const asked = request({ socketPath: api.socketPath, method: 'POST', path: '/containers/c/wait' });
    asked.end();
    const [response] = (await once(asked, 'response')) as [import('node:http').IncomingMessage];
    assert.equal(response.statusCode, 200);
    api.engine.fake.exit?.(3);
    const [body] = (await once(response, 'data')) as [Buffer];
    assert.equal(body.toString(), '{"StatusCode":3}\n');
  });

  it('cancels a wait whose client went away', async () => {
    await using api = await startTestApi();
    await api.call('POST', '/containers/create?name=c', { Image: 'busybox' });
    const asked = request({ socketPath: api.socketPath, method: 'POST', path: '/containers/c/wait' });
    asked.end();
    await once(asked, 'response');
    asked.destroy();
    while (api.engine.fake.cancelled === 0) await new Promise((resolve) => setImmediate(resolve));
  });

  it('refuses to prune images by two times', async () => {
    await using api = await startTestApi();
    const filters = encodeURIComponent(JSON.stringify({ until: ['1h', '2h'] }));
    const answer = await api.call('POST', `/images/prune?filters=${filters}`);
    assert.deepEqual(
      [answer.status, answer.json()['message']],
      [400, 'more than one until filter specified'],
    );
  });

  it('pulls nothing under names that stand for something else', async () => {
    await using api = await startTestApi();
    for (const [query, status, message] of [
      ['fromImage=scratch', 403, "'scratch' is a reserved name"],
      ['fromImage=app&tag=a:b', 400, 'invalid tag format'],
    ] as const) {
      const answer = await api.call('POST', `/images/create?${query}`);
      assert.deepEqual([answer.status, answer.json()['message']], [status, message]);
    }
  });

  it('answers what fails early to a client that reads only when it has sent everything', async () => {
    await using api = await startTestApi();
    api.engine.images.load = async (archive) => {
      for await (const _ of archive) throw new EngineError('invalid-parameter', 'not an image');
      throw new Error('it was empty');
    };
    const client = api.connect();
    const piece = Buffer.alloc(65_536, 'x');
    client.write('POST /images/load HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    client.pause();
    for (let sent = 0; sent < 100; sent += 1) {
      client.write('10000\r\n');
      client.write(piece);
      if (!client.write('\r\n')) await once(client, 'drain');
    }
    client.write('0\r\n\r\nGET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    const answer = (await client.toArray()).join('');
    assert.match(
      answer,
      /^HTTP\/1.1 200 OK[^]*\{"errorDetail":\{"message":"not an image"\},"error":"not an image"\}/,
    );
    assert.match(answer, /OK$/, 'the connection is good for another request');
  });
});

describe('POST /containers/create', () => {
  const create = async (body: unknown, headers?: Record<string, string>, version = 'v1.55') => {
    await using api = await startTestApi();
    const answer = await api.call('POST', `/${version}/containers/create`, body, headers);
    return { answer, request: api.engine.fake.calls[0]?.[1] as Record<string, Record<string, unknown>> };
  };

  for (const [body, message] of [
    ['', 'invalid JSON: got EOF while reading request body'],
    ['{', 'invalid JSON: unexpected EOF'],
    ['{}', 'config cannot be empty in order to create a container'],
    ['null', 'config cannot be empty in order to create a container'],
    ['[]', 'invalid JSON: json: cannot unmarshal array into Go value of type container.CreateRequest'],
    [
      '{"Image":1}',
      'invalid JSON: json: cannot unmarshal number into Go struct field CreateRequest.Image of type string',
    ],
    [
      '{"HostConfig":{"Memory":"x"}}',
      'invalid JSON: json: cannot unmarshal string into Go struct field HostConfig.HostConfig.Memory of type int64',
    ],
    [
      '{"HostConfig":{"Memory":1.5}}',
      'invalid JSON: json: cannot unmarshal number 1.5 into Go struct field HostConfig.HostConfig.Memory of type int64',
    ],
    [
      '{"Image":"b","HostConfig":{"PortBindings":{"80":{}}}}',
      'invalid JSON: json: cannot unmarshal object into Go struct field HostConfig.HostConfig.PortBindings of type []network.PortBinding',
    ],
  ] as const) {
    it(`refuses ${body === '' ? 'nothing' : body}`, async () => {
      const { answer } = await create(body);
      assert.equal(answer.status, 400);
      assert.equal(answer.json()['message'], message);
    });
  }

  it('refuses another Content-Type', async () => {
    const { answer } = await create('{}', { 'Content-Type': 'text/plain' });
    assert.equal(
      answer.json()['message'],
      "unsupported Content-Type header (text/plain): must be 'application/json'",
    );
  });

  it('matches member names in any case, skips unknown ones and takes null for nothing', async () => {
    const { answer, request } = await create({
      iMAGE: 'busybox',
      cmd: 'true',
      Unknown: { a: 1 },
      Env: null,
      hostconfig: { memory: 8_388_608, CapAdd: null, __proto__: null },
    });
    assert.equal(answer.status, 201);
    assert.deepEqual(request['config']?.['Cmd'], ['true']);
    assert.equal(request['config']?.['Image'], 'busybox');
    assert.equal(request['hostConfig']?.['Memory'], 8_388_608);
    assert.equal(request['hostConfig']?.['MemorySwap'], 16_777_216);
    assert.equal(request['hostConfig']?.['ShmSize'], 67_108_864);
    assert.equal(request['hostConfig']?.['NetworkMode'], 'bridge');
  });

  it('moves a MAC address of before 1.44 to the endpoint', async () => {
    const { request } = await create({ Image: 'b', MacAddress: '02:00:00:00:00:01' }, undefined, 'v1.43');
    const endpoints = request['networkingConfig']?.['EndpointsConfig'] as Record<
      string,
      { MacAddress: string }
    >;
    assert.equal(endpoints['bridge']?.MacAddress, '02:00:00:00:00:01');
    const { answer } = await create({ Image: 'b', MacAddress: '02:00:00:00:00:01' });
    assert.equal(answer.status, 400);
  });
});
