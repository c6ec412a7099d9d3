import { randomBytes } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { EngineError } from '../errors/index.ts';
import type { Ipam } from '../spec/index.ts';
import {
  chooseSubnet,
  formatAddress,
  formatSubnet,
  overlaps,
  parseAddress,
  parseSubnet,
  subnetContains,
  type AddressPoolOption,
  type Subnet,
} from './ipam/index.ts';
import type { BridgeRecord, NetworkDriver, NetworkRecord } from './network-records.ts';

/** What a user asks of a new network, as in Docker's API. */
export interface NetworkCreate {
  name: string;
  /** '' for `bridge`. */
  driver: string;
  internal: boolean;
  attachable: boolean;
  enableIpv6: boolean;
  ipam: Ipam | null;
  options: Readonly<Record<string, string>>;
  labels: Readonly<Record<string, string>>;
}

export const predefinedNetworks: readonly string[] = ['bridge', 'host', 'none', 'default'];

const optionPrefix = 'com.docker.network.';
/** The kernel's IFNAMSIZ without the NUL. */
const MAX_LINK_NAME = 15;

/** What exists already, which a new network must not overlap. */
export interface Surroundings {
  networks: readonly NetworkRecord[];
  /** Subnets that the host has addresses in or routes to; for subnets that the engine chooses. */
  taken: readonly Subnet[];
  pools: readonly AddressPoolOption[];
  /** Bytes. */
  mtu: number;
}

/**
 * The record of a network that a user asks for; nothing is made.
 * @throws {EngineError} `forbidden`, `conflict`, `invalid-parameter`, `not-found` with dockerd's texts
 */
export function planNetwork(request: NetworkCreate, around: Surroundings): NetworkRecord {
  const { name, driver } = request;
  checkName(name);
  if (predefinedNetworks.includes(name)) {
    throw new EngineError('forbidden', `operation is not permitted on predefined ${name} network`);
  }
  if (around.networks.some((network) => network.name === name)) {
    throw new EngineError('conflict', `network with name ${name} already exists`);
  }
  checkDriver(driver);
  if (request.enableIpv6) {
    throw new EngineError('not-implemented', 'Cannot create a network with IPv6: this engine has IPv4 only');
  }
  const record = newNetwork(name, 'bridge');
  const { config, ...addresses } = planAddresses(request.ipam, around);
  return {
    ...record,
    labels: { ...request.labels },
    bridge: {
      name: `br-${record.id.slice(0, 12)}`,
      mtu: around.mtu,
      ...addresses,
      ...(request.internal ? { internal: true } : {}),
      ...bridgeOptions(request.options, around.networks),
    },
    user: {
      attachable: request.attachable,
      options: { ...request.options },
      ipam: {
        Driver:
          request.ipam?.Driver === undefined || request.ipam.Driver === '' ? 'default' : request.ipam.Driver,
        Options: request.ipam?.Options ?? {},
        Config: config,
      },
    },
  };
}

export function newNetwork(name: string, driver: NetworkDriver): NetworkRecord {
  const nanos = String(process.hrtime.bigint() % 1_000_000n).padStart(6, '0');
  const created = new Date().toISOString().replace('Z', `${nanos}Z`);
  return { id: randomBytes(32).toString('hex'), name, driver, created, labels: {} };
}

