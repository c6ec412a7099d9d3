import { EngineError } from '../../errors/index.ts';
import type { Resources } from '../../spec/index.ts';
import { isCpuListWithin, type MachineFacts } from './machine-facts.ts';

const minimumMemoryBytes = 6 * 2 ** 20;

/**
 * Checks limits against the machine. What the machine cannot do is taken out of `resources` and told in a warning.
 * @param update of a container that exists: swap may then be given alone
 * @returns warnings, Docker's texts
 * @throws {EngineError} `invalid-parameter` with Docker's texts
 */
export function verifyResources(resources: Resources, facts: MachineFacts, update = false): string[] {
  const warnings: string[] = [];
  verifyMemory(resources, facts, update, warnings);
  verifyPids(resources, facts, warnings);
  verifyCpu(resources, facts, warnings);
  verifyCpuset(resources, facts, warnings);
  verifyBlkio(resources, facts, warnings);
  return warnings;
}

function verifyMemory(resources: Resources, facts: MachineFacts, update: boolean, warnings: string[]): void {
  const unsupported = (what: string, consequence: string): void => {
    warnings.push(`Your kernel does not support ${what} or the cgroup is not mounted. ${consequence}`);
  };
  if (resources.MemorySwappiness === -1) resources.MemorySwappiness = null;
  if (resources.Memory !== 0 && resources.Memory < minimumMemoryBytes)
    throw invalid('Minimum memory limit allowed is 6MB');
  if (resources.Memory > 0 && !facts.memory) {
    unsupported('memory limit capabilities', 'Limitation discarded.');
    resources.Memory = 0;
    resources.MemorySwap = -1;
  }
  if (resources.Memory > 0 && resources.MemorySwap !== -1 && !facts.swap) {
    unsupported('swap limit capabilities', 'Memory limited without swap.');
    resources.MemorySwap = -1;
  }
  if (resources.Memory > 0 && resources.MemorySwap > 0 && resources.MemorySwap < resources.Memory)
    throw invalid('Minimum memoryswap limit should be larger than memory limit, see usage');
  if (resources.Memory === 0 && resources.MemorySwap > 0 && !update)
    throw invalid('You should always set the Memory limit when using Memoryswap limit, see usage');
  if (isNumber(resources.MemorySwappiness) && !facts.memorySwappiness) {
    unsupported('memory swappiness capabilities', 'Memory swappiness discarded.');
    resources.MemorySwappiness = null;
  }
  const swappiness = resources.MemorySwappiness;
  if (isNumber(swappiness) && (swappiness < 0 || swappiness > 100))
    throw invalid(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  if (resources.MemoryReservation > 0 && !facts.memoryReservation) {
    unsupported('memory soft limit capabilities', 'Limitation discarded.');
    resources.MemoryReservation = 0;
  }
  if (resources.MemoryReservation > 0 && resources.MemoryReservation < minimumMemoryBytes)
    throw invalid('Minimum memory reservation allowed is 6MB');
  if (resources.Memory > 0 && resources.Memory < resources.MemoryReservation)
    throw invalid('Minimum memory limit can not be less than memory reservation limit, see usage');
  if (!facts.oomKillDisable) {
    if (resources.OomKillDisable === true)
      warnings.push('Your kernel does not support OomKillDisable. OomKillDisable discarded.');
    resources.OomKillDisable = null;
  }
  if (resources.OomKillDisable === true && resources.Memory === 0)
    warnings.push(
      'OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.',
    );
}

function verifyPids(resources: Resources, facts: MachineFacts, warnings: string[]): void {
  if (!isNumber(resources.PidsLimit) || facts.pids) return;
  if (resources.PidsLimit > 0)
    warnings.push(
      'Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.',
    );
  resources.PidsLimit = null;
}

function verifyCpu(resources: Resources, facts: MachineFacts, warnings: string[]): void {
  const { NanoCpus: nanoCpus } = resources;
  if (nanoCpus > 0 && resources.CpuPeriod > 0)
    throw invalid('Conflicting options: Nano CPUs and CPU Period cannot both be set');
  if (nanoCpus > 0 && resources.CpuQuota > 0)
    throw invalid('Conflicting options: Nano CPUs and CPU Quota cannot both be set');
  if (nanoCpus > 0 && !facts.cpuQuota)
    throw invalid(
      'NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted',
    );
  if (nanoCpus < 0 || nanoCpus > facts.processors * 1e9)
    throw invalid(
      `Range of CPUs is from 0.01 to ${facts.processors}.00, as there are only ${facts.processors} CPUs available`,
    );
  if (resources.CpuShares > 0 && !facts.cpuShares) {
    warnings.push('Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.');
    resources.CpuShares = 0;
  }
  if (resources.CpuShares < 0)
    throw invalid(`invalid CPU shares (${resources.CpuShares}): value must be a positive integer`);
  if ((resources.CpuPeriod || resources.CpuQuota) && !facts.cpuQuota) {
    warnings.push('Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.');
    resources.CpuPeriod = 0;
    resources.CpuQuota = 0;
  }
  if (resources.CpuPeriod && (resources.CpuPeriod < 1000 || resources.CpuPeriod > 1_000_000))
    throw invalid('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  if (resources.CpuQuota > 0 && resources.CpuQuota < 1000)
    throw invalid('CPU cfs quota can not be less than 1ms (i.e. 1000)');
  verifyRealtime(resources, facts);
  if (resources.CpuPercent > 0) {
    warnings.push('linux does not support CPU percent. Percent discarded.');
    resources.CpuPercent = 0;
  }
}

function verifyRealtime(resources: Resources, facts: MachineFacts): void {
  const { CpuRealtimePeriod: period, CpuRealtimeRuntime: runtime } = resources;
  if ((period || runtime) && !facts.cpuRealtime)
    throw invalid('kernel does not support CPU real-time scheduler');
  if (period && runtime && runtime > period)
    throw invalid('cpu real-time runtime cannot be higher than cpu real-time period');
}

function verifyCpuset(resources: Resources, facts: MachineFacts, warnings: string[]): void {
  if ((resources.CpusetCpus || resources.CpusetMems) && !facts.cpuset) {
    warnings.push('Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.');
    resources.CpusetCpus = '';
    resources.CpusetMems = '';
  }
  verifyList(resources.CpusetCpus, facts.cpusetCpus, 'CPUs', 'cpuset cpus');
  verifyList(resources.CpusetMems, facts.cpusetMems, 'memory nodes', 'cpuset mems');
}

function verifyList(wanted: string, available: string, what: string, name: string): void {
  if (!wanted) return;
  let within: boolean;
  try {
    within = available === '' || isCpuListWithin(wanted, available);
  } catch (error) {
    throw invalid(`Invalid value ${wanted} for ${name}: ${(error as Error).message}`);
  }
  if (!within)
    throw invalid(`Requested ${what} are not available - requested ${wanted}, available: ${available}`);
}

const throttles = [
  ['BlkioDeviceReadBps', 'BPS Block I/O read limit', 'Block I/O BPS read limit'],
  ['BlkioDeviceWriteBps', 'BPS Block I/O write limit', 'Block I/O BPS write limit'],
  ['BlkioDeviceReadIOps', 'IOPS Block read limit', 'Block I/O IOPS read limit'],
  ['BlkioDeviceWriteIOps', 'IOPS Block write limit', 'Block I/O IOPS write limit'],
] as const;

function verifyBlkio(resources: Resources, facts: MachineFacts, warnings: string[]): void {
  if (resources.BlkioWeight > 0 && !facts.blkioWeight) {
    warnings.push(
      'Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.',
    );
    resources.BlkioWeight = 0;
  }
  if (resources.BlkioWeight > 0 && (resources.BlkioWeight < 10 || resources.BlkioWeight > 1000))
    throw invalid('Range of blkio weight is from 10 to 1000');
  if (resources.IOMaximumBandwidth || resources.IOMaximumIOps)
    throw invalid('Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps');
  if (resources.BlkioWeightDevice?.length && !facts.blkioWeightDevice) {
    warnings.push(
      'Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.',
    );
    resources.BlkioWeightDevice = [];
  }
  for (const [member, what, discarded] of throttles) {
    if (!resources[member]?.length || facts.blkioThrottle) continue;
    warnings.push(
      `Your kernel does not support ${what} or the cgroup is not mounted. ${discarded} discarded.`,
    );
    resources[member] = [];
  }
}

function isNumber(value: number | null | undefined): value is number {
  return typeof value === 'number';
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message);
}
