import { isIP, isIPv4, isIPv6 } from 'node:net';
import { EngineError } from '../../errors/index.ts';
import type { BridgeRecord, GatewayMode, NetworkRecord } from '../network-records.ts';

/** The kernel's IFNAMSIZ without the NUL. */
const MAX_LINK_NAME = 15;
const MAX_MTU = 65_535;
const gatewayModes: readonly GatewayMode[] = ['nat', 'nat-unprotected', 'routed', 'isolated'];

/** `com.docker.network.` is left out. */
const readers: Readonly<Record<string, (key: string, value: string) => Partial<BridgeRecord>>> = {
  'bridge.enable_icc': (key, value) => (parseBoolean(key, value) ? {} : { neighbours: false }),
  'bridge.enable_ip_masquerade': (key, value) => (parseBoolean(key, value) ? {} : { masquerade: false }),
  'bridge.host_binding_ipv4': (key, value) => ({ hostAddress: parseIpOption(key, value) }),
  'bridge.gateway_mode_ipv4': (key, value) => ({ gatewayMode4: parseMode(key, value) }),
  'bridge.gateway_mode_ipv6': (key, value) => ({ gatewayMode6: parseMode(key, value) }),
  'bridge.inhibit_ipv4': (key, value) => (parseBoolean(key, value) ? { inhibitIpv4: true } : {}),
  'bridge.trusted_host_interfaces': (key, value) => ({
    trustedLinks: value
      .split(':')
      .filter((name) => name !== '')
      .map((name) => checkedLinkName(name, `interface name in ${key}`)),
  }),
  'driver.mtu': parseMtu,
  container_iface_prefix: (key, value) => {
    if (!/^[a-z][a-z0-9_-]{0,9}$/i.test(value)) throw invalid(`invalid value for ${key}: ${value}`);
    return { interfacePrefix: value };
  },
  host_ipv4: (key, value) => ({ sourceAddress4: parseIpOption(key, value, 4) }),
  host_ipv6: (key, value) => ({ sourceAddress6: parseIpOption(key, value, 6) }),
};

/**
 * What the driver's options of a bridge network mean; those that it does not know are kept and shown, no more.
 * @throws {EngineError} `invalid-parameter`, `forbidden`, `internal` with dockerd's texts
 * @see moby daemon/libnetwork/drivers/bridge/bridge_linux.go fromLabels
 */
export function bridgeOptions(
  options: Readonly<Record<string, string>>,
  internal: boolean,
  networks: readonly NetworkRecord[],
): Partial<BridgeRecord> {
  const prefix = 'com.docker.network.';
  let chosen: Partial<BridgeRecord> = {};
  for (const [key, value] of Object.entries(options)) {
    if (!key.startsWith(prefix)) continue;
    const name = key.slice(prefix.length);
    if (name === 'bridge.name') chosen.name = linkName(value, networks);
    else if (Object.hasOwn(readers, name)) chosen = { ...chosen, ...readers[name]?.(key, value) };
  }
  if (!internal && (chosen.gatewayMode4 === 'isolated' || chosen.gatewayMode6 === 'isolated'))
    throw new EngineError('internal', "gateway mode 'isolated' can only be used for an internal network");
  return chosen;
}

/** Go's strconv.ParseBool. @throws {EngineError} `invalid-parameter` with dockerd's text */
export function parseBoolean(key: string, value: string): boolean {
  if (['1', 't', 'true', 'T', 'TRUE', 'True'].includes(value)) return true;
  if (['0', 'f', 'false', 'F', 'FALSE', 'False'].includes(value)) return false;
  throw unparsable(key, value, `strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`);
}

function parseMtu(key: string, value: string): Partial<BridgeRecord> {
  if (!/^[+-]?\d+$/.test(value))
    throw unparsable(key, value, `strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`);
  const mtu = Number(value);
  if (mtu < 0 || mtu > MAX_MTU) throw invalid(`invalid MTU number: ${mtu}`);
  return mtu === 0 ? {} : { mtu };
}

function parseMode(key: string, value: string): GatewayMode {
  const mode = gatewayModes.find((known) => known === value);
  if (mode === undefined) throw unparsable(key, value, `unknown gateway mode ${value}`);
  return mode;
}

function parseIpOption(key: string, value: string, family?: 4 | 6): string {
  const isRight = family === 4 ? isIPv4(value) : family === 6 ? isIPv6(value) : isIP(value) !== 0;
  // A zone is a name of a link, and no part of an address.
  if (!isRight || value.includes('%')) throw unparsable(key, value, 'nil ip');
  return value;
}

function linkName(name: string, networks: readonly NetworkRecord[]): string {
  checkedLinkName(name, 'bridge name');
  const other = networks.find(({ bridge }) => bridge?.name === name);
  if (other !== undefined) {
    throw new EngineError(
      'forbidden',
      `cannot create network: conflicts with network ${other.id} (${other.name}): networks have same bridge name`,
    );
  }
  return name;
}

/** Names are written into the firewall's rules. */
function checkedLinkName(name: string, what: string): string {
  if (name.length > MAX_LINK_NAME || !/^[^\s/:"\\]+$/.test(name) || name === '.' || name === '..') {
    throw invalid(`invalid ${what}: ${name}`);
  }
  return name;
}

function unparsable(key: string, value: string, reason: string): EngineError {
  return invalid(`failed to parse ${key} value: ${value} (${reason})`);
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message);
}
