/**
 * The corpus of tests/fixtures/build: Dockerfiles with what must become of them. With BUILD_CONFORMANCE_HOST (the path of
 * another engine's socket) the same cases are put to that engine, which shows that they ask for what Docker does; with
 * BUILD_CONFORMANCE_CLIENT (a docker client of 20.10) besides to that engine's BuildKit: files, configuration and whether
 * there is an error are compared then, since texts and steps are its own.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { baseImage, importBaseImage, removeBaseImage } from '../conformance/cli/run-case.ts';
import {
  buildThrough,
  cachedSteps,
  callApi,
  caseContext,
  caseNames,
  imageTree,
  readCase,
  type BuildCase,
  type BuildOutcome,
  type CaseFile,
  type ExpectedEntry,
} from '../fixtures/build-case.ts';
import { buildByBuildKit } from '../fixtures/build-buildkit.ts';
import { differencesOfBuildKit } from '../fixtures/build-buildkit-differences.ts';
import { TestDaemon } from '../fixtures/daemon.ts';

const reference = process.env['BUILD_CONFORMANCE_HOST'];
const buildKit = reference === undefined ? undefined : process.env['BUILD_CONFORMANCE_CLIENT'];

interface ImageJson {
  Config: Record<string, unknown>;
  RootFS: { Layers: string[] };
  [member: string]: unknown;
}

describe(`Dockerfiles built by ${reference === undefined ? 'this engine' : reference}`, () => {
  let daemon: TestDaemon | undefined;
  let socket = reference ?? '';
  let baseLayers = 0;
  const made = new Set<string>();

  before(async () => {
    if (reference === undefined) {
      daemon = await TestDaemon.start();
      socket = daemon.socket;
    }
    importBaseImage(`unix://${socket}`);
    baseLayers = (await inspect(baseImage)).RootFS.Layers.length;
  });

  after(async () => {
    if (daemon !== undefined) {
      await daemon.dispose();
      return;
    }
    for (const id of [...made].toReversed()) await callApi(socket, 'DELETE', `/images/${id}?force=1`);
    removeBaseImage(`unix://${socket}`);
  });

  async function build(context: Buffer, parameters: Record<string, unknown>): Promise<BuildOutcome> {
    const outcome =
      buildKit === undefined ? undefined : await buildByBuildKit(buildKit, socket, context, parameters);
    return outcome ?? (await buildThrough(socket, context, parameters));
  }

  async function inspect(image: string): Promise<ImageJson> {
    const { status, body } = await callApi(socket, 'GET', `/v1.41/images/${image}/json`);
    assert.equal(status, 200, body.toString('utf8'));
    return JSON.parse(body.toString('utf8')) as ImageJson;
  }

  async function check(expected: BuildCase, outcome: BuildOutcome): Promise<void> {
    if (expected.error !== undefined && buildKit !== undefined) {
      assert.notEqual(outcome.error, undefined, outcome.output);
    } else if (expected.error !== undefined) {
      assert.equal(outcome.error, expected.error, outcome.output);
      assert.equal(outcome.imageId === '' || outcome.error !== undefined, true);
    } else assert.equal(outcome.error, undefined, outcome.output);
    if (buildKit === undefined) {
      if (expected.status !== undefined) assert.equal(outcome.status, expected.status);
      checkOutput(expected, outcome.output);
    }
    if (outcome.error !== undefined || outcome.imageId === '') return;
    made.add(outcome.imageId);
    const image = await inspect(outcome.imageId);
    assert.deepEqual(pick(image.Config, expected.config ?? {}), expected.config ?? {});
    assert.deepEqual(pick(image, expected.image ?? {}), expected.image ?? {});
    if (expected.layers !== undefined && buildKit === undefined)
      assert.equal(image.RootFS.Layers.length - baseLayers, expected.layers);
    if (expected.history !== undefined && buildKit === undefined) {
      const { body } = await callApi(socket, 'GET', `/v1.41/images/${outcome.imageId}/history`);
      const history = (JSON.parse(body.toString('utf8')) as { CreatedBy: string }[]).map((step) =>
        step.CreatedBy.replace(/(file|dir|multi):[0-9a-f]{64}/, '$1:HASH'),
      );
      assert.deepEqual(history.slice(0, expected.history.length), expected.history);
    }
    if (expected.tree !== undefined) await checkTree(expected.tree, outcome.imageId);
  }

  async function checkTree(expected: Record<string, ExpectedEntry>, image: string): Promise<void> {
    const tree = await imageTree(socket, image);
    for (const [path, entry] of Object.entries(expected)) {
      const seen = tree.get(path);
      if (entry === null) assert.equal(seen, undefined, `${path} is there`);
      else {
        assert.ok(seen !== undefined, `${path} is not there`);
        const wanted = typeof entry === 'string' ? { text: entry } : entry;
        assert.deepEqual(pick({ ...seen }, wanted), wanted, path);
      }
    }
  }

  for (const name of caseNames()) {
    const testCase = readCase(name);
    const skip = reasonToSkip(name, testCase);
    test(name, { skip }, async () => {
      let files: Record<string, CaseFile | null> = {};
      for (const step of [testCase, ...(testCase.then ?? [])]) {
        files = { ...files, ...step.files };
        const context = await caseContext(name, files);
        await check(step, await build(context, { rm: 1, ...step.build }));
      }
    });
  }
});

/** Why a case is not put to the reference. */
function reasonToSkip(name: string, { ourOwn }: BuildCase): string | false {
  if (buildKit !== undefined) return differencesOfBuildKit[name] ?? false;
  return reference !== undefined && ourOwn !== undefined ? ourOwn : false;
}

function pick(from: Record<string, unknown>, like: object): Record<string, unknown> {
  return Object.fromEntries(Object.keys(like).map((key) => [key, from[key]]));
}

function checkOutput(expected: BuildCase, output: string): void {
  let at = 0;
  for (const piece of expected.output ?? []) {
    const found = output.indexOf(piece, at);
    assert.notEqual(found, -1, `${JSON.stringify(piece)} is not in ${JSON.stringify(output)}`);
    at = found + piece.length;
  }
  for (const piece of expected.silent ?? []) assert.ok(!output.includes(piece), piece);
  if (expected.cached === undefined) return;
  assert.deepEqual(cachedSteps(output), expected.cached, output);
}
