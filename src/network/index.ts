export type * from './networks.ts';
export { BridgeNetworks, type BridgeNetworksOptions } from './bridge-networks.ts';
export type { BridgesOptions } from './bridge/bridges.ts';
export {
  buildHostname,
  buildHosts,
  buildResolvConf,
  dnsAddress,
  nameservers,
  readHostResolvConf,
  resolverOptions,
  type HostsRequest,
  type ResolvConfRequest,
} from './files.ts';
export { generatedMac } from './linked-network.ts';
export { joinErrors } from './join-errors.ts';
export { predefinedNetworks } from './predefined.ts';
export type { NetworkCreate } from './user-network.ts';
export { keepNames, nameCollections } from './keep-names.ts';
export { keepPorts, portCollections } from './keep-ports.ts';
export { NamesKeeper, type NameOptions } from './dns/index.ts';
export type { PublishRequest } from './ports/index.ts';
export { defaultAddressPools, type AddressPoolOption } from './ipam/index.ts';
