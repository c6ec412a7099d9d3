import type { ContainerRecord } from '../../containers/index.ts';
import type { EndpointSettings, PortBinding } from '../../spec/index.ts';
import type { ApiVersion } from '../api-version.ts';
import { isUp } from './container-state.ts';

/** One endpoint, complete and in the order dockerd answers. */
export function endpointView(endpoint: EndpointSettings): EndpointSettings {
  return {
    IPAMConfig: endpoint.IPAMConfig,
    Links: endpoint.Links,
    Aliases: endpoint.Aliases,
    DriverOpts: endpoint.DriverOpts,
    GwPriority: endpoint.GwPriority ?? 0,
    NetworkID: endpoint.NetworkID,
    EndpointID: endpoint.EndpointID,
    Gateway: endpoint.Gateway,
    IPAddress: endpoint.IPAddress,
    MacAddress: endpoint.MacAddress,
    IPPrefixLen: endpoint.IPPrefixLen,
    IPv6Gateway: endpoint.IPv6Gateway,
    GlobalIPv6Address: endpoint.GlobalIPv6Address,
    GlobalIPv6PrefixLen: endpoint.GlobalIPv6PrefixLen,
    DNSNames: endpoint.DNSNames ?? null,
  };
}

const predefined = new Set(['default', 'bridge', 'host', 'none']);

/** The container's endpoints; before 1.45 its short id was listed among the aliases in networks of the user's. */
export function endpointsView(
  record: ContainerRecord,
  version: ApiVersion,
): Record<string, EndpointSettings> {
  const result: Record<string, EndpointSettings> = {};
  for (const [name, endpoint] of Object.entries(record.networks)) {
    const view = endpointView(endpoint);
    if (version < 45 && !predefined.has(name)) {
      const aliases = [...(view.Aliases ?? []), record.id.slice(0, 12), record.config.Hostname];
      view.Aliases = [...new Set(aliases)];
    }
    result[name] = view;
  }
  return result;
}

/** Exposed and published ports while the container runs; nothing otherwise. */
export function portsView(record: ContainerRecord): Record<string, PortBinding[] | null> {
  const ports: Record<string, PortBinding[] | null> = {};
  if (!isUp(record.state) || record.hostConfig.NetworkMode === 'host') return ports;
  for (const port of Object.keys(record.config.ExposedPorts ?? {})) ports[withProtocol(port)] = null;
  for (const port of Object.keys(record.hostConfig.PortBindings ?? {})) ports[withProtocol(port)] = null;
  return { ...ports, ...record.ports };
}

function withProtocol(port: string): string {
  return port.includes('/') ? port : `${port}/tcp`;
}

export interface PortSummary {
  IP?: string;
  PrivatePort: number;
  PublicPort?: number;
  Type: string;
}

/** `Ports` of a list entry. */
export function portSummaries(record: ContainerRecord): PortSummary[] {
  const summaries: PortSummary[] = [];
  for (const [port, bindings] of Object.entries(portsView(record))) {
    const [number = '0', type = 'tcp'] = port.split('/');
    const privatePort = Number(number);
    if (bindings === null) summaries.push({ PrivatePort: privatePort, Type: type });
    for (const { HostIp, HostPort } of bindings ?? []) {
      summaries.push({
        ...(HostIp === '' ? {} : { IP: HostIp }),
        PrivatePort: privatePort,
        ...(HostPort === '' ? {} : { PublicPort: Number(HostPort) }),
        Type: type,
      });
    }
  }
  return summaries;
}

/** `NetworkSettings` of inspect. The default bridge's address was repeated at the top until 1.52. */
export function networkSettingsView(record: ContainerRecord, version: ApiVersion): Record<string, unknown> {
  const sandbox = { SandboxID: record.sandbox?.id ?? '', SandboxKey: record.sandbox?.path ?? '' };
  const common = { Ports: portsView(record), Networks: endpointsView(record, version) };
  if (version >= 52) return { ...sandbox, ...common };
  const bridge = record.networks['bridge'];
  return {
    Bridge: '',
    SandboxID: sandbox.SandboxID,
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    Ports: common.Ports,
    SandboxKey: sandbox.SandboxKey,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: bridge?.EndpointID ?? '',
    Gateway: bridge?.Gateway ?? '',
    GlobalIPv6Address: bridge?.GlobalIPv6Address ?? '',
    GlobalIPv6PrefixLen: bridge?.GlobalIPv6PrefixLen ?? 0,
    IPAddress: bridge?.IPAddress ?? '',
    IPPrefixLen: bridge?.IPPrefixLen ?? 0,
    IPv6Gateway: bridge?.IPv6Gateway ?? '',
    MacAddress: bridge?.MacAddress ?? '',
    Networks: common.Networks,
  };
}
