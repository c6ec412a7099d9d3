import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseCpuList } from './masked-paths.ts';

/** What this machine can limit; requests for what it cannot are dropped with a warning, as Docker does. */
export interface MachineFacts {
  cgroupVersion: 1 | 2;
  cgroupDriver: 'cgroupfs' | 'systemd';
  /** Names as `CAP_CHOWN`. */
  boundingCapabilities: readonly string[];
  processors: number;
  /** As the kernel prints them, `0-3`; empty when unknown. */
  cpusetCpus: string;
  cpusetMems: string;
  ipv4Forwarding: boolean;
  memory: boolean;
  memoryReservation: boolean;
  memorySwappiness: boolean;
  swap: boolean;
  oomKillDisable: boolean;
  pids: boolean;
  cpuShares: boolean;
  cpuQuota: boolean;
  cpuRealtime: boolean;
  cpuset: boolean;
  blkioWeight: boolean;
  blkioWeightDevice: boolean;
  blkioThrottle: boolean;
}

/** Reads the facts from the kernel's files; once per engine. */
export function readMachineFacts(options: {
  cgroupVersion: 1 | 2;
  cgroupDriver: 'cgroupfs' | 'systemd';
  boundingCapabilities: readonly string[];
  /** Where the hierarchies are mounted. */
  cgroupRoot?: string;
}): MachineFacts {
  const root = options.cgroupRoot ?? '/sys/fs/cgroup';
  const common = {
    cgroupVersion: options.cgroupVersion,
    cgroupDriver: options.cgroupDriver,
    boundingCapabilities: options.boundingCapabilities,
    processors: availableParallelism(),
    ipv4Forwarding: text('/proc/sys/net/ipv4/ip_forward') !== '0',
  };
  return options.cgroupVersion === 2
    ? { ...common, ...unifiedFacts(root) }
    : { ...common, ...legacyFacts(root) };
}

type CgroupFacts = Omit<
  MachineFacts,
  'cgroupVersion' | 'cgroupDriver' | 'boundingCapabilities' | 'processors' | 'ipv4Forwarding'
>;

function legacyFacts(root: string): CgroupFacts {
  const has = (file: string): boolean => existsSync(`${root}/${file}`);
  return {
    cpusetCpus: text(`${root}/cpuset/cpuset.cpus`),
    cpusetMems: text(`${root}/cpuset/cpuset.mems`),
    memory: has('memory/memory.limit_in_bytes'),
    memoryReservation: has('memory/memory.soft_limit_in_bytes'),
    memorySwappiness: has('memory/memory.swappiness'),
    swap: has('memory/memory.memsw.limit_in_bytes'),
    oomKillDisable: has('memory/memory.oom_control'),
    pids: has('pids'),
    cpuShares: has('cpu/cpu.shares'),
    cpuQuota: has('cpu/cpu.cfs_quota_us'),
    cpuRealtime: has('cpu/cpu.rt_period_us') && has('cpu/cpu.rt_runtime_us'),
    cpuset: has('cpuset/cpuset.cpus'),
    blkioWeight: has('blkio/blkio.weight') || has('blkio/blkio.bfq.weight'),
    blkioWeightDevice: has('blkio/blkio.weight_device') || has('blkio/blkio.bfq.weight_device'),
    blkioThrottle: has('blkio/blkio.throttle.read_bps_device'),
  };
}

function unifiedFacts(root: string): CgroupFacts {
  const controllers = new Set(text(`${root}/cgroup.controllers`).split(' '));
  const io = controllers.has('io');
  return {
    cpusetCpus: text(`${root}/cpuset.cpus.effective`),
    cpusetMems: text(`${root}/cpuset.mems.effective`),
    memory: controllers.has('memory'),
    memoryReservation: controllers.has('memory'),
    // Neither exists on v2.
    memorySwappiness: false,
    oomKillDisable: false,
    swap: controllers.has('memory') && existsSync('/proc/swaps'),
    pids: controllers.has('pids'),
    cpuShares: controllers.has('cpu'),
    cpuQuota: controllers.has('cpu'),
    cpuRealtime: false,
    cpuset: controllers.has('cpuset'),
    blkioWeight: io,
    blkioWeightDevice: io,
    blkioThrottle: io,
  };
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

/** True when every number of `wanted` (`0,2-3`) is in `available`. @throws {RangeError} for no such list */
export function isCpuListWithin(wanted: string, available: string): boolean {
  const there = new Set(parseCpuList(available));
  return parseCpuList(wanted).every((number) => there.has(number));
}
