import { existsSync } from 'node:fs';
import { EngineError, ProcessError } from '../../errors/index.ts';
import type { ProcessSpawner, Syscall } from '../../sys/index.ts';
import {
  forwardCommands,
  removeCommands,
  rulesetCommands,
  type BridgeRules,
  type PortForward,
} from './ruleset.ts';

const places = ['/usr/sbin/nft', '/sbin/nft', '/usr/local/sbin/nft', '/usr/bin/nft'];

interface Waiting {
  commands: string;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/**
 * The machine's nftables, by nft(8). Changes are made in the order in which they are asked for; what is asked for while
 * a process runs goes into the next one together, so that many starts at once cost few processes.
 */
export class Firewall {
  readonly #spawner: Pick<ProcessSpawner, 'run'>;
  readonly #syscall: Pick<Syscall, 'inNetworkNamespace'>;
  #waiting: Waiting[] = [];
  #isRunning = false;

  constructor(spawner: Pick<ProcessSpawner, 'run'>, syscall: Pick<Syscall, 'inNetworkNamespace'>) {
    this.#spawner = spawner;
    this.#syscall = syscall;
  }

  /** @throws {EngineError} `unavailable` without nft; {ProcessError} when nft refuses. */
  apply(rules: BridgeRules): Promise<void> {
    return this.#change(rulesetCommands(rules));
  }

  remove(bridge: string): Promise<void> {
    return this.#change(removeCommands(bridge));
  }

  /** Publishes ports, in a table that apply() made. */
  open(bridge: string, forwards: readonly PortForward[]): Promise<void> {
    return this.#change(forwardCommands(bridge, forwards, 'add'));
  }

  /** The opposite. Rejects when somebody removed the table or the ports from it. */
  shut(bridge: string, forwards: readonly PortForward[]): Promise<void> {
    return this.#change(forwardCommands(bridge, forwards, 'delete'));
  }

  /** Commands for the firewall of the namespace bound at `path`. */
  async inNamespace(path: string, commands: string): Promise<void> {
    // The process is started before this returns, and has the namespace of the thread that starts it.
    const run: { done?: Promise<string> } = {};
    this.#syscall.inNetworkNamespace(path, () => {
      run.done = this.#run(['-f', '-'], commands);
    });
    await run.done;
  }

  /** True when iptables' FORWARD chain drops what nothing in it accepts, as dockerd arranges. */
  async foreignForwardDrop(): Promise<boolean> {
    const json = await this.#run(['-j', 'list', 'chains', 'ip'], '').catch(() => '{}');
    const { nftables = [] } = JSON.parse(json) as {
      nftables?: { chain?: { table: string; name: string; hook?: string; policy?: string } }[];
    };
    return nftables.some(({ chain }) => chain?.hook === 'forward' && chain.policy === 'drop');
  }

  #change(commands: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ commands, resolve, reject });
      if (!this.#isRunning) void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#transact(batch.map(({ commands }) => commands).join(''));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        if (batch.length === 1) batch[0]?.reject(error);
        // One of them is wrong; which one must not matter to the others.
        else for (const one of batch) await this.#transact(one.commands).then(one.resolve, one.reject);
      }
    }
    this.#isRunning = false;
  }

  async #transact(commands: string): Promise<void> {
    if (commands !== '') await this.#run(['-f', '-'], commands);
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
