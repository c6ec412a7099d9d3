import { isIP } from 'node:net';
import { EngineError, errorMessage, SyscallError } from '../../errors/index.ts';
import type { Netlink, NetworkLosses } from '../../sys/index.ts';
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
import type { ForeignForwarding } from '../nftables/foreign-forwarding.ts';
import type { Element } from '../nftables/element.ts';
import { guardElements, linkedElement, type GuardedPort } from '../nftables/guard.ts';
import type { PortForward } from '../nftables/port-elements.ts';
import type { Surroundings } from '../user-network.ts';
import { operatorTable, tableName, type BridgeRules } from '../nftables/ruleset.ts';
import { egressMtu, ensureBridge, poolOf, takenSubnets, type AddressRequest } from './bridge-link.ts';
import { BridgeNetwork } from './bridge-network.ts';
import { ensureGate, gateOf, removeGate, type Gate } from './gate.ts';

/** What the user said of the default network, and of networks at large. */
export interface BridgesOptions {
  /** Who lets packets reach published ports: the engine, or the host's input chains as well. Absent: the engine. */
  publishPolicy?: 'engine' | 'host-firewall' | undefined;
  /** dockerd's: false leaves iptables' chains alone, which may then drop what containers send and receive. */
  iptables?: boolean | undefined;
  /** dockerd's --bridge-accept-fwmark: packets that pass whatever networks' rules say. */
  acceptMark?: { value: string; mask: string } | undefined;
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
  /** dockerd's --userland-proxy: false: ports of IPv6 lead to IPv6 alone, and `::1` nowhere. */
  usesProxies?: boolean | undefined;
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
  /** Tables that are being written, by network. */
  readonly #writing = new Map<string, Promise<void>>();
  /** Rules that a network's tables have when nobody took any. */
  readonly #ruleCounts = new Map<string, number>();
  readonly #foreign: ForeignForwarding;
  #gate: Gate | undefined;
  readonly #onReconnected: (endpoint: EndpointRecord | undefined) => void;

