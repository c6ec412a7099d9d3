/** What builds share with the engine around them: cancelling, crashes, builds at the same time, secrets, the cache's life. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { writeTar } from '../../src/archive/index.ts';
import { baseImage, importBaseImage } from '../conformance/cli/run-case.ts';
import { buildThrough, callApi, imageTree } from '../fixtures/build-case.ts';
import { TestDaemon } from '../fixtures/daemon.ts';

let daemon: TestDaemon;

before(async () => {
  daemon = await TestDaemon.start();
  importBaseImage(daemon.host);
});

after(() => daemon.dispose());

async function context(files: Record<string, string>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const sources = Object.entries(files).map(([path, text]) => ({
    path,
    type: 'file' as const,
    mode: 0o644,
    sizeBytes: Buffer.byteLength(text),
    mtimeSeconds: 1_600_000_000,
    body: [Buffer.from(text)],
  }));
  for await (const chunk of writeTar(sources)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function build(dockerfile: string, parameters: Record<string, unknown> = {}) {
  return buildThrough(
    daemon.socket,
    await context({ Dockerfile: dockerfile.replaceAll('BASE', baseImage) }),
    parameters,
  );
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
  const body = await context({
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
    const body = await context({
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
    const tar = await context({ Dockerfile: dockerfile, f: 'content' });
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
    const body = await context({ Dockerfile: dockerfile });
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

  test('finds steps again after a crash of the engine in the middle of a build', async () => {
    const { ended } = await hangingBuild('crashed');
    const mounts = (): number => readFileSync('/proc/self/mounts', 'utf8').split(daemon.directory).length;
    await daemon.crash();
    await ended;
    await daemon.start();
    assert.deepEqual(traces(), []);
    const { output } = await build('FROM BASE\nRUN echo crashed-first\nRUN echo other\n');
    assert.equal(output.match(/Using cache/g)?.length, 1, output);
    const before = mounts();
    assert.ok(before < 20, `${before} mounts`);
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

  test('fetches what ADD names by URL', async () => {
    const archive = await context({ inside: 'from an archive' });
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

  test('refuses what it does not do', async () => {
    for (const parameters of [{ version: 2 }, { outputs: '[{}]' }]) {
      const { status, error } = await build('FROM BASE\n', parameters);
      assert.equal(status, 501, JSON.stringify(parameters));
      assert.match(error ?? '', /not supported by this engine yet/);
    }
  });
});
