import { isIP } from 'node:net';
import { EngineError, isKind } from '../errors/index.ts';
import type { Ipam, IpamPoolConfig } from '../spec/index.ts';
import {
  AddressPool,
  chooseSubnet,
  formatAddress,
  formatSubnet,
  overlaps,
  parseAddress,
  parseSubnet,
  subnetContains,
  type AddressPoolOption,
  type Family,
  type Subnet,
} from './ipam/index.ts';
import { joinErrors } from './join-errors.ts';
import type { PoolRecord } from './network-records.ts';

/** What subnets a new network may have. */
export interface PoolSurroundings {
  /** Subnets of the engine's other networks. */
  ours: readonly Subnet[];
  /** Subnets that the host has addresses in or routes to; for those that the engine chooses. */
  taken: readonly Subnet[];
  pools: readonly AddressPoolOption[];
}

export interface PoolRequest {
  ipam: Ipam | null;
  /** Those that the network has. */
  families: readonly Family[];
  /** Those of which a gateway is taken although none is named. */
  gateways: readonly Family[];
}

/** A network's subnets, and the configuration of them that inspect shows; IPv4 first in both. */
export interface PlannedPools {
  pools: PoolRecord[];
  config: IpamPoolConfig[];
}

/**
 * Chooses what the user leaves to the engine, in a configuration that checkIpamConfig() found right.
 * @throws {EngineError} `invalid-parameter`, `forbidden`, `internal`, `not-found` with dockerd's texts
 * @see moby daemon/libnetwork/network.go ipamAllocateVersion
 */
export function planPools(request: PoolRequest, around: PoolSurroundings): PlannedPools {
  const { ipam, families } = request;
  const driver = ipam?.Driver ?? '';
  const asked = ipam?.Config ?? [];
  if (driver === 'null') return { pools: [], config: [] };
  if (driver !== '' && driver !== 'default')
    throw new EngineError('not-found', `could not resolve driver ${driver} in registry`);
  const ours = [...around.ours];
  const planned: PlannedPools = { pools: [], config: [] };
  for (const family of families) {
    const configs = asked.filter((one) => familyOf(one) === family);
    for (const config of configs.length === 0 ? [{}] : configs) {
      const pool = planPool(config, family, request.gateways.includes(family), { ...around, ours });
      ours.push(parseSubnet(pool.subnet));
      planned.pools.push(pool);
      planned.config.push({
        Subnet: pool.subnet,
        ...(pool.range === undefined ? {} : { IPRange: pool.range }),
        ...(pool.gateway === undefined ? {} : { Gateway: pool.gateway }),
        ...(pool.auxiliary === undefined ? {} : { AuxiliaryAddresses: { ...config.AuxiliaryAddresses } }),
      });
    }
  }
  return planned;
}

function planPool(
  config: IpamPoolConfig,
  family: Family,
  wantsGateway: boolean,
  around: PoolSurroundings,
): PoolRecord {
  const subnet = planSubnet(config, family, around);
  const range = isGiven(config.IPRange) ? parseSubnet(config.IPRange) : undefined;
  const addresses = new AddressPool(subnet, range);
  const gateway = isGiven(config.Gateway)
    ? reserve(addresses, config.Gateway, 'gateway', config.Gateway)
    : wantsGateway
      ? addresses.allocate()
      : undefined;
  const auxiliary: string[] = [];
  let router: string | undefined;
  for (const [name, address] of Object.entries(config.AuxiliaryAddresses ?? {})) {
    auxiliary.push(reserve(addresses, address, 'secondary ip address', `${name}:${address}`));
    if (name === `DefaultGatewayIPv${family}`) router = address;
  }
  return {
    subnet: formatSubnet(subnet),
    ...(gateway === undefined ? {} : { gateway }),
    ...(router === undefined ? {} : { router }),
    ...(range === undefined ? {} : { range: formatSubnet(range) }),
    ...(auxiliary.length === 0 ? {} : { auxiliary }),
  };
}

function planSubnet(config: IpamPoolConfig, family: Family, around: PoolSurroundings): Subnet {
  const asked = isGiven(config.Subnet) ? parseSubnet(config.Subnet) : undefined;
  // `0.0.0.0/24` and `::/64` ask for any subnet of this size.
  if (asked === undefined || asked.base === 0n) {
    if (isGiven(config.IPRange))
      throw new EngineError('internal', `failed to parse pool request: invalid address subpool`);
    const size = asked === undefined || asked.prefixLength === 0 ? undefined : asked.prefixLength;
    return chooseSubnet(around.pools, [...around.taken, ...around.ours], family, size);
  }
  if (around.ours.some((other) => overlaps(asked, other))) {
    throw new EngineError(
      'forbidden',
      'invalid pool request: Pool overlaps with other one on this address space',
    );
  }
  return asked;
}

