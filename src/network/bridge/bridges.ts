import { isIP } from 'node:net';
import { EngineError, errorMessage, SyscallError } from '../../errors/index.ts';
import type { Netlink } from '../../sys/index.ts';
import { nameservers, readHostResolvConf } from '../files.ts';
import {
  effectivePools,
  formatAddress,
  hostSubnet,
  parseSubnet,
  withPrefix,
  type AddressPoolOption,
  type Family,
} from '../ipam/index.ts';
import type { BridgeRecord, EndpointRecord, NetworkRecord, PoolRecord } from '../network-records.ts';
import { addressesOf } from '../endpoint.ts';
import type { NetworkTable } from '../network-table.ts';
import type { Firewall } from '../nftables/firewall.ts';
import { guardElements, type GuardedPort } from '../nftables/guard.ts';
import type { PortForward } from '../nftables/port-elements.ts';
import type { Surroundings } from '../user-network.ts';
import { tableName, type BridgeRules } from '../nftables/ruleset.ts';
import { egressMtu, ensureBridge, poolOf, takenSubnets, type AddressRequest } from './bridge-link.ts';
import { BridgeNetwork } from './bridge-network.ts';

/** What the user said of the default network, and of networks at large. */
export interface BridgesOptions {
  /** Stable over restarts: the unique local IPv6 prefix comes from it. */
  engineId?: string | undefined;
  bridge?: string | undefined;
  /** dockerd's --bip and --bip6: the default bridge's own addresses with prefix. */
  bip?: string | undefined;
  bip6?: string | undefined;
  /** dockerd's --ipv6: the default network has it. */
  ipv6?: boolean | undefined;
  /** dockerd's --fixed-cidr and --fixed-cidr-v6: what the default network's containers get addresses from. */
  fixedCidr?: string | undefined;
  fixedCidr6?: string | undefined;
  /** dockerd's --default-gateway and --default-gateway-v6: instead of the default bridge's own addresses. */
  defaultGateway?: string | undefined;
  defaultGateway6?: string | undefined;
  /** dockerd's --ip: where the default network's ports are published that name no address. */
  hostAddress?: string | undefined;
  /** dockerd's --icc and --ip-masq of the default network; absent: true. */
  neighbours?: boolean | undefined;
  masquerade?: boolean | undefined;
  addressPools?: readonly AddressPoolOption[] | undefined;
  /** dockerd's --default-network-opt: options of new networks that do not say otherwise, by driver. */
  networkOptions?: Readonly<Record<string, Readonly<Record<string, string>>>> | undefined;
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
  surroundings(): Omit<Surroundings, 'networks'> {
    return {
      defaultOptions: this.#options.networkOptions ?? {},
      taken: [...takenSubnets(this.#netlink), ...hostNameservers().map(hostSubnet)],
      pools: this.#pools(),
      mtu: this.#options.mtu ?? egressMtu(this.#netlink),
    };
  }

  #pools(): readonly AddressPoolOption[] {
    return effectivePools(this.#options.addressPools, this.#options.engineId ?? '');
  }

  /** All tables, as declared. */
  async applyFirewall(): Promise<void> {
    const up = this.#table.networks().filter(({ id }) => this.#open.has(id));
    await Promise.all(up.map((network) => this.writeFirewall(network)));
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
    const { bridge, mtu, ipv6 = false } = this.#options;
    const network = this.#table.find('bridge');
    const families: Family[] = ipv6 ? [4, 6] : [4];
    const link = ensureBridge({
      netlink: this.#netlink,
      owner: ownerOf(network.id),
      nameBefore: network.bridge?.name,
      name: bridge,
      mtu,
      addresses: families.map((family) => this.#defaultAddress(network, family)),
      ipv6,
    });
    const record: BridgeRecord = {
      name: link.name,
      mtu: link.mtu,
      ...(this.#options.neighbours === false ? { neighbours: false } : {}),
      ...(this.#options.masquerade === false ? { masquerade: false } : {}),
      ...(this.#options.hostAddress === undefined ? {} : { hostAddress: this.#options.hostAddress }),
    };
    const pools = link.addresses.map((address) => this.#defaultPool(address));
    const opened = { ...network, bridge: record, pools };
    this.#table.save(opened);
    this.#adopt(opened, record);
    return record;
  }

  #defaultAddress(network: NetworkRecord, family: Family): AddressRequest {
    const { bip, bip6, fixedCidr, fixedCidr6 } = this.#options;
    const range = family === 4 ? fixedCidr : fixedCidr6;
    return {
      kind: 'free',
      family,
      chosen: (family === 4 ? bip : bip6) ?? (range === undefined ? undefined : firstAddress(range)),
      before: network.pools?.find(({ subnet }) => parseSubnet(subnet).family === family),
      pools: this.#pools(),
      avoid: hostNameservers(),
      inUse: this.#table.endpointsOf(network).length > 0,
    };
  }

  #defaultPool(address: string): PoolRecord {
    const { fixedCidr, fixedCidr6, defaultGateway, defaultGateway6 } = this.#options;
    const isV4 = !address.includes(':');
    const range = isV4 ? fixedCidr : fixedCidr6;
    const router = isV4 ? defaultGateway : defaultGateway6;
    return {
      ...poolOf(address),
      ...(range === undefined ? {} : { range }),
      ...(router === undefined ? {} : { router }),
    };
  }

  /** Link and addresses of a network of the user's. */
  raise(network: NetworkRecord): void {
    const { bridge, pools = [] } = network;
    if (bridge === undefined) return;
    ensureBridge({
      netlink: this.#netlink,
      owner: ownerOf(network.id),
      nameBefore: bridge.name,
      name: bridge.name,
      mtu: bridge.mtu,
      addresses: pools.flatMap((pool) => ownAddress(bridge, pool)),
      ipv6: hasFamily(pools, 6) && bridge.gatewayMode6 !== 'isolated',
    });
    this.#adopt(network, bridge);
  }

  #adopt(network: NetworkRecord, record: BridgeRecord): void {
    const opened = new BridgeNetwork(this.#netlink, record, network.pools ?? []);
    const endpoints = this.#table.endpointsOf(network);
    for (const endpoint of endpoints) opened.addresses.adopt(addressesOf(endpoint));
    if (endpoints.length > 0)
      this.#reconnect(new Set(endpoints.map((one) => one.hostInterface)), record.name);
    this.#open.set(network.id, opened);
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
    this.writeFirewall(network)
      .catch((error: unknown) => this.#note(`cannot write the firewall table: ${errorMessage(error)}`))
      .finally(() => this.#repairing.delete(network.id));
  }

  /** Rejects as Firewall.apply(). */
  async writeFirewall(network: NetworkRecord): Promise<void> {
    const bridge = this.get(network);
    await this.#firewall.apply(bridge.record.name, () => this.#rulesOf(network.id, bridge));
  }

  #rulesOf(id: string, { record, pools }: BridgeNetwork): BridgeRules {
    const subnetOf = (family: Family): { subnet?: string; subnet6?: string } => {
      const found = pools.find(({ subnet }) => parseSubnet(subnet).family === family);
      if (found === undefined) return {};
      return family === 4 ? { subnet: found.subnet } : { subnet6: found.subnet };
    };
    return {
      bridge: record.name,
      ...subnetOf(4),
      ...subnetOf(6),
      masquerade: record.masquerade ?? true,
      internal: record.internal ?? false,
      neighbours: record.neighbours ?? true,
      ...(record.gatewayMode4 === undefined ? {} : { mode4: record.gatewayMode4 }),
      ...(record.gatewayMode6 === undefined ? {} : { mode6: record.gatewayMode6 }),
      ...(record.sourceAddress4 === undefined ? {} : { sourceAddress4: record.sourceAddress4 }),
      ...(record.sourceAddress6 === undefined ? {} : { sourceAddress6: record.sourceAddress6 }),
      ...(record.trustedLinks === undefined ? {} : { trustedLinks: record.trustedLinks }),
      forwards: this.#forwardsInto(id),
      ports: this.#table.endpointsOf({ id }).flatMap((endpoint) => guardedPort(endpoint) ?? []),
    };
  }

  /** From here on the endpoint's packets pass. */
  admit(endpoint: EndpointRecord): void {
    const bridge = this.#open.get(endpoint.networkId)?.record.name;
    const port = guardedPort(endpoint);
    if (bridge === undefined || port === undefined) return;
    try {
      this.#firewall.add(bridge, guardElements(port));
    } catch (error) {
      // Somebody removed the table: repairFirewall() brings it back with all that is in it.
      if (!(error instanceof SyscallError && error.errno === 'ENOENT')) throw error;
    }
  }

  /** The opposite of admit(). */
  dismiss(endpoint: EndpointRecord): void {
    const bridge = this.#open.get(endpoint.networkId)?.record.name;
    const port = guardedPort(endpoint);
    if (bridge !== undefined && port !== undefined) this.#firewall.delete(bridge, guardElements(port));
  }

  get(network: NetworkRecord): BridgeNetwork {
    const bridge = this.#open.get(network.id);
    if (bridge === undefined) throw new EngineError('unavailable', `network ${network.name} is not up`);
    return bridge;
  }
}

function guardedPort(endpoint: EndpointRecord): GuardedPort | undefined {
  const { hostInterface, settings } = endpoint;
  if (hostInterface === undefined) return undefined;
  return { link: hostInterface, mac: settings.MacAddress, addresses: addressesOf(endpoint) };
}

const ownerOf = (networkId: string): string => `coracle ${networkId}`;

const hostNameservers = (): string[] =>
  nameservers(readHostResolvConf()).filter((server) => isIP(server) !== 0 && !server.includes('%'));

const hasFamily = (pools: readonly PoolRecord[], family: Family): boolean =>
  pools.some(({ subnet }) => parseSubnet(subnet).family === family);

/** What the bridge itself has of a pool: nothing where only containers are to be there. */
function ownAddress(bridge: BridgeRecord, { subnet, gateway }: PoolRecord): AddressRequest[] {
  const parsed = parseSubnet(subnet);
  const isBare =
    parsed.family === 4
      ? bridge.inhibitIpv4 === true || bridge.gatewayMode4 === 'isolated'
      : bridge.gatewayMode6 === 'isolated';
  return isBare || gateway === undefined ? [] : [{ kind: 'fixed', cidr: withPrefix(gateway, parsed) }];
}

function firstAddress(cidr: string): string {
  const subnet = parseSubnet(cidr);
  return withPrefix(formatAddress(subnet.base + 1n, subnet.family), subnet);
}
