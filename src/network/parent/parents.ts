import { EngineError, errorMessage, SyscallError } from '../../errors/index.ts';
import type { Netlink, NetworkLosses } from '../../sys/index.ts';
import { addressesOf, givenOf, linkSettings } from '../endpoint.ts';
import type { EndpointRecord, NetworkRecord, ParentRecord } from '../network-records.ts';
import type { NetworkTable } from '../network-table.ts';
import { ParentNetwork } from './parent-network.ts';
import { childKind, parseVlan } from './parent-options.ts';

/** The networks on links of the host (macvlan, ipvlan) that are up: their parents found, made and removed again. */
export class Parents {
  readonly #netlink: Netlink;
  readonly #table: NetworkTable;
  readonly #sandboxPath: (containerId: string) => string | undefined;
  readonly #note: (text: string) => void;
  /** By network. */
  readonly #open = new Map<string, ParentNetwork>();
  /** Those of them that a container has no link to. */
  readonly #incomplete = new Set<string>();

  constructor(parts: {
    netlink: Netlink;
    table: NetworkTable;
    /** Undefined when it has none, also after a reboot. */
    sandboxPath: (containerId: string) => string | undefined;
    note: (text: string) => void;
  }) {
    this.#netlink = parts.netlink;
    this.#table = parts.table;
    this.#sandboxPath = parts.sandboxPath;
    this.#note = parts.note;
  }

  find(networkId: string): ParentNetwork | undefined {
    return this.#open.get(networkId);
  }

