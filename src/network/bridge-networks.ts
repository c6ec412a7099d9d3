import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isIPv4 } from 'node:net';
import { EngineError, errorMessage } from '../errors/index.ts';
import type { RecordCollection, Records } from '../records/index.ts';
import type { EndpointSettings, NetworkResource } from '../spec/index.ts';
import type { Netlink, ProcessSpawner, Syscall } from '../sys/index.ts';
import { BridgeNetwork } from './bridge/bridge-network.ts';
import { ensureBridge } from './bridge/bridge-link.ts';
import { nameservers, readHostResolvConf } from './files.ts';
import { defaultAddressPools, type AddressPoolOption } from './ipam/index.ts';
import {
  endpointKey,
  type EndpointRecord,
  type NetworkDriver,
  type NetworkRecord,
} from './network-records.ts';
import { networkResource } from './network-resource.ts';
import type { AttachRequest, Networks, Sandbox } from './networks.ts';
import { Firewall } from './nftables/firewall.ts';
import { tableName, type BridgeRules } from './nftables/ruleset.ts';
import { Sandboxes } from './sandboxes.ts';

export interface BridgeNetworksOptions {
  syscall: Pick<Syscall, 'createNetworkNamespace' | 'removeNetworkNamespace' | 'inNetworkNamespace'>;
  netlink: Netlink;
  spawner: Pick<ProcessSpawner, 'run'>;
  records: Records;
  /** Sandboxes are bound in its `netns`. */
  execRoot: string;
  /** dockerd's --bridge: the default network's link, adopted when it is there. Absent: `coracle0`, or the next that is free. */
  bridge?: string | undefined;
  /** dockerd's --bip: the bridge's own address with prefix. */
  bip?: string | undefined;
  /** dockerd's --default-address-pool. */
  addressPools?: readonly AddressPoolOption[] | undefined;
  /** Bytes; absent: what the default route's link carries, at most 1500. */
  mtu?: number | undefined;
  /** Namespaces made ahead, 0 for none; default 4. */
  sandboxesAhead?: number | undefined;
}

const IP_FORWARD = '/proc/sys/net/ipv4/ip_forward';

/** Networks on Linux bridges, with rtnetlink and one nftables table for each bridge. */
export class BridgeNetworks implements Networks {
  readonly notes: string[] = [];
  readonly #options: BridgeNetworksOptions;
  readonly #netlink: Netlink;
  readonly #firewall: Firewall;
  readonly #sandboxes: Sandboxes;
  readonly #networkRecords: RecordCollection<NetworkRecord>;
  readonly #endpointRecords: RecordCollection<EndpointRecord>;
  readonly #networks = new Map<string, NetworkRecord>();
  readonly #bridges = new Map<string, BridgeNetwork>();
  readonly #endpoints = new Map<string, EndpointRecord>();
  #repairing = false;

