/**
 * What makes a step be done again and what does not: each case of tests/fixtures/cache-truth.json builds, changes one thing,
 * and builds again; `cached` are the numbers of the steps with files that the second build takes from the cache, and no others.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { importBaseImage } from '../conformance/cli/run-case.ts';
import {
  buildThrough,
  callApi,
  cachedSteps,
  contextOf,
  type BuildOutcome,
  type CaseFile,
} from '../fixtures/build-case.ts';
import { TestDaemon } from '../fixtures/daemon.ts';

interface Setup {
  dockerfile: string;
  tag: string | string[];
}

interface Build {
  dockerfile: string;
  files: Record<string, CaseFile | null>;
  /** Parameters of the request. */
  build: Record<string, unknown>;
  /** An image to be built first. */
  setup: Setup;
}

interface TruthCase extends Partial<Build> {
  what: string;
  change?: Partial<Build>;
  between?: 'remove' | 'remove and prune' | 'prune' | 'restart' | 'kill';
  cached: number[];
}

const table = readFileSync(fileURLToPath(new URL('../fixtures/cache-truth.json', import.meta.url)), 'utf8');

describe('the cache', () => {
  let daemon: TestDaemon;
  before(async () => {
    daemon = await TestDaemon.start();
    importBaseImage(daemon.host);
  });
  after(() => daemon.dispose());

  async function build({ dockerfile = '', files = {}, build: parameters = {}, setup }: Partial<Build>) {
    if (setup !== undefined) await build({ dockerfile: setup.dockerfile, build: { t: setup.tag } });
    const context = await contextOf({ ...files, Dockerfile: dockerfile });
    const outcome = await buildThrough(daemon.socket, context, parameters);
    assert.equal(outcome.error, undefined, outcome.output);
    return outcome;
  }

  async function between(what: TruthCase['between'], { imageId }: BuildOutcome): Promise<void> {
    if (what?.startsWith('remove') === true) {
      assert.equal((await callApi(daemon.socket, 'DELETE', `/images/${imageId}`)).status, 200);
    }
    if (what?.endsWith('prune') === true) {
      assert.equal((await callApi(daemon.socket, 'POST', '/build/prune')).status, 200);
    }
    if (what === 'kill') await daemon.crash();
    if (what === 'restart') await daemon.stop();
    if (what === 'kill' || what === 'restart') await daemon.start();
  }

  const cases = JSON.parse(table) as TruthCase[];
  for (const [index, { what }] of cases.entries()) {
    test(what, async () => {
      // Cases have nothing in common that one could find of another.
      const own = JSON.stringify(cases[index]).replaceAll('CASE', `case${index}`);
      const { change = {}, cached, between: meanwhile, ...first } = JSON.parse(own) as TruthCase;
      const made = await build(first);
      await between(meanwhile, made);
      const { setup, ...again } = first;
      void setup;
      const files = { ...first.files, ...change.files };
      const { output } = await build({ ...again, ...change, files });
      assert.deepEqual(cachedSteps(output, /^(?:RUN|COPY|ADD|WORKDIR)/), cached, output);
    });
  }
});
