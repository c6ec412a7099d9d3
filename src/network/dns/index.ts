export { NameServers, type Directory, type NameServerRecord } from './name-servers.ts';
