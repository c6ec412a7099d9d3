import { isIP } from 'node:net';
import { minimumApiVersion, parseMinimumVersion, type ApiVersion } from '../api/index.ts';
import type { EngineOptions } from '../engine/index.ts';
import type { Ulimit } from '../spec/index.ts';
import { parseRefusedEntitlements } from './builder-entitlements.ts';
import { parseBuilderGc } from './builder-gc.ts';
import { parseHost, type Host } from './hosts.ts';
import { parseImageGc } from './image-gc.ts';
import type { LogLevel } from './log.ts';
import { parseInsecureRegistry, parseMirror } from './registry-settings.ts';
import type { GivenSettings, SettingFlag } from './settings.ts';
import { invalid, keyValues, parseSize } from './values.ts';

export interface TlsFiles {
  ca?: string;
  cert: string;
  key: string;
  verify: boolean;
}

/** All that the daemon was told, checked and with its defaults. */
export interface DaemonOptions {
  engine: EngineOptions & { dataRoot: string; execRoot: string };
  hosts: readonly Host[];
  group: string;
  /** True: the group was asked for, so that a missing one is an error. */
  groupRequired: boolean;
  pidFile: string | undefined;
  tls: TlsFiles | undefined;
  logLevel: LogLevel;
  logFormat: 'text' | 'json';
  /** Take the place of the environment's variables of these names. */
  proxies: Readonly<Record<string, string>>;
  insecureRegistries: readonly string[];
  registryMirrors: readonly string[];
  addressPools: readonly { base: string; size: number }[];
  logDriver: string;
  logOptions: Readonly<Record<string, string>>;
  defaultShmSizeBytes: number;
  defaultInit: boolean;
  /** The lowest API version that is served. */
  minimumVersion: ApiVersion;
}

const defaultLogOptions = { 'max-size': '10m', 'max-file': '3' };
const levels: Readonly<Record<string, LogLevel>> = {
  trace: 'debug',
  debug: 'debug',
  info: 'info',
  warn: 'warning',
  warning: 'warning',
  error: 'error',
  fatal: 'error',
  panic: 'error',
};

