import { existsSync, readFileSync } from 'node:fs';
import { errorMessage } from '../../errors/index.ts';
import type { ForwardChain, Netlink, ProcessSpawner } from '../../sys/index.ts';

const directories = ['/usr/sbin', '/sbin', '/usr/local/sbin', '/usr/bin'];
/** It is looked at most so often: attach() asks for it with every container. */
const LOOK_INTERVAL_MS = 1000;

/** One of the machine's two iptables for one family, and which rules it has. */
interface Tool {
  family: 4 | 6;
  program: string;
  restore: string;
}

/** The rule `-A FORWARD …` of one bridge, or of which a place is found by. */
const mark = (bridge: string): string => `coracle:${bridge}`;
const isOfDockerd = /-j DOCKER-(?:USER|FORWARD|ISOLATION-STAGE-1)\b/;

/**
 * iptables' FORWARD chain where somebody (dockerd, ufw) has it drop what nothing in it accepts: a packet passes only if
 * every table lets it, so that ours could accept as it likes. While there is such a policy the chain has two rules for
 * each of our bridges, behind those that send packets to dockerd's chains of the user's and of isolation; what is then to
 * become of the packets, our own tables say. The rules carry our mark, are written by the same iptables(8) that others use,
 * and go with the bridge.
 */
export class ForeignForwarding {
  readonly #spawner: Pick<ProcessSpawner, 'run'>;
  readonly #netlink: Pick<Netlink, 'droppingForwardChains' | 'linkIndex'>;
  readonly #isAllowed: boolean;
  readonly #note: (text: string) => void;
  readonly #onActive: () => void;
  /** Bridges that ways are to be open for. */
  readonly #bridges = new Set<string>();
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #later: NodeJS.Timeout | undefined;
  #isActive = false;
  /** One at a time: places in the chain are numbers. */
  #work: Promise<void> = Promise.resolve();
  /** Asked for and not begun. */
  #opening: Promise<void> | undefined;

  constructor(parts: {
    spawner: Pick<ProcessSpawner, 'run'>;
    netlink: Pick<Netlink, 'droppingForwardChains' | 'linkIndex'>;
    /** False: dockerd's `"iptables": false`, other people's chains are left alone. */
    isAllowed: boolean;
    note: (text: string) => void;
    /** Told when packets of ours begin to pass a chain of somebody else's. */
    onActive: () => void;
  }) {
    this.#spawner = parts.spawner;
    this.#netlink = parts.netlink;
    this.#isAllowed = parts.isAllowed;
    this.#note = parts.note;
    this.#onActive = parts.onActive;
  }

  /** True while packets of ours pass a chain of somebody else's by our rules in it. */
  get isActive(): boolean {
    return this.#isActive;
  }

  /** The bridge's ways are to be open from here on. Resolves when they are. */
  open(bridge: string): Promise<void> {
    this.#bridges.add(bridge);
    return this.look({ now: true });
  }

  /** The opposite. */
  async close(bridge: string): Promise<void> {
    this.#bridges.delete(bridge);
    if (this.#bridges.size === 0) clearTimeout(this.#later);
    if (!this.#isActive) return;
    await this.#do((tool, rules) =>
      this.#restore(tool, rules.filter((rule) => markedBridge(rule) === bridge).map(deletion)),
    );
  }

  /**
   * Looks whether somebody drops what is forwarded, and opens the ways that are not.
   * @param options.now also when somebody looked a moment ago
   */
  async look(options: { now?: boolean } = {}): Promise<void> {
    const nowMs = performance.now();
    const sinceMs = nowMs - this.#lookedAtMs;
    if (options.now !== true && sinceMs < LOOK_INTERVAL_MS) {
      this.#later ??= setTimeout(() => void this.look({ now: true }), LOOK_INTERVAL_MS - sinceMs).unref();
      return;
    }
    clearTimeout(this.#later);
    this.#later = undefined;
    this.#lookedAtMs = nowMs;
    const chains = this.#netlink.droppingForwardChains();
    const foreign = chains.filter((chain) => !isIptables(chain));
    for (const chain of foreign) this.#note(advice(chain, [...this.#bridges]));
    const hasIptables = chains.some(isIptables) || hasLegacyTables();
    if (!hasIptables) return;
    if (!this.#isAllowed) {
      for (const chain of chains) this.#note(advice(chain, [...this.#bridges]));
      return;
    }
    this.#opening ??= this.#do((tool, rules) => {
      this.#opening = undefined;
      return this.#openIn(tool, rules);
    }).finally(() => (this.#opening = undefined));
    await this.#opening;
  }

  /** For each iptables whose FORWARD chain drops by policy. */
  #do(body: (tool: Tool, rules: readonly string[]) => Promise<void>): Promise<void> {
    this.#work = this.#work.then(async () => {
      for (const tool of tools()) {
        try {
          const listed = await this.#run([tool.program, '-w', '-S', 'FORWARD']);
          const lines = listed.split('\n').filter((line) => line !== '');
          if (!lines.includes('-P FORWARD DROP')) continue;
          if (!this.#isActive) this.#onActive();
          this.#isActive = true;
          await body(
            tool,
            lines.filter((line) => line.startsWith('-A ')),
          );
        } catch (error) {
          this.#note(`packets of containers may be dropped by iptables: ${errorMessage(error)}`);
        }
      }
    });
    return this.#work;
  }

