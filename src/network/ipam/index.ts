export { AddressPool } from './address-pool.ts';
export { chooseSubnet, defaultAddressPools, type AddressPoolOption } from './pools.ts';
export {
  contains as subnetContains,
  formatAddress,
  formatSubnet,
  overlaps,
  parseAddress,
  parseSubnet,
  type Subnet,
} from './subnet.ts';
