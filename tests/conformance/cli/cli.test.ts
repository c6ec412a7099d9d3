/**
 * The stock docker client against our daemon, or against the engine at CONFORMANCE_HOST (a dockerd: then this proves the
 * expectations themselves). Expectations are in expected.json; see record.ts.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { withDockerClient } from '../../fixtures/docker-client.ts';
import { ConformanceEngine } from '../engine.ts';
import { cliCases } from './cases.ts';
import { differences } from './differences.ts';
import { runCase, type CaseOutcome } from './run-case.ts';

const expected = JSON.parse(readFileSync(new URL('expected.json', import.meta.url), 'utf8')) as Record<
  string,
  CaseOutcome
>;

describe(...withDockerClient('docker client conformance'), () => {
  let engine: ConformanceEngine;

  before(async () => {
    engine = await ConformanceEngine.start();
  });
  after(() => engine.dispose());

  for (const testCase of cliCases) {
    test(testCase.title, () => {
      const outcome = runCase(testCase, engine.host);
      const wanted = expected[testCase.title];
      assert.ok(wanted !== undefined, 'recorded from dockerd');
      const { why, ...ours } = differences[testCase.title] ?? { why: '' };
      assert.deepEqual(outcome, engine.isOurs ? { ...wanted, ...ours } : wanted, `${testCase.script} ${why}`);
    });
  }
});
