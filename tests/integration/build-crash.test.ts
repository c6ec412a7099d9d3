/** kill -9 of the engine at several moments of a build: what was finished is found again, and nothing is left of the rest. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { baseImage, importBaseImage } from '../conformance/cli/run-case.ts';
import { buildThrough, cachedSteps, callApi, contextOf, imageTree } from '../fixtures/build-case.ts';
import { TestDaemon } from '../fixtures/daemon.ts';

/** Steps of two stages side by side, with a cache mount, a copy between stages and a mark that no other process has. */
const mark = `build-crash-${process.pid}`;
const dockerfile = `FROM ${baseImage} AS one
RUN echo ${mark}; echo 1 > /one-1; sleep 0.2
RUN --mount=type=cache,id=crash,target=/c echo ${mark}; date >> /c/log; sleep 0.2
COPY f /f
RUN echo ${mark}; echo 3 > /one-3; sleep 0.2
FROM ${baseImage} AS two
RUN echo ${mark}; head -c 3000000 /dev/zero > /two-1; sleep 0.3
RUN echo ${mark}; echo 2 > /two-2; sleep 0.3
FROM ${baseImage}
COPY --from=one /one-1 /one-3 /f /
COPY --from=two /two-1 /two-2 /
RUN echo ${mark}; sleep 0.3; ls / > /names
`;

let daemon: TestDaemon;
let context: Buffer;
/** What there is on disk before the first build. */
let pristine: string[];
let pristineLinks: number;

before(async () => {
  daemon = await TestDaemon.start();
  importBaseImage(daemon.host);
  context = await contextOf({ Dockerfile: dockerfile, f: 'content\n' });
  pristine = onDisk();
  // They are made one after the other when the engine has started.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  pristineLinks = links();
});

after(() => daemon?.dispose());

/** Blobs, layers, trees that are written to, contexts, cache mounts, files of running steps. */
function onDisk(): string[] {
  const { dataRoot, execRoot } = daemon;
  const list = (path: string): string[] =>
    existsSync(path) ? readdirSync(path).map((name) => `${path.slice(daemon.directory.length)}/${name}`) : [];
  const ofImages = [
    'content/blobs/sha256',
    'content/ingest',
    'overlay2',
    'overlay2/layers',
    'overlay2/active',
  ];
  const ofBuilds = ['builder', 'builder/contexts', 'builder/cache-mounts'];
  return [
    ...[...ofImages, ...ofBuilds].flatMap((path) => list(join(dataRoot, path))),
    ...['builder', 'containers'].flatMap((path) => list(join(execRoot, path))),
  ].toSorted();
}

/** Mounts and processes of builds. */
function onMachine(): string[] {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes(daemon.directory) && !line.includes('/netns/'));
  const processes = spawnSync('pgrep', ['-af', mark], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter(Boolean);
  return [...mounts, ...processes];
}

/** Links of steps, and those that the engine keeps ready. */
function links(): number {
  const attached = (name: string): boolean => existsSync(`/sys/class/net/${daemon.bridge}/brif/${name}`);
  return readdirSync('/sys/class/net').filter(attached).length;
}

/** Numbers of the steps with files that a build's stream says are done. */
function doneIn(text: string): number[] {
  let step = 0;
  const done: number[] = [];
  for (const [, number, shown] of text.matchAll(/"stream":"(?:Step (\d+)\/|( ---> [0-9a-f]{12}))/g)) {
    if (number !== undefined) step = Number(number);
    else if (shown !== undefined && ![1, 6, 9].includes(step)) done.push(step);
  }
  return done;
}

/** Begins a build and kills the engine shortly after so many steps are done. @returns those that the client was told of */
async function killedAfter(steps: number): Promise<number[]> {
  let text = '';
  const reached = Promise.withResolvers<void>();
  const ended = new Promise<void>((resolve) => {
    const headers = { 'Content-Type': 'application/x-tar' };
    const sent = request(
      { socketPath: daemon.socket, method: 'POST', path: '/build', agent: false, headers },
      (response) => {
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString('utf8');
          if (doneIn(text).length >= steps) reached.resolve();
        });
        response.on('error', () => undefined).on('close', resolve);
      },
    );
    sent.on('error', () => resolve());
    sent.end(context);
  });
  await reached.promise;
  await new Promise((resolve) => setTimeout(resolve, 15 * (steps + 3)));
  await daemon.crash();
  await ended;
  return doneIn(text);
}

test('a build that was cut off by kill -9 goes on where it was, and leaves nothing', async () => {
  for (const steps of [0, 1, 3, 6]) {
    const at = `after ${steps} steps`;
    const done = await killedAfter(steps);
    assert.ok(done.length >= steps && done.length < 9, at);
    await daemon.start();
    assert.deepEqual(onMachine(), [], at);
    assert.ok(links() <= pristineLinks, `${at}: ${links()} links`);
    const unfinished = /\/(?:ingest|active|contexts|run\/builder|containers)\//;
    assert.deepEqual(
      onDisk().filter((path) => unfinished.test(path)),
      [],
      at,
    );
    // What the client saw done is known, whatever else is.
    const { output, error, imageId } = await buildThrough(daemon.socket, context, {});
    assert.equal(error, undefined, output);
    const cached = cachedSteps(output);
    assert.deepEqual(
      done.filter((step) => !cached.includes(step)),
      [],
      `${at}: ${output}`,
    );
    const tree = await imageTree(daemon.socket, imageId);
    assert.deepEqual(
      ['/one-1', '/one-3', '/f', '/two-2'].map((path) => tree.get(path)?.text),
      ['1\n', '3\n', 'content\n', '2\n'],
    );
    await callApi(daemon.socket, 'DELETE', `/images/${imageId}`);
    await callApi(daemon.socket, 'POST', '/build/prune?all=1');
    assert.deepEqual(onDisk(), pristine, `${at}: all that was pruned is gone`);
  }
});
