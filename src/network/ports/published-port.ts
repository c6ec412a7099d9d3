import { isIP, isIPv4 } from 'node:net';
import { EngineError } from '../../errors/index.ts';
import type { PortBinding } from '../../spec/index.ts';

export const portProtocols = ['tcp', 'udp', 'sctp'] as const;
export type PortProtocol = (typeof portProtocols)[number];

/** What a container asks to publish, as Docker's API words it. */
export interface PublishRequest {
  /** `80/tcp`, or `80`, to bindings. */
  bindings: Readonly<Record<string, readonly PortBinding[] | null>> | null;
  /** Keys as above. */
  exposed: Readonly<Record<string, object>> | null;
  /** Every exposed port without a binding gets a free one. */
  publishAll: boolean;
}

/** One port of a container that is wanted on the host: the same number on all of the addresses. */
export interface WantedPort {
  protocol: PortProtocol;
  containerPort: number;
  /** `0.0.0.0` and `::` for all of a family; empty: on no port of the host, reached at the container's own address. */
  hostAddresses: readonly string[];
  /** Any free one of these; both 0 for any of the machine's dynamic ports. */
  firstHostPort: number;
  lastHostPort: number;
}

/** A port of the host that leads into a container. */
export interface PublishedPort {
  protocol: PortProtocol;
  containerPort: number;
  /** The unspecified address of a family for all of it. */
  hostAddress: string;
  hostPort: number;
}

/** By the host's ports, at its own address, or not at all. */
export type Way = 'translated' | 'direct' | 'none';

/** How a container is reached by each family, and where ports go that name no address. */
export interface PublishingTarget {
  ipv4: Way;
  ipv6: Way;
  /** The network's own default; absent: all addresses of the families that the container is reached by. */
  defaultAddress?: string | undefined;
  /** A program hands on what comes by IPv6 to a container that has IPv4 alone. */
  hasProxy?: boolean;
}

/** Ports of one container for which programs stand between without being asked to: each is a listening socket. */
export const MAX_UNASKED_PROXIES = 256;

/**
 * The ports that a request stands for: fixed ones first, so that no dynamic one takes what another asks for by number.
 * On an address of a family by which the container is not reached there is none, as with dockerd: it may be by its next
 * network.
 * @throws {EngineError} `invalid-parameter`
 */
export function wantedPorts(request: PublishRequest, target: PublishingTarget): WantedPort[] {
  const wanted: WantedPort[] = [];
  const asked = Object.entries(request.bindings ?? {});
  const count = asked.reduce((sum, [, bindings]) => sum + (bindings?.length ?? 0), 0);
  const addresses = (HostIp: string, protocol: PortProtocol): string[] =>
    hostAddresses(HostIp, protocol, count > MAX_UNASKED_PROXIES, target);
  for (const [key, bindings] of asked) {
    const port = parseKey(key);
    for (const { HostIp, HostPort } of bindings ?? [])
      wanted.push({ ...port, hostAddresses: addresses(HostIp, port.protocol), ...parseHostPort(HostPort) });
  }
  if (request.publishAll) {
    const bound = new Set(wanted.map(portKey));
    for (const key of Object.keys(request.exposed ?? {})) {
      const port = parseKey(key);
      if (bound.has(portKey(port))) continue;
      wanted.push({
        ...port,
        hostAddresses: addresses('', port.protocol),
        firstHostPort: 0,
        lastHostPort: 0,
      });
    }
  }
  const isFixed = (port: WantedPort): number =>
    port.firstHostPort !== 0 && port.firstHostPort === port.lastHostPort ? 0 : 1;
  return wanted.sort((a, b) => isFixed(a) - isFixed(b) || a.containerPort - b.containerPort);
}

function hostAddresses(
  asked: string,
  protocol: PortProtocol,
  areMany: boolean,
  { ipv4, ipv6, defaultAddress = '', hasProxy = false }: PublishingTarget,
): string[] {
  const address = asked === '' && defaultAddress !== '0.0.0.0' ? defaultAddress : asked;
  const isProxied = hasProxy && ipv6 === 'none' && ipv4 === 'translated' && protocol !== 'sctp';
  if (address === '') {
    const hasIpv6 = ipv6 === 'translated' || (isProxied && !areMany);
    return [...(ipv4 === 'translated' ? ['0.0.0.0'] : []), ...(hasIpv6 ? ['::'] : [])];
  }
  if (isIP(address) === 0)
    throw new EngineError('invalid-parameter', `Cannot publish on host address ${address}: not an address`);
  const isReached = isIPv4(address) ? ipv4 === 'translated' : ipv6 === 'translated' || isProxied;
  return isReached ? [address] : [];
}

/** `80/tcp` */
export function portKey(port: { protocol: PortProtocol; containerPort: number }): string {
  return `${port.containerPort}/${port.protocol}`;
}

/** Docker's PortMap: what `port` and inspect show. */
export function portMap(ports: readonly PublishedPort[]): Record<string, PortBinding[]> {
  const map: Record<string, PortBinding[]> = {};
  const sorted = [...ports].sort((a, b) => a.containerPort - b.containerPort || a.hostPort - b.hostPort);
  for (const port of sorted) {
    (map[portKey(port)] ??= []).push({ HostIp: port.hostAddress, HostPort: String(port.hostPort) });
  }
  return map;
}

function parseKey(key: string): { protocol: PortProtocol; containerPort: number } {
  const [number = '', name = 'tcp'] = key.toLowerCase().split('/');
  const protocol = portProtocols.find((known) => known === name);
  const containerPort = Number(number);
  if (
    protocol === undefined ||
    !Number.isInteger(containerPort) ||
    containerPort < 1 ||
    containerPort > 65535
  ) {
    throw new EngineError('invalid-parameter', `invalid port specification: "${key}"`);
  }
  return { protocol, containerPort };
}

function parseHostPort(text: string): { firstHostPort: number; lastHostPort: number } {
  if (text === '') return { firstHostPort: 0, lastHostPort: 0 };
  const [first = '', last = first] = text.split('-');
  const [firstHostPort, lastHostPort] = [Number(first), Number(last)];
  const isPort = (port: number): boolean => Number.isInteger(port) && port >= 0 && port <= 65535;
  if (!isPort(firstHostPort) || !isPort(lastHostPort) || lastHostPort < firstHostPort) {
    throw new EngineError('invalid-parameter', `invalid port specification: "${text}"`);
  }
  return { firstHostPort, lastHostPort };
}