  constructor(options: BridgeNetworksOptions) {
    const { records, syscall } = options;
    this.#options = options;
    this.#netlink = options.netlink;
    this.#firewall = new Firewall(options.spawner);
    this.#networkRecords = records.collection('networks');
    this.#endpointRecords = records.collection('network-endpoints');
    this.#sandboxes = new Sandboxes({
      syscall,
      directory: join(options.execRoot, 'netns'),
      records: records.collection('network-sandboxes'),
      aheadCount: options.sandboxesAhead ?? 4,
      link: (path) => this.#bridges.get(this.#find('bridge').id)?.makeLink(path, 'eth0'),
    });
    for (const [id, record] of this.#networkRecords.entries()) this.#networks.set(id, record);
    for (const [key, record] of this.#endpointRecords.entries()) this.#endpoints.set(key, record);
  }

  async open(): Promise<void> {
    for (const [name, driver] of [
      ['none', 'null'],
      ['host', 'host'],
      ['bridge', 'bridge'],
    ] as const) {
      if (this.#byName(name) === undefined) this.#save(newNetwork(name, driver));
    }
    try {
      await this.#bringUp();
    } catch (error) {
      await this.close().catch(() => {});
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#sandboxes.close();
    for (const [networkId, { record }] of this.#bridges) {
      if (this.#endpointsOf(networkId).length > 0) continue;
      const link = this.#netlink.links().find(({ name }) => name === record.name);
      // A bridge that the user made stays; only what carries our mark was made by us.
      if (link?.alias === ownerOf(networkId)) this.#netlink.deleteLink(record.name);
      await this.#firewall.remove(record.name);
      this.#bridges.delete(networkId);
    }
  }

  list(): NetworkResource[] {
    return [...this.#networks.values()].map((record) => this.#resource(record));
  }

  inspect(nameOrId: string): NetworkResource {
    return this.#resource(this.#find(nameOrId));
  }

  createSandbox(containerId: string, options: { network?: string } = {}): Sandbox {
    // Left from a start that failed half-way: a start never inherits.
    this.removeSandbox(containerId);
    return this.#sandboxes.create(containerId, options.network === 'bridge' || options.network === 'default');
  }

  sandbox(containerId: string): Sandbox | undefined {
    return this.#sandboxes.get(containerId);
  }

  removeSandbox(containerId: string): void {
    const sandbox = this.#sandboxes.get(containerId);
    const endpoints = [...this.#endpoints].filter(([, endpoint]) => endpoint.containerId === containerId);
    if (sandbox === undefined && endpoints.length === 0) return;
    for (const [, endpoint] of endpoints) {
      const plumbed = plumbingOf(endpoint);
      if (plumbed !== undefined) this.#bridges.get(endpoint.networkId)?.abandon(plumbed, sandbox?.path ?? '');
    }
    this.#options.records.transaction(() => {
      for (const [key] of endpoints) this.#forget(key);
      this.#sandboxes.remove(containerId);
    });
  }

  attach(request: AttachRequest): EndpointSettings {
    const network = this.#find(request.network);
    const key = endpointKey(request.containerId, network.id);
    if (this.#endpoints.has(key)) {
      throw new EngineError(
        'conflict',
        `endpoint with name ${request.containerName} already exists in network ${network.name}`,
      );
    }
    const record = network.driver === 'bridge' ? this.#plumb(network, request) : noteOnly(network, request);
    try {
      this.#endpointRecords.put(key, record);
    } catch (error) {
      const plumbed = plumbingOf(record);
      if (plumbed !== undefined) this.#bridges.get(network.id)?.disconnect(plumbed);
      throw error;
    }
    this.#endpoints.set(key, record);
    this.#repairFirewall(network);
    return record.settings;
  }

  detach(containerId: string, network: string): void {
    const record = this.#find(network);
    const key = endpointKey(containerId, record.id);
    const endpoint = this.#endpoints.get(key);
    if (endpoint === undefined) {
      throw new EngineError(
        'not-found',
        `container ${containerId} is not connected to network ${record.name}`,
      );
    }
    const plumbed = plumbingOf(endpoint);
    if (plumbed !== undefined) this.#bridges.get(record.id)?.disconnect(plumbed);
    this.#forget(key);
  }

  sweep(keep: ReadonlySet<string>): void {
    const containers = new Set(this.#sandboxes.containers());
    for (const { containerId } of this.#endpoints.values()) containers.add(containerId);
    for (const containerId of containers) {
      const expected = this.#sandboxes.get(containerId) !== undefined;
      if (!keep.has(containerId) || (expected && !this.#sandboxes.isBound(containerId))) {
        this.removeSandbox(containerId);
      }
    }
    this.#sandboxes.sweepUnknown();
    const known = new Set([...this.#endpoints.values()].map(({ hostInterface }) => hostInterface));
    for (const { record } of this.#bridges.values()) {
      const bridge = this.#netlink.linkIndex(record.name);
      for (const name of this.#sandboxes.unusedLinks()) known.add(name);
      for (const { name, master } of this.#netlink.links()) {
        if (master === bridge && /^cor[0-9a-f]{7}$/.test(name) && !known.has(name))
          this.#netlink.deleteLink(name);
      }
    }
  }

  hostGateway(): string {
    return this.#bridgeOf(this.#find('bridge')).record.gateway;
  }

  async #bringUp(): Promise<void> {
    const record = this.#openDefaultBridge();
    this.#sandboxes.open();
    this.#enableForwarding();
    await this.#firewall.apply(rulesOf(record));
    if (await this.#firewall.foreignForwardDrop()) {
      const rule = (condition: string) => `iptables -I DOCKER-USER ${condition} -j ACCEPT`;
      this.#note(
        `another firewall on this machine (dockerd's, perhaps) drops forwarded packets by policy: containers on ` +
          `${record.name} reach the outside only after ${rule(`-i ${record.name}`)} and ` +
          rule(`-o ${record.name} -m conntrack --ctstate RELATED,ESTABLISHED`),
      );
    }
  }

  #openDefaultBridge(): { name: string; subnet: string } {
    const { bridge, bip, addressPools, mtu } = this.#options;
    const network = this.#find('bridge');
    const endpoints = this.#endpointsOf(network.id);
    const record = ensureBridge({
      netlink: this.#netlink,
      owner: ownerOf(network.id),
      before: network.bridge,
      name: bridge,
      address: bip,
      pools: addressPools ?? defaultAddressPools,
      mtu,
      avoid: nameservers(readHostResolvConf()).filter((server) => isIPv4(server)),
      inUse: endpoints.length > 0,
    });
    const opened = new BridgeNetwork(this.#netlink, record);
    for (const { settings } of endpoints) opened.adopt(settings.IPAddress);
    this.#bridges.set(network.id, opened);
    this.#save({ ...network, bridge: record });
    return record;
  }

  /** As dockerd does: without forwarding no container reaches anything but this machine. */
  #enableForwarding(): void {
    if (readFileSync(IP_FORWARD, 'utf8').trim() === '1') return;
    writeFileSync(IP_FORWARD, '1');
    this.#note(
      'net.ipv4.ip_forward was set to 1: this machine now forwards packets where its firewall lets them',
    );
  }

  /** Somebody flushed the machine's rules (a firewall's restart does): ours are written again, in the background. */
  #repairFirewall(network: NetworkRecord): void {
    const bridge = this.#bridges.get(network.id)?.record;
    if (bridge === undefined || this.#repairing || this.#netlink.firewallTableExists(tableName(bridge.name)))
      return;
    this.#repairing = true;
    this.#note(`the firewall table of ${bridge.name} had been removed by somebody: written again`);
    this.#firewall
      .apply(rulesOf(bridge))
      .catch((error: unknown) => this.#note(`cannot write the firewall table: ${errorMessage(error)}`))
      .finally(() => (this.#repairing = false));
  }

  #plumb(network: NetworkRecord, { containerId, containerName, settings }: AttachRequest): EndpointRecord {
    const bridge = this.#bridgeOf(network);
    const sandbox = this.#sandboxes.get(containerId);
    if (sandbox === undefined) {
      throw new EngineError('not-found', `Cannot attach ${containerName} to a network: it has no sandbox`);
    }
    const wanted = settings.IPAMConfig?.IPv4Address ?? '';
    if (wanted !== '' && network.name === 'bridge') {
      throw new EngineError(
        'invalid-parameter',
        'user specified IP address is supported on user defined networks only',
      );
    }
    const interfaces = new Set<string>();
    for (const endpoint of this.#endpoints.values()) {
      if (endpoint.containerId === containerId && endpoint.interface !== undefined) {
        interfaces.add(endpoint.interface);
      }
    }
    let number = 0;
    while (interfaces.has(`eth${number}`)) number++;
    let madeAhead = this.#sandboxes.takeLink(containerId);
    if (madeAhead !== undefined && (network.name !== 'bridge' || number !== 0)) {
      // Another network comes first after all, and `eth0` is its name to have.
      this.#netlink.deleteLink(madeAhead);
      madeAhead = undefined;
    }
    const made = bridge.connect({
      madeAhead,
      sandboxPath: sandbox.path,
      interface: `eth${number}`,
      mac: settings.MacAddress === undefined || settings.MacAddress === '' ? undefined : settings.MacAddress,
      address: wanted === '' ? undefined : wanted,
      defaultRoute: interfaces.size === 0,
    });
    return {
      containerId,
      containerName,
      networkId: network.id,
      interface: made.interface,
      hostInterface: made.hostInterface,
      settings: {
        ...endpointSettings(network, settings),
        MacAddress: made.mac,
        Gateway: made.gateway,
        IPAddress: made.address,
        IPPrefixLen: made.prefixLength,
      },
    };
  }

  #find(nameOrId: string): NetworkRecord {
    const exact = this.#networks.get(nameOrId) ?? this.#byName(nameOrId === 'default' ? 'bridge' : nameOrId);
    if (exact !== undefined) return exact;
    const matches = [...this.#networks.values()].filter(
      ({ id }) => nameOrId !== '' && id.startsWith(nameOrId),
    );
    const [match] = matches;
    if (match === undefined) throw new EngineError('not-found', `network ${nameOrId} not found`);
    if (matches.length > 1) {
      throw new EngineError(
        'invalid-parameter',
        `network ${nameOrId} is ambiguous (${matches.length} matches found based on ID prefix)`,
      );
    }
    return match;
  }

  #byName(name: string): NetworkRecord | undefined {
    return [...this.#networks.values()].find((network) => network.name === name);
  }

  #bridgeOf(network: NetworkRecord): BridgeNetwork {
    const bridge = this.#bridges.get(network.id);
    if (bridge === undefined) throw new EngineError('unavailable', `network ${network.name} is not up`);
    return bridge;
  }

  #endpointsOf(networkId: string): EndpointRecord[] {
    return [...this.#endpoints.values()].filter((endpoint) => endpoint.networkId === networkId);
  }

  #resource(record: NetworkRecord): NetworkResource {
    return networkResource(record, this.#endpointsOf(record.id));
  }

  #save(record: NetworkRecord): void {
    this.#networkRecords.put(record.id, record);
    this.#networks.set(record.id, record);
  }

  #forget(key: string): void {
    this.#endpointRecords.delete(key);
    this.#endpoints.delete(key);
  }

  #note(text: string): void {
    if (!this.notes.includes(text)) this.notes.push(text);
  }
}

const rulesOf = (bridge: { name: string; subnet: string }): BridgeRules => ({
  bridge: bridge.name,
  subnet: bridge.subnet,
  masquerade: true,
});

const ownerOf = (networkId: string): string => `coracle ${networkId}`;

function newNetwork(name: string, driver: NetworkDriver): NetworkRecord {
  const nanos = String(process.hrtime.bigint() % 1_000_000n).padStart(6, '0');
  const created = new Date().toISOString().replace('Z', `${nanos}Z`);
  return { id: randomBytes(32).toString('hex'), name, driver, created, labels: {} };
}

/** Members in the order in which Docker writes them. */
function endpointSettings(network: NetworkRecord, asked: Partial<EndpointSettings>): EndpointSettings {
  return {
    IPAMConfig: asked.IPAMConfig ?? null,
    Links: asked.Links ?? null,
    Aliases: asked.Aliases ?? null,
    MacAddress: '',
    DriverOpts: asked.DriverOpts ?? null,
    GwPriority: asked.GwPriority ?? 0,
    NetworkID: network.id,
    EndpointID: randomBytes(32).toString('hex'),
    Gateway: '',
    IPAddress: '',
    IPPrefixLen: 0,
    IPv6Gateway: '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    DNSNames: null,
  };
}

/** `host` and `none` give nothing but show who uses them. */
function noteOnly(network: NetworkRecord, request: AttachRequest): EndpointRecord {
  const { containerId, containerName, settings } = request;
  return { containerId, containerName, networkId: network.id, settings: endpointSettings(network, settings) };
}

function plumbingOf(
  endpoint: EndpointRecord,
): { interface: string; hostInterface: string; address: string } | undefined {
  const { interface: name, hostInterface, settings } = endpoint;
  if (name === undefined || hostInterface === undefined) return undefined;
  return { interface: name, hostInterface, address: settings.IPAddress };
}