  async #openIn(tool: Tool, rules: readonly string[]): Promise<void> {
    const orphans = rules.filter((rule) => {
      const bridge = markedBridge(rule);
      return (
        bridge !== undefined && !this.#bridges.has(bridge) && this.#netlink.linkIndex(bridge) === undefined
      );
    });
    const kept = rules.filter((rule) => !orphans.includes(rule));
    const place = kept.findLastIndex((rule) => isOfDockerd.test(rule)) + 2;
    const missing = [...this.#bridges].flatMap((bridge) =>
      ['-i', '-o']
        .filter((way) => !kept.some((rule) => rule.includes(`${way} ${bridge} -m comment --comment`)))
        .map((way) => `-I FORWARD ${place} ${way} ${bridge} -m comment --comment ${mark(bridge)} -j ACCEPT`),
    );
    await this.#restore(tool, [...orphans.map(deletion), ...missing]);
  }

  /** All in one transaction. */
  async #restore({ restore }: Tool, commands: readonly string[]): Promise<void> {
    if (commands.length === 0) return;
    await this.#run([restore, '-w', '--noflush'], ['*filter', ...commands, 'COMMIT', ''].join('\n'));
  }

  async #run(argv: readonly [string, ...string[]], stdin = ''): Promise<string> {
    const [path] = argv;
    const result = await this.#spawner.run({ path, argv, stdin, env: { LC_ALL: 'C' } });
    if (result.exitCode !== 0) throw new Error(`${argv.join(' ')}: ${result.stderr.trim()}`);
    return result.stdout;
  }
}

/** Whose rule it is, where it is one of an engine's. */
const markedBridge = (rule: string): string | undefined => /--comment "?coracle:([^" ]+)/.exec(rule)?.[1];

const deletion = (rule: string): string => rule.replace(/^-A /, '-D ');

const isIptables = ({ family, table, chain }: ForwardChain): boolean =>
  family !== 'inet' && table === 'filter' && chain === 'FORWARD';

/** Of the kernel's old interface, which nftables knows nothing of; asking its program would make such tables. */
function hasLegacyTables(family: 4 | 6 = 4): boolean {
  try {
    const names = readFileSync(`/proc/net/${family === 4 ? 'ip' : 'ip6'}_tables_names`, 'utf8');
    return names.split('\n').includes('filter');
  } catch {
    return false;
  }
}

function tools(): Tool[] {
  const found = (name: string): string | undefined =>
    directories.map((directory) => `${directory}/${name}`).find((path) => existsSync(path));
  return ([4, 6] as const).flatMap((family) => {
    const name = family === 4 ? 'iptables' : 'ip6tables';
    const own = found(`${name}-nft`) === undefined ? name : `${name}-nft`;
    const variants = hasLegacyTables(family) ? [own, `${name}-legacy`] : [own];
    return variants.flatMap((variant) => {
      const [program, restore] = [found(variant), found(`${variant}-restore`)];
      return program === undefined || restore === undefined ? [] : [{ family, program, restore }];
    });
  });
}

/** What the operator can do where we do nothing. */
function advice({ family, table, chain }: ForwardChain, bridges: readonly string[]): string {
  const names = bridges.map((bridge) => JSON.stringify(bridge)).join(', ');
  return (
    `the chain ${chain} of the table ${family} ${table} drops forwarded packets by policy: containers reach the outside, ` +
    `and are reached by published ports, only after nft insert rule ${family} ${table} ${chain} iifname { ${names} } accept ` +
    `and nft insert rule ${family} ${table} ${chain} oifname { ${names} } accept`
  );
}
