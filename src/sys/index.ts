export { mountFlags, unmountFlags, type OverlayMount, type Syscall } from './syscall.ts';
export type * from './process.ts';
export type * from './netlink.ts';
export type * from './cgroup.ts';
export { syncDirectory, writeFileAtomic } from './atomic-file.ts';
export { LinuxCgroups, containerCgroupsPath, type LinuxCgroupsOptions } from './cgroup/index.ts';
