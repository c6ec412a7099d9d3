import type { IpamPoolConfig, NetworkResource } from '../spec/index.ts';
import type { BridgeRecord, EndpointRecord, NetworkRecord, PoolRecord } from './network-records.ts';

/** A network as Docker's API shows it. */
export function networkResource(
  record: NetworkRecord,
  endpoints: readonly EndpointRecord[],
): NetworkResource {
  const { bridge, user, pools = [] } = record;
  const containers: NetworkResource['Containers'] = {};
  for (const { containerId, containerName, settings } of endpoints) {
    containers[containerId] = {
      Name: containerName,
      EndpointID: settings.EndpointID,
      MacAddress: settings.MacAddress,
      IPv4Address: settings.IPAddress === '' ? '' : `${settings.IPAddress}/${settings.IPPrefixLen}`,
      IPv6Address:
        settings.GlobalIPv6Address === ''
          ? ''
          : `${settings.GlobalIPv6Address}/${settings.GlobalIPv6PrefixLen}`,
    };
  }
  return {
    Name: record.name,
    Id: record.id,
    Created: record.created,
    Scope: 'local',
    Driver: record.driver,
    EnableIPv4: user?.enableIpv4 ?? true,
    EnableIPv6: user?.enableIpv6 ?? pools.some(({ subnet }) => subnet.includes(':')),
    IPAM: user?.ipam ?? {
      Driver: 'default',
      Options: null,
      Config: pools.map(poolConfig),
    },
    Internal: user?.internal ?? false,
    Attachable: user?.attachable ?? false,
    Ingress: false,
    ConfigFrom: { Network: user?.configFrom ?? '' },
    ConfigOnly: user?.configOnly ?? false,
    Containers: containers,
    Options: user?.options ?? (bridge === undefined ? {} : defaultBridgeOptions(bridge)),
    Labels: record.labels,
  };
}

/** Of the default network, whose subnets nobody asked for in a request. */
function poolConfig({ subnet, range, gateway }: PoolRecord): IpamPoolConfig {
  return {
    Subnet: subnet,
    ...(range === undefined ? {} : { IPRange: range }),
    ...(gateway === undefined ? {} : { Gateway: gateway }),
  };
}

function defaultBridgeOptions(bridge: BridgeRecord): Record<string, string> {
  return {
    'com.docker.network.bridge.default_bridge': 'true',
    'com.docker.network.bridge.enable_icc': String(bridge.neighbours ?? true),
    'com.docker.network.bridge.enable_ip_masquerade': String(bridge.masquerade ?? true),
    'com.docker.network.bridge.host_binding_ipv4': bridge.hostAddress ?? '0.0.0.0',
    'com.docker.network.bridge.name': bridge.name,
    'com.docker.network.driver.mtu': String(bridge.mtu),
  };
}
