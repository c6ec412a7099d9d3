import { randomBytes } from 'node:crypto';
import { isIP, isIPv4, isIPv6 } from 'node:net';
import { EngineError } from '../errors/index.ts';
import type { EndpointSettings } from '../spec/index.ts';
import {
  formatAddress,
  parseAddress,
  parseSubnet,
  subnetContains,
  type Family,
  type GivenAddress,
  type GivenAddresses,
} from './ipam/index.ts';
import { joinErrors } from './join-errors.ts';
import { sysctlErrors, type ConnectRequest, type DefaultRoutes, type Plumbing } from './linked-network.ts';
import type { EndpointRecord, NetworkRecord } from './network-records.ts';
import type { AttachRequest } from './networks.ts';
import { predefinedNetworks } from './predefined.ts';

/** Members in the order in which Docker writes them. */
export function endpointSettings(network: NetworkRecord, asked: Partial<EndpointSettings>): EndpointSettings {
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
export function noteOnly(network: NetworkRecord, request: AttachRequest): EndpointRecord {
  const { containerId, containerName, settings } = request;
  return { containerId, containerName, networkId: network.id, settings: endpointSettings(network, settings) };
}

/** Undefined for one that has no link. */
export function plumbingOf(endpoint: EndpointRecord): Plumbing | undefined {
  const { interface: name, hostInterface } = endpoint;
  return name === undefined
    ? undefined
    : { interface: name, hostInterface, addresses: addressesOf(endpoint) };
}

/** Of both families, without prefix. */
export function addressesOf({ settings }: EndpointRecord): string[] {
  return [settings.IPAddress, settings.GlobalIPv6Address].filter((address) => address !== '');
}

/** What it was given, as the driver gave it. */
export function givenOf({ settings }: EndpointRecord): GivenAddresses {
  const one = (address: string, prefixLength: number, gateway: string): GivenAddress | undefined =>
    address === '' ? undefined : { address, prefixLength, ...(gateway === '' ? {} : { gateway }) };
  const v4 = one(settings.IPAddress, settings.IPPrefixLen, settings.Gateway);
  const v6 = one(settings.GlobalIPv6Address, settings.GlobalIPv6PrefixLen, settings.IPv6Gateway);
  return { ...(v4 === undefined ? {} : { 4: v4 }), ...(v6 === undefined ? {} : { 6: v6 }) };
}

/** The members of the settings that say what an endpoint was given. */
export function addressSettings(given: GivenAddresses, routes: DefaultRoutes): Partial<EndpointSettings> {
  const gatewayOf = (family: Family): string => {
    const route = routes[family];
    return route !== undefined && 'gateway' in route ? route.gateway : '';
  };
  return {
    Gateway: gatewayOf(4),
    IPAddress: given[4]?.address ?? '',
    IPPrefixLen: given[4]?.prefixLength ?? 0,
    IPv6Gateway: gatewayOf(6),
    GlobalIPv6Address: given[6]?.address ?? '',
    GlobalIPv6PrefixLen: given[6]?.prefixLength ?? 0,
  };
}

/**
 * What a user may ask of an endpoint.
 * @param network undefined: it is not there (yet); what depends on it is not looked at
 * @param name of the network
 * @throws {EngineError} `invalid-parameter` with dockerd's text for all that is wrong
 * @see moby daemon/container_operations.go validateEndpointSettings
 */
export function checkEndpoint(
  network: NetworkRecord | undefined,
  name: string,
  settings: Partial<EndpointSettings>,
): void {
  const { IPv4Address: v4 = '', IPv6Address: v6 = '', LinkLocalIPs } = settings.IPAMConfig ?? {};
  const wrong: string[] = [];
  if (predefinedNetworks.includes(name)) {
    if (v4 !== '' || v6 !== '')
      wrong.push('user-specified IP address is supported on user-defined networks only');
    if ((settings.Aliases ?? []).length > 0)
      wrong.push('network-scoped aliases are only supported for user-defined networks');
  }
  const isV4 = isIPv4(v4) && v4 !== '0.0.0.0';
  const isV6 = isIPv6(v6) && !v6.includes('%') && !isUnspecified(v6);
  if (v4 !== '' && !isV4) wrong.push(`invalid IPv4 address: ${v4}`);
  if (v6 !== '' && !isV6) wrong.push(`invalid IPv6 address: ${v6}`);
  for (const address of LinkLocalIPs ?? []) {
    if (isIP(address) === 0 || address === '0.0.0.0' || isUnspecified(address))
      wrong.push(`invalid link-local IP address: ${address}`);
  }
  if (network !== undefined) {
    const outside = [...(isV4 ? [v4] : []), ...(isV6 ? [v6] : [])].filter(
      (address) => !isInPools(network, address),
    );
    wrong.push(...outside.map((address) => `no configured subnet contains IP address ${address}`));
  }
  const sysctls = settings.DriverOpts?.[endpointOptions.sysctls];
  if (sysctls !== undefined) wrong.push(...sysctlErrors(sysctls));
  if (wrong.length > 0)
    throw new EngineError('invalid-parameter', `invalid endpoint settings:\n${joinErrors(wrong)}`);
}

function isInPools({ pools = [] }: NetworkRecord, address: string): boolean {
  const parsed = parseAddress(address);
  return pools.some(({ subnet }) => subnetContains(parseSubnet(subnet), parsed));
}

/**
 * The addresses that the user chose, in settings that checkEndpoint() found right.
 * @throws {EngineError} `invalid-parameter` for a link-local address that is none
 */
export function askedAddresses(settings: Partial<EndpointSettings>): { 4?: string; 6?: string } {
  const { IPv4Address: v4 = '', IPv6Address: v6 = '', LinkLocalIPs } = settings.IPAMConfig ?? {};
  for (const address of LinkLocalIPs ?? []) {
    const parsed = parseAddress(address);
    if (!linkLocal.some((subnet) => subnetContains(subnet, parsed)))
      throw new EngineError('invalid-parameter', `invalid link local IP address: ${address}`);
  }
  return { ...(v4 === '' ? {} : { 4: v4 }), ...(v6 === '' ? {} : { 6: canonicalAddress(v6) }) };
}

/** Docker's options of one endpoint, under its `DriverOpts`. */
export const endpointOptions = {
  sysctls: 'com.docker.network.endpoint.sysctls',
  ifname: 'com.docker.network.endpoint.ifname',
} as const;

/** What the settings say of the link itself. */
export function linkSettings(
  settings: Partial<EndpointSettings>,
): Pick<ConnectRequest, 'linkLocal' | 'sysctls'> {
  return {
    linkLocal: settings.IPAMConfig?.LinkLocalIPs ?? [],
    sysctls: settings.DriverOpts?.[endpointOptions.sysctls]?.split(',') ?? [],
  };
}

const linkLocal = ['169.254.0.0/16', 'fe80::/10'].map(parseSubnet);

const isUnspecified = (address: string): boolean => isIPv6(address) && parseAddress(address).value === 0n;

/** One way to write each address: `fd00::5`, not `fd00:0::5`. */
function canonicalAddress(text: string): string {
  const { value, family } = parseAddress(text);
  return formatAddress(value, family);
}

/** What a network of the user's calls a container. */
export function dnsNames(request: AttachRequest): string[] {
  const { containerName, settings, containerId, hostname = '' } = request;
  const names = [containerName, ...(settings.Aliases ?? []), containerId.slice(0, 12), hostname];
  return [...new Set(names.filter((name) => name !== ''))];
}
