import type { EndpointSettings } from '../../spec/index.ts';
import { cut, parseCsv } from './csv.ts';
import { isMac } from './names.ts';
import { parseInteger } from '../flags/flags.ts';

/** One `--network`. */
export interface NetworkAttachment {
  target: string;
  aliases: string[];
  driverOpts: Record<string, string> | null;
  links: string[];
  ipv4: string;
  ipv6: string;
  linkLocal: string[];
  mac: string;
  gatewayPriority: number;
}

export function attachmentTo(target: string): NetworkAttachment {
  return {
    target,
    aliases: [],
    driverOpts: null,
    links: [],
    ipv4: '',
    ipv6: '',
    linkLocal: [],
    mac: '',
    gatewayPriority: 0,
  };
}

/** `--network NAME` or `--network name=NAME,alias=x,ip=…`. */
export function parseNetwork(text: string): NetworkAttachment {
  if (!/\w+=\w+/.test(text)) return attachmentTo(text);
  const result = attachmentTo('');
  for (const field of parseCsv(text)) {
    const [rawKey, rawValue] = cut(field.toLowerCase(), '=');
    if (rawValue === undefined || rawKey === '') throw new Error(`invalid field ${field}`);
    const key = rawKey.trim();
    const value = rawValue.trim();
    switch (key) {
      case 'name':
        result.target = value;
        break;
      case 'alias':
        result.aliases.push(value);
        break;
      case 'ip':
        result.ipv4 = value;
        break;
      case 'ip6':
        result.ipv6 = value;
        break;
      case 'mac-address':
        result.mac = value;
        break;
      case 'link-local-ip':
        result.linkLocal.push(value);
        break;
      case 'driver-opt': {
        const [name, setting] = cut(value, '=');
        if (setting === undefined || name === '')
          throw new Error('invalid key value pair format in driver options');
        (result.driverOpts ??= {})[name.trim()] = setting.trim();
        break;
      }
      case 'gw-priority':
        try {
          result.gatewayPriority = parseInteger(value);
        } catch (error) {
          throw new Error(
            `invalid gw-priority (${value}): ${(error as Error).message.replace(/^.*: /, '')}`,
            { cause: error },
          );
        }
        break;
      default:
        throw new Error(`invalid field key ${key}`);
    }
  }
  if (result.target === '') throw new Error('network name/id is not specified');
  return result;
}

/** True for a network that users make; its containers have aliases and links of their own. */
export function isUserDefined(mode: string): boolean {
  return !['default', 'bridge', 'host', 'none', 'nat'].includes(mode) && !mode.startsWith('container:');
}

/** The old flags of one network: `--network-alias`, `--link`, `--ip`, … */
export interface LegacyNetworkFlags {
  aliases: readonly string[];
  links: readonly string[];
  ipv4: string;
  ipv6: string;
  mac: string;
  linkLocal: readonly string[];
}

function merge(attachment: NetworkAttachment, flags: LegacyNetworkFlags): NetworkAttachment {
  const conflict = (flag: string, thing: string): Error =>
    new Error(`conflicting options: cannot specify both ${flag} and per-network ${thing}`);
  if (attachment.aliases.length > 0 && flags.aliases.length > 0) throw conflict('--network-alias', 'alias');
  if (attachment.ipv4 && flags.ipv4) throw conflict('--ip', 'IPv4 address');
  if (attachment.ipv6 && flags.ipv6) throw conflict('--ip6', 'IPv6 address');
  if (attachment.mac && flags.mac) throw conflict('--mac-address', 'MAC address');
  if (attachment.linkLocal.length > 0 && flags.linkLocal.length > 0) {
    throw conflict('--link-local-ip', 'link-local IP addresses');
  }
  return {
    ...attachment,
    aliases: flags.aliases.length > 0 ? [...flags.aliases] : attachment.aliases,
    // On the default bridge a link is the host configuration's business.
    links: isUserDefined(attachment.target) && flags.links.length > 0 ? [...flags.links] : attachment.links,
    ipv4: flags.ipv4 || attachment.ipv4,
    ipv6: flags.ipv6 || attachment.ipv6,
    mac: flags.mac || attachment.mac,
    linkLocal: flags.linkLocal.length > 0 ? [...flags.linkLocal] : attachment.linkLocal,
  };
}

function endpointOf(attachment: NetworkAttachment): Record<string, unknown> | null {
  if (attachment.target.trim() === '') throw new Error('no name set for network');
  if (!isUserDefined(attachment.target)) {
    if (attachment.aliases.length > 0)
      throw new Error('network-scoped aliases are only supported for user-defined networks');
    if (attachment.links.length > 0) throw new Error('links are only supported for user-defined networks');
  }
  const endpoint: Record<string, unknown> = {};
  if (attachment.gatewayPriority !== 0) endpoint['GwPriority'] = attachment.gatewayPriority;
  if (attachment.aliases.length > 0) endpoint['Aliases'] = attachment.aliases;
  if (attachment.driverOpts !== null) endpoint['DriverOpts'] = attachment.driverOpts;
  if (attachment.links.length > 0) endpoint['Links'] = attachment.links;
  if (attachment.ipv4 || attachment.ipv6 || attachment.linkLocal.length > 0) {
    endpoint['IPAMConfig'] = {
      ...(attachment.ipv4 && { IPv4Address: attachment.ipv4 }),
      ...(attachment.ipv6 && { IPv6Address: attachment.ipv6 }),
      ...(attachment.linkLocal.length > 0 && { LinkLocalIPs: attachment.linkLocal }),
    };
  }
  if (attachment.mac) {
    if (!isMac(attachment.mac)) throw new Error(`${attachment.mac} is not a valid mac address`);
    endpoint['MacAddress'] = attachment.mac;
  }
  return Object.keys(endpoint).length === 0 ? null : endpoint;
}

/** All `--network` flags as the API's `EndpointsConfig`; empty where the engine's defaults do. */
export function endpointsConfig(
  networks: readonly NetworkAttachment[],
  flags: LegacyNetworkFlags,
): Record<string, Partial<EndpointSettings>> {
  const endpoints: Record<string, Partial<EndpointSettings>> = {};
  if (networks.length === 0) {
    const endpoint = endpointOf(merge(attachmentTo('default'), flags));
    if (endpoint !== null) endpoints['default'] = endpoint;
    return endpoints;
  }
  networks.forEach((network, index) => {
    const endpoint = endpointOf(index === 0 ? merge(network, flags) : network);
    if (endpoints[network.target] !== undefined) {
      throw new Error(`network ${JSON.stringify(network.target)} is specified multiple times`);
    }
    if (endpoint !== null || networks.length > 1) endpoints[network.target] = endpoint ?? {};
  });
  if (
    networks.some((one) => isUserDefined(one.target)) &&
    networks.some((one) => !isUserDefined(one.target))
  ) {
    throw new Error(
      'conflicting options: cannot attach both user-defined and non-user-defined network-modes',
    );
  }
  return endpoints;
}
