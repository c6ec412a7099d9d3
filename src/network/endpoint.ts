import { randomBytes } from 'node:crypto';
import { EngineError } from '../errors/index.ts';
import type { EndpointSettings } from '../spec/index.ts';
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

export function plumbingOf(
  endpoint: EndpointRecord,
): { interface: string; hostInterface: string; address: string } | undefined {
  const { interface: name, hostInterface, settings } = endpoint;
  if (name === undefined || hostInterface === undefined) return undefined;
  return { interface: name, hostInterface, address: settings.IPAddress };
}

/** The address that the user chose, if any. @throws {EngineError} `invalid-parameter` where none can be chosen */
export function askedAddress(
  network: NetworkRecord,
  settings: Partial<EndpointSettings>,
): string | undefined {
  const address = settings.IPAMConfig?.IPv4Address ?? '';
  if (address === '') return undefined;
  if (network.user === undefined) {
    throw new EngineError(
      'invalid-parameter',
      'user specified IP address is supported on user defined networks only',
    );
  }
  return address;
}

/** What a network of the user's calls a container. */
export function dnsNames(request: AttachRequest): string[] {
  const { containerName, settings, containerId, hostname = '' } = request;
  const names = [containerName, ...(settings.Aliases ?? []), containerId.slice(0, 12), hostname];
  return [...new Set(names.filter((name) => name !== ''))];
}
