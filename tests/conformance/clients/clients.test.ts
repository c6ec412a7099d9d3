/**
 * Clients made for Docker against our daemon, or against the engine at CONFORMANCE_HOST (a dockerd: then this proves the
 * expectations themselves).
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { TestDaemon } from '../../fixtures/daemon.ts';
import { withDockerClient } from '../../fixtures/docker-client.ts';
import { importBaseImage, removeBaseImage } from '../cli/run-case.ts';
import { clients, isInstalled, transcript } from './clients.ts';

const expected = JSON.parse(readFileSync(new URL('expected.json', import.meta.url), 'utf8')) as Record<
  string,
  string[]
>;

describe(...withDockerClient('clients made for Docker'), () => {
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

  for (const client of clients) {
    const installed = isInstalled(client);
    const reason = installed ? '' : ' (not installed: see install.sh)';
    test(`${client.title}${reason}`, { skip: !installed }, () => {
      const wanted = expected[client.title];
      assert.ok(wanted !== undefined, 'recorded from dockerd');
      assert.deepEqual(transcript(client, host), wanted);
    });
  }
});
