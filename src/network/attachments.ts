import { EngineError } from '../errors/index.ts';
import type { Netlink } from '../sys/index.ts';
import {
  addressSettings,
  askedAddresses,
  checkEndpoint,
  dnsNames,
  endpointOptions,
  endpointSettings,
  givenOf,
  linkSettings,
} from './endpoint.ts';
import type { Family } from './ipam/index.ts';
import { addDefaultRoute, type DefaultRoutes, type LinkedNetwork } from './linked-network.ts';
import type { EndpointRecord, NetworkRecord } from './network-records.ts';
import type { NetworkTable } from './network-table.ts';
import type { AttachRequest } from './networks.ts';
import type { Sandboxes } from './sandboxes.ts';

const families: readonly Family[] = [4, 6];

interface Candidate {
  endpoint: EndpointRecord;
  routes: DefaultRoutes;
  name: string;
}

/** Containers' links in networks, and which of a container's networks its default routes lead into. */
export class Attachments {
  readonly #netlink: Netlink;
  readonly #table: NetworkTable;
  readonly #sandboxes: Sandboxes;
  readonly #linked: (network: NetworkRecord) => LinkedNetwork;
  readonly #onRouted: (containerId: string, endpoint: EndpointRecord | undefined) => void;

  constructor(parts: {
    netlink: Netlink;
    table: NetworkTable;
    sandboxes: Sandboxes;
    /** @throws {EngineError} `unavailable` for a network that is not up */
    linked: (network: NetworkRecord) => LinkedNetwork;
    /** Told when the default route that published ports follow leads into another network: IPv4's, else IPv6's. */
    onRouted: (containerId: string, endpoint: EndpointRecord | undefined) => void;
  }) {
    this.#netlink = parts.netlink;
    this.#table = parts.table;
    this.#sandboxes = parts.sandboxes;
    this.#linked = parts.linked;
    this.#onRouted = parts.onRouted;
  }

  /**
   * A link into the container's sandbox, with default routes where it has none yet. Nothing is recorded.
   * @throws {EngineError} `not-found` without a sandbox; `invalid-parameter`, `conflict`, `unavailable`; SyscallError.
   * Nothing is left then.
   */
  plumb(network: NetworkRecord, request: AttachRequest): EndpointRecord {
    const { containerId, containerName, settings } = request;
    const linked = this.#linked(network);
    const sandbox = this.#sandboxes.get(containerId);
    if (sandbox === undefined) {
      throw new EngineError('not-found', `Cannot attach ${containerName} to a network: it has no sandbox`);
    }
    checkEndpoint(network, network.name, settings);
    const asked = askedAddresses(settings);
    const others = this.#table.endpointsIn(containerId);
    const name = this.#linkName(linked, others, settings.DriverOpts?.[endpointOptions.ifname]);
    const routed = {
      4: others.some(({ isGateway }) => isGateway === true),
      6: others.some(({ isGateway6 }) => isGateway6 === true),
    };
    const { given, ...made } = linked.connect({
      sandboxPath: sandbox.path,
      interface: name,
      mac: settings.MacAddress === undefined || settings.MacAddress === '' ? undefined : settings.MacAddress,
      asked,
      families: request.ipv6 === false ? [4] : families,
      routes: families.filter((family) => !routed[family]),
      madeAhead: this.#madeAhead(network, containerId, name),
      ...linkSettings(settings),
    });
    const routes = linked.defaultRoutes(given);
    return {
      containerId,
      containerName,
      networkId: network.id,
      interface: made.interface,
      ...(made.hostInterface === undefined ? {} : { hostInterface: made.hostInterface }),
      ...(!routed[4] && routes[4] !== undefined ? { isGateway: true } : {}),
      ...(!routed[6] && routes[6] !== undefined ? { isGateway6: true } : {}),
      settings: {
        ...endpointSettings(network, settings),
        MacAddress: made.mac,
        ...addressSettings(given, routes),
        DNSNames: network.user === undefined ? null : dnsNames(request),
      },
    };
  }

