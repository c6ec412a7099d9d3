export { LinuxCgroups, type LinuxCgroupsOptions } from './linux-cgroups.ts';
export { containerCgroupsPath } from './cgroups-path.ts';
