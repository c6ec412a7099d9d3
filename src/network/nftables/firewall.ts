import { SyscallError } from '../../errors/index.ts';
import type { Netlink } from '../../sys/index.ts';
import { kernelElement, type Element } from './element.ts';
import type { Nft } from './nft.ts';
import {
  guardTableCommands,
  offsetTranslations,
  operatorTable,
  removeCommands,
  rulesetCommands,
  tableName,
  type BridgeRules,
} from './ruleset.ts';

type ElementChange = ['add' | 'delete', readonly Element[]];

interface Waiting {
  /** Asked for when its turn has come: rules are to be those of that moment. */
  commands: () => string;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/**
 * The machine's nftables. Tables are written by nft(8), in the order in which they are asked for; what is asked for while
 * a process runs goes into the next one together. What comes and goes with containers are elements of those tables'
 * sets and maps: these are told to the kernel directly, at once, in one transaction for each call.
 */
export class Firewall {
  readonly #nft: Pick<Nft, 'run'>;
  readonly #netlink: Pick<Netlink, 'changeFirewall' | 'addOffsetTranslations'>;
  readonly #onFailure: (message: string) => void;
  /** Changes made while a bridge's tables are being written, which may come before or after; by bridge. */
  readonly #meanwhile = new Map<string, ElementChange[]>();
  #guards = true;
  #waiting: Waiting[] = [];
  #isRunning = false;

  constructor(parts: {
    nft: Pick<Nft, 'run'>;
    netlink: Pick<Netlink, 'changeFirewall' | 'addOffsetTranslations'>;
    /** Told of what the machine cannot do. */
    onFailure: (message: string) => void;
  }) {
    this.#nft = parts.nft;
    this.#netlink = parts.netlink;
    this.#onFailure = parts.onFailure;
  }

  /** False: the kernel has no nftables for the family `bridge`, and what passes between ports is not looked at. */
  get guards(): boolean {
    return this.#guards;
  }

  /**
   * Writes a bridge's tables as a whole.
   * @param rules asked when it is done
   * @throws {EngineError} `unavailable` without nft; {ProcessError} when nft refuses.
   */
  async apply(bridge: string, rules: () => BridgeRules): Promise<void> {
    const meanwhile: ElementChange[] = [];
    this.#meanwhile.set(bridge, meanwhile);
    try {
      if (this.#guards) await this.#applyWithGuard(rules);
      else await this.#change(() => rulesetCommands(rules()));
      this.#netlink.addOffsetTranslations(offsetTranslations(bridge));
    } finally {
      if (this.#meanwhile.get(bridge) === meanwhile) this.#meanwhile.delete(bridge);
    }
    for (const [action, elements] of meanwhile) this.#changeEach(bridge, action, elements);
  }

  async #applyWithGuard(rules: () => BridgeRules): Promise<void> {
    try {
      await this.#change(() => rulesetCommands(rules()) + guardTableCommands(rules()));
    } catch (error) {
      await this.#change(() => rulesetCommands(rules()));
      this.#guards = false;
      const why = error instanceof Error ? error.message : String(error);
      this.#onFailure(
        `source addresses inside of a network are not checked: nftables has no bridge tables here (${why})`,
      );
    }
  }

  remove(bridge: string): Promise<void> {
    return this.#change(
      () =>
        (['inet', 'ip', 'ip6'] as const).map((family) => removeCommands(bridge, family)).join('') +
        (this.#guards ? removeCommands(bridge, 'bridge') : ''),
    );
  }

  /** Removes the operator's table, which has no rules any more. */
  removeOperatorTable(bridge: string): Promise<void> {
    return this.#change(() => `delete table inet ${operatorTable(bridge)}\n`);
  }

  /**
   * Elements of the tables that apply() made.
   * @throws {SyscallError} ENOENT when somebody removed a table; nothing is added then
   */
  add(bridge: string, elements: readonly Element[]): void {
    const known = this.#known(elements);
    const meanwhile = this.#meanwhile.get(bridge);
    meanwhile?.push(['add', known]);
    try {
      this.#netlink.changeFirewall(
        'add',
        known.map((one) => kernelElement(tableName(bridge), one)),
      );
    } catch (error) {
      if (meanwhile === undefined) throw error;
    }
  }

  /** The opposite; no error for what is not there. */
  delete(bridge: string, elements: readonly Element[]): void {
    const known = this.#known(elements);
    this.#meanwhile.get(bridge)?.push(['delete', known]);
    try {
      this.#netlink.changeFirewall(
        'delete',
        known.map((one) => kernelElement(tableName(bridge), one)),
      );
    } catch (error) {
      if (!isGone(error)) throw error;
      this.#changeEach(bridge, 'delete', known);
    }
  }

  #known(elements: readonly Element[]): readonly Element[] {
    return this.#guards ? elements : elements.filter(({ family }) => family !== 'bridge');
  }

  /** One by one, passing over those that are so already. */
  #changeEach(bridge: string, action: 'add' | 'delete', elements: readonly Element[]): void {
    for (const element of elements) {
      try {
        this.#netlink.changeFirewall(action, [kernelElement(tableName(bridge), element)]);
      } catch (error) {
        if (!isGone(error)) throw error;
      }
    }
  }

  #change(commands: () => string): Promise<void> {
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
        await this.#transact(batch);
        for (const { resolve } of batch) resolve();
      } catch (error) {
        if (batch.length === 1) batch[0]?.reject(error);
        // One of them is wrong; which one must not matter to the others.
        else for (const one of batch) await this.#transact([one]).then(one.resolve, one.reject);
      }
    }
    this.#isRunning = false;
  }

  async #transact(batch: readonly Waiting[]): Promise<void> {
    await this.#nft.run(['-f', '-'], batch.map(({ commands }) => commands()).join(''));
  }
}

function isGone(error: unknown): boolean {
  return error instanceof SyscallError && (error.errno === 'ENOENT' || error.errno === 'EEXIST');
}
