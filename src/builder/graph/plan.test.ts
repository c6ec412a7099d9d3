import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readDockerfile } from '../dockerfile/instructions/read-dockerfile.ts';
import { parsePlatform, planBuild } from './plan.ts';

function plan(text: string, target = '', buildArgs: Record<string, string | null> = {}) {
  return planBuild(readDockerfile(text), {
    target,
    buildArgs,
    platformArgs: new Map([['TARGETARCH', 'amd64']]),
  });
}

test('planBuild() keeps what the target needs, in order', () => {
  const text = `FROM a AS one
FROM b AS two
RUN x
FROM one AS three
COPY --from=two /x /
FROM c AS four
RUN --mount=type=bind,from=three,target=/t true
FROM d
`;
  const names = (target: string) => plan(text, target).needed.map(({ stage }) => stage.name);
  assert.deepEqual(names('four'), ['one', 'two', 'three', 'four']);
  assert.deepEqual(names('three'), ['one', 'two', 'three']);
  assert.deepEqual(names('TWO'), ['two']);
  assert.deepEqual(names(''), ['']);
  assert.equal(plan(text, 'three').steps, 5);
  assert.throws(() => plan(text, 'nope'), /failed to reach build target nope in Dockerfile/);
});

test('planBuild() expands the names of bases with arguments before the first FROM', () => {
  const text = 'ARG V=1\nARG W=x$V\nFROM img:$W-${TARGETARCH}\n';
  const base = (args: Record<string, string | null>) => plan(text, '', args).stages[0]?.base;
  assert.deepEqual(base({}), { kind: 'image', name: 'img:x1-amd64' });
  assert.deepEqual(base({ V: '2' }), { kind: 'image', name: 'img:x2-amd64' });
  assert.deepEqual(base({ V: null, W: 'w' }), { kind: 'image', name: 'img:w-amd64' });
});

test('planBuild() refuses a stage that takes from itself', () => {
  assert.throws(() => plan('FROM a AS s\nCOPY --from=s / /\n'), /refers to current build stage/);
  assert.throws(() => plan('FROM a\nCOPY --from=0 / /\n'), /refers to current build stage/);
});

test('parsePlatform() fills in what is left out', () => {
  const machine = { os: 'linux', architecture: 'amd64' };
  assert.deepEqual(parsePlatform('', machine), machine);
  assert.deepEqual(parsePlatform('linux', machine), machine);
  assert.deepEqual(parsePlatform('linux/aarch64', machine), { os: 'linux', architecture: 'arm64' });
  assert.deepEqual(parsePlatform('linux/arm/v7', machine), {
    os: 'linux',
    architecture: 'arm',
    variant: 'v7',
  });
  assert.throws(() => parsePlatform('a/b/c/d', machine), /is an invalid platform/);
});