  /**
   * Finds or makes the parent; containers whose links went with another get them again.
   * @returns the record, which knows whether the parent was made
   * @throws {EngineError} `internal` with dockerd's texts; nothing is made then.
   */
  raise(network: NetworkRecord): NetworkRecord {
    const { driver, parent, pools = [] } = network;
    if (parent === undefined || (driver !== 'macvlan' && driver !== 'ipvlan')) return network;
    this.#checkSharing(network, parent);
    const record = { ...parent, made: this.#ensureParent(parent) };
    const opened = new ParentNetwork(this.#netlink, record, pools, childKind(driver, record));
    this.#open.set(network.id, opened);
    for (const endpoint of this.#table.endpointsOf(network)) opened.addresses.adopt(addressesOf(endpoint));
    this.#reconnectAll(network.id, opened);
    return { ...network, parent: record };
  }

  #reconnectAll(id: string, network: ParentNetwork): void {
    this.#incomplete.delete(id);
    for (const endpoint of this.#table.endpointsOf({ id })) {
      try {
        this.#reconnect(endpoint, network);
      } catch (error) {
        this.#incomplete.add(id);
        this.#note(`${endpoint.containerName} is not back on ${network.record.name}: ${errorMessage(error)}`);
      }
    }
  }

  #reconnect(endpoint: EndpointRecord, network: ParentNetwork): void {
    const { containerId, interface: name, settings, isGateway, isGateway6 } = endpoint;
    const sandboxPath = this.#sandboxPath(containerId);
    if (name === undefined || sandboxPath === undefined) return;
    const request = {
      sandboxPath,
      interface: name,
      mac: undefined,
      asked: {},
      families: [],
      routes: [...(isGateway === true ? ([4] as const) : []), ...(isGateway6 === true ? ([6] as const) : [])],
      madeAhead: undefined,
      ...linkSettings(settings),
    };
    const hasLink = (inside: Netlink): boolean => inside.linkIndex(name) !== undefined;
    if (this.#netlink.inNamespace(sandboxPath, hasLink)) return;
    network.plumb(request, givenOf(endpoint), settings.MacAddress);
  }

  /** Looks after parents that somebody took, and those that are there again. */
  repair({ links, newLinks, unknown }: NetworkLosses): void {
    const lost = new Set<string>();
    for (const [id, { record, linkIndex }] of this.#open) {
      if (!unknown && !links.has(linkIndex)) continue;
      if (this.#netlink.linkIndex(record.name) === linkIndex) continue;
      this.#open.delete(id);
      lost.add(id);
      this.#note(`somebody deleted ${record.name}, which a network stands on`);
    }
    if (!unknown && !newLinks && lost.size === 0) return;
    for (const network of this.#table.networks()) {
      const { id, name, parent } = network;
      const opened = this.#open.get(id);
      // A parent comes first and is up afterwards.
      if (opened !== undefined && this.#incomplete.has(id)) this.#reconnectAll(id, opened);
      if (parent === undefined || opened !== undefined) continue;
      try {
        this.#table.save(this.raise(network));
        this.#note(`network ${name} is up again on ${parent.name}`);
      } catch (error) {
        // Tried with each link that comes.
        if (lost.has(id)) this.#note(`network ${name} is not up: ${errorMessage(error)}`);
      }
    }
  }

  /** The last network on a link that was made for it takes it away. */
  dismantle(network: NetworkRecord): void {
    this.#open.delete(network.id);
    this.#incomplete.delete(network.id);
    this.#table.remove(network.id);
    const { parent } = network;
    if (parent === undefined || parent.made === 'no' || this.#others(network, parent).length > 0) return;
    this.#netlink.deleteLink(parent.name);
  }

  /** Takes away the links that were made for networks that no container uses. */
  close(): void {
    const used = new Set<string>();
    for (const [id, { record }] of this.#open)
      if (this.#table.endpointsOf({ id }).length > 0) used.add(record.name);
    for (const [id, { record }] of this.#open) {
      if (used.has(record.name)) continue;
      if (record.made !== 'no') this.#netlink.deleteLink(record.name);
      this.#open.delete(id);
    }
  }

  #others(network: NetworkRecord, { name }: ParentRecord): NetworkRecord[] {
    return this.#table.networks().filter(({ id, parent }) => id !== network.id && parent?.name === name);
  }

  /** Which networks bear each other on one parent. */
  #checkSharing(network: NetworkRecord, parent: ParentRecord): void {
    for (const other of this.#others(network, parent)) {
      let refusal: string | undefined;
      if (network.driver === 'ipvlan' || other.driver === 'ipvlan')
        refusal = `network di-${other.id.slice(0, 12)} is already using parent interface ${parent.name}`;
      else if (parent.mode === 'passthru')
        refusal = `cannot use mode passthru, macvlan network ${other.id} is already using parent interface ${parent.name}`;
      else if (other.parent?.mode === 'passthru')
        refusal = `macvlan network ${other.id} is already using parent interface ${parent.name} in mode passthru`;
      if (refusal !== undefined) throw new EngineError('internal', refusal);
    }
  }

  #ensureParent({ name, made }: ParentRecord): ParentRecord['made'] {
    const exists = (link: string): boolean => this.#netlink.linkIndex(link) !== undefined;
    if (exists(name)) {
      const shared = this.#table
        .networks()
        .find(({ parent }) => parent?.name === name && parent.made !== 'no');
      return shared?.parent?.made ?? made;
    }
    if (made === 'dummy') this.#makeDummy(name);
    else {
      const vlan = parseVlan(name, exists);
      this.#make(name, `${name} vlan link`, () => this.#netlink.createLink(name, { kind: 'vlan', ...vlan }));
    }
    return made === 'dummy' ? 'dummy' : 'vlan';
  }

  #makeDummy(name: string): void {
    this.#make(name, 'the parent link', () => {
      try {
        this.#netlink.createLink(name, { kind: 'dummy' });
      } catch (error) {
        if (!(error instanceof SyscallError && error.errno === 'ENOTSUP')) throw error;
        // A kernel without dummies: a bridge without ports leads nowhere as well.
        this.#netlink.createBridge(name);
      }
    });
  }

  #make(name: string, what: string, make: () => void): void {
    try {
      make();
    } catch (error) {
      throw new EngineError('internal', `failed to create ${what}: ${errorMessage(error)}`, { cause: error });
    }
    try {
      this.#netlink.setLink(name, { up: true });
    } catch (error) {
      this.#netlink.deleteLink(name);
      throw error;
    }
  }
}
