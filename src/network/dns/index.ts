export { NamesKeeper } from './names-keeper.ts';
export { NameServers, type Directory, type NameOptions, type NameServerRecord } from './name-servers.ts';
