/**
 * The stock docker client against our daemon, or against the engine at CONFORMANCE_HOST (a dockerd: then this proves the
 * expectations themselves). Expectations are in expected.json; see record.ts.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { TestDaemon } from '../../fixtures/daemon.ts';
import { withDockerClient } from '../../fixtures/docker-client.ts';
import { cliCases } from './cases.ts';
import { differences } from './differences.ts';
import { importBaseImage, removeBaseImage, runCase, type CaseOutcome } from './run-case.ts';

const expected = JSON.parse(readFileSync(new URL('expected.json', import.meta.url), 'utf8')) as Record<
  string,
  CaseOutcome
>;

describe(...withDockerClient('docker client conformance'), () => {
  let daemon: TestDaemon | undefined;
  let host = process.env['CONFORMANCE_HOST'] ?? '';

  before(async () => {
    if (host === '') {
      daemon = await TestDaemon.start();
      host = daemon.host;
    }
    importBaseImage(host);
  });
  after(async () => {
    removeBaseImage(host);
    await daemon?.dispose();
  });

  for (const testCase of cliCases) {
    test(testCase.title, () => {
      const outcome = runCase(testCase, host);
      const wanted = expected[testCase.title];
      assert.ok(wanted !== undefined, 'recorded from dockerd');
      const { why, ...ours } = differences[testCase.title] ?? { why: '' };
      assert.deepEqual(
        outcome,
        daemon === undefined ? wanted : { ...wanted, ...ours },
        `${testCase.script} ${why}`,
      );
    });
  }
});
