import { readFileSync, writeFileSync } from 'node:fs';
import { hostname as hostHostname } from 'node:os';
import { EngineError, isKind } from '../errors/index.ts';
import {
  buildHostname,
  buildHosts,
  buildResolvConf,
  generatedMac,
  predefinedNetworks,
  readHostResolvConf,
  resolverOptions,
  type NameOptions,
} from '../network/index.ts';
import type { EndpointSettings, RuntimeMount } from '../spec/index.ts';
import type { ContainerRecord } from './containers.ts';
import type { ContainerEntry } from './entry.ts';
import { assertLinksRun, linkHosts, tellLinked, linkPorts } from './links.ts';
import type { ContainerTable } from './table.ts';

export interface NetworkSetup {
  namespacePaths: { network?: string };
  /** resolv.conf, hostname and hosts. */
  mounts: RuntimeMount[];
  hostname: string;
}

/**
 * Namespace, endpoints and files of a container's network; synchronous, a millisecond or two. What it made is undone by
 * releaseNetwork(), also when this throws half way.
 */
export function prepareNetwork(table: ContainerTable, entry: ContainerEntry): NetworkSetup {
  const { record } = entry;
  const mode = record.hostConfig.NetworkMode;
  if (mode.startsWith('container:')) return joinNetwork(table, mode.slice('container:'.length));
  const namespacePaths: { network?: string } = {};
  if (mode !== 'host') {
    const { networks } = table.parts;
    const sandbox = networks.createSandbox(entry.id, { network: mode });
    record.sandbox = { id: sandbox.id, path: sandbox.path };
    namespacePaths.network = sandbox.path;
  }
  assertLinksRun(table, record);
  inDockersWords(() => attachAll(table, entry));
  writeNetworkFiles(table, record);
  tellLinked(table, entry);
  return {
    namespacePaths,
    mounts: fileMounts(record),
    hostname: record.config.Hostname === '' && mode === 'host' ? hostHostname() : record.config.Hostname,
  };
}

/** Ports and names. Undone by releaseNetwork(). */
export function finishNetwork(table: ContainerTable, entry: ContainerEntry): void {
  const { record } = entry;
  const { hostConfig, config } = record;
  const publishes = hostConfig.PublishAllPorts || Object.keys(hostConfig.PortBindings ?? {}).length > 0;
  if (record.sandbox === null) return;
  const { networks } = table.parts;
  if (publishes) {
    record.ports = networks.publish(entry.id, {
      bindings: hostConfig.PortBindings,
      exposed: config.ExposedPorts ?? null,
      publishAll: hostConfig.PublishAllPorts,
    });
  }
  if (asksNames(record)) networks.answerNames(entry.id, nameOptions(table, record));
}

/** Why a container has no network, as dockerd says it. */
function inDockersWords(body: () => void): void {
  try {
    body();
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw new EngineError(error.kind, `failed to set up container networking: ${error.message}`, {
      cause: error,
    });
  }
}

/** @throws {EngineError} `not-found`, by the id where it was known: another one may have its name */
function networkName(table: ContainerTable, nameOrId: string, { NetworkID: id }: EndpointSettings): string {
  try {
    return table.parts.networks.nameOf(nameOrId);
  } catch (error) {
    if (id === '' || !isKind(error, 'not-found')) throw error;
    throw new EngineError('not-found', `network ${id} not found`, { cause: error });
  }
}

function attachAll(table: ContainerTable, entry: ContainerEntry): void {
  const { record } = entry;
  const main = record.hostConfig.NetworkMode;
  for (const [key, settings] of Object.entries(record.networks)) {
    // Asked for by id, or by the first digits of one: from here on by name.
    const name = predefinedNetworks.includes(key) ? key : networkName(table, key, settings);
    if (name === key) continue;
    delete record.networks[key];
    record.networks[name] = settings;
  }
  const order = Object.keys(record.networks).sort((a, b) => {
    if (a === main || b === main) return a === main ? -1 : 1;
    return a < b ? -1 : 1;
  });
  for (const network of order) attachOne(table, entry, network, record.networks[network] ?? {});
}

/** Also for a container that runs. The record knows afterwards; the caller saves it. */
export function attachOne(
  table: ContainerTable,
  entry: ContainerEntry,
  network: string,
  settings: Partial<EndpointSettings>,
): void {
  const { record } = entry;
  const given = table.parts.networks.attach({
    containerId: entry.id,
    containerName: record.name,
    hostname: record.config.Hostname,
    network,
    settings,
    ...(network === 'bridge' ? { links: linkPorts(table, record) } : {}),
    ipv6: record.hostConfig.Sysctls?.['net.ipv6.conf.all.disable_ipv6'] !== '1',
  });
  record.networks[network] = given;
  publishNetwork(table, entry, 'connect', network, given.NetworkID);
}

export function publishNetwork(
  table: ContainerTable,
  entry: ContainerEntry,
  action: 'connect' | 'disconnect',
  network: string,
  networkId: string,
): void {
  const type = table.parts.networks.driverOf(networkId);
  table.parts.events.publish('network', action, networkId, { container: entry.id, name: network, type });
}

/**
 * Another container's namespace, and its files and names with it.
 * @throws {EngineError} `not-found`; `conflict` when it does not run
 */
export function joinNetwork(table: ContainerTable, id: string): NetworkSetup {
  const other = table.resolve(id);
  if (!other.running) {
    throw new EngineError('conflict', `cannot join network of a non running container: ${other.id}`);
  }
  if (other.record.state.status === 'restarting') {
    throw new EngineError(
      'conflict',
      `Container ${other.id} is restarting, wait until the container is running`,
    );
  }
  const path = other.record.sandbox?.path;
  return {
    namespacePaths: { network: path ?? `/proc/${other.record.state.pid}/ns/net` },
    mounts: fileMounts(other.record),
    hostname: other.record.config.Hostname,
  };
}

