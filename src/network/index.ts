export type * from './networks.ts';
export { BridgeNetworks, type BridgeNetworksOptions } from './bridge-networks.ts';
export {
  buildHostname,
  buildHosts,
  buildResolvConf,
  nameservers,
  readHostResolvConf,
  type HostsRequest,
  type ResolvConfRequest,
} from './files.ts';
export { defaultAddressPools, type AddressPoolOption } from './ipam/index.ts';
