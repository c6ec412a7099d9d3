import { isIPv4 } from 'node:net';
import { EngineError, errorMessage } from '../../errors/index.ts';
import type { Netlink } from '../../sys/index.ts';
import { nameservers, readHostResolvConf } from '../files.ts';
import { defaultAddressPools, parseSubnet, type AddressPoolOption, type Subnet } from '../ipam/index.ts';
import type { BridgeRecord, NetworkRecord } from '../network-records.ts';
import type { NetworkTable } from '../network-table.ts';
import type { Firewall } from '../nftables/firewall.ts';
import { tableName, type BridgeRules, type PortForward } from '../nftables/ruleset.ts';
import { egressMtu, ensureBridge, takenSubnets } from './bridge-link.ts';
import { BridgeNetwork } from './bridge-network.ts';

/** What the user said of the default network, and of networks at large. */
export interface BridgesOptions {
  bridge?: string | undefined;
  bip?: string | undefined;
  addressPools?: readonly AddressPoolOption[] | undefined;
  mtu?: number | undefined;
}

/** The bridges that are up, with their firewall's tables: made, adopted, repaired and taken down. */
export class Bridges {
  readonly #netlink: Netlink;
  readonly #firewall: Firewall;
  readonly #table: NetworkTable;
  readonly #options: BridgesOptions;
  readonly #forwardsInto: (networkId: string) => PortForward[];
  readonly #note: (text: string) => void;
  /** By network. */
  readonly #open = new Map<string, BridgeNetwork>();
  readonly #repairing = new Set<string>();

  constructor(parts: {
    netlink: Netlink;
    firewall: Firewall;
    table: NetworkTable;
    options: BridgesOptions;
    /** The published ports of a network. */
    forwardsInto: (networkId: string) => PortForward[];
    note: (text: string) => void;
  }) {
    this.#netlink = parts.netlink;
    this.#firewall = parts.firewall;
    this.#table = parts.table;
    this.#options = parts.options;
    this.#forwardsInto = parts.forwardsInto;
    this.#note = parts.note;
  }

  find(networkId: string): BridgeNetwork | undefined {
    return this.#open.get(networkId);
  }

  all(): BridgeNetwork[] {
    return [...this.#open.values()];
  }

  /** What a new network must fit into. */
  surroundings(): { taken: Subnet[]; pools: readonly AddressPoolOption[]; mtu: number } {
    const { mtu, addressPools } = this.#options;
    return {
      taken: [
        ...takenSubnets(this.#netlink),
        ...hostNameservers().map((server) => parseSubnet(`${server}/32`)),
      ],
      pools: addressPools ?? defaultAddressPools,
      mtu: mtu ?? egressMtu(this.#netlink),
    };
  }

  /** All tables, as declared. */
  async applyFirewall(): Promise<void> {
    const up = this.#table.networks().filter(({ id }) => this.#open.has(id));
    await Promise.all(up.map((network) => this.#firewall.apply(this.rulesOf(network))));
  }

  /** Takes down those that no container uses. */
  async close(): Promise<void> {
    for (const [networkId, { record }] of this.#open) {
      if (this.#table.endpointsOf({ id: networkId }).length > 0) continue;
      this.#removeLink(networkId, record.name);
      await this.#firewall.remove(record.name);
      this.#open.delete(networkId);
    }
  }

  /** The default network, wherever the user or the machine leaves room for it. */
  openDefault(): BridgeRecord {
    const { bridge, bip, addressPools, mtu } = this.#options;
    const network = this.#table.find('bridge');
    const record = ensureBridge({
      netlink: this.#netlink,
      owner: ownerOf(network.id),
      before: network.bridge,
      name: bridge,
      address: bip,
      pools: addressPools ?? defaultAddressPools,
      mtu,
      avoid: hostNameservers(),
      inUse: this.#table.endpointsOf(network).length > 0,
    });
    this.#table.save({ ...network, bridge: record });
    this.#adopt(network.id, record);
    return record;
  }

  /** Link and address of a network of the user's. */
  raise(network: NetworkRecord): void {
    const { bridge } = network;
    if (bridge === undefined) return;
    ensureBridge({
      netlink: this.#netlink,
      owner: ownerOf(network.id),
      before: bridge,
      name: bridge.name,
      address: `${bridge.gateway}/${parseSubnet(bridge.subnet).prefixLength}`,
      pools: [],
      mtu: bridge.mtu,
      avoid: [],
      inUse: this.#table.endpointsOf(network).length > 0,
    });
    this.#adopt(network.id, bridge);
  }

  #adopt(networkId: string, record: BridgeRecord): void {
    const opened = new BridgeNetwork(this.#netlink, record);
    const endpoints = this.#table.endpointsOf({ id: networkId });
    for (const { settings } of endpoints) opened.adopt(settings.IPAddress);
    if (endpoints.length > 0)
      this.#reconnect(new Set(endpoints.map((one) => one.hostInterface)), record.name);
    this.#open.set(networkId, opened);
  }

  /** Somebody deleted the bridge: the kernel keeps its ports, without one. */
  #reconnect(ports: ReadonlySet<string | undefined>, bridge: string): void {
    const index = this.#netlink.linkIndex(bridge);
    for (const { name, master } of this.#netlink.links()) {
      if (ports.has(name) && master !== index) this.#netlink.setLink(name, { master: bridge, up: true });
    }
  }

  async dismantle({ id, bridge }: NetworkRecord): Promise<void> {
    this.#open.delete(id);
    this.#table.remove(id);
    if (bridge === undefined) return;
    this.#removeLink(id, bridge.name);
    await this.#firewall.remove(bridge.name);
  }

  /** A bridge that the user made stays; only what carries our mark was made by us. */
  #removeLink(networkId: string, name: string): void {
    const link = this.#netlink.links().find((other) => other.name === name);
    if (link?.alias === ownerOf(networkId)) this.#netlink.deleteLink(name);
  }

  /** Somebody flushed the machine's rules (a firewall's restart does): ours are written again, in the background. */
  repairFirewall(network: NetworkRecord): void {
    const bridge = this.#open.get(network.id)?.record;
    if (
      bridge === undefined ||
      this.#repairing.has(network.id) ||
      this.#netlink.firewallTableExists(tableName(bridge.name))
    )
      return;
    this.#repairing.add(network.id);
    this.#note(`the firewall table of ${bridge.name} had been removed by somebody: written again`);
    this.#firewall
      .apply(this.rulesOf(network))
      .catch((error: unknown) => this.#note(`cannot write the firewall table: ${errorMessage(error)}`))
      .finally(() => this.#repairing.delete(network.id));
  }

  rulesOf({ id }: NetworkRecord): BridgeRules {
    const { record } = this.get(this.#table.find(id));
    return {
      bridge: record.name,
      subnet: record.subnet,
      masquerade: record.masquerade ?? true,
      internal: record.internal ?? false,
      forwards: this.#forwardsInto(id),
    };
  }

  get(network: NetworkRecord): BridgeNetwork {
    const bridge = this.#open.get(network.id);
    if (bridge === undefined) throw new EngineError('unavailable', `network ${network.name} is not up`);
    return bridge;
  }
}

const ownerOf = (networkId: string): string => `coracle ${networkId}`;

const hostNameservers = (): string[] => nameservers(readHostResolvConf()).filter((server) => isIPv4(server));
