import { randomBytes } from 'node:crypto';
import type { Netlink } from '../../sys/index.ts';
import { NetworkAddresses, type GivenAddresses } from '../ipam/index.ts';
import {
  configureLink,
  macOf,
  type ConnectRequest,
  type DefaultRoutes,
  type LinkedEndpoint,
  type LinkedNetwork,
  type Plumbing,
} from '../linked-network.ts';
import type { BridgeRecord, PoolRecord } from '../network-records.ts';

/** One bridge that is up, and the addresses of its subnets. */
export class BridgeNetwork implements LinkedNetwork {
  readonly record: BridgeRecord;
  readonly pools: readonly PoolRecord[];
  readonly addresses: NetworkAddresses;
  readonly interfacePrefix: string;
  readonly internal: boolean;
  /** Of the link as it is now: another one under its name has another. */
  readonly linkIndex: number;
  readonly #netlink: Netlink;

  constructor(netlink: Netlink, record: BridgeRecord, pools: readonly PoolRecord[]) {
    this.record = record;
    this.pools = pools;
    this.addresses = new NetworkAddresses(pools);
    this.interfacePrefix = record.interfacePrefix ?? 'eth';
    this.internal = record.internal === true;
    this.#netlink = netlink;
    this.linkIndex = netlink.linkIndex(record.name) ?? 0;
  }

  /** A veth pair from the bridge into the namespace, its end there still down. Returns the name of the host's end. */
  makeLink(sandboxPath: string, name: string, mac?: string): string {
    const hostInterface = `cor${randomBytes(4).toString('hex').slice(0, 7)}`;
    this.#netlink.createVeth({
      name: hostInterface,
      bridge: this.record.name,
      peerName: name,
      peerNamespace: sandboxPath,
      ...(mac === undefined ? {} : { peerMac: mac }),
      mtu: this.record.mtu,
    });
    this.#isolate(hostInterface);
    return hostInterface;
  }

  /** What a link is told when it has become a port of the bridge. */
  setPort(hostInterface: string, mac: string): void {
    this.#isolate(hostInterface);
    this.#netlink.setBridgePortMac(hostInterface, mac);
  }

  #isolate(hostInterface: string): void {
    if (this.record.neighbours === false) this.#netlink.setBridgePort(hostInterface, { isolated: true });
  }

  connect(request: ConnectRequest): LinkedEndpoint {
    const { interface: name, sandboxPath } = request;
    const given = this.addresses.take(request.asked, request.families);
    let hostInterface = request.madeAhead;
    try {
      const mac = request.mac ?? macOf(given);
      hostInterface ??= this.makeLink(sandboxPath, name, mac);
      const link = {
        mac: request.madeAhead === undefined ? undefined : mac,
        given,
        routes: this.defaultRoutes(given),
        refusesRouters: true,
      };
      this.#netlink.inNamespace(sandboxPath, (inside) => configureLink(inside, request, link));
      this.#netlink.setBridgePortMac(hostInterface, mac);
      return { interface: name, hostInterface, given, mac };
    } catch (error) {
      if (hostInterface !== undefined) this.#netlink.deleteLink(hostInterface);
      this.addresses.release(addressesOf(given));
      throw error;
    }
  }

  async disconnect(plumbing: Plumbing): Promise<void> {
    if (plumbing.hostInterface !== undefined) await this.#netlink.deleteLinkAside(plumbing.hostInterface);
    this.addresses.release(plumbing.addresses);
  }

  /**
   * The kernel deletes the link with its namespace, but later. Until then it would answer for an address that is free
   * again, so that the address is taken off it now.
   */
  abandon(plumbing: Plumbing, sandboxPath: string): void {
    try {
      this.#netlink.inNamespace(sandboxPath, (inside) => {
        for (const address of plumbing.addresses)
          inside.removeAddress(plumbing.interface, this.addresses.withPrefix(address));
      });
    } catch {
      // The namespace is gone, or the container renamed or took away its link.
      if (plumbing.hostInterface !== undefined) this.#netlink.deleteLink(plumbing.hostInterface);
    }
    this.addresses.release(plumbing.addresses);
  }

  defaultRoutes(given: GivenAddresses): DefaultRoutes {
    if (this.internal) return {};
    const routes: { 4?: { gateway: string }; 6?: { gateway: string } } = {};
    for (const family of [4, 6] as const) {
      const gateway = given[family]?.gateway;
      if (gateway !== undefined) routes[family] = { gateway };
    }
    return routes;
  }
}

const addressesOf = (given: GivenAddresses): string[] => Object.values(given).map(({ address }) => address);
