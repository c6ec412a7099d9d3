import { existsSync } from 'node:fs';
import { EngineError, ProcessError } from '../../errors/index.ts';
import type { ProcessSpawner } from '../../sys/index.ts';

const places = ['/usr/sbin/nft', '/sbin/nft', '/usr/local/sbin/nft', '/usr/bin/nft'];

/** nft(8), which writes tables as a whole. */
export class Nft {
  readonly #spawner: Pick<ProcessSpawner, 'run'>;

  constructor(spawner: Pick<ProcessSpawner, 'run'>) {
    this.#spawner = spawner;
  }

  /**
   * @returns what it wrote
   * @throws {EngineError} `unavailable` without nft; {ProcessError} when it refuses
   */
  async run(parameters: string[], stdin: string): Promise<string> {
    const path = places.find((place) => existsSync(place));
    if (path === undefined) {
      throw new EngineError(
        'unavailable',
        'Cannot set up networking: nft is not installed (Debian package nftables)',
      );
    }
    const argv = [path, ...parameters];
    const { exitCode, signal, stdout, stderr } = await this.#spawner.run({
      path,
      argv,
      stdin,
      env: { LC_ALL: 'C' },
    });
    if (exitCode !== 0)
      throw new ProcessError(argv, exitCode, signal === null ? null : String(signal), stderr);
    return stdout;
  }
}
