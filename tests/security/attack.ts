import { spawnSync } from 'node:child_process';
import { after, before } from 'node:test';
import { baseImage, importBaseImage } from '../conformance/cli/run-case.ts';
import { TestDaemon } from '../fixtures/daemon.ts';

/** A daemon with the base image, for one file's tests, and the stock client to attack it with. */
export class Target {
  #daemon: TestDaemon | undefined;

  get daemon(): TestDaemon {
    if (this.#daemon === undefined) throw new Error('the daemon has not started');
    return this.#daemon;
  }

  /** The shell script's output of both streams together, `$IMG` being the base image. */
  sh(script: string): string {
    const result = spawnSync('sh', ['-c', `exec 2>&1\n${script}`], {
      env: { ...process.env, DOCKER_HOST: this.daemon.host, IMG: baseImage, DOCKER_CLI_HINTS: 'false' },
      encoding: 'utf8',
      timeout: 60_000,
      input: '',
    });
    return result.stdout;
  }

  static create(): Target {
    const target = new Target();
    before(async () => {
      target.#daemon = await TestDaemon.start();
      importBaseImage(target.daemon.host);
    });
    after(async () => {
      await target.#daemon?.dispose();
    });
    return target;
  }
}
