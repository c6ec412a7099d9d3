/** What builds share with the engine around them: cancelling, crashes, builds at the same time, secrets, the cache's life. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { baseImage, importBaseImage } from '../conformance/cli/run-case.ts';
import { buildThrough, cachedSteps, callApi, contextOf, imageTree } from '../fixtures/build-case.ts';
import { TestDaemon } from '../fixtures/daemon.ts';

let daemon: TestDaemon;

before(async () => {
  daemon = await TestDaemon.start();
  importBaseImage(daemon.host);
});

after(() => daemon.dispose());

async function build(dockerfile: string, parameters: Record<string, unknown> = {}) {
  return buildThrough(daemon.socket, await contextOf({ Dockerfile: dockerfile }), parameters);
}

/** What a build has on the machine while it runs. */
function traces(): string[] {
  const list = (path: string): string[] =>
    existsSync(path) ? readdirSync(path).map((name) => `${path.slice(daemon.directory.length)}/${name}`) : [];
  return [
    ...list(join(daemon.execRoot, 'builder')),
    ...list(join(daemon.execRoot, 'containers')),
    ...list(join(daemon.dataRoot, 'builder/contexts')),
    ...list(join(daemon.dataRoot, 'overlay2/active')),
  ];
}

async function eventually(condition: () => boolean, what: string): Promise<void> {
  for (let tries = 0; !condition(); tries += 1) {
    assert.ok(tries < 400, what);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Starts a build whose second step does not end by itself; resolves when that runs. */
async function hangingBuild(name: string): Promise<{ disconnect: () => void; ended: Promise<string> }> {
  const body = await contextOf({
    Dockerfile: `FROM ${baseImage}\nRUN echo ${name}-first\nRUN echo ${name}-runs; sleep 1000\n`,
  });
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        socketPath: daemon.socket,
        method: 'POST',
        path: `/build?buildid=${name}`,
        agent: false,
        headers: { 'Content-Type': 'application/x-tar' },
      },
      (response) => {
        let text = '';
        const ended = new Promise<string>((done) => response.on('close', () => done(text)));
        response.on('error', () => {});
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString('utf8');
          if (text.includes(`"stream":"${name}-runs`)) resolve({ disconnect: () => sent.destroy(), ended });
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

describe('POST /build', () => {
  test('ends with its client and leaves nothing', async () => {
    const { disconnect, ended } = await hangingBuild('disconnect');
    assert.notDeepEqual(traces(), []);
    disconnect();
    await ended;
    await eventually(() => traces().length === 0, 'everything is gone');
  });

  test('is ended by POST /build/cancel', async () => {
    const { ended } = await hangingBuild('cancelled');
    assert.equal((await callApi(daemon.socket, 'POST', '/build/cancel?id=cancelled')).status, 204);
    assert.match(await ended, /"error":"Build cancelled"/);
    await eventually(() => traces().length === 0, 'everything is gone');
  });

  test('leaves nothing when a step fails', async () => {
    const { error } = await build('FROM BASE\nRUN mkdir /x && exit 7\n');
    assert.match(error ?? '', /returned a non-zero code: 7/);
    assert.deepEqual(traces(), []);
  });

  test('does a step once when two builds need it at the same time', async () => {
    const dockerfile = 'FROM BASE\nRUN sleep 0.5; cat /proc/sys/kernel/random/uuid > /uuid\n';
    const [one, two] = await Promise.all([build(dockerfile), build(dockerfile)]);
    assert.equal(one.error, undefined);
    assert.equal(one.imageId, two.imageId);
    const container = (output: string): string | undefined => /Running in (\w+)/.exec(output)?.[1];
    assert.notEqual(container(one.output), undefined);
    assert.equal(container(one.output), container(two.output));
  });

  test('goes on with a step that another build has begun and was cancelled', async () => {
    const first = await hangingBuild('waited');
    const body = await contextOf({
      Dockerfile: `FROM ${baseImage}\nRUN echo waited-first\nRUN echo waited-runs; sleep 1000\n`,
    });
    const steps = (): string[] => traces().filter((path) => path.startsWith('/run/builder/'));
    const [running] = steps();
    const second = buildThrough(daemon.socket, body, { buildid: 'waiting' });
    await new Promise((resolve) => setTimeout(resolve, 300));
    first.disconnect();
    await first.ended;
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.deepEqual(steps(), [running]);
    await callApi(daemon.socket, 'POST', '/build/cancel?id=waiting');
    const { output, error } = await second;
    assert.equal(error, 'Build cancelled');
    assert.match(output, /Using cache[^]*Running in[^]*waited-runs/);
    await eventually(() => traces().length === 0, 'everything is gone');
  });

  test('takes contexts of every compression, and a lone Dockerfile', async () => {
    const dockerfile = `FROM ${baseImage}\nCOPY f /compressed\n`;
    const tar = await contextOf({ Dockerfile: dockerfile, f: 'content' });
    for (const program of ['gzip', 'bzip2', 'xz', 'zstd']) {
      const packed = spawnSync(program, ['-c'], { input: tar });
      if (packed.status !== 0) continue;
      const { error } = await buildThrough(daemon.socket, packed.stdout, {});
      assert.equal(error, undefined, program);
    }
    const lone = await buildThrough(daemon.socket, Buffer.from(`FROM ${baseImage}\nENV LONE=1\n`), {});
    assert.equal(lone.error, undefined);
    const broken = await buildThrough(daemon.socket, tar.subarray(0, 530), {});
    assert.equal(broken.status, 400);
  });

  test('keeps secrets out of layers, records and files', async () => {
    const secret = 'a-secret-that-nobody-else-has';
    const sent = await callApi(
      daemon.socket,
      'POST',
      '/coracle/build/session',
      Buffer.from(JSON.stringify({ Secrets: { token: Buffer.from(secret).toString('base64') } })),
      'application/json',
    );
    const { Ticket } = JSON.parse(sent.body.toString('utf8')) as { Ticket: string };
    const dockerfile = `FROM ${baseImage}
RUN --mount=type=secret,id=token wc -c < /run/secrets/token
RUN --mount=type=secret,id=token,env=TOKEN test "$(echo -n $TOKEN | wc -c)" = ${secret.length}
`;
    const body = await contextOf({ Dockerfile: dockerfile });
    const output = await new Promise<string>((resolve, reject) => {
      const headers = { 'Content-Type': 'application/x-tar', 'X-Coracle-Build-Session': Ticket };
      const request_ = request(
        { socketPath: daemon.socket, method: 'POST', path: '/build', agent: false, headers },
        (response) => {
          let text = '';
          response.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
          response.on('end', () => resolve(text));
        },
      );
      request_.on('error', reject);
      request_.end(body);
    });
    assert.match(output, new RegExp(`"stream":"${secret.length}\\\\n"`));
    assert.ok(!output.includes('"error"'), output);
    const found = spawnSync('grep', ['-rla', secret, daemon.directory], { encoding: 'utf8' });
    assert.equal(found.stdout, '');
    const again = await buildThrough(daemon.socket, body, { nocache: 1 });
    assert.ok((again.error ?? '') !== '', 'a ticket is good for one build');
  });

  test('forgets what POST /build/prune removes, and keeps what named images are made from', async () => {
    const { imageId } = await build('FROM BASE\nRUN echo prune-unnamed > /u\n');
    await callApi(daemon.socket, 'DELETE', `/images/${imageId}`);
    await build('FROM BASE\nRUN echo prune-named > /n\n', { t: 'prune-named' });
    const pruned = JSON.parse(
      (await callApi(daemon.socket, 'POST', '/build/prune')).body.toString('utf8'),
    ) as {
      CachesDeleted: string[] | null;
      SpaceReclaimed: number;
    };
    assert.ok((pruned.CachesDeleted?.length ?? 0) > 0);
    assert.ok(pruned.SpaceReclaimed > 0);
    assert.match((await build('FROM BASE\nRUN echo prune-named > /n\n')).output, /Using cache/);
    assert.doesNotMatch((await build('FROM BASE\nRUN echo prune-unnamed > /u\n')).output, /Using cache/);
  });

  test('builds stages that do not need each other at the same time', async () => {
    const stage = (name: string): string =>
      `FROM BASE AS ${name}\nRUN cut -d' ' -f1 /proc/uptime > /${name}; sleep 0.6; cut -d' ' -f1 /proc/uptime >> /${name}\n`;
    const names = ['a', 'b', 'c', 'd'];
    const copies = names.map((name) => `COPY --from=${name} /${name} /${name}\n`).join('');
    const { imageId, error, output } = await build(`${names.map(stage).join('')}FROM BASE\n${copies}`);
    assert.equal(error, undefined);
    const tree = await imageTree(daemon.socket, imageId);
    const times = names.map((name) => tree.get(`/${name}`)?.text.trim().split('\n').map(Number) ?? []);
    const lastBegin = Math.max(...times.map(([began = 0]) => began));
    const firstEnd = Math.min(...times.map(([, ended = 0]) => ended));
    assert.ok(lastBegin < firstEnd, JSON.stringify(times));
    // Shown in the order of the file all the same.
    const shown = [...output.matchAll(/^Step (\d+)/gm)].map(([, step]) => Number(step));
    assert.deepEqual(
      shown,
      Array.from({ length: 13 }, (_, index) => index + 1),
    );
  });

  test('does what two builds have in common once, each with what is its own', async () => {
    const shared = 'FROM BASE AS s\nRUN sleep 0.4; cat /proc/sys/kernel/random/uuid > /uuid\n';
    const dockerfiles = ['one', 'two'].map(
      (name) => `${shared}FROM BASE\nRUN echo ${name} > /own\nCOPY --from=s /uuid /uuid\n`,
    );
    const [one, two] = await Promise.all(dockerfiles.map((text) => build(text)));
    const trees = [one, two].map(async (outcome) => imageTree(daemon.socket, outcome?.imageId ?? ''));
    const [first, second] = await Promise.all(trees);
    assert.equal(first?.get('/own')?.text, 'one\n');
    assert.equal(second?.get('/own')?.text, 'two\n');
    assert.equal(first?.get('/uuid')?.text, second?.get('/uuid')?.text);
  });

  test('finds the steps of another engine by the inline cache of its image', async () => {
    const dockerfile = `FROM ${baseImage}\nRUN echo inline > /i\nCOPY f /f\nENV A=1\nRUN true\n`;
    const body = await contextOf({ Dockerfile: dockerfile, f: 'content' });
    const made = await buildThrough(daemon.socket, body, {
      t: 'inline-cache',
      buildargs: { BUILDKIT_INLINE_CACHE: '1' },
    });
    assert.equal(made.error, undefined);
    const saved = await callApi(daemon.socket, 'GET', `/images/get?names=inline-cache&names=${baseImage}`);
    const other = await TestDaemon.start();
    try {
      assert.equal((await callApi(other.socket, 'POST', '/images/load', saved.body)).status, 200);
      const missing = await buildThrough(other.socket, body, { cachefrom: '["localhost:1/no-such-image"]' });
      assert.match(missing.output, /\[Warning\] Cannot use localhost:1\/no-such-image as a cache/);
      assert.deepEqual(cachedSteps(missing.output), []);
      await callApi(other.socket, 'DELETE', `/images/${missing.imageId}`);
      await callApi(other.socket, 'POST', '/build/prune?all=1');
      const found = await buildThrough(other.socket, body, { cachefrom: '["inline-cache"]' });
      assert.equal(found.error, undefined);
      assert.deepEqual(cachedSteps(found.output, /^(?:RUN|COPY)/), [2, 3, 5]);
      const tree = await imageTree(other.socket, found.imageId);
      assert.equal(tree.get('/i')?.text, 'inline\n');
    } finally {
      await other.dispose();
    }
  });

  test('gives steps the proxies of the request and the names of networks', async () => {
    const { output, error } = await build(
      'FROM BASE\nRUN echo proxy=$http_proxy\nARG https_proxy=x\nRUN env\n',
      {
        buildargs: { http_proxy: 'http://proxy.test:1', https_proxy: 'http://proxy.test:2' },
      },
    );
    assert.equal(error, undefined);
    assert.match(output, /^proxy=http:\/\/proxy\.test:1$/m);
    assert.match(output, /^https_proxy=http:\/\/proxy\.test:2$/m);
    const missing = await build('FROM BASE\nRUN true missing network\n', { networkmode: 'no-such-network' });
    assert.match(missing.error ?? '', /network no-such-network not found/);
    const none = await build('FROM BASE\nRUN ls /sys/class/net\n', { networkmode: 'none' });
    assert.match(none.output, /\nlo\nRemoving/);
    const host = await build('FROM BASE\nRUN hostname\n', { networkmode: 'host' });
    assert.ok(host.output.includes(`\n${hostname()}\n`), host.output);
  });

  test('tells GET /system/df what the cache holds', async () => {
    const { imageId } = await build('FROM BASE\nRUN head -c 1000000 /dev/zero > /df\n');
    const usage = async (): Promise<Record<string, unknown> | undefined> => {
      const { body } = await callApi(daemon.socket, 'GET', '/v1.48/system/df?type=build-cache');
      const { BuildCache } = JSON.parse(body.toString('utf8')) as { BuildCache: Record<string, unknown>[] };
      return BuildCache.find(({ Description }) => String(Description).includes('/df'));
    };
    const record = await usage();
    assert.equal(record?.['Type'], 'regular');
    assert.equal(record['Shared'], true);
    assert.equal(record['InUse'], false);
    assert.ok(Number(record['Size']) >= 1_000_000);
    assert.equal(record['UsageCount'], 0);
    await build('FROM BASE\nRUN head -c 1000000 /dev/zero > /df\n');
    assert.equal((await usage())?.['UsageCount'], 1);
    await callApi(daemon.socket, 'DELETE', `/images/${imageId}`);
    assert.equal((await usage())?.['Shared'], false);
    const filters = encodeURIComponent(JSON.stringify({ id: [String(record['ID'])] }));
    const pruned = await callApi(daemon.socket, 'POST', `/build/prune?filters=${filters}`);
    const { CachesDeleted, SpaceReclaimed } = JSON.parse(pruned.body.toString('utf8')) as {
      CachesDeleted: string[];
      SpaceReclaimed: number;
    };
    assert.deepEqual(CachesDeleted, [record['ID']]);
    assert.ok(SpaceReclaimed >= 1_000_000);
    assert.equal(await usage(), undefined);
    const wrong = encodeURIComponent(JSON.stringify({ nonsense: ['1'] }));
    assert.equal((await callApi(daemon.socket, 'POST', `/build/prune?filters=${wrong}`)).status, 400);
  });

  test('fetches what ADD names by URL', async () => {
    const archive = await contextOf({ inside: 'from an archive' });
    const server = createServer((request_, response) => {
      if (request_.url === '/missing') response.writeHead(404).end();
      else {
        response.setHeader('Last-Modified', 'Thu, 01 Jan 2015 00:00:00 GMT');
        response.end(request_.url === '/x.tar' ? archive : 'fetched\n');
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const digest = createHash('sha256').update('fetched\n').digest('hex');
      const dockerfile = `FROM BASE
ADD ${url}/a.txt /dir/
ADD --checksum=sha256:${digest} ${url}/b /named
ADD ${url}/x.tar /kept.tar
ADD --unpack=true ${url}/x.tar /unpacked/
`;
      const { error, imageId, output } = await build(dockerfile);
      assert.equal(error, undefined, output);
      const tree = await imageTree(daemon.socket, imageId);
      assert.equal(tree.get('/dir/a.txt')?.text, 'fetched\n');
      assert.equal(tree.get('/dir/a.txt')?.mode, '0600');
      assert.equal(tree.get('/dir/a.txt')?.mtime, 1_420_070_400);
      assert.equal(tree.get('/named')?.text, 'fetched\n');
      assert.equal(tree.get('/kept.tar')?.type, 'file');
      assert.equal(tree.get('/unpacked/inside')?.text, 'from an archive');
      assert.equal((await build(dockerfile)).output.match(/Using cache/g)?.length, 4);
      const wrong = await build(`FROM BASE\nADD --checksum=sha256:${'0'.repeat(64)} ${url}/b /b\n`);
      assert.match(wrong.error ?? '', /ADD failed: digest mismatch sha256:/);
      const missing = await build(`FROM BASE\nADD ${url}/missing /b\n`);
      assert.equal(missing.error, `ADD failed: failed to GET ${url}/missing with status 404 Not Found`);
      const nameless = await build(`FROM BASE\nADD ${url} /b/\n`);
      assert.equal(nameless.error, `ADD failed: cannot determine filename for source ${url}`);
    } finally {
      server.close();
    }
  });

  test('removes no file of the machine when a step swaps the place of a mount for a link', async () => {
    const victim = join(daemon.directory, 'victim');
    mkdirSync(victim);
    writeFileSync(join(victim, 'empty'), '');
    const dockerfile = `FROM BASE
RUN --mount=type=tmpfs,target=/swap/empty mv /swap /moved 2>/dev/null; ln -sfn ${victim} /swap || true
RUN --mount=type=bind,source=Dockerfile,target=/two/empty mv /two /moved2; ln -sfn ${victim} /two || true
`;
    await build(dockerfile);
    assert.ok(existsSync(join(victim, 'empty')));
  });
});
