import { LinuxProcesses } from './linux/processes.ts';
import { LinuxSyscall } from './linux/linux-syscall.ts';
import { LibuvWatcher } from './linux/watcher.ts';
import type { DescriptorWatcher, ProcessSpawner } from './process.ts';
import type { Syscall } from './syscall.ts';

export { mountFlags, unmountFlags, type OverlayMount, type Syscall } from './syscall.ts';
export type * from './process.ts';
export type * from './netlink.ts';
export type * from './cgroup.ts';
export { LinuxCgroups, containerCgroupsPath, type LinuxCgroupsOptions } from './cgroup/index.ts';
export { syncDirectory, writeFileAtomic } from './atomic-file.ts';
export { machinePlatform } from './machine-platform.ts';
export { diskUsageBytes, fileDiskBytes } from './disk-usage.ts';
export { readRegularText } from './regular-text.ts';
export { compileSeccompFilter } from './seccomp/compile-filter.ts';
export { sealedProgram } from './linux/sealed-program.ts';
export { warmCgroupMoves } from './linux/warm-cgroup-moves.ts';
export { recordingSyscall, type RecordingSyscall } from './fake.ts';

/** The kernel of this machine. Nothing is loaded before the first call. */
export function linuxSyscall(): Syscall {
  return new LinuxSyscall();
}

/** Waits on descriptors that node:net refuses, in the program's own event loop. */
export function createWatcher(): DescriptorWatcher {
  return new LibuvWatcher();
}

/** Children by posix_spawn. */
export function createSpawner(): ProcessSpawner {
  return new LinuxProcesses();
}
export {
  createNetlink,
  formatIp,
  maskBytes,
  parseCidr,
  parseIp,
  watchNetworkLosses,
  type NetworkLosses,
  type InterfaceAddress,
} from './netlink/index.ts';
