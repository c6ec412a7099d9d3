import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError, errorMessage } from '../errors/index.ts';
import type { EventBus } from '../events/index.ts';
import type { Records } from '../records/index.ts';
import type { EndpointSettings, NetworkResource, PortBinding } from '../spec/index.ts';
import type { DescriptorWatcher, Netlink, NetworkLosses, ProcessSpawner, Syscall } from '../sys/index.ts';
import { Attachments } from './attachments.ts';
import { Bridges, type BridgesOptions } from './bridge/bridges.ts';
import { directoryOf } from './directory.ts';
import { NameServers, type NameOptions, type NamesKeeper } from './dns/index.ts';
import { isConfined } from './confinement.ts';
import { checkEndpoint, noteOnly, plumbingOf } from './endpoint.ts';
import type { LinkedNetwork } from './linked-network.ts';
import type { EndpointRecord } from './network-records.ts';
import { NetworkLives } from './network-lives.ts';
import { NetworkTable } from './network-table.ts';
import type { AttachRequest, ContainerLinkPorts, Networks, Sandbox } from './networks.ts';
import { Firewall } from './nftables/firewall.ts';
import { ForeignForwarding } from './nftables/foreign-forwarding.ts';
import { Nft } from './nftables/nft.ts';
import { Parents } from './parent/parents.ts';
import {
  PortAllocator,
  portMap,
  PublishedPorts,
  type PortTarget,
  type PublishRequest,
} from './ports/index.ts';
import { Repairs } from './repairs.ts';
import { Sandboxes } from './sandboxes.ts';
import type { NetworkCreate } from './user-network.ts';

/** `bridge` absent: the default network's link is `coracle0`, or the next that is free; else it is adopted where it is there. */
export interface BridgeNetworksOptions extends BridgesOptions {
  syscall: Pick<
    Syscall,
    | 'createNetworkNamespace'
    | 'removeNetworkNamespace'
    | 'inNetworkNamespace'
    | 'socket'
    | 'bind'
    | 'connect'
    | 'close'
    | 'copyDescriptor'
  >;
  netlink: Netlink;
  spawner: Pick<ProcessSpawner, 'run'>;
  watcher: Pick<DescriptorWatcher, 'openDatagrams'>;
  /** Tells what is taken away from bridges and tables while the engine runs; absent: it is found at the next attach(). */
  watchLosses?: (onLosses: (losses: NetworkLosses) => void) => Disposable;
  /** Answers names, and hands on what comes to ports of IPv6, when this engine is dead; absent: nobody does. */
  namesKeeper?: NamesKeeper;
  records: Records;
  events?: EventBus;
  /** Sandboxes are bound in its `netns`. */
  execRoot: string;
  /** Namespaces made ahead, 0 for none; default 4. */
  sandboxesAhead?: number | undefined;
}

/** Networks on Linux bridges and on links of the host, with rtnetlink and one nftables table for each bridge. */
export class BridgeNetworks implements Networks {
  readonly notes: string[] = [];
  readonly #options: BridgeNetworksOptions;
  readonly #netlink: Netlink;
  readonly #firewall: Firewall;
  readonly #sandboxes: Sandboxes;
  readonly #table: NetworkTable;
  readonly #ports: PublishedPorts;
  readonly #names: NameServers;
  readonly #bridges: Bridges;
  readonly #repairs: Repairs;
  #watch: Disposable | undefined;
  readonly #parents: Parents;
  readonly #lives: NetworkLives;
  readonly #attachments: Attachments;

