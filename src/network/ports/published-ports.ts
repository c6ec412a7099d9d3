import { EngineError, errorMessage } from '../../errors/index.ts';
import type { RecordCollection } from '../../records/index.ts';
import type { Syscall } from '../../sys/index.ts';
import type { Firewall } from '../nftables/firewall.ts';
import { portElements, type PortForward } from '../nftables/port-elements.ts';
import type { HeldPort, PortAllocator } from './port-allocator.ts';
import { PortProxies, socketName, type ProxiedPort } from './port-proxies.ts';
import type { ProxyTarget } from './port-proxy.ts';
import {
  MAX_UNASKED_PROXIES,
  portKey,
  wantedPorts,
  type PublishedPort,
  type PublishRequest,
  type Way,
} from './published-port.ts';

/** Where a container's ports lead. */
export interface PortTarget {
  networkId: string;
  bridge: string;
  /** The container's of IPv4; '' for none. */
  address: string;
  /** The same of IPv6. */
  address6?: string;
  /** Families whose addresses of the container are not translated to. */
  routed?: readonly (4 | 6)[];
  /** Families whose addresses of the container may be sent to. */
  direct?: readonly (4 | 6)[];
  /** Where ports go that name no address; absent: to all of the host's. */
  defaultAddress?: string;
}

/** What is kept of one container. */
export interface PublishedRecord extends PortTarget {
  ports: PublishedPort[];
  /** Reached at the container's own address; absent: none. */
  open?: readonly Pick<PublishedPort, 'protocol' | 'containerPort'>[];
  /** Those of the ports that a program hands on; absent: none. */
  proxied?: readonly ProxiedPort[];
}

/** Which ports of the host lead into which container; kept over restarts of the engine, as the kernel keeps its rules. */
export class PublishedPorts {
  readonly #allocator: PortAllocator;
  readonly #firewall: Firewall;
  readonly #isGated: boolean;
  readonly #syscall: Pick<Syscall, 'close' | 'copyDescriptor'>;
  readonly #usesProxies: boolean;
  readonly #proxies: PortProxies;
  readonly #collection: RecordCollection<PublishedRecord>;
  readonly #records = new Map<string, PublishedRecord>();
  /** Sockets that no monitor has yet, by container; those that proxies have are closed by them. */
  readonly #sockets = new Map<string, { all: readonly number[]; own: readonly number[] }>();
  readonly #forgetUdpFlows: (ports: ReadonlySet<number>) => void;
  readonly #onFailure: (message: string) => void;

