import { randomBytes } from 'node:crypto';
import { EngineError } from '../errors/index.ts';
import type { Ipam } from '../spec/index.ts';
import { bridgeOptions, parseBoolean } from './bridge/bridge-options.ts';
import { parseSubnet, type AddressPoolOption, type Family, type Subnet } from './ipam/index.ts';
import type { BridgeRecord, NetworkDriver, NetworkRecord } from './network-records.ts';
import { parentOptions } from './parent/parent-options.ts';
import { checkIpamConfig, planPools, type PlannedPools } from './plan-pools.ts';
import { predefinedNetworks } from './predefined.ts';

/** What a user asks of a new network, as in Docker's API. */
export interface NetworkCreate {
  name: string;
  /** '' for `bridge`. */
  driver: string;
  internal: boolean;
  attachable: boolean;
  /** Undefined: as the driver's options say, else yes. */
  enableIpv4?: boolean | undefined;
  /** Undefined: as the driver's options say, else no. */
  enableIpv6?: boolean | undefined;
  ipam: Ipam | null;
  options: Readonly<Record<string, string>>;
  labels: Readonly<Record<string, string>>;
  /** '' for `local`. */
  scope?: string;
  ingress?: boolean;
  /** Makes no network but what others can be made from. */
  configOnly?: boolean;
  /** Name of such a one. */
  configFrom?: string | undefined;
}

