import { EngineError, errorMessage, SyscallError } from '../../errors/index.ts';
import type { LinkKind, Netlink } from '../../sys/index.ts';
import { NetworkAddresses, type GivenAddresses } from '../ipam/index.ts';
import {
  configureLink,
  macOf,
  type ConnectRequest,
  type DefaultRoute,
  type DefaultRoutes,
  type LinkedEndpoint,
  type LinkedNetwork,
  type Plumbing,
} from '../linked-network.ts';
import type { ParentRecord, PoolRecord } from '../network-records.ts';

/** How containers' links stand on the parent. */
export type ChildKind = Extract<LinkKind, { kind: 'macvlan' | 'ipvlan' }>;

/**
 * A network whose containers have links of their own on one link of the host, the parent (macvlan, ipvlan): they appear
 * beside the host on its network, and neither its bridge nor its firewall is in between.
 */
export class ParentNetwork implements LinkedNetwork {
  readonly record: ParentRecord;
  readonly addresses: NetworkAddresses;
  readonly interfacePrefix = 'eth';
  readonly internal: boolean;
  /** Of the parent as it is now: another one under its name has another. */
  readonly linkIndex: number;
  readonly #netlink: Netlink;
  readonly #child: ChildKind;

  constructor(netlink: Netlink, record: ParentRecord, pools: readonly PoolRecord[], child: ChildKind) {
    this.record = record;
    this.addresses = new NetworkAddresses(pools);
    this.internal = record.internal;
    this.#netlink = netlink;
    this.#child = child;
    this.linkIndex = netlink.linkIndex(record.name) ?? 0;
  }

  connect(request: ConnectRequest): LinkedEndpoint {
    // Links of ipvlan all have their parent's.
    if (this.#child.kind === 'ipvlan' && request.mac !== undefined)
      throw new EngineError('internal', 'ipvlan interfaces do not support custom mac address assignment');
    const given = this.addresses.take(request.asked, request.families);
    const mac = this.#child.kind === 'ipvlan' ? '' : (request.mac ?? macOf(given));
    try {
      this.plumb(request, given, mac);
      return { interface: request.interface, given, mac };
    } catch (error) {
      this.addresses.release(Object.values(given).map(({ address }) => address));
      throw error;
    }
  }

  /**
   * The link of an endpoint that has its addresses already.
   * @param mac '' for the parent's
   * @throws as connect(); nothing is left then
   */
  plumb(request: ConnectRequest, given: GivenAddresses, mac: string): void {
    const { interface: name, sandboxPath } = request;
    this.#makeLink(name, sandboxPath, mac);
    // The parent's network may have routers that tell what the engine does not know.
    const link = { mac: undefined, given, routes: this.defaultRoutes(given), refusesRouters: false };
    try {
      this.#netlink.inNamespace(sandboxPath, (inside) => configureLink(inside, request, link));
    } catch (error) {
      this.#deleteLink(name, sandboxPath);
      throw error;
    }
  }

  #makeLink(name: string, namespace: string, mac: string): void {
    const { kind, parent } = this.#child;
    const { mtu } = this.record;
    try {
      this.#netlink.createLink(name, this.#child, {
        namespace,
        ...(mac === '' ? {} : { mac }),
        ...(mtu === undefined ? {} : { mtu }),
      });
    } catch (error) {
      if (error instanceof SyscallError && error.errno === 'ENODEV')
        throw new EngineError(
          'internal',
          `the requested parent interface ${parent} was not found on the Docker host`,
          { cause: error },
        );
      throw new EngineError('internal', `failed to create the ${kind} port: ${errorMessage(error)}`, {
        cause: error,
      });
    }
  }

  disconnect(plumbing: Plumbing, sandboxPath: string): Promise<void> {
    this.abandon(plumbing, sandboxPath);
    return Promise.resolve();
  }

  /** The link goes now: a parent does not take two with the same MAC, or two in passthru mode. */
  abandon(plumbing: Plumbing, sandboxPath: string): void {
    this.#deleteLink(plumbing.interface, sandboxPath);
    this.addresses.release(plumbing.addresses);
  }

  #deleteLink(name: string, sandboxPath: string): void {
    try {
      this.#netlink.inNamespace(sandboxPath, (inside) => inside.deleteLink(name));
    } catch (error) {
      // The namespace is gone already, and the link with it.
      if (!(error instanceof SyscallError)) throw error;
    }
  }

  defaultRoutes(given: GivenAddresses): DefaultRoutes {
    if (this.internal) return {};
    const routes: { 4?: DefaultRoute; 6?: DefaultRoute } = {};
    const isLayer3 = this.#child.kind === 'ipvlan' && this.#child.mode !== 'l2';
    for (const family of [4, 6] as const) {
      const one = given[family];
      if (one === undefined) continue;
      if (isLayer3) routes[family] = { link: true };
      else if (one.gateway !== undefined) routes[family] = { gateway: one.gateway };
    }
    return routes;
  }
}
