import type { FirewallElement, FirewallFamily, ForwardChain } from './netlink/nftables-message.ts';
import type { OffsetTranslation } from './netlink/nftables-rule.ts';

export type { FirewallElement, FirewallFamily, ForwardChain } from './netlink/nftables-message.ts';
export type { OffsetTranslation } from './netlink/nftables-rule.ts';

/** What a link is that stands on another, or on nothing. */
export type LinkKind =
  | { kind: 'dummy' }
  | { kind: 'vlan'; parent: string; id: number }
  | { kind: 'macvlan'; parent: string; mode: 'private' | 'vepa' | 'bridge' | 'passthru' }
  | { kind: 'ipvlan'; parent: string; mode: 'l2' | 'l3' | 'l3s'; flag: 'bridge' | 'private' | 'vepa' };

/** rtnetlink(7) spoken directly: links, addresses, routes. All calls are synchronous and throw SyscallError. */
export interface Netlink {
  /**
   * Runs the synchronous `body` with the thread inside the network namespace bound at `path`, and a netlink socket that
   * is open as long as it runs.
   */
  inNamespace<T>(path: string, body: (netlink: Netlink) => T): T;
  linkIndex(name: string): number | undefined;
  links(): {
    index: number;
    name: string;
    kind?: string;
    up: boolean;
    mac: string;
    master?: number;
    mtu: number;
    /** Free text of its owner (ip-link(8) `alias`). */
    alias?: string;
  }[];
  createBridge(name: string, options?: { mac?: string; mtu?: number }): void;
  /**
   * A veth pair whose second end is born in the namespace bound at `peerNamespace` under its final name, down; the first
   * end is put on the bridge and up, all in one transaction.
   */
  createVeth(options: {
    name: string;
    bridge: string;
    peerName: string;
    peerNamespace: string;
    peerMac?: string;
    mtu?: number;
  }): void;
  /**
   * A link that is down, in the namespace bound at `namespace` where one is given.
   * @throws {SyscallError} ENOTSUP for a kind that the kernel does not have
   */
  createLink(
    name: string,
    kind: LinkKind,
    options?: { namespace?: string; mac?: string; mtu?: number },
  ): void;
  /** No error when it is gone. Waits for the kernel: some 20 ms. */
  deleteLink(name: string): void;
  /** The same while the program goes on: another thread waits. Not inside of inNamespace(). */
  deleteLinkAside(name: string): Promise<void>;
  setLink(
    name: string,
    change: {
      up?: boolean;
      /** False: link addresses are not asked for; packets go to the link's own. */
      arp?: boolean;
      mtu?: number;
      mac?: string;
      newName?: string;
      master?: string | null;
      alias?: string;
    },
  ): void;
  /** A port of a bridge: `hairpin` sends packets back out where they came in, `isolated` keeps it from other such ports. */
  setBridgePort(name: string, change: { hairpin?: boolean; isolated?: boolean }): void;
  /**
   * The bridge finds this MAC behind this port, whatever it learnt before: an address that is given again has its MAC
   * again, and the port that had it before may be there for a while.
   */
  setBridgePortMac(name: string, mac: string): void;
  /** `address` as `10.0.0.1/24` or `fd00::1/64`; `replace` makes it idempotent. IPv6 is added without DAD. Broadcast: on for IPv4. */
  addAddress(link: string, address: string, options?: { broadcast?: boolean; replace?: boolean }): void;
  removeAddress(link: string, address: string): void;
  addresses(): { link: string; address: string; prefixLength: number; family: 4 | 6; scope: number }[];
  /** `destination` CIDR or `default`, which is IPv4's without a gateway; IPv6's is `::/0`. */
  addRoute(route: { destination: string; gateway?: string; link?: string; scopeLink?: boolean }): void;
  removeRoute(route: { destination: string; gateway?: string; link?: string }): void;
  routes(): { destination: string; gateway?: string; link?: string; family: 4 | 6; table: number }[];
  addNeighbour(link: string, address: string, mac: string): void;
  /** True when nftables has this table. */
  firewallTableExists(name: string, family?: FirewallFamily): boolean;
  /** Rules in the tables of this name, of all families together; 0 without such a table. */
  firewallRuleCount(name: string): number;
  /**
   * Adds elements to nftables' sets and maps, or takes them out, in one transaction.
   * @throws {SyscallError} ENOENT when a table, or an element to be taken out, is not there; EEXIST for a key of a map that
   * has another value. Nothing is changed then.
   */
  changeFirewall(action: 'add' | 'delete', elements: readonly FirewallElement[]): void;
  /** Chains of nftables (iptables' are, too) that drop forwarded packets which nothing in them accepts. */
  droppingForwardChains(): ForwardChain[];
  /**
   * Writes the table of the family `ip` as a whole, in one transaction: what this machine's own programs send to the IPv4
   * address and port, by UDP or TCP, goes to another port of the address.
   */
  redirectPort(table: string, redirection: { address: string; port: number; toPort: number }): void;
  /** Appends rules that translate ranges of ports to ranges under other numbers. */
  addOffsetTranslations(rules: readonly OffsetTranslation[]): void;
  /**
   * UDP flows to these ports of any address are looked up in the firewall's rules again with their next packet. (A flow is
   * translated as its first packet was; a client that goes on sending would never notice new rules.)
   */
  forgetUdpFlows(ports: ReadonlySet<number>): void;
  /** Closes the socket. */
  close(): void;
}
