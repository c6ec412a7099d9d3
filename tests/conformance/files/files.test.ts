/**
 * Every kind of file as it comes out of an engine by export, commit, diff and cp, and goes in by cp, against the record of
 * dockerd 20.10 (expected.json, made by `compare.ts --record`). With CONFORMANCE_HOST the engine there is looked at: a dockerd
 * proves the expectations.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { TestDaemon } from '../../fixtures/daemon.ts';
import { unfitDockerClient } from '../../fixtures/docker-client.ts';
import { busyboxArchive } from './image.ts';
import { Client, runOperations, type Outcome } from './operations.ts';
import { recorded } from './recorded.ts';

const expected = JSON.parse(readFileSync(new URL('expected.json', import.meta.url), 'utf8')) as Record<
  string,
  Outcome
>;
const missing = unfitDockerClient();

describe(
  `files of every kind${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  { skip: missing !== undefined },
  () => {
    let daemon: TestDaemon | undefined;
    let client: Client;
    let outcomes: Record<string, Outcome>;

    before(async () => {
      const given = process.env['CONFORMANCE_HOST'];
      if (given === undefined) daemon = await TestDaemon.start();
      client = new Client(given ?? daemon?.host ?? '');
      client.run(['load'], await busyboxArchive());
      outcomes = recorded(await runOperations(client));
    });
    after(async () => {
      client.run(['rmi', '-f', 'files:1'], undefined, true);
      await daemon?.dispose();
    });

    for (const [name, outcome] of Object.entries(expected)) {
      test(`${name} is as dockerd's`, () => assert.deepEqual(outcomes[name], outcome));
    }

    test('nothing is done that is not recorded', () => {
      assert.deepEqual(Object.keys(outcomes), Object.keys(expected));
    });
  },
);
