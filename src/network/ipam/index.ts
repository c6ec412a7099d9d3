export { AddressPool } from './address-pool.ts';
export { chooseSubnet, defaultAddressPools, effectivePools, type AddressPoolOption } from './pools.ts';
export { NetworkAddresses, type GivenAddress, type GivenAddresses } from './network-addresses.ts';
export {
  contains as subnetContains,
  formatAddress,
  formatSubnet,
  hostSubnet,
  lastAddress,
  overlaps,
  parseAddress,
  parseSubnet,
  withPrefix,
  type Family,
  type Subnet,
} from './subnet.ts';