/** @throws {EngineError} `invalid-parameter` for a value that its setting does not take */
export function buildOptions(given: GivenSettings): DaemonOptions {
  const text = (name: SettingFlag): string | undefined => {
    const value = given.get(name);
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const flag = (name: SettingFlag): boolean => given.get(name) === true;
  const list = (name: SettingFlag): readonly string[] => {
    const value = given.get(name);
    return typeof value === 'object' ? value : [];
  };
  const debug = flag('debug');
  const logLevel = levels[text('log-level') ?? 'info'];
  if (logLevel === undefined) throw invalid(`unable to parse logging level: ${text('log-level')}`);
  const logFormat = text('log-format') ?? 'text';
  if (logFormat !== 'text' && logFormat !== 'json') throw invalid(`invalid log format: ${logFormat}`);
  const dataRoot = text('data-root') ?? '/var/lib/coracle';
  const execRoot = text('exec-root') ?? '/run/coracle';
  const addressPools = list('default-address-pool').map(parsePool);
  const ulimits = list('default-ulimit').map(parseUlimit);
  const networkOptions = parseNetworkOptions(list('default-network-opt'));
  const bridge = {
    ...optional('name', bridgeName(text('bridge'))),
    ...optional('bip', text('bip')),
    ...optional('bip6', text('bip6')),
    ...optional('ipv6', given.get('ipv6') === true ? true : undefined),
    ...optional('fixedCidr', text('fixed-cidr')),
    ...optional('fixedCidr6', text('fixed-cidr-v6')),
    ...optional('defaultGateway', text('default-gateway')),
    ...optional('defaultGateway6', text('default-gateway-v6')),
    ...optional('hostAddress', text('ip')),
    ...optional('neighbours', given.get('icc') === false ? false : undefined),
    ...optional('masquerade', given.get('ip-masq') === false ? false : undefined),
    ...optional('iptables', given.get('iptables') === false ? false : undefined),
    ...optional('publishPolicy', parsePublishPolicy(text('publish-policy'))),
    ...optional('acceptMark', parseMark(text('bridge-accept-fwmark'))),
    ...optional('usesProxies', given.get('userland-proxy') === false ? false : undefined),
    ...optional('mtu', parseNumber('mtu', text('mtu'))),
    ...(addressPools.length === 0 ? {} : { pools: addressPools }),
    ...(networkOptions.size === 0 ? {} : { networkOptions: Object.fromEntries(networkOptions) }),
  };
  const storageDriver = parseStorageDriver(text('storage-driver'));
  const logDriver = text('log-driver') ?? 'json-file';
  const logOptions = list('log-opt').length === 0 ? defaultLogOptions : keyValues(list('log-opt'));
  const defaultShmSizeBytes = parseSize(text('default-shm-size') ?? '64m');
  const tlsVerify = flag('tlsverify');
  const insecureRegistries = list('insecure-registry').map(parseInsecureRegistry);
  const registryMirrors = list('registry-mirror').map(parseMirror);
  const labels = list('label');
  for (const label of labels) {
    if (!/^[^=]+=/.test(label)) throw invalid(`bad attribute format: ${label}`);
  }
  const engine: EngineOptions & { dataRoot: string; execRoot: string } = {
    dataRoot,
    execRoot,
    bridge,
    runtimes: Object.fromEntries(list('add-runtime').map(parseRuntime)),
    ...optional('defaultRuntime', text('default-runtime')),
    ...optional('storageDriver', storageDriver),
    ...optional('cgroupDriver', cgroupDriver(list('exec-opt'))),
    ...optional('cgroupParent', text('cgroup-parent')),
    logDriver,
    logOptions,
    ...(ulimits.length === 0 ? {} : { defaultUlimits: ulimits }),
    defaultShmSizeBytes,
    noNewPrivileges: flag('no-new-privileges'),
    dns: { servers: dnsServers(list('dns')), search: list('dns-search'), options: list('dns-opt') },
    linkEnvironment: !given.has('link-environment') || flag('link-environment'),
    labels,
    debug,
    ...optional('buildCacheGc', parseBuilderGc(text('builder'))),
    ...optional('refusedEntitlements', parseRefusedEntitlements(text('builder'))),
    ...optional('imageGc', parseImageGc(list('image-gc'))),
    archiveLimits: {
      ...optional('maxBytes', parseOptionalSize(text('max-archive-size'))),
      ...optional('maxRatio', parseNumber('max-archive-ratio', text('max-archive-ratio'))),
      ...optional('maxEntries', parseNumber('max-archive-entries', text('max-archive-entries'))),
    },
    registries: {
      insecureRegistries,
      mirrors: registryMirrors,
      ...optional(
        'maxConcurrentDownloads',
        parseNumber('max-concurrent-downloads', text('max-concurrent-downloads')),
      ),
      ...optional('retry', retries(parseNumber('max-download-attempts', text('max-download-attempts')))),
      ...optional(
        'maxConcurrentUploads',
        parseNumber('max-concurrent-uploads', text('max-concurrent-uploads')),
      ),
    },
  };
  const hosts = list('host').length === 0 ? [`unix://${execRoot}/coracle.sock`] : list('host');
  return {
    engine,
    hosts: hosts.map((host) => parseHost(host, flag('tls') || tlsVerify)),
    group: text('group') ?? 'docker',
    groupRequired: given.has('group'),
    pidFile: text('pidfile'),
    tls:
      flag('tls') || tlsVerify
        ? {
            cert: text('tlscert') ?? '/etc/coracle/cert.pem',
            key: text('tlskey') ?? '/etc/coracle/key.pem',
            verify: tlsVerify,
            ...(tlsVerify ? { ca: text('tlscacert') ?? '/etc/coracle/ca.pem' } : {}),
          }
        : undefined,
    logLevel: debug ? 'debug' : logLevel,
    logFormat,
    proxies: {
      ...optional('HTTP_PROXY', text('http-proxy')),
      ...optional('HTTPS_PROXY', text('https-proxy')),
      ...optional('NO_PROXY', text('no-proxy')),
    },
    insecureRegistries,
    registryMirrors,
    addressPools,
    logDriver,
    logOptions,
    defaultShmSizeBytes,
    defaultInit: flag('init'),
    minimumVersion: minimumVersion(text('min-api-version') ?? process.env['DOCKER_MIN_API_VERSION'] ?? ''),
  };
}

function minimumVersion(text: string): ApiVersion {
  return text === '' ? minimumApiVersion : parseMinimumVersion(text);
}

/** @throws {EngineError} for dockerd's word for no default network, which is always there here */
function bridgeName(text: string | undefined): string | undefined {
  if (text !== 'none') return text;
  throw invalid('--bridge none is not supported: leave it out, and start containers with --network none');
}

function retries(attempts: number | undefined): { attempts: number } | undefined {
  if (attempts === 0) throw invalid('invalid max download attempts: 0');
  return attempts === undefined ? undefined : { attempts };
}

function optional<K extends string, V>(name: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [name]: value }) as { [P in K]?: V };
}