function reserve(addresses: AddressPool, address: string, what: string, named: string): string {
  const { family, value } = parseAddress(address);
  const canonical = formatAddress(value, family);
  try {
    addresses.reserve(canonical);
  } catch (error) {
    if (!isKind(error, 'conflict') && !isKind(error, 'invalid-parameter')) throw error;
    // The network's own address and the broadcast address count as taken.
    throw new EngineError('forbidden', `failed to allocate ${what} (${named}): Address already in use`, {
      cause: error,
    });
  }
  return canonical;
}

const isGiven = (text: string | undefined): text is string => text !== undefined && text !== '';

const familyOf = (config: IpamPoolConfig): Family => (config.Subnet?.includes(':') === true ? 6 : 4);

/**
 * All that can be said of the configuration alone.
 * @throws {EngineError} `invalid-parameter` with dockerd's texts
 * @see moby daemon/network.go validateIpamConfig
 */
export function checkIpamConfig(configs: readonly IpamPoolConfig[], enableIpv6: boolean): void {
  const wrong: string[] = [];
  for (const config of configs) {
    if (familyOf(config) === 6 && !enableIpv6) continue;
    const subnet = isGiven(config.Subnet) ? readSubnet(config.Subnet, 'subnet') : undefined;
    if (subnet !== undefined && formatSubnet(subnet) !== canonicalCidr(config.Subnet ?? ''))
      wrong.push(`invalid subnet ${config.Subnet}: it should be ${formatSubnet(subnet)}`);
    if (isGiven(config.IPRange)) wrong.push(...rangeErrors(config.IPRange, subnet));
    const checkAddress = (address: string, what: string): void => {
      const complaint = addressError(address, subnet);
      if (complaint !== undefined) wrong.push(`${what}: ${complaint}`);
    };
    if (isGiven(config.Gateway)) checkAddress(config.Gateway, `invalid gateway ${config.Gateway}`);
    for (const [name, address] of Object.entries(config.AuxiliaryAddresses ?? {}))
      checkAddress(address, `invalid auxiliary address ${name}`);
  }
  if (wrong.length > 0) throw invalid(`invalid network config:\n${joinErrors(wrong)}`);
}

function rangeErrors(text: string, subnet: Subnet | undefined): string[] {
  const range = readSubnet(text, 'ip-range');
  // Where any subnet will do, the size of a range in it cannot be told.
  if (subnet === undefined) return [];
  if (range.family !== subnet.family)
    return [`invalid ip-range ${text}: parent subnet is an IPv${subnet.family} block`];
  const wrong: string[] = [];
  const parent = formatSubnet(subnet);
  if (range.prefixLength < subnet.prefixLength)
    wrong.push(`invalid ip-range ${text}: CIDR block is bigger than its parent subnet ${parent}`);
  if (formatSubnet(range) !== canonicalCidr(text))
    wrong.push(`invalid ip-range ${text}: it should be ${formatSubnet(range)}`);
  if (!overlaps(subnet, range))
    wrong.push(`invalid ip-range ${text}: parent subnet ${parent} doesn't contain ip-range`);
  return wrong;
}

function addressError(text: string, subnet: Subnet | undefined): string | undefined {
  if (isIP(text) === 0) throw invalid(`invalid address: ${text}`);
  const address = parseAddress(text);
  if (subnet === undefined) return `parent subnet invalid Prefix doesn't contain this address`;
  if (address.family !== subnet.family) return `parent subnet is an IPv${subnet.family} block`;
  return subnetContains(subnet, address)
    ? undefined
    : `parent subnet ${formatSubnet(subnet)} doesn't contain this address`;
}

function readSubnet(text: string, what: string): Subnet {
  try {
    return parseSubnet(text);
  } catch (error) {
    throw new EngineError('invalid-parameter', `invalid ${what} ${text}: invalid CIDR block notation`, {
      cause: error,
    });
  }
}

/** As written but in the one way to write it: host bits are kept. */
function canonicalCidr(text: string): string {
  const slash = text.lastIndexOf('/');
  const { value, family } = parseAddress(text.slice(0, slash));
  return `${formatAddress(value, family)}/${Number(text.slice(slash + 1))}`;
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message);
}