  constructor(options: BridgeNetworksOptions) {
    const { records, syscall } = options;
    this.#options = options;
    this.#netlink = options.netlink;
    const nft = new Nft(options.spawner);
    this.#firewall = new Firewall({
      nft,
      netlink: options.netlink,
      onFailure: (message) => this.#note(message),
    });
    this.#table = new NetworkTable(records);
    this.#ports = new PublishedPorts({
      allocator: new PortAllocator(syscall),
      firewall: this.#firewall,
      isGated: options.publishPolicy === 'host-firewall',
      syscall,
      usesProxies: options.usesProxies !== false,
      isConfined: (client) => isConfined(this.#table, client),
      records: records.collection('network-ports'),
      forgetUdpFlows: (ports) => this.#netlink.forgetUdpFlows(ports),
      onFailure: (message) => this.#note(message),
    });
    const foreign = new ForeignForwarding({
      spawner: options.spawner,
      netlink: this.#netlink,
      isAllowed: options.iptables !== false,
      note: (text) => this.#note(text),
      onActive: () =>
        void this.#bridges.applyFirewall().catch((error: unknown) => this.#note(errorMessage(error))),
    });
    this.#bridges = new Bridges({
      netlink: this.#netlink,
      firewall: this.#firewall,
      foreign,
      table: this.#table,
      options,
      forwardsInto: (networkId) => this.#ports.forwardsInto(networkId),
      note: (text) => this.#note(text),
      onReconnected: (endpoint) => this.#onReconnected(endpoint),
    });
    this.#names = new NameServers({
      syscall,
      netlink: options.netlink,
      watcher: options.watcher,
      records: records.collection('network-names'),
      directory: directoryOf(this.#table),
    });
    this.#sandboxes = new Sandboxes({
      syscall,
      directory: join(options.execRoot, 'netns'),
      records: records.collection('network-sandboxes'),
      aheadCount: options.sandboxesAhead ?? 4,
      link: (path) => this.#bridges.find(this.#table.find('bridge').id)?.makeLink(path, 'eth0'),
    });
    this.#parents = new Parents({
      netlink: this.#netlink,
      table: this.#table,
      sandboxPath: (id) => (this.#sandboxes.isBound(id) ? this.#sandboxes.get(id)?.path : undefined),
      note: (text) => this.#note(text),
    });
    this.#repairs = new Repairs((losses) => {
      this.#bridges.repair(losses);
      this.#parents.repair(losses);
    });
    this.#lives = new NetworkLives({
      table: this.#table,
      bridges: this.#bridges,
      parents: this.#parents,
      events: options.events,
      note: (text) => this.#note(text),
    });
    this.#attachments = new Attachments({
      netlink: this.#netlink,
      table: this.#table,
      sandboxes: this.#sandboxes,
      linked: (network) => this.#parents.find(network.id) ?? this.#bridges.get(network),
      onRouted: (containerId, endpoint) => this.#movePorts(containerId, endpoint),
    });
  }

  async open(): Promise<void> {
    this.#lives.makePredefined();
    try {
      await this.#options.namesKeeper?.dismiss();
      await this.#bringUp();
      this.#watch ??= this.#options.watchLosses?.((losses) => this.#repairs.note(losses));
    } catch (error) {
      await this.close().catch(() => {});
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#watch?.[Symbol.dispose]();
    this.#watch = undefined;
    this.#repairs.close();
    this.#sandboxes.close();
    const isAsked = this.#names.known().length > 0 || this.#ports.needsProxies;
    this.#ports.close();
    this.#names.close();
    await this.#options.namesKeeper?.close(isAsked);
    this.#parents.close();
    await this.#bridges.close();
  }

  list(): NetworkResource[] {
    return this.#lives.list();
  }

  inspect(nameOrId: string): NetworkResource {
    return this.#lives.inspect(nameOrId);
  }

  nameOf(nameOrId: string): string {
    return this.#table.find(nameOrId).name;
  }

  driverOf(networkId: string): string {
    return this.#table.network(networkId)?.driver ?? 'bridge';
  }

  create(request: NetworkCreate): Promise<{ id: string }> {
    return this.#lives.create(request);
  }

  remove(nameOrId: string): Promise<void> {
    return this.#lives.remove(nameOrId);
  }

  prune(isChosen: (network: NetworkResource) => boolean): Promise<string[]> {
    return this.#lives.prune(isChosen);
  }

  #linked(networkId: string): LinkedNetwork | undefined {
    return this.#parents.find(networkId) ?? this.#bridges.find(networkId);
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
    const endpoints = this.#table.endpointsIn(containerId);
    if (sandbox === undefined && endpoints.length === 0) return;
    this.#names.stop(containerId);
    this.#ports.withdraw(containerId);
    for (const endpoint of endpoints) {
      const plumbed = plumbingOf(endpoint);
      const linked = this.#linked(endpoint.networkId);
      if (plumbed === undefined || linked === undefined) continue;
      this.#bridges.dismiss(endpoint);
      linked.abandon(plumbed, sandbox?.path ?? '');
    }
    this.#options.records.transaction(() => {
      for (const endpoint of endpoints) this.#table.removeEndpoint(endpoint);
      this.#sandboxes.remove(containerId);
    });
  }

  attach(request: AttachRequest): EndpointSettings {
    const network = this.#table.find(request.network);
    if (this.#table.endpoint(request.containerId, network.id) !== undefined) {
      throw new EngineError(
        'conflict',
        `endpoint with name ${request.containerName} already exists in network ${network.name}`,
      );
    }
    if (network.user?.configOnly === true)
      throw new EngineError('forbidden', 'cannot create endpoint on configuration-only network');
    const isNoted = network.driver === 'host' || network.driver === 'null';
    const { links = [] } = request;
    const record: EndpointRecord = {
      ...(isNoted ? noteOnly(network, request) : this.#attachments.plumb(network, request)),
      ...(links.length === 0 ? {} : { links }),
    };
    try {
      this.#table.saveEndpoint(record);
    } catch (error) {
      void this.#unplumb(record).catch((left: unknown) => this.#note(errorMessage(left)));
      throw error;
    }
    this.#bridges.admit(record);
    const hasRoutes = record.isGateway === true && record.isGateway6 === true;
    if (!hasRoutes && this.#table.endpointsIn(request.containerId).length > 1)
      this.#attachments.chooseGateways(request.containerId);
    this.#bridges.repairFirewall(network);
    return record.settings;
  }

  checkEndpoint(nameOrId: string, settings: Partial<EndpointSettings>): void {
    const network = this.#table.search(nameOrId);
    checkEndpoint(network, network?.name ?? nameOrId, settings);
  }

  async detach(containerId: string, network: string): Promise<void> {
    const record = this.#table.find(network);
    const endpoint = this.#table.endpoint(containerId, record.id);
    if (endpoint === undefined) {
      throw new EngineError(
        'not-found',
        `container ${containerId} is not connected to network ${record.name}`,
      );
    }
    this.#bridges.dismiss(endpoint);
    await this.#unplumb(endpoint);
    this.#table.removeEndpoint(endpoint);
    if (endpoint.isGateway !== true && endpoint.isGateway6 !== true) return;
    this.#attachments.chooseGateways(containerId);
    if (!this.#hasGateway(containerId)) this.#movePorts(containerId, undefined);
  }

  changeLinks(containerId: string, network: string, links: readonly ContainerLinkPorts[]): void {
    const before = this.#table.endpoint(containerId, this.#table.find(network).id);
    if (before === undefined) return;
    const endpoint = { ...before, links };
    this.#table.saveEndpoint(endpoint);
    this.#bridges.relink(before, endpoint);
  }

  async #unplumb(endpoint: EndpointRecord): Promise<void> {
    const plumbed = plumbingOf(endpoint);
    const path = this.#sandboxes.get(endpoint.containerId)?.path ?? '';
    if (plumbed !== undefined) await this.#linked(endpoint.networkId)?.disconnect(plumbed, path);
  }

  #hasGateway(containerId: string): boolean {
    return this.#table
      .endpointsIn(containerId)
      .some(({ isGateway, isGateway6 }) => isGateway === true || isGateway6 === true);
  }

  publish(containerId: string, request: PublishRequest): Record<string, PortBinding[]> {
    const endpoints = this.#table.endpointsIn(containerId);
    const endpoint =
      endpoints.find(({ isGateway }) => isGateway === true) ??
      endpoints.find(({ isGateway6 }) => isGateway6 === true);
    const target = endpoint === undefined ? undefined : this.#targetOf(endpoint);
    if (endpoint === undefined || target === undefined) return {};
    try {
      this.#openWays(endpoint, target);
      const ports = this.#ports.publish(containerId, target, request);
      if (this.#ports.needsProxies) this.#appointKeeper();
      return portMap(ports);
    } catch (error) {
      const { EndpointID: id } = endpoint.settings;
      throw new EngineError(
        error instanceof EngineError ? error.kind : 'internal',
        `failed to set up container networking: driver failed programming external connectivity on endpoint ` +
          `${endpoint.containerName} (${id}): ${errorMessage(error)}`,
        { cause: error },
      );
    }
  }

  portSockets(containerId: string): readonly number[] {
    return this.#ports.sockets(containerId);
  }

  closePortSockets(containerId: string): void {
    this.#ports.closeSockets(containerId);
  }

  answerNames(containerId: string, options: NameOptions): void {
    const sandbox = this.#sandboxes.get(containerId);
    const isAsked = this.#table
      .endpointsIn(containerId)
      .some(({ networkId }) => this.#table.network(networkId)?.user !== undefined);
    if (sandbox === undefined || !isAsked) return;
    this.#names.serve(containerId, sandbox.path, options);
    this.#appointKeeper();
  }

  #appointKeeper(): void {
    try {
      this.#options.namesKeeper?.appoint();
    } catch (error) {
      this.#note(`names and ports of IPv6 need the engine alive: ${errorMessage(error)}`);
    }
  }

  rename(containerId: string, name: string): void {
    for (const endpoint of this.#table.endpointsIn(containerId)) {
      const { settings, containerName } = endpoint;
      const names = settings.DNSNames?.map((known) => (known === containerName ? name : known)) ?? null;
      this.#table.saveEndpoint({
        ...endpoint,
        containerName: name,
        settings: { ...settings, DNSNames: names },
      });
    }
  }

  sweep(
    keep: ReadonlySet<string>,
    monitorOf: (containerId: string) => number | undefined = () => undefined,
  ): void {
    const containers = new Set(this.#sandboxes.containers());
    for (const { containerId } of this.#table.endpoints()) containers.add(containerId);
    for (const containerId of containers) {
      const expected = this.#sandboxes.get(containerId) !== undefined;
      if (!keep.has(containerId) || (expected && !this.#sandboxes.isBound(containerId))) {
        this.removeSandbox(containerId);
      }
    }
    this.#sandboxes.sweepUnknown();
    this.#ports.resumeProxies(monitorOf);
    if (this.#ports.needsProxies) this.#appointKeeper();
    for (const containerId of this.#names.known()) this.#resumeNames(containerId);
    const known = new Set(this.#table.endpoints().map(({ hostInterface }) => hostInterface));
    for (const { record } of this.#bridges.all()) {
      const bridge = this.#netlink.linkIndex(record.name);
      for (const name of this.#sandboxes.unusedLinks()) known.add(name);
      for (const { name, master } of this.#netlink.links()) {
        if (master === bridge && /^cor[0-9a-f]{7}$/.test(name) && !known.has(name))
          this.#netlink.deleteLink(name);
      }
    }
  }

  /** What an engine before this one answered. */
  #resumeNames(containerId: string): void {
    const sandbox = this.#sandboxes.get(containerId);
    if (sandbox === undefined) return this.#names.stop(containerId);
    try {
      this.#names.serve(containerId, sandbox.path);
      this.#appointKeeper();
    } catch (error) {
      this.#note(`names in ${containerId}: ${errorMessage(error)}`);
    }
  }

  hostGateway(): string[] {
    const { pools } = this.#bridges.get(this.#table.find('bridge'));
    return pools.flatMap(({ gateway }) => gateway ?? []);
  }

  async #bringUp(): Promise<void> {
    this.#bridges.openDefault();
    this.#bridges.openGate();
    this.#sandboxes.open();
    this.#lives.raiseAll();
    await this.#bridges.applyFirewall();
  }

  /** Published ports follow the default route of IPv4, where there is none that of IPv6. */
  #movePorts(containerId: string, endpoint: EndpointRecord | undefined): void {
    if (!this.#ports.has(containerId)) return;
    const target = endpoint === undefined ? undefined : this.#targetOf(endpoint);
    if (endpoint !== undefined && target !== undefined) this.#openWays(endpoint, target);
    this.#ports.move(containerId, target);
  }

  /**
   * From the host's loopback addresses, and from the container to itself by the host's port: where bridged packets pass
   * the host's firewall (br_netfilter), these never leave the bridge, and go out where they came in.
   */
  #openWays({ hostInterface }: EndpointRecord, { bridge }: PortTarget): void {
    allowLoopback(bridge);
    if (hostInterface !== undefined) this.#netlink.setBridgePort(hostInterface, { hairpin: true });
  }

  #onReconnected(endpoint: EndpointRecord | undefined): void {
    if (endpoint === undefined) {
      // Links made ahead led to the bridge that is gone.
      this.#sandboxes.close();
      this.#sandboxes.open();
    } else if (endpoint.isGateway === true && this.#ports.has(endpoint.containerId)) {
      const target = this.#targetOf(endpoint);
      if (target !== undefined) this.#openWays(endpoint, target);
    }
  }

  #targetOf({ networkId, settings }: EndpointRecord): PortTarget | undefined {
    const bridge = this.#bridges.find(networkId)?.record;
    if (bridge === undefined) return undefined;
    const { gatewayMode4, gatewayMode6, trustedLinks = [], hostAddress } = bridge;
    const families = [4, 6] as const;
    const routed = families.filter((family) => (family === 4 ? gatewayMode4 : gatewayMode6) === 'routed');
    return {
      networkId,
      bridge: bridge.name,
      address: settings.IPAddress,
      address6: settings.GlobalIPv6Address,
      routed,
      direct: trustedLinks.length > 0 ? families : routed,
      ...(hostAddress === undefined ? {} : { defaultAddress: hostAddress }),
    };
  }

  #note(text: string): void {
    if (!this.notes.includes(text)) this.notes.push(text);
  }
}

/**
 * Lets packets of the host's own loopback addresses pass to containers (their source is changed on the way). The table's
 * first rule drops what containers send to such addresses.
 */
function allowLoopback(bridge: string): void {
  const path = `/proc/sys/net/ipv4/conf/${bridge}/route_localnet`;
  if (readFileSync(path, 'utf8').trim() !== '1') writeFileSync(path, '1');
}