/** `base=10.0.0.0/8,size=24` */
function parsePool(given: string): { base: string; size: number } {
  const members = keyValues(given.split(','));
  const { base, size } = members;
  if (base === undefined || size === undefined || !/^\d+$/.test(size)) {
    throw invalid(`invalid default address pool: ${given}: must be base=<CIDR>,size=<prefix length>`);
  }
  return { base, size: Number(size) };
}

/** `bridge=com.docker.network.driver.mtu=1300` */
function parseNetworkOptions(given: readonly string[]): Map<string, Record<string, string>> {
  const drivers = new Map<string, Record<string, string>>();
  for (const text of given) {
    const [, driver, key, value] = /^([^=]+)=([^=]+)=(.*)$/s.exec(text) ?? [];
    if (driver === undefined || key === undefined || value === undefined)
      throw invalid(`invalid map-map argument: ${text}: must be driver=option=value`);
    drivers.set(driver, { ...drivers.get(driver), [key]: value });
  }
  return drivers;
}

/** `nofile=1024:2048` */
function parseUlimit(given: string): Ulimit {
  const found = /^(\w+)=(-?\d+)(?::(-?\d+))?$/.exec(given);
  if (found === null) throw invalid(`invalid ulimit argument: ${given}`);
  const soft = Number(found[2]);
  const hard = found[3] === undefined ? soft : Number(found[3]);
  if (hard !== -1 && (soft > hard || soft === -1)) {
    throw invalid(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  }
  return { Name: found[1] as string, Soft: soft, Hard: hard };
}

/** `name=/path arg arg` */
function parseRuntime(given: string): [string, { path: string; args: string[] }] {
  const equals = given.indexOf('=');
  if (equals <= 0 || equals === given.length - 1) throw invalid(`invalid runtime argument: ${given}`);
  const [path = '', ...args] = given.slice(equals + 1).split(' ');
  return [given.slice(0, equals), { path, args }];
}

function cgroupDriver(execOptions: readonly string[]): 'cgroupfs' | 'systemd' | undefined {
  let chosen: 'cgroupfs' | 'systemd' | undefined;
  for (const option of execOptions) {
    const [name, value] = option.split('=');
    if (name?.trim().toLowerCase() !== 'native.cgroupdriver') {
      throw invalid(`invalid exec-opt (${option}): unknown option`);
    }
    if (value !== 'cgroupfs' && value !== 'systemd') {
      throw invalid(`native.cgroupdriver option ${value} is not supported`);
    }
    chosen = value;
  }
  return chosen;
}

function parseStorageDriver(given: string | undefined): 'overlay2' | 'vfs' | undefined {
  if (given === undefined || given === 'overlay2' || given === 'vfs') return given;
  throw invalid(`error initializing graphdriver: driver not supported: ${given}`);
}

function parsePublishPolicy(given: string | undefined): 'engine' | 'host-firewall' | undefined {
  if (given === undefined || given === 'engine' || given === 'host-firewall') return given;
  throw invalid(`invalid publish policy: ${given}: must be engine or host-firewall`);
}

/** `0x1` or `0x1/0x3`, value and mask. */
function parseMark(given: string | undefined): { value: string; mask: string } | undefined {
  if (given === undefined) return undefined;
  const found = /^(0x[0-9a-f]{1,8}|\d{1,10})(?:\/(0x[0-9a-f]{1,8}|\d{1,10}))?$/i.exec(given);
  const [, value = '', mask = '0xffffffff'] = found ?? [];
  if (found === null || Number(value) > 0xffffffff || Number(mask) > 0xffffffff)
    throw invalid(`invalid firewall mark: ${given}`);
  return { value, mask };
}

function parseNumber(name: string, given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  if (!/^\d+$/.test(given)) throw invalid(`invalid argument ${JSON.stringify(given)} for "--${name}" flag`);
  return Number(given);
}

function parseOptionalSize(given: string | undefined): number | undefined {
  return given === undefined ? undefined : parseSize(given);
}

function dnsServers(addresses: readonly string[]): readonly string[] {
  for (const address of addresses) if (isIP(address) === 0) throw invalid(`${address} is not an ip address`);
  return addresses;
}
