export { watchNetworkLosses, type NetworkLosses } from './loss-watch.ts';
export { createNetlink } from './linux-netlink.ts';
export { formatIp, maskBytes, parseCidr, parseIp, type InterfaceAddress } from './ip-address.ts';