/** What exists already, which a new network must not overlap. */
export interface Surroundings {
  networks: readonly NetworkRecord[];
  /** Subnets that the host has addresses in or routes to; for subnets that the engine chooses. */
  taken: readonly Subnet[];
  pools: readonly AddressPoolOption[];
  /** Bytes. */
  mtu: number;
  /** Options of networks that do not say otherwise, by driver. */
  defaultOptions?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** The request with all defaults, and with the configuration that it was taken from. */
interface Settled extends NetworkCreate {
  enableIpv4: boolean;
  enableIpv6: boolean;
}

/**
 * The record of a network that a user asks for; nothing is made.
 * @throws {EngineError} `forbidden`, `conflict`, `invalid-parameter`, `not-found`, `internal` with dockerd's texts
 * @see moby daemon/libnetwork/controller.go NewNetwork
 */
export function planNetwork(request: NetworkCreate, around: Surroundings): NetworkRecord {
  const { name } = request;
  if (predefinedNetworks.includes(name)) {
    throw new EngineError('forbidden', `operation is not permitted on predefined ${name} network`);
  }
  if (request.driver === 'overlay') throw noSwarmManager();
  const settled = settle(request, around.defaultOptions ?? {});
  checkIpamConfig(settled.ipam?.Config ?? [], settled.enableIpv6);
  checkName(name);
  if (around.networks.some((network) => network.name === name)) {
    throw new EngineError('conflict', `network with name ${name} already exists`);
  }
  checkConfiguration(settled);
  if (settled.configOnly === true) return planConfiguration(settled);
  const driver = resolveDriver(settled.driver);
  if (settled.ingress === true)
    throw new EngineError('forbidden', 'Ingress network can only be global scope network');
  const whole = settled.configFrom === undefined ? settled : configured(settled, around.networks);
  if (whole.scope === 'swarm') {
    throw new EngineError('forbidden', 'cannot create a swarm scoped network when swarm is not active');
  }
  const record = newNetwork(name, driver);
  return driver === 'bridge'
    ? planBridge(record, whole, around)
    : planOnParent(record, driver, whole, around);
}

function planBridge(record: NetworkRecord, request: Settled, around: Surroundings): NetworkRecord {
  const options = bridgeOptions(request.options, request.internal, around.networks);
  const planned = planPools(
    {
      ipam: request.ipam,
      families: familiesOf(request),
      gateways: gatewayFamilies(options, request.internal),
    },
    { ...around, ours: subnetsOf(around.networks) },
  );
  if (!request.enableIpv4 && !request.enableIpv6) throw invalid('IPv4 or IPv6 must be enabled');
  checkNotEmpty(request, planned);
  checkBridgePools(planned);
  const bridge: BridgeRecord = {
    name: `br-${record.id.slice(0, 12)}`,
    mtu: around.mtu,
    ...(request.internal ? { internal: true } : {}),
    ...options,
  };
  return { ...withUser(record, request, planned), bridge };
}

function checkNotEmpty(request: Settled, { pools }: PlannedPools): void {
  for (const family of familiesOf(request)) {
    if (!pools.some(({ subnet }) => parseSubnet(subnet).family === family))
      throw invalid(`ipv${family} pool is empty`);
  }
}

/** An isolated network has no gateway, and one whose bridge has no address and that leads nowhere needs none. */
function gatewayFamilies(options: Partial<BridgeRecord>, internal: boolean): Family[] {
  const families: Family[] = [];
  const skips4 = options.gatewayMode4 === 'isolated' || (options.inhibitIpv4 === true && internal);
  if (!skips4) families.push(4);
  if (options.gatewayMode6 !== 'isolated') families.push(6);
  return families;
}

function checkBridgePools({ pools }: PlannedPools): void {
  const subnets = pools.map(({ subnet }) => parseSubnet(subnet));
  for (const family of [4, 6]) {
    if (subnets.filter((subnet) => subnet.family === family).length > 1)
      throw new EngineError('forbidden', "bridge driver doesn't support multiple subnets");
  }
  for (const [index, { base, family, prefixLength }] of subnets.entries()) {
    const text = pools[index]?.subnet ?? '';
    if (family !== 6) continue;
    if (base >> 120n === 0xffn) throw invalid(`multicast subnet '${text}' is not allowed`);
    const isLinkLocal = base >> 64n === 0xfe80_0000_0000_0000n;
    const holdsLinkLocal =
      prefixLength < 64 &&
      (0xfe80n << 112n) >> BigInt(128 - prefixLength) === base >> BigInt(128 - prefixLength);
    if ((isLinkLocal && prefixLength !== 64) || holdsLinkLocal)
      throw invalid(`'${text}' clashes with the Link-Local prefix 'fe80::/64'`);
  }
}

function planOnParent(
  record: NetworkRecord,
  driver: 'macvlan' | 'ipvlan',
  request: Settled,
  around: Surroundings,
): NetworkRecord {
  // The gateway is a router of the parent's network: there is one only where the user says so.
  const planned = planPools(
    { ipam: request.ipam, families: familiesOf(request), gateways: [] },
    { ...around, ours: subnetsOf(around.networks) },
  );
  checkNotEmpty(request, planned);
  const parent = parentOptions(driver, record.id, request.options, request.internal);
  return { ...withUser(record, request, planned), parent };
}

function withUser(record: NetworkRecord, request: Settled, { pools, config }: PlannedPools): NetworkRecord {
  const { ipam, attachable, enableIpv4, enableIpv6, internal, options, labels, configFrom } = request;
  const ipamDriver = ipam?.Driver === undefined || ipam.Driver === '' ? 'default' : ipam.Driver;
  return {
    ...record,
    labels: { ...labels },
    pools,
    user: {
      attachable,
      enableIpv4,
      enableIpv6,
      internal,
      options: { ...options },
      ipam: { Driver: ipamDriver, Options: ipam?.Options ?? {}, Config: config },
      ...(configFrom === undefined ? {} : { configFrom }),
    },
  };
}

const familiesOf = ({ enableIpv4, enableIpv6 }: Settled): Family[] => [
  ...(enableIpv4 ? ([4] as const) : []),
  ...(enableIpv6 ? ([6] as const) : []),
];

const subnetsOf = (networks: readonly NetworkRecord[]): Subnet[] =>
  networks.flatMap(({ pools = [] }) => pools.map(({ subnet }) => parseSubnet(subnet)));

const enableKeys = { 4: 'com.docker.network.enable_ipv4', 6: 'com.docker.network.enable_ipv6' } as const;

/** Whether a network has a family can be said as an option of the driver, too; what says it for good overrules it. */
function settle(request: NetworkCreate, defaults: NonNullable<Surroundings['defaultOptions']>): Settled {
  const driver = request.driver === '' ? 'bridge' : request.driver;
  const options = { ...(request.configFrom === undefined ? defaults[driver] : {}), ...request.options };
  const enabled = (family: Family, asked: boolean | undefined, initial: boolean): boolean => {
    const key = enableKeys[family];
    const option = options[key];
    if (asked !== undefined) delete options[key];
    if (asked !== undefined || option === undefined) return asked ?? initial;
    try {
      return parseBoolean(key, option);
    } catch (error) {
      throw new EngineError('invalid-parameter', `driver-opt "${key}" is not a valid bool`, { cause: error });
    }
  };
  const enableIpv4 = enabled(4, request.enableIpv4, true);
  const enableIpv6 = enabled(6, request.enableIpv6, false);
  return { ...request, options, enableIpv4, enableIpv6 };
}

/** @see moby daemon/libnetwork/network.go validateConfiguration */
function checkConfiguration(request: Settled): void {
  const { internal, attachable, ingress, scope = '', configOnly, configFrom, ipam } = request;
  const forbid = (message: string): EngineError => new EngineError('forbidden', message);
  if (configOnly === true && (internal || attachable || ingress === true || scope !== '')) {
    throw forbid(
      'configuration network can only contain network specific fields. Network operator fields like ' +
        '[ ingress | internal | attachable | scope ] are not supported.',
    );
  }
  if (configFrom === undefined) return;
  if (configOnly === true)
    throw forbid('a configuration network cannot depend on another configuration network');
  const saysMore =
    !['', 'default'].includes(ipam?.Driver ?? '') ||
    !request.enableIpv4 ||
    request.enableIpv6 ||
    Object.keys(request.labels).length > 0 ||
    Object.keys(ipam?.Options ?? {}).length > 0 ||
    (ipam?.Config ?? []).length > 0;
  if (saysMore) {
    throw forbid(
      'user-specified configurations are not supported if the network depends on a configuration network',
    );
  }
  if (Object.keys(request.options).length > 0) {
    throw forbid(
      'network driver options are not supported if the network depends on a configuration network',
    );
  }
}

/** Not a network: nothing is checked against the machine, nothing is taken. */
function planConfiguration(request: Settled): NetworkRecord {
  const { ipam, enableIpv4, enableIpv6 } = request;
  return {
    ...newNetwork(request.name, 'null'),
    labels: { ...request.labels },
    user: {
      attachable: false,
      internal: false,
      enableIpv4,
      enableIpv6,
      options: { ...request.options },
      ipam: {
        Driver: ipam?.Driver === undefined || ipam.Driver === '' ? 'default' : ipam.Driver,
        Options: ipam?.Options ?? {},
        Config: ipam?.Config ?? [],
      },
      configOnly: true,
    },
  };
}

function configured(request: Settled, networks: readonly NetworkRecord[]): Settled {
  const source = networks.find(({ name, user }) => name === request.configFrom && user?.configOnly === true);
  if (source?.user === undefined)
    throw new EngineError('not-found', `configuration network "${request.configFrom}" does not exist`);
  const { ipam, options, enableIpv4, enableIpv6 } = source.user;
  return { ...request, ipam, options, enableIpv4, enableIpv6, labels: source.labels };
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

function resolveDriver(driver: string): 'bridge' | 'macvlan' | 'ipvlan' {
  switch (driver) {
    case '':
    case 'default':
    case 'bridge':
      return 'bridge';
    case 'macvlan':
    case 'ipvlan':
      return driver;
    case 'host':
    case 'null':
      throw new EngineError('forbidden', `only one instance of "${driver}" network is allowed`);
    default:
      throw new EngineError('not-found', `plugin "${driver}" not found`);
  }
}

const noSwarmManager = (): EngineError =>
  new EngineError(
    'forbidden',
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm ' +
      'and try again.',
  );

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message);
}
