import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { EngineError } from '../errors/index.ts';
import { parseIp, type Netlink } from '../sys/index.ts';
import type { Family, GivenAddresses, NetworkAddresses } from './ipam/index.ts';

/** Where a family's default route leads: to a router, or out of the link itself. */
export type DefaultRoute = { gateway: string } | { link: true };
export type DefaultRoutes = { readonly [F in Family]?: DefaultRoute };

/** What an endpoint is to be like. */
export interface ConnectRequest {
  sandboxPath: string;
  /** Name of the link inside. */
  interface: string;
  mac: string | undefined;
  /** Addresses that were asked for. */
  asked: { readonly [F in Family]?: string };
  /** The families that the container has. */
  families: readonly Family[];
  /** Further addresses without prefix, of the kind that is valid on this link only. */
  linkLocal: readonly string[];
  /** The families whose default route is to lead here, where the network has one. */
  routes: readonly Family[];
  /** Of the link: `net.ipv4.conf.IFNAME.log_martians=1`. */
  sysctls: readonly string[];
  /** Host's end of a link that was made ahead under the same name. */
  madeAhead: string | undefined;
}

export interface LinkedEndpoint {
  interface: string;
  /** Absent where the link has no end on the host. */
  hostInterface?: string;
  given: GivenAddresses;
  mac: string;
}

/** What must be known to take an endpoint away again. */
export interface Plumbing {
  interface: string;
  hostInterface: string | undefined;
  addresses: readonly string[];
}

/** A network that is up and gives containers links and addresses. */
export interface LinkedNetwork {
  readonly addresses: NetworkAddresses;
  /** Names of links inside begin so. */
  readonly interfacePrefix: string;
  /** Nothing outside can be reached. */
  readonly internal: boolean;
  /**
   * A link in the namespace with addresses and the routes that were asked for.
   * @throws {EngineError} `unavailable` when a subnet is full; SyscallError; nothing is left then.
   */
  connect(request: ConnectRequest): LinkedEndpoint;
  /** Takes the endpoint out of a sandbox that lives on. */
  disconnect(plumbing: Plumbing, sandboxPath: string): Promise<void>;
  /** For a sandbox that is about to go with all that is in it. */
  abandon(plumbing: Plumbing, sandboxPath: string): void;
  /** Where the default route leads for an endpoint with these addresses; by family, absent: nowhere. */
  defaultRoutes(given: GivenAddresses): DefaultRoutes;
}

/**
 * Addresses, sysctls and routes of a link that is in the namespace already, all by one socket.
 * @param inside the namespace's, in which the thread is
 */
export function configureLink(
  inside: Netlink,
  request: ConnectRequest,
  link: {
    mac: string | undefined;
    given: GivenAddresses;
    routes: DefaultRoutes;
    /** The engine says where packets go; nobody on the network does. */
    refusesRouters: boolean;
  },
): void {
  const { interface: name } = request;
  const given = Object.values(link.given);
  const addresses = [
    ...given.map(({ address, prefixLength }) => `${address}/${prefixLength}`),
    ...request.linkLocal.map((address) => `${address}/${address.includes(':') ? 64 : 16}`),
  ];
  if (addresses.some((address) => address.includes(':'))) {
    setIpv6(name, true);
    if (link.refusesRouters) refuseRouterAdvertisements(name);
  }
  for (const sysctl of request.sysctls) setLinkSysctl(name, sysctl);
  inside.setLink(name, link.mac === undefined ? { up: true } : { mac: link.mac, up: true });
  for (const address of addresses) inside.addAddress(name, address);
  for (const family of request.routes) addDefaultRoute(inside, name, family, link.routes[family]);
}

export function addDefaultRoute(
  inside: Netlink,
  name: string,
  family: Family,
  route: DefaultRoute | undefined,
): void {
  if (route === undefined) return;
  const destination = family === 4 ? '0.0.0.0/0' : '::/0';
  if ('gateway' in route) inside.addRoute({ destination, gateway: route.gateway, link: name });
  else inside.addRoute({ destination, link: name, scopeLink: family === 4 });
}

/**
 * On: packets and addresses, at once: the MAC that the link's own address is made from is known to be no duplicate, and
 * while the kernel looks for one (a second) nothing that is forwarded finds its way over the link. Off: not even an
 * address of the link's own making. No error in a kernel without IPv6.
 */
export function setIpv6(link: string, on: boolean): void {
  const settings = `/proc/sys/net/ipv6/conf/${link}`;
  try {
    if (on) writeFileSync(`${settings}/accept_dad`, '0');
    writeFileSync(`${settings}/disable_ipv6`, on ? '0' : '1');
  } catch (error) {
    if (on || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** A container must not tell the host, or its neighbours, where to send packets. */
export function refuseRouterAdvertisements(link: string): void {
  writeFileSync(`/proc/sys/net/ipv6/conf/${link}/accept_ra`, '0');
}

/** What is wrong with sysctls of a link that have commas between them, with dockerd's texts. */
export function sysctlErrors(text: string): string[] {
  const isOfLink = (sysctl: string): boolean => {
    const [, family = '', , name = '', rest] = sysctl.split('.');
    // Clients write all in small letters.
    return rest !== undefined && ['ipv4', 'ipv6', 'mpls'].includes(family) && /^(IFNAME|ifname)$/.test(name);
  };
  return text
    .split(',')
    .filter((sysctl) => !isOfLink(sysctl))
    .map(
      (sysctl) =>
        `unrecognised network interface sysctl '${sysctl}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', ` +
        `'X' must be 'ipv4', 'ipv6' or 'mpls'`,
    );
}

function setLinkSysctl(link: string, sysctl: string): void {
  const [key, value] = splitOnce(sysctl, '=');
  const words = key.split('.');
  if (value === undefined)
    throw new EngineError('internal', `expected sysctl '${sysctl}' to have format name=value`);
  const [net, family, kind, , ...rest] = words;
  const path = `/proc/sys/${[net, family, kind, link, ...rest].join('/')}`;
  if (words.includes('..') || key.includes('/') || !statSync(path, { throwIfNoEntry: false })?.isFile())
    throw new EngineError('internal', `${path} is not a sysctl file`);
  if (readFileSync(path, 'utf8').trim() !== value) writeFileSync(path, value);
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** dockerd's until version 27: `02:42` and the last four bytes of the address, so that an address keeps its MAC. */
export function macOf(given: GivenAddresses): string {
  const { address } = given[4] ?? given[6] ?? { address: '0.0.0.0' };
  return generatedMac(address);
}

export function generatedMac(address: string): string {
  const bytes = [0x02, 0x42, ...parseIp(address).bytes.subarray(-4)];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
