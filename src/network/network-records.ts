import type { EndpointSettings, Ipam } from '../spec/index.ts';
import type { ContainerLinkPorts } from './networks.ts';

export type NetworkDriver = 'bridge' | 'macvlan' | 'ipvlan' | 'host' | 'null';

/** A network as it is kept. */
export interface NetworkRecord {
  /** 64 hex. */
  id: string;
  name: string;
  driver: NetworkDriver;
  /** RFC 3339 with nanoseconds. */
  created: string;
  labels: Record<string, string>;
  /** Where containers' addresses come from, IPv4 first; absent or empty: they have none. */
  pools?: readonly PoolRecord[];
  /** Only with the driver `bridge`. */
  bridge?: BridgeRecord;
  /** Only with the drivers `macvlan` and `ipvlan`. */
  parent?: ParentRecord;
  /** Absent: one of the engine's own three. */
  user?: UserSettings;
}

/** One subnet of a network. */
export interface PoolRecord {
  /** CIDR. */
  subnet: string;
  /** The host's own address in it where the network is a bridge, that of a router where it is not. */
  gateway?: string;
  /** Instead of the gateway, where containers' default route goes (Docker's auxiliary address `DefaultGatewayIPv4`). */
  router?: string;
  /** The part of the subnet that addresses are given from, CIDR; absent: all of it. */
  range?: string;
  /** Addresses in use by something that is no container. */
  auxiliary?: readonly string[];
}

/** What a user asked of a network and inspect shows again. */
export interface UserSettings {
  attachable: boolean;
  options: Record<string, string>;
  ipam: Ipam;
  enableIpv4: boolean;
  enableIpv6: boolean;
  internal: boolean;
  /** It is no network but what others are made from. */
  configOnly?: boolean;
  /** Name of the network that the configuration was taken from. */
  configFrom?: string;
}

/** How a bridge's containers of one family and the world reach each other. @see Docker's `gateway_mode_ipv4` */
export type GatewayMode = 'nat' | 'nat-unprotected' | 'routed' | 'isolated';

export interface BridgeRecord {
  /** Name of the link. */
  name: string;
  /** Bytes. */
  mtu: number;
  /** Nothing outside can be reached. */
  internal?: boolean;
  /** False: containers appear with their own addresses outside. */
  masquerade?: boolean;
  /** False: containers of the network do not reach each other. */
  neighbours?: boolean;
  /** Where ports are published that name no address; absent: everywhere. */
  hostAddress?: string;
  /** Names of links inside begin so; absent: `eth`. */
  interfacePrefix?: string;
  /** Absent: `nat`. */
  gatewayMode4?: GatewayMode;
  gatewayMode6?: GatewayMode;
  /** The bridge itself has no IPv4 address. */
  inhibitIpv4?: boolean;
  /** The addresses that containers appear with outside; absent: that of the link they leave by. */
  sourceAddress4?: string;
  sourceAddress6?: string;
  /** Links of the host from which containers' own addresses may be reached at published ports. */
  trustedLinks?: readonly string[];
}

/** The host's link that containers' links hang on. */
export interface ParentRecord {
  name: string;
  /** How it came to be: the engine makes and removes those that are not the host's own. */
  made: 'no' | 'dummy' | 'vlan';
  /** As the driver calls it: `bridge`, `private`, `vepa`, `passthru`; `l2`, `l3`, `l3s`. */
  mode: string;
  /** Of ipvlan: `bridge`, `private`, `vepa`. */
  flag?: string;
  /** Bytes; absent: the parent's. */
  mtu?: number;
  /** Nothing outside can be reached. */
  internal: boolean;
}

/** A container's place in one network, kept from attach to detach: after a restart it is adopted. */
export interface EndpointRecord {
  containerId: string;
  containerName: string;
  networkId: string;
  /** As given to the container; EndpointID, addresses and the like included. */
  settings: EndpointSettings;
  /** Name of the link inside the sandbox; absent where the network gives none. */
  interface?: string;
  /** Name of the host's end of it; absent where it has none (macvlan, ipvlan). */
  hostInterface?: string;
  /** See AttachRequest. */
  links?: readonly ContainerLinkPorts[];
  /** The container's IPv4 default route goes here. */
  isGateway?: boolean;
  /** The container's IPv6 default route goes here. */
  isGateway6?: boolean;
}

/** Key of an endpoint in its collection. */
export const endpointKey = (containerId: string, networkId: string): string => `${containerId}/${networkId}`;
