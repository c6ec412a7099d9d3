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
import type { DefaultRoutes, Plumbing } from './linked-network.ts';
import type { EndpointRecord, NetworkRecord } from './network-records.ts';
import type { AttachRequest } from './networks.ts';

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
 * The addresses that the user chose.
 * @throws {EngineError} `invalid-parameter` where none can be chosen, and for what is no address
 * @see moby daemon/container_operations.go validateEndpointSettings
 */
export function askedAddresses(
  network: NetworkRecord,
  settings: Partial<EndpointSettings>,
): { 4?: string; 6?: string } {
  const { IPv4Address: v4 = '', IPv6Address: v6 = '', LinkLocalIPs } = settings.IPAMConfig ?? {};
  if (network.user === undefined && (v4 !== '' || v6 !== '')) {
    throw new EngineError(
      'invalid-parameter',
      'user specified IP address is supported on user defined networks only',
    );
  }
  const wrong: string[] = [];
  if (v4 !== '' && (!isIPv4(v4) || v4 === '0.0.0.0')) wrong.push(`invalid IPv4 address: ${v4}`);
  if (v6 !== '' && (!isIPv6(v6) || v6.includes('%') || isUnspecified(v6)))
    wrong.push(`invalid IPv6 address: ${v6}`);
  for (const address of LinkLocalIPs ?? []) {
    if (isIP(address) === 0 || address === '0.0.0.0' || isUnspecified(address))
      wrong.push(`invalid link-local IP address: ${address}`);
  }
  if (wrong.length > 0)
    throw new EngineError('invalid-parameter', `invalid endpoint settings:\n${joinErrors(wrong)}`);
  for (const address of LinkLocalIPs ?? []) {
    const parsed = parseAddress(address);
    if (!linkLocal.some((subnet) => subnetContains(subnet, parsed)))
      throw new EngineError('invalid-parameter', `invalid link local IP address: ${address}`);
  }
  return { ...(v4 === '' ? {} : { 4: v4 }), ...(v6 === '' ? {} : { 6: canonicalAddress(v6) }) };
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