/** Endpoints and namespace; no error when there are none. */
export function releaseNetwork(table: ContainerTable, entry: ContainerEntry): void {
  const { record } = entry;
  const attached = Object.entries(record.networks).filter(([, settings]) => settings.EndpointID !== '');
  const { networks } = table.parts;
  if (record.sandbox === null && attached.length === 0 && networks.sandbox(entry.id) === undefined) return;
  networks.removeSandbox(entry.id);
  record.sandbox = null;
  delete record.ports;
  for (const [network, settings] of attached) {
    record.networks[network] = released(settings);
    publishNetwork(table, entry, 'disconnect', network, settings.NetworkID);
  }
}

/** What the user asked for stays, what was given goes. */
export function released(settings: EndpointSettings): EndpointSettings {
  return {
    ...settings,
    EndpointID: '',
    Gateway: '',
    IPAddress: '',
    IPPrefixLen: 0,
    IPv6Gateway: '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    MacAddress: isGeneratedMac(settings) ? '' : settings.MacAddress,
  };
}

/** Made from an address; any other was chosen by the user. */
function isGeneratedMac({ MacAddress, IPAddress, GlobalIPv6Address }: EndpointSettings): boolean {
  return [IPAddress, GlobalIPv6Address].some(
    (address) => address !== '' && MacAddress === generatedMac(address),
  );
}

function fileMounts(record: ContainerRecord): RuntimeMount[] {
  const files: [string, string][] = [
    ['/etc/resolv.conf', record.resolvConfPath],
    ['/etc/hostname', record.hostnamePath],
    ['/etc/hosts', record.hostsPath],
  ];
  return files.map(([destination, source]) => ({
    destination,
    type: 'bind',
    source,
    options: ['rbind', 'rprivate'],
  }));
}

function writeNetworkFiles(table: ContainerTable, record: ContainerRecord): void {
  writeFileSync(record.hostnamePath, buildHostname(record.config.Hostname), { mode: 0o644 });
  writeFileSync(record.hostsPath, hostsText(table, record), { mode: 0o644 });
  writeFileSync(record.resolvConfPath, resolvConfText(table, record), { mode: 0o644 });
}

/**
 * To be called before the networks of a running container change; the result, after. Lines of addresses that are gone go,
 * those of new ones come; what the container's own programs wrote is kept. Files are written in place: the container has
 * them mounted.
 */
export function watchNetworkFiles(table: ContainerTable, entry: ContainerEntry): () => void {
  const { record } = entry;
  const before = lines(hostsText(table, record));
  const resolvConfBefore = resolvConfText(table, record);
  return () => {
    const wanted = lines(hostsText(table, record));
    const current = lines(readFileSync(record.hostsPath, 'utf8'));
    const kept = current.filter((line) => wanted.includes(line) || !before.includes(line));
    const added = wanted.filter((line) => !kept.includes(line));
    if (added.length > 0 || kept.length < current.length)
      writeFileSync(record.hostsPath, [...kept, ...added, ''].join('\n'));
    const resolvConf = resolvConfText(table, record);
    if (resolvConf !== resolvConfBefore && readFileSync(record.resolvConfPath, 'utf8') === resolvConfBefore)
      writeFileSync(record.resolvConfPath, resolvConf);
  };
}

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

/** It is in a network of the user's, where names are answered. */
function asksNames({ networks }: ContainerRecord): boolean {
  return Object.keys(networks).some((name) => !predefinedNetworks.includes(name));
}

function hostsText(table: ContainerTable, record: ContainerRecord): string {
  const { config, hostConfig } = record;
  const ownAddresses = Object.values(record.networks).flatMap((endpoint) =>
    [endpoint.IPAddress, endpoint.GlobalIPv6Address].filter((address) => address !== ''),
  );
  const asksGateway = (hostConfig.ExtraHosts ?? []).some((text) => text.endsWith('host-gateway'));
  return buildHosts({
    ...(hostConfig.NetworkMode === 'host' ? { host: readFileSync('/etc/hosts', 'utf8') } : {}),
    hostname: config.Hostname,
    domainname: config.Domainname,
    ownAddresses,
    extraHosts: hostConfig.ExtraHosts,
    links: linkHosts(table, record),
    hostGateway: asksGateway ? table.parts.networks.hostGateway() : undefined,
  });
}

function resolvConfText(table: ContainerTable, record: ContainerRecord): string {
  const { hostConfig } = record;
  return buildResolvConf({
    ...dnsOf(table, record),
    host: readHostResolvConf(),
    sharesHostNetwork: hostConfig.NetworkMode === 'host',
    answersNames: asksNames(record),
    ipv6: Object.values(record.networks).some((endpoint) => endpoint.GlobalIPv6Address !== ''),
  });
}

/** The container's own words, or the engine's. */
function dnsOf(table: ContainerTable, { hostConfig }: ContainerRecord) {
  const { dns } = table.options;
  const first = (own: readonly string[] | null, other: readonly string[]): readonly string[] =>
    own !== null && own.length > 0 ? own : other;
  return {
    dns: first(hostConfig.Dns, dns.servers),
    dnsSearch: first(hostConfig.DnsSearch, dns.search),
    dnsOptions: first(hostConfig.DnsOptions, dns.options),
  };
}

/** What the container's name server is told. */
export function nameOptions(table: ContainerTable, record: ContainerRecord): NameOptions {
  const { dns, dnsOptions } = dnsOf(table, record);
  return {
    servers: [...dns],
    keepsShortNames: resolverOptions(readHostResolvConf(), dnsOptions).some((option) =>
      option.startsWith('ndots:'),
    ),
  };
}
