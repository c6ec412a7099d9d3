export { AddressPool } from './address-pool.ts';
export { chooseSubnet, defaultAddressPools, type AddressPoolOption } from './pools.ts';
export { formatAddress, formatSubnet, overlaps, parseSubnet, type Subnet } from './subnet.ts';
