import type { EndpointIpamConfig, EndpointSettings, Ipam, IpamPoolConfig } from '../../spec/index.ts';
import {
  boolean,
  integer,
  list,
  map,
  nullable,
  optional,
  string,
  struct,
  withZero,
  type Schema,
} from '../json/schema.ts';

const endpointIpam: Schema<EndpointIpamConfig> = struct<EndpointIpamConfig>('network.EndpointIPAMConfig', {
  IPv4Address: optional(string()),
  IPv6Address: optional(string()),
  LinkLocalIPs: optional(list(string())),
});

export const endpointSettings: Schema<EndpointSettings> = struct<EndpointSettings>(
  'network.EndpointSettings',
  {
    IPAMConfig: nullable(endpointIpam),
    Links: list(string()),
    Aliases: list(string()),
    MacAddress: string(),
    DriverOpts: map(string()),
    GwPriority: optional(integer('int')),
    NetworkID: string(),
    EndpointID: string(),
    Gateway: string(),
    IPAddress: string(),
    IPPrefixLen: integer('int'),
    IPv6Gateway: string(),
    GlobalIPv6Address: string(),
    GlobalIPv6PrefixLen: integer('int'),
    DNSNames: optional(list(string())),
  },
);

export interface NetworkCreateBody {
  Name: string;
  Driver: string;
  Scope: string;
  EnableIPv4: boolean | null;
  EnableIPv6: boolean | null;
  IPAM: Ipam | null;
  Internal: boolean;
  Attachable: boolean;
  Ingress: boolean;
  ConfigOnly: boolean;
  ConfigFrom: { Network: string } | null;
  Options: Record<string, string>;
  Labels: Record<string, string>;
  CheckDuplicate: boolean;
}

const ipamPool: Schema<IpamPoolConfig> = struct<IpamPoolConfig>('network.IPAMConfig', {
  Subnet: optional(string()),
  IPRange: optional(string()),
  Gateway: optional(string()),
  AuxiliaryAddresses: optional(withZero(map(string()), () => ({}))),
});

export const networkCreateBody: Schema<NetworkCreateBody> = struct<NetworkCreateBody>(
  'network.CreateRequest',
  {
    Name: string(),
    Driver: string(),
    Scope: string(),
    EnableIPv4: nullable(boolean()),
    EnableIPv6: nullable(boolean()),
    IPAM: nullable(
      struct<Ipam>('network.IPAM', { Driver: string(), Options: map(string()), Config: list(ipamPool) }),
    ),
    Internal: boolean(),
    Attachable: boolean(),
    Ingress: boolean(),
    ConfigOnly: boolean(),
    ConfigFrom: nullable(struct<{ Network: string }>('network.ConfigReference', { Network: string() })),
    Options: withZero(map(string()), () => ({})),
    Labels: withZero(map(string()), () => ({})),
    CheckDuplicate: boolean(),
  },
);