  /** The one that was asked for, or the prefix with the lowest number that is free. */
  #linkName(linked: LinkedNetwork, others: readonly EndpointRecord[], asked: string | undefined): string {
    const taken = new Set(others.map((endpoint) => endpoint.interface));
    if (asked !== undefined && asked !== '') return asked;
    let number = 0;
    while (taken.has(`${linked.interfacePrefix}${number}`)) number++;
    return `${linked.interfacePrefix}${number}`;
  }

  /** The link that was made ahead is of use for the default network's `eth0` only. */
  #madeAhead(network: NetworkRecord, containerId: string, name: string): string | undefined {
    const madeAhead = this.#sandboxes.takeLink(containerId);
    if (madeAhead === undefined || (network.name === 'bridge' && name === 'eth0')) return madeAhead;
    // Another network comes first after all, and `eth0` is its name to have.
    this.#netlink.deleteLink(madeAhead);
    return undefined;
  }

  /**
   * Default routes follow the container's networks. Best is the highest gateway priority; of equal ones the network that
   * has gateways of both families, then the first by name.
   * @see moby daemon/libnetwork/sandbox.go Endpoint.Less
   */
  chooseGateways(containerId: string): void {
    const sandbox = this.#sandboxes.get(containerId);
    if (sandbox === undefined) return;
    const candidates = this.#candidates(containerId);
    const changed = families.filter((family) => this.#chooseGateway(sandbox.path, candidates, family));
    const main = candidates.find(({ endpoint }) => endpoint.isGateway === true);
    const only6 = candidates.find(({ endpoint }) => endpoint.isGateway6 === true);
    if (changed.includes(4) || (changed.length > 0 && main === undefined))
      this.#onRouted(containerId, (main ?? only6)?.endpoint);
  }

  /** @returns true when the route leads elsewhere now */
  #chooseGateway(sandboxPath: string, candidates: readonly Candidate[], family: Family): boolean {
    const current = candidates.find(({ endpoint }) => isGatewayOf(endpoint, family));
    const best = candidates.find(({ routes }) => routes[family] !== undefined);
    if (best === current) return false;
    this.#netlink.inNamespace(sandboxPath, (inside) => {
      if (current !== undefined) inside.removeRoute({ destination: family === 4 ? '0.0.0.0/0' : '::/0' });
      if (best?.endpoint.interface !== undefined)
        addDefaultRoute(inside, best.endpoint.interface, family, best.routes[family]);
    });
    if (current !== undefined) this.#saveGateway(current, family, false);
    if (best !== undefined) this.#saveGateway(best, family, true);
    return true;
  }

  #candidates(containerId: string): Candidate[] {
    const candidates = this.#table.endpointsIn(containerId).flatMap((endpoint): Candidate[] => {
      if (endpoint.interface === undefined) return [];
      const network = this.#table.find(endpoint.networkId);
      const routes = this.#linked(network).defaultRoutes(givenOf(endpoint));
      return [{ endpoint, routes, name: network.name }];
    });
    const rank = ({ endpoint, routes }: Candidate): number =>
      (endpoint.settings.GwPriority ?? 0) * 4 + Object.keys(routes).length;
    return candidates.sort((a, b) => rank(b) - rank(a) || (a.name < b.name ? -1 : 1));
  }

  #saveGateway(candidate: Candidate, family: Family, isGateway: boolean): void {
    const key = family === 4 ? 'isGateway' : 'isGateway6';
    const { [key]: _, ...rest } = candidate.endpoint;
    candidate.endpoint = isGateway ? { ...rest, [key]: true } : rest;
    this.#table.saveEndpoint(candidate.endpoint);
  }
}

function isGatewayOf(endpoint: EndpointRecord, family: Family): boolean {
  return (family === 4 ? endpoint.isGateway : endpoint.isGateway6) === true;
}
