import type { EndpointSettings, Ipam } from '../spec/index.ts';

export type NetworkDriver = 'bridge' | 'host' | 'null';

/** A network as it is kept. */
export interface NetworkRecord {
  /** 64 hex. */
  id: string;
  name: string;
  driver: NetworkDriver;
  /** RFC 3339 with nanoseconds. */
  created: string;
  labels: Record<string, string>;
  /** Only with the driver `bridge`. */
  bridge?: BridgeRecord;
  /** Absent: one of the engine's own three. */
  user?: UserSettings;
}

/** What a user asked of a network and inspect shows again. */
export interface UserSettings {
  attachable: boolean;
  options: Record<string, string>;
  ipam: Ipam;
}

export interface BridgeRecord {
  /** Name of the link. */
  name: string;
  /** CIDR. */
  subnet: string;
  /** The bridge's own address in it. */
  gateway: string;
  /** Bytes. */
  mtu: number;
  /** The part of the subnet that addresses are given from, CIDR; absent: all of it. */
  range?: string;
  /** Addresses in use by something that is no container. */
  auxiliary?: readonly string[];
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
  /** Name of the host's end of it. */
  hostInterface?: string;
  /** The container's default route goes here. */
  isGateway?: boolean;
}

/** Key of an endpoint in its collection. */
export const endpointKey = (containerId: string, networkId: string): string => `${containerId}/${networkId}`;
