import { existsSync } from 'node:fs';
import { EngineError, ProcessError } from '../../errors/index.ts';
import type { ProcessSpawner } from '../../sys/index.ts';
import { removeCommands, rulesetCommands, type BridgeRules } from './ruleset.ts';

const places = ['/usr/sbin/nft', '/sbin/nft', '/usr/local/sbin/nft', '/usr/bin/nft'];

/** The machine's nftables, by nft(8): one process per transaction. */
export class Firewall {
  readonly #spawner: Pick<ProcessSpawner, 'run'>;

  constructor(spawner: Pick<ProcessSpawner, 'run'>) {
    this.#spawner = spawner;
  }

  /** @throws {EngineError} `unavailable` without nft; {ProcessError} when nft refuses. */
  async apply(rules: BridgeRules): Promise<void> {
    await this.#run(['-f', '-'], rulesetCommands(rules));
  }

  async remove(bridge: string): Promise<void> {
    await this.#run(['-f', '-'], removeCommands(bridge));
  }

  /** True when iptables' FORWARD chain drops what nothing in it accepts, as dockerd arranges. */
  async foreignForwardDrop(): Promise<boolean> {
    const json = await this.#run(['-j', 'list', 'chains', 'ip'], '').catch(() => '{}');
    const { nftables = [] } = JSON.parse(json) as {
      nftables?: { chain?: { table: string; name: string; hook?: string; policy?: string } }[];
    };
    return nftables.some(({ chain }) => chain?.hook === 'forward' && chain.policy === 'drop');
  }

  async #run(parameters: string[], stdin: string): Promise<string> {
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
