import type { EndpointSettings } from '../spec/index.ts';

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
}

/** Key of an endpoint in its collection. */
export const endpointKey = (containerId: string, networkId: string): string => `${containerId}/${networkId}`;
