export { NameServers, type Directory, type NameOptions, type NameServerRecord } from './name-servers.ts';
