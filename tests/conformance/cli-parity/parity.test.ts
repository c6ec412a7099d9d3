/**
 * Our command line beside the stock docker client, both against one engine: our daemon, or the one at CONFORMANCE_HOST.
 * The scripts of the client conformance test are run with our client as well.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { withDockerClient } from '../../fixtures/docker-client.ts';
import { DockerRegistry, missingPrograms } from '../../fixtures/docker-registry.ts';
import { cliCases } from '../cli/cases.ts';
import { baseImage, runCase, type CaseOutcome } from '../cli/run-case.ts';
import { ConformanceEngine } from '../engine.ts';
import { parityScripts, registryScripts } from './cases.ts';

const bundle = fileURLToPath(new URL('../../../dist/cli.cjs', import.meta.url));
/** Scripts of the client conformance test that are not compared, and why. */
const skipped: Readonly<Record<string, string>> = {
  'inspect host config':
    'docker prints JSON in the order of a map once a template names a field that its own types lack',
};
const standing = 'coracle-parity';
const noRegistry = missingPrograms('docker-registry');

/** Our program says its own name where docker says docker's. */
function neutral(outcome: CaseOutcome): CaseOutcome {
  const rename = (text: string): string =>
    text
      .replaceAll('coracle:', 'docker:')
      .replace(/(?<=')coracle(?= )/g, 'docker')
      .replace(/(Usage: {2}|\bcommand: )coracle\b/g, '$1docker')
      .replaceAll('Coracle daemon', 'Docker daemon')
      .replaceAll('coracle daemon', 'docker daemon')
      .replace(/\n\nRun 'docker .*? --help' for more information\n/g, '\n')
      // Logged by docker's archiver, beside its error.
      .replace(/^time="[^"]*" level=\w+ msg=.*\n/gm, '');
  return { stdout: rename(outcome.stdout), stderr: rename(outcome.stderr), code: outcome.code };
}

describe(...withDockerClient('our client beside docker’s'), () => {
  const directory = mkdtempSync(join(tmpdir(), 'coracle-parity-'));
  const path = process.env['PATH'] ?? '';
  let engine: ConformanceEngine;
  let registry: DockerRegistry | undefined;
  const docker = (...argv: string[]): void => {
    spawnSync('docker', argv, { env: { ...process.env, DOCKER_HOST: engine.host } });
  };

  const fill = (domain: string): void => {
    const [one, two, all] = ['one', 'two', 'all'].map((name) => `${domain}/${name}/app:1`);
    const script = `set -e; docker tag $IMG ${one}; docker push -q ${one}
tar -c -T /dev/null | docker import --platform linux/arm64/v8 - ${two}; docker push -q ${two}; docker rmi ${one} ${two}
docker manifest create --insecure ${all} ${one} ${two}; docker manifest push --insecure ${all}`;
    const env = { ...process.env, DOCKER_HOST: engine.host, DOCKER_CONFIG: directory, IMG: baseImage };
    const { status, stderr } = spawnSync('sh', ['-c', script], { env, encoding: 'utf8', timeout: 60_000 });
    assert.equal(status, 0, stderr);
  };

  before(async () => {
    const program = join(directory, 'docker');
    writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' -- '${bundle}' "$@"\n`);
    chmodSync(program, 0o755);
    engine = await ConformanceEngine.start();
    if (noRegistry === undefined) {
      registry = await DockerRegistry.start({ isSecure: false });
      fill(registry.domain);
    }
    docker(
      'run',
      '-d',
      '--name',
      standing,
      '--label',
      'a=b',
      '--label',
      'c=d',
      '-v',
      '/x',
      baseImage,
      'sleep',
      '100000',
    );
  });
  after(async () => {
    docker('rm', '-fv', standing);
    await registry?.dispose();
    await engine.dispose();
    rmSync(directory, { recursive: true });
  });

  const ours = (title: string, script: string): CaseOutcome => {
    process.env['PATH'] = `${directory}${delimiter}${path}`;
    try {
      return neutral(runCase({ title, script }, engine.host));
    } finally {
      process.env['PATH'] = path;
    }
  };
  const compare = (title: string, script: string): void => {
    let pair: CaseOutcome[] = [];
    // Ages like "2 seconds ago" may turn between the two: a real difference is one every time.
    for (let tries = 0; tries < 3; tries++) {
      pair = [ours(title, script), neutral(runCase({ title, script }, engine.host))];
      if (isDeepStrictEqual(pair[0], pair[1])) return;
    }
    assert.deepEqual(pair[0], pair[1]);
  };
  for (const script of parityScripts) test(script, () => compare(script, script));
  for (const script of registryScripts) {
    test(script, { skip: noRegistry ?? false }, () => {
      const inPlace = script.replaceAll('$REG', registry?.domain ?? '');
      compare(script, `export DOCKER_CONFIG=$PWD/config; mkdir config; ${inPlace}`);
    });
  }
  for (const { title, script } of cliCases) {
    // Asks for the client's own version.
    if (/docker (--version|version|info)\b/.test(script)) continue;
    test(`client conformance: ${title}`, { skip: skipped[title] ?? false }, () => compare(title, script));
  }
});
