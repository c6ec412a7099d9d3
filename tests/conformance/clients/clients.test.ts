/**
 * Clients made for Docker against our daemon, or against the engine at CONFORMANCE_HOST (a dockerd: then this proves the
 * expectations themselves).
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { withDockerClient } from '../../fixtures/docker-client.ts';
import { ConformanceEngine } from '../engine.ts';
import { clients, isInstalled, transcript } from './clients.ts';

const expected = JSON.parse(readFileSync(new URL('expected.json', import.meta.url), 'utf8')) as Record<
  string,
  string[]
>;

describe(...withDockerClient('clients made for Docker'), () => {
  let engine: ConformanceEngine;

  before(async () => {
    engine = await ConformanceEngine.start();
  });
  after(() => engine.dispose());

  for (const client of clients) {
    const installed = isInstalled(client);
    const reason = installed ? '' : ' (not installed: see install.sh)';
    test(`${client.title}${reason}`, { skip: !installed }, () => {
      const wanted = expected[client.title];
      assert.ok(wanted !== undefined, 'recorded from dockerd');
      assert.deepEqual(transcript(client, engine.host), wanted);
    });
  }
});