  constructor(parts: {
    netlink: Netlink;
    firewall: Firewall;
    foreign: ForeignForwarding;
    table: NetworkTable;
    options: BridgesOptions;
    /** The published ports of a network. */
    forwardsInto: (networkId: string) => PortForward[];
    note: (text: string) => void;
    /** A bridge was made again, and the endpoint's link is a new port of it; undefined: the default bridge was. */
    onReconnected: (endpoint: EndpointRecord | undefined) => void;
  }) {
    this.#netlink = parts.netlink;
    this.#firewall = parts.firewall;
    this.#foreign = parts.foreign;
    this.#table = parts.table;
    this.#options = parts.options;
    this.#forwardsInto = parts.forwardsInto;
    this.#note = parts.note;
    this.#onReconnected = parts.onReconnected;
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
      await this.#removeLink(networkId, record.name);
      await Promise.all([this.#firewall.remove(record.name), this.#foreign.close(record.name)]);
      this.#open.delete(networkId);
    }
    if (this.#open.size === 0) removeGate(this.#netlink, gateOf(this.#table.find('bridge').id));
    const name = this.#table.find('bridge').bridge?.name ?? '';
    const operators = operatorTable(name);
    if (this.#netlink.firewallTableExists(operators) && this.#netlink.firewallRuleCount(operators) === 0)
      await this.#firewall.removeOperatorTable(name);
  }

  /** The links of the policy `host-firewall`, where it is chosen; not, where it was and is no more. */
  openGate(): void {
    const { id, bridge } = this.#table.find('bridge');
    const gate = gateOf(id);
    if (this.#options.publishPolicy !== 'host-firewall' || bridge === undefined) {
      removeGate(this.#netlink, gate);
      return;
    }
    ensureGate(this.#netlink, gate, bridge.name);
    this.#gate = gate;
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
    this.#open.set(network.id, opened);
    if (endpoints.length > 0) this.#reconnect(endpoints, opened);
  }

  /** Somebody deleted the bridge: the kernel keeps its ports, without one, and forgets what they were. */
  #reconnect(endpoints: readonly EndpointRecord[], bridge: BridgeNetwork): void {
    const masters = new Map(this.#netlink.links().map(({ name, master }) => [name, master]));
    for (const endpoint of endpoints) {
      const { hostInterface: name, settings } = endpoint;
      if (name === undefined || !masters.has(name) || masters.get(name) === bridge.linkIndex) continue;
      this.#netlink.setLink(name, { master: bridge.record.name, up: true });
      bridge.setPort(name, settings.MacAddress);
      this.#joinLinked(endpoint);
      this.#onReconnected(endpoint);
    }
  }

  /** Looks after what somebody took, and puts it back. (Our own changes are told as losses, too.) */
  repair({ tables, links, unknown }: NetworkLosses): void {
    if (unknown || tables.has('filter')) void this.#foreign.look({ now: true });
    for (const [networkId, bridge] of this.#open) {
      const network = this.#table.network(networkId);
      if (network === undefined) continue;
      const { name } = bridge.record;
      if ((unknown || links.has(bridge.linkIndex)) && !this.#isUp(bridge)) this.#makeAgain(network, name);
      if (unknown || tables.has(tableName(name))) this.#repairWholeFirewall(network);
    }
  }

  #isUp({ record, pools, linkIndex }: BridgeNetwork): boolean {
    if (this.#netlink.linkIndex(record.name) !== linkIndex) return false;
    const present = new Set(
      this.#netlink
        .addresses()
        .filter(({ link }) => link === record.name)
        .map(({ address, prefixLength }) => `${address}/${prefixLength}`),
    );
    return pools
      .flatMap((pool) => ownAddress(record, pool))
      .every((own) => own.kind !== 'fixed' || present.has(own.cidr));
  }

  #makeAgain(network: NetworkRecord, name: string): void {
    this.#note(`somebody deleted ${name} or its addresses: made again`);
    try {
      if (network.user !== undefined) return this.raise(network);
      this.openDefault();
      this.#onReconnected(undefined);
    } catch (error) {
      this.#note(`cannot make ${name} again: ${errorMessage(error)}`);
    }
  }

  async dismantle({ id, bridge }: NetworkRecord): Promise<void> {
    this.#open.delete(id);
    this.#ruleCounts.delete(id);
    this.#table.remove(id);
    if (bridge === undefined) return;
    await this.#removeLink(id, bridge.name);
    await Promise.all([this.#firewall.remove(bridge.name), this.#foreign.close(bridge.name)]);
  }

  /** A bridge that the user made stays; only what carries our mark was made by us. */
  async #removeLink(networkId: string, name: string): Promise<void> {
    const link = this.#netlink.links().find((other) => other.name === name);
    if (link?.alias === ownerOf(networkId)) await this.#netlink.deleteLinkAside(name);
  }

  /** Somebody flushed the machine's rules (a firewall's restart does): ours are written again, in the background. */
  repairFirewall(network: NetworkRecord): void {
    const bridge = this.#open.get(network.id)?.record;
    void this.#foreign.look();
    if (bridge === undefined || this.#writing.has(network.id)) return;
    if (!this.#netlink.firewallTableExists(tableName(bridge.name))) this.#writeAgain(network, bridge.name);
  }

  /** The same, where rules alone may be missing. */
  #repairWholeFirewall(network: NetworkRecord): void {
    const bridge = this.#open.get(network.id)?.record;
    if (bridge === undefined) return;
    const written = this.#writing.get(network.id);
    if (written !== undefined) {
      void written.catch(() => {}).then(() => this.#repairWholeFirewall(network));
      return;
    }
    const count = this.#netlink.firewallRuleCount(tableName(bridge.name));
    if (count < (this.#ruleCounts.get(network.id) ?? 0)) this.#writeAgain(network, bridge.name);
  }

  #writeAgain(network: NetworkRecord, bridge: string): void {
    this.#note(`the firewall table of ${bridge} had been removed by somebody: written again`);
    this.writeFirewall(network).catch((error: unknown) =>
      this.#note(`cannot write the firewall table: ${errorMessage(error)}`),
    );
  }

  /** Rejects as Firewall.apply(). */
  async writeFirewall(network: NetworkRecord): Promise<void> {
    const bridge = this.get(network);
    const { name } = bridge.record;
    const written = this.#foreign
      .open(name)
      .then(() => this.#firewall.apply(name, () => this.#rulesOf(network.id, bridge)))
      .then(() => void this.#ruleCounts.set(network.id, this.#netlink.firewallRuleCount(tableName(name))))
      .finally(() => {
        if (this.#writing.get(network.id) === written) this.#writing.delete(network.id);
      });
    this.#writing.set(network.id, written);
    await written;
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
      ...(id === this.#table.find('bridge').id ? { isDefault: true } : {}),
      ...(this.#gate === undefined ? {} : { gate: this.#gate }),
      ...(this.#options.acceptMark === undefined ? {} : { acceptMark: this.#options.acceptMark }),
      ...(this.#foreign.isActive ? { uplinks: defaultLinks(this.#netlink) } : {}),
      ...(record.trustedLinks === undefined ? {} : { trustedLinks: record.trustedLinks }),
      forwards: this.#forwardsInto(id),
      ports: this.#table.endpointsOf({ id }).flatMap((endpoint) => guardedPort(endpoint) ?? []),
      linked: this.#table.endpointsOf({ id }).flatMap((endpoint) => this.#linkElements(endpoint)),
    };
  }

  /** From here on the endpoint's packets pass. */
  admit(endpoint: EndpointRecord): void {
    const bridge = this.#open.get(endpoint.networkId)?.record.name;
    const port = guardedPort(endpoint);
    if (bridge === undefined || port === undefined) return;
    try {
      this.#firewall.add(bridge, [...guardElements(port), ...this.#linkElements(endpoint)]);
      this.#joinLinked(endpoint);
    } catch (error) {
      // Somebody removed the table: repairFirewall() brings it back with all that is in it.
      if (!(error instanceof SyscallError && error.errno === 'ENOENT')) throw error;
    }
  }

  /** The opposite of admit(). */
  dismiss(endpoint: EndpointRecord): void {
    const bridge = this.#open.get(endpoint.networkId)?.record.name;
    const port = guardedPort(endpoint);
    if (bridge === undefined || port === undefined) return;
    this.#firewall.delete(bridge, [...guardElements(port), ...this.#linkElements(endpoint)]);
  }

  /** The endpoint has other links than before. */
  relink(before: EndpointRecord, endpoint: EndpointRecord): void {
    const bridge = this.#open.get(endpoint.networkId)?.record.name;
    if (bridge === undefined) return;
    this.#firewall.delete(bridge, this.#linkElements(before));
    this.#firewall.add(bridge, this.#linkElements(endpoint));
    this.#joinLinked(endpoint);
  }

  /** What opens ways between the endpoint and its neighbours, where they are kept apart. */
  #linkElements(endpoint: EndpointRecord): Element[] {
    const bridge = this.#open.get(endpoint.networkId);
    if (bridge?.record.neighbours !== false) return [];
    return this.#table
      .endpointsOf({ id: endpoint.networkId })
      .filter(({ containerId }) => containerId !== endpoint.containerId)
      .flatMap((other) => [...linkedElements(endpoint, other), ...linkedElements(other, endpoint)]);
  }

  /** A port that is isolated is so from others that are: one that has links is not, and the bridge's table says how far. */
  #joinLinked({ networkId, hostInterface, links = [] }: EndpointRecord): void {
    const bridge = this.#open.get(networkId);
    if (bridge?.record.neighbours !== false || hostInterface === undefined || links.length === 0) return;
    if (!this.#firewall.guards) return;
    this.#netlink.setBridgePort(hostInterface, { isolated: false });
  }

  get(network: NetworkRecord): BridgeNetwork {
    const bridge = this.#open.get(network.id);
    if (bridge === undefined) throw new EngineError('unavailable', `network ${network.name} is not up`);
    return bridge;
  }
}

/** At which ports of the one the other's links reach it, by each family that both have. */
function linkedElements(from: EndpointRecord, to: EndpointRecord): Element[] {
  return (from.links ?? [])
    .filter(({ containerId }) => containerId === to.containerId)
    .flatMap(({ ports }) =>
      addressesOf(from).flatMap((source) =>
        addressesOf(to)
          .filter((target) => target.includes(':') === source.includes(':'))
          .flatMap((target) => ports.map((port) => linkedElement({ from: source, to: target, ...port }))),
      ),
    );
}

function guardedPort(endpoint: EndpointRecord): GuardedPort | undefined {
  const { hostInterface, settings } = endpoint;
  if (hostInterface === undefined) return undefined;
  return { link: hostInterface, mac: settings.MacAddress, addresses: addressesOf(endpoint) };
}

/** Where packets to the world leave. */
function defaultLinks(netlink: Netlink): string[] {
  const routes = netlink.routes().filter(({ destination }) => destination === 'default');
  return [...new Set(routes.flatMap(({ link }) => link ?? []))];
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