  constructor(parts: {
    allocator: PortAllocator;
    firewall: Firewall;
    /** The host's own firewall is asked first. */
    isGated: boolean;
    syscall: Pick<Syscall, 'close' | 'copyDescriptor'>;
    /** dockerd's userland proxy: programs hand on what the kernel cannot lead into a container. */
    usesProxies: boolean;
    /** True of an address that has no business with published ports: proxies turn it away. */
    isConfined: (client: string) => boolean;
    records: RecordCollection<PublishedRecord>;
    forgetUdpFlows: (ports: ReadonlySet<number>) => void;
    /** Told of what nobody waits for. */
    onFailure: (message: string) => void;
  }) {
    this.#allocator = parts.allocator;
    this.#firewall = parts.firewall;
    this.#isGated = parts.isGated;
    this.#syscall = parts.syscall;
    this.#usesProxies = parts.usesProxies;
    this.#proxies = new PortProxies({
      syscall: parts.syscall,
      targetOf: (containerId, port, client) =>
        parts.isConfined(client) ? undefined : proxyTarget(this.#records.get(containerId), port),
      onFailure: parts.onFailure,
    });
    this.#collection = parts.records;
    this.#forgetUdpFlows = parts.forgetUdpFlows;
    this.#onFailure = parts.onFailure;
    for (const [id, record] of this.#collection.entries()) {
      this.#records.set(id, record);
      this.#allocator.adopt(record.ports);
    }
  }

  close(): void {
    for (const containerId of this.#sockets.keys()) this.closeSockets(containerId);
    for (const containerId of this.#proxies.containers()) this.#proxies.close(containerId);
  }

  /** Somebody must hand on what comes to some ports. */
  get needsProxies(): boolean {
    return this.#proxies.containers().length > 0;
  }

  /** Proxies go on where another engine's ended. @param monitorOf the process that holds a container's sockets */
  resumeProxies(monitorOf: (containerId: string) => number | undefined): void {
    for (const [containerId, { proxied = [] }] of this.#records) {
      const monitor = monitorOf(containerId);
      if (proxied.length > 0 && monitor !== undefined) this.#proxies.resume(containerId, proxied, monitor);
    }
  }

  has(containerId: string): boolean {
    return this.#records.has(containerId);
  }

  /** All that leads into a network, for its table as a whole. */
  forwardsInto(networkId: string): PortForward[] {
    return [...this.#records.values()].filter((record) => record.networkId === networkId).flatMap(forwardsOf);
  }

  /** @throws {EngineError} with dockerd's texts when a port is taken; nothing is published then. */
  publish(containerId: string, target: PortTarget, request: PublishRequest): PublishedPort[] {
    const { address, address6 = '', routed = [], direct = [], defaultAddress } = target;
    const way = (family: 4 | 6, inside: string): Way =>
      inside === '' ? 'none' : routed.includes(family) ? 'direct' : 'translated';
    const wanted = wantedPorts(request, {
      ipv4: way(4, address),
      ipv6: way(6, address6),
      defaultAddress,
      hasProxy: this.#usesProxies && address6 === '' && this.#allocator.hasIpv6,
    });
    const listens = (port: PublishedPort): boolean =>
      this.#usesProxies && isProxied(port, address6, wanted.length);
    const { ports, held } = this.#allocator.allocate(wanted, listens);
    const open = direct.length === 0 ? [] : uniquePorts(wanted);
    if (ports.length + open.length === 0) return ports;
    const sockets = held.map(({ socket }) => socket);
    this.#sockets.set(containerId, { all: sockets, own: sockets });
    const proxied = held.filter(({ port }) => listens(port));
    const record = { ...target, ports, ...(open.length === 0 ? {} : { open }), ...proxiedMember(proxied) };
    try {
      this.#collection.put(containerId, record);
      this.#records.set(containerId, record);
      this.#firewall.add(target.bridge, portElements(forwardsOf(record), this.#isGated));
      this.#redirectFlows(ports);
      for (const { port, socket } of proxied) this.#proxies.open(containerId, port, socket);
      const theirs = new Set(proxied.map(({ socket }) => socket));
      this.#sockets.set(containerId, { all: sockets, own: sockets.filter((one) => !theirs.has(one)) });
    } catch (error) {
      this.withdraw(containerId);
      throw error instanceof EngineError ? error : new EngineError('internal', errorMessage(error));
    }
    return ports;
  }

  /** What keeps the container's ports from programs of the host: to be held open by whoever lives as long as it does. */
  sockets(containerId: string): readonly number[] {
    return this.#sockets.get(containerId)?.all ?? [];
  }

  /** Somebody else holds them now, or nobody needs to. */
  closeSockets(containerId: string): void {
    for (const socket of this.#sockets.get(containerId)?.own ?? []) this.#syscall.close(socket);
    this.#sockets.delete(containerId);
  }

  /** No packet comes any more; the ports are free. */
  withdraw(containerId: string): void {
    const record = this.#records.get(containerId);
    if (record === undefined) return;
    this.#records.delete(containerId);
    this.#collection.delete(containerId);
    this.#shut(record);
    this.#proxies.close(containerId);
    this.closeSockets(containerId);
    this.#allocator.release(record.ports);
    this.#redirectFlows(record.ports);
  }

  /** The same ports lead elsewhere: the container's main network changed. */
  move(containerId: string, target: PortTarget | undefined): void {
    const record = this.#records.get(containerId);
    if (record === undefined) return;
    this.#shut(record);
    const moved = { ...record, ...(target ?? { networkId: '', address: '', address6: '' }) };
    this.#records.set(containerId, moved);
    this.#collection.put(containerId, moved);
    try {
      this.#firewall.add(moved.bridge, portElements(forwardsOf(moved), this.#isGated));
    } catch (error) {
      this.#onFailure(`cannot publish ports: ${errorMessage(error)}`);
    }
    this.#redirectFlows(record.ports);
  }

  #shut(record: PublishedRecord): void {
    try {
      this.#firewall.delete(record.bridge, portElements(forwardsOf(record), this.#isGated));
    } catch (error) {
      this.#onFailure(`cannot withdraw ports: ${errorMessage(error)}`);
    }
  }

  /** Connections of TCP end with their container; a client of UDP just goes on. */
  #redirectFlows(ports: readonly PublishedPort[]): void {
    const udp = new Set(ports.flatMap(({ protocol, hostPort }) => (protocol === 'udp' ? hostPort : [])));
    if (udp.size === 0) return;
    try {
      this.#forgetUdpFlows(udp);
    } catch (error) {
      this.#onFailure(`cannot redirect UDP clients: ${errorMessage(error)}`);
    }
  }
}

function forwardsOf({
  ports,
  open = [],
  address,
  address6 = '',
  direct = [],
}: PublishedRecord): PortForward[] {
  const inside = (hostAddress: string): string => (hostAddress.includes(':') ? address6 : address);
  const translated = ports.map((port) => ({ port, address: inside(port.hostAddress) }));
  const own = direct.flatMap((family) => {
    const hostAddress = family === 4 ? '0.0.0.0' : '::';
    return open.map((one) => ({
      port: { ...one, hostAddress, hostPort: one.containerPort },
      address: inside(hostAddress),
      direct: true,
    }));
  });
  return [...translated, ...own].filter((forward) => forward.address !== '');
}

/**
 * True of a port that the kernel leads nowhere, or not for all: there is no address of its family inside, or `::1` is
 * among those that it is for.
 */
function isProxied({ protocol, hostAddress }: PublishedPort, address6: string, count: number): boolean {
  if (protocol === 'sctp' || !hostAddress.includes(':')) return false;
  if (address6 === '' || hostAddress === '::1') return true;
  return hostAddress === '::' && count <= MAX_UNASKED_PROXIES;
}

function proxiedMember(held: readonly HeldPort[]): { proxied?: readonly ProxiedPort[] } {
  if (held.length === 0) return {};
  return { proxied: held.map(({ port, socket }) => ({ port, socket: socketName(socket) })) };
}

/** Where a proxy hands on what comes to the port; undefined: nowhere at the moment. */
export function proxyTarget(
  record: PublishedRecord | undefined,
  { containerPort }: PublishedPort,
): ProxyTarget | undefined {
  const { address = '', address6 = '' } = record ?? {};
  const inside = address6 === '' ? address : address6;
  return inside === '' ? undefined : { address: inside, port: containerPort };
}

function uniquePorts(
  ports: readonly Pick<PublishedPort, 'protocol' | 'containerPort'>[],
): Pick<PublishedPort, 'protocol' | 'containerPort'>[] {
  return [
    ...new Map(
      ports.map(({ protocol, containerPort }) => {
        const port = { protocol, containerPort };
        return [portKey(port), port];
      }),
    ).values(),
  ];
}
