/** What a build is told of the cache: stages that are made anew, newer bases, who shares a cache mount with whom. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { writeTar } from '../../src/archive/index.ts';
import { baseImage, importBaseImage } from '../conformance/cli/run-case.ts';
import { buildThrough, cachedSteps, callApi, contextOf, imageTree } from '../fixtures/build-case.ts';
import { runCli } from '../fixtures/build-cli.ts';
import { TestDaemon } from '../fixtures/daemon.ts';
import { TestRegistry } from '../fixtures/registry.ts';

let daemon: TestDaemon;
let empty = '';

before(async () => {
  daemon = await TestDaemon.start();
  importBaseImage(daemon.host);
  empty = join(daemon.directory, 'empty');
  mkdirSync(empty);
});

after(() => daemon?.dispose());

async function build(
  dockerfile: string,
  parameters: Record<string, unknown> = {},
): ReturnType<typeof buildThrough> {
  const context = await contextOf({ Dockerfile: dockerfile });
  const outcome = await buildThrough(daemon.socket, context, parameters);
  assert.equal(outcome.error, undefined, outcome.output);
  return outcome;
}

test('--no-cache-filter makes the steps of the stages that it names anew, and what needs them', async () => {
  const dockerfile = `FROM ${baseImage} AS one
RUN echo filter-one
FROM ${baseImage} AS Two
RUN cat /proc/sys/kernel/random/uuid > /two
FROM ${baseImage} AS three
RUN echo filter-three
COPY --from=two /two /two
`;
  const cached = async (...words: string[]): Promise<string[]> => {
    const argv = ['build', '--progress=plain', ...words, '-f', '-', empty];
    const { exitCode, stderr } = await runCli(daemon.host, argv, { input: dockerfile });
    assert.equal(exitCode, 0, stderr);
    const names = new Map([...stderr.matchAll(/^#(\d+) (\[[^\]]*\])/gm)].map(([, at, name]) => [at, name]));
    return [...stderr.matchAll(/^#(\d+) CACHED$/gm)].map(([, at]) => names.get(at) ?? '').toSorted();
  };
  await cached();
  assert.deepEqual(await cached(), ['[three 2/3]', '[three 3/3]', '[two 2/2]']);
  assert.deepEqual(await cached('--no-cache-filter', 'TWO'), ['[three 2/3]']);
  assert.deepEqual(await cached('--no-cache-filter=three,none'), ['[two 2/2]']);
  assert.deepEqual(await cached('--no-cache-filter=two', '--no-cache-filter=three'), []);
});

test('--pull looks for a newer base; without it the one that is here does', async () => {
  await using registry = await TestRegistry.start();
  const layer = async (text: string): Promise<Buffer> => {
    const sizeBytes = Buffer.byteLength(text);
    const file = { path: 'base', type: 'file', mode: 0o644, sizeBytes, body: [Buffer.from(text)] } as const;
    return Buffer.concat(await Array.fromAsync(writeTar([file])));
  };
  registry.addImage('base', 'latest', [await layer('old')]);
  const dockerfile = `FROM ${registry.domain}/base\nWORKDIR /made\n`;
  const first = await build(dockerfile);
  registry.addImage('base', 'latest', [await layer('new')]);
  const second = await build(dockerfile);
  assert.deepEqual([cachedSteps(second.output), second.imageId], [[2], first.imageId]);
  const pulled = await build(dockerfile, { pull: 1 });
  assert.deepEqual(cachedSteps(pulled.output), []);
  assert.equal((await imageTree(daemon.socket, pulled.imageId)).get('/base')?.text, 'new');
  // What is up to date is no other base.
  assert.deepEqual(cachedSteps((await build(dockerfile, { pull: 1 })).output), [2]);
});

describe('cache mounts that two builds need at the same time', () => {
  /** When each of two builds had the mount, in seconds, and what the second found in it. */
  async function two(sharing: string): Promise<{ overlap: boolean; names: string[][] }> {
    const step = (name: string): string =>
      `FROM ${baseImage}
RUN --mount=type=cache,id=${sharing},target=/c,sharing=${sharing} cut -d' ' -f1 /proc/uptime > /begin && touch /c/${name} && sleep 0.7 && ls /c > /names && cut -d' ' -f1 /proc/uptime > /end
`;
    const outcomes = await Promise.all(['one', 'two'].map((name) => build(step(name))));
    const trees = await Promise.all(outcomes.map(({ imageId }) => imageTree(daemon.socket, imageId)));
    const times = trees.map((tree) => ['/begin', '/end'].map((path) => Number(tree.get(path)?.text)));
    const [[begin1 = 0, end1 = 0] = [], [begin2 = 0, end2 = 0] = []] = times;
    return {
      overlap: begin1 < end2 && begin2 < end1,
      names: trees.map((tree) => (tree.get('/names')?.text ?? '').split('\n').filter((name) => name !== '')),
    };
  }

  test('shared: both have it at once', async () => {
    const { overlap, names } = await two('shared');
    assert.deepEqual(
      [overlap, names],
      [
        true,
        [
          ['one', 'two'],
          ['one', 'two'],
        ],
      ],
    );
  });

  test('locked: one after the other', async () => {
    const { overlap, names } = await two('locked');
    assert.equal(overlap, false);
    assert.deepEqual(
      names.map(({ length }) => length).toSorted((a, b) => a - b),
      [1, 2],
    );
  });

  test('private: each has its own, and the next build one of them', async () => {
    const { overlap, names } = await two('private');
    assert.deepEqual([overlap, names], [true, [['one'], ['two']]]);
    const { output } = await build(
      `FROM ${baseImage}\nRUN --mount=type=cache,id=private,target=/c,sharing=private ls /c\n`,
    );
    assert.match(output, /\n(?:one|two)\nRemoving/);
  });

  test('a cache that a step uses is in use, and stays when all is pruned', async () => {
    const dockerfile = `FROM ${baseImage}\nRUN --mount=type=cache,id=used,target=/c touch /c/kept && sleep 1.5 && ls /c > /names\n`;
    const building = build(dockerfile);
    const records = async (): Promise<{ Type: string; Description: string; InUse: boolean }[]> => {
      const { body } = await callApi(daemon.socket, 'GET', '/v1.47/system/df?type=build-cache');
      return (JSON.parse(body.toString()) as { BuildCache: Awaited<ReturnType<typeof records>> }).BuildCache;
    };
    const used = async () => (await records()).find(({ Description }) => Description.endsWith('"used"'));
    for (let tries = 0; (await used()) === undefined && tries < 100; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal((await used())?.InUse, true);
    await callApi(daemon.socket, 'POST', '/build/prune?all=1');
    const { imageId } = await building;
    assert.equal((await imageTree(daemon.socket, imageId)).get('/names')?.text, 'kept\n');
    assert.equal((await used())?.InUse, false);
  });
});
