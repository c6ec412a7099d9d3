import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeBusyboxTree } from '../../fixtures/busybox-tree.ts';
import type { CliCase } from './cli-case.ts';

export interface CaseOutcome {
  stdout: string;
  stderr: string;
  code: number;
}

/** The tests' base image; a name that no user's image has. */
export const baseImage = 'coracle-conformance:busybox';

/** Imports the base image into the engine at `host`. */
export function importBaseImage(host: string): void {
  const work = mkdtempSync(join(tmpdir(), 'coracle-base-'));
  try {
    writeBusyboxTree(work);
    const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    const script = `tar -C ${work} --numeric-owner --owner=0 --group=0 -c . | docker import -c 'CMD ["sh"]' -c 'ENV ${path}' - ${baseImage}`;
    const result = spawnSync('sh', ['-c', script], { env: environment(host, 'base'), encoding: 'utf8' });
    if (result.status !== 0) throw new Error(`Cannot import the base image: ${result.stderr}`);
  } finally {
    rmSync(work, { recursive: true });
  }
}

export function removeBaseImage(host: string): void {
  spawnSync('docker', ['rmi', '-f', baseImage], { env: environment(host, 'base') });
}

/** Runs one case as a user's shell would, in an empty directory. */
export function runCase(testCase: CliCase, host: string): CaseOutcome {
  const directory = mkdtempSync(join(tmpdir(), 'coracle-case-'));
  const prefix = `cc${process.pid.toString(36)}${Math.floor(performance.now()).toString(36)}`;
  try {
    const result = spawnSync('sh', ['-c', testCase.script], {
      cwd: directory,
      env: environment(host, prefix),
      encoding: 'utf8',
      timeout: 60_000,
      input: '',
      maxBuffer: 64 * 1024 * 1024,
    });
    return {
      stdout: normalize(result.stdout, prefix, directory),
      stderr: normalize(result.stderr, prefix, directory),
      code: result.status ?? -1,
    };
  } finally {
    cleanUp(host, prefix);
    rmSync(directory, { recursive: true, force: true });
  }
}

function environment(host: string, prefix: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: '/nonexistent',
    DOCKER_HOST: host,
    P: prefix,
    IMG: baseImage,
    LC_ALL: 'C',
    DOCKER_CLI_HINTS: 'false',
  };
}

/** What a failed case left, so that the next ones start from the same state. */
function cleanUp(host: string, prefix: string): void {
  const script =
    'ids=$(docker ps -aq --filter name=$P); [ -z "$ids" ] || docker rm -fv $ids; ' +
    'names=$(docker volume ls -q --filter name=$P); [ -z "$names" ] || docker volume rm $names';
  spawnSync('sh', ['-c', script], { env: environment(host, prefix), timeout: 30_000 });
}

/** What may differ between two runs on one engine is named instead of shown. */
function normalize(text: string, prefix: string, directory: string): string {
  return (
    text
      .replaceAll(directory, 'DIR')
      .replaceAll(prefix, 'P')
      .replace(/\b[0-9a-f]{64}\b/g, 'ID64')
      .replace(/\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])[0-9a-f]{12}\b/g, 'ID12')
      // The part before the cause names the engine's own layers, and changes with every release.
      .replace(/(Error response from daemon: ).*(?=unable to start container process|exec failed)/g, '$1')
      .replace(/(: unknown)+\.?(?=\n|$)/g, '')
      .replace(/\n\nRun 'docker .*? --help' for more information\n/g, '\n')
      .replace(/^See 'docker .*--help'\.\n/gm, '')
  );
}