function checkName(name: string): void {
  if (name.trim() === '') throw invalid(`invalid name: name is empty`);
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) {
    throw invalid(`invalid network name "${name}": only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
  }
}

function checkDriver(driver: string): void {
  if (driver === '' || driver === 'bridge' || driver === 'default') return;
  if (driver === 'host' || driver === 'null') {
    throw new EngineError('forbidden', `only one instance of "${driver}" network is allowed`);
  }
  if (['macvlan', 'ipvlan', 'overlay'].includes(driver)) {
    throw new EngineError(
      'not-implemented',
      `Cannot create network: the driver ${driver} is not supported yet`,
    );
  }
  throw new EngineError('not-found', `plugin "${driver}" not found`);
}

type Addresses = Pick<BridgeRecord, 'subnet' | 'gateway' | 'range' | 'auxiliary'>;

function planAddresses(
  ipam: Ipam | null,
  around: Surroundings,
): Addresses & { config: NonNullable<Ipam['Config']> } {
  if (ipam !== null && !['', 'default'].includes(ipam.Driver)) {
    throw new EngineError('not-found', `could not resolve driver ${ipam.Driver} in registry`);
  }
  const ours = around.networks.flatMap(({ bridge }) =>
    bridge === undefined ? [] : parseSubnet(bridge.subnet),
  );
  const [asked, ...more] = ipam?.Config ?? [];
  if (more.length > 0) {
    throw new EngineError(
      'not-implemented',
      'Cannot create network: one IPv4 subnet per network is supported',
    );
  }
  const subnet =
    asked?.Subnet === undefined || asked.Subnet === ''
      ? chooseSubnet(around.pools, [...around.taken, ...ours])
      : chosenSubnet(asked.Subnet, ours);
  const inside = (address: string, what: string): string => {
    if (!isIPv4(address)) throw invalid(`invalid ${what} address: ${address}`);
    if (!subnetContains(subnet, parseAddress(address))) {
      throw invalid(
        `invalid network config:\ninvalid ${what} ${address}: parent subnet is ${formatSubnet(subnet)}`,
      );
    }
    return address;
  };
  const isAsked = (text: string | undefined): text is string => text !== undefined && text !== '';
  const gateway = isAsked(asked?.Gateway) ? inside(asked.Gateway, 'gateway') : formatAddress(subnet.base + 1);
  const auxiliary = Object.values(asked?.AuxiliaryAddresses ?? {}).map((one) => inside(one, 'auxiliary'));
  if (auxiliary.includes(gateway)) {
    throw new EngineError(
      'forbidden',
      `failed to allocate secondary ip address (${gateway}): Address already in use`,
    );
  }
  const range = isAsked(asked?.IPRange) ? formatSubnet(readSubnet(asked.IPRange)) : undefined;
  if (range !== undefined) inside(range.slice(0, range.indexOf('/')), 'ip-range');
  return {
    subnet: formatSubnet(subnet),
    gateway,
    ...(range === undefined ? {} : { range }),
    ...(auxiliary.length === 0 ? {} : { auxiliary }),
    config: [
      {
        Subnet: formatSubnet(subnet),
        ...(range === undefined ? {} : { IPRange: range }),
        Gateway: gateway,
        ...(auxiliary.length === 0 ? {} : { AuxiliaryAddresses: { ...asked?.AuxiliaryAddresses } }),
      },
    ],
  };
}

function chosenSubnet(text: string, ours: readonly Subnet[]): Subnet {
  const subnet = readSubnet(text);
  if (subnet.prefixLength > 30)
    throw invalid(`invalid subnet ${text}: it has no room for a gateway and a container`);
  if (ours.some((other) => overlaps(subnet, other))) {
    throw new EngineError(
      'forbidden',
      'invalid pool request: Pool overlaps with other one on this address space',
    );
  }
  return subnet;
}

function readSubnet(text: string): Subnet {
  if (!/^[0-9.]+\/\d+$/.test(text)) {
    if (text.includes(':'))
      throw new EngineError('not-implemented', 'Cannot create network: IPv4 subnets only');
    throw invalid(`invalid subnet ${text}: invalid CIDR block notation`);
  }
  return parseSubnet(text);
}

function bridgeOptions(
  options: Readonly<Record<string, string>>,
  networks: readonly NetworkRecord[],
): Partial<BridgeRecord> {
  const chosen: Partial<BridgeRecord> = {};
  for (const [key, value] of Object.entries(options)) {
    if (!key.startsWith(optionPrefix)) continue;
    switch (key.slice(optionPrefix.length)) {
      case 'bridge.name':
        chosen.name = linkName(value, networks);
        break;
      case 'bridge.enable_icc':
        if (!boolean(key, value)) chosen.neighbours = false;
        break;
      case 'bridge.enable_ip_masquerade':
        if (!boolean(key, value)) chosen.masquerade = false;
        break;
      case 'bridge.host_binding_ipv4':
        if (!isIPv4(value)) throw invalid(`invalid value for ${key}: ${value}`);
        chosen.hostAddress = value;
        break;
      case 'driver.mtu':
        if (!/^\d+$/.test(value) || Number(value) > 65535)
          throw invalid(`invalid value for ${key}: ${value}`);
        if (Number(value) > 0) chosen.mtu = Number(value);
        break;
      case 'container_iface_prefix':
        if (!/^[a-z][a-z0-9_-]{0,9}$/i.test(value)) throw invalid(`invalid value for ${key}: ${value}`);
        chosen.interfacePrefix = value;
        break;
      default:
        // As dockerd: what is not known to the driver is kept and shown.
        break;
    }
  }
  return chosen;
}

function linkName(name: string, networks: readonly NetworkRecord[]): string {
  if (name.length > MAX_LINK_NAME || !/^[^\s/:"\\]+$/.test(name) || name === '.' || name === '..') {
    throw invalid(`invalid bridge name: ${name}`);
  }
  const other = networks.find(({ bridge }) => bridge?.name === name);
  if (other !== undefined) {
    throw new EngineError(
      'forbidden',
      `cannot create network: conflicts with network ${other.id} (${other.name}): networks have same bridge name`,
    );
  }
  return name;
}

function boolean(key: string, value: string): boolean {
  if (['1', 't', 'true', 'T', 'TRUE', 'True'].includes(value)) return true;
  if (['0', 'f', 'false', 'F', 'FALSE', 'False'].includes(value)) return false;
  throw invalid(`failed to parse ${key} value: "${value}" (invalid syntax)`);
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message);
}
