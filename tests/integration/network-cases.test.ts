/**
 * Options of networks, ports, names and links, and what can be seen of them, with real packets and the stock docker CLI.
 * With NETWORK_CASES_ENGINE=dockerd the same cases run on Docker's own daemon, which shows that they are right: where it
 * does otherwise, the case says what is seen there and why.
 */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { NetworkWorld } from '../fixtures/network-world.ts';
import { networkCases } from './network/cases.ts';

/** Most of a case's time is waiting for packets that must not come. */
const SHARES = 4;
const directory = process.env['CORACLE_TEST_NETWORK_WORLD'];
const kind = process.env['NETWORK_CASES_ENGINE'] === 'dockerd' ? 'dockerd' : 'coracle';
/** A pattern: cases with such a title alone are run. */
const only = process.env['NETWORK_CASES_ONLY'];

if (directory === undefined) {
  // The machine's own links, mounts and firewall are not touched, whatever fails: all runs in namespaces.
  describe(`network cases on ${kind}`, { concurrency: SHARES, skip: missing() }, () => {
    for (let share = 0; share < (only === undefined ? SHARES : 1); share++)
      test(`network cases, share ${share + 1} of ${SHARES}`, () => runInWorld(share));
  });
} else {
  describe('network cases', () => {
    const world = new NetworkWorld(directory, kind);
    before(() => world.open());
    after(() => world.close());
    beforeEach(() => world.reset());

    const share = Number(process.env['NETWORK_CASES_SHARE']);
    const mine = networkCases.filter(({ title }, index) =>
      only === undefined ? index % SHARES === share : new RegExp(only).test(title),
    );
    for (const { title, see, expected, onDockerd, notDockerd } of mine) {
      const skip = kind === 'dockerd' && notDockerd !== undefined ? notDockerd : false;
      const wanted = kind === 'dockerd' && onDockerd !== undefined ? onDockerd.expected : expected;
      test(title, { skip, timeout: 60_000 }, async () => assert.deepEqual(await see(world), wanted));
    }
  });
}

/** One part of the cases, in a network and mount namespace of its own. */
async function runInWorld(share: number): Promise<void> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const temporary = mkdtempSync(join(tmpdir(), 'coracle-world-'));
  const argv = ['--net', '--mount', process.execPath, '--test-reporter=spec', import.meta.filename];
  try {
    const { code, output } = await new Promise<{ code: unknown; output: string }>((resolve) => {
      const options = {
        env: { ...env, CORACLE_TEST_NETWORK_WORLD: temporary, NETWORK_CASES_SHARE: String(share) },
        encoding: 'utf8',
        timeout: 900_000,
        maxBuffer: 64 * 1024 * 1024,
      } as const;
      execFile('unshare', argv, options, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : (error.code ?? error.signal), output: stdout + stderr }),
      );
    });
    if (process.env['NETWORK_CASES_VERBOSE'] !== undefined) process.stderr.write(output);
    assert.equal(code, 0, output);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

function missing(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  return spawnSync('docker', ['--version']).status === 0 ? false : 'needs the docker CLI';
}
