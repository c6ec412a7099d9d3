import {
  emptyContainerConfig,
  emptyHostConfig,
  type ContainerConfig,
  type HostConfig,
} from '../../spec/index.ts';
import type { BuildLimits } from '../builder.ts';

/** A step's container as the API would describe it. */
export function stepConfig(
  step: { user: string; workingDirectory: string },
  hostname: string,
  environment: string[],
): ContainerConfig {
  return emptyContainerConfig({
    Hostname: hostname,
    User: step.user,
    Env: environment,
    WorkingDir: step.workingDirectory,
  });
}

export function stepHostConfig(options: {
  networkMode: string;
  limits: BuildLimits;
  extraHosts: readonly string[];
  isInsecure: boolean;
  devices: HostConfig['Devices'];
}): HostConfig {
  const { limits } = options;
  return emptyHostConfig({
    CpuShares: limits.cpuShares ?? 0,
    Memory: limits.memoryBytes ?? 0,
    CpuPeriod: limits.cpuPeriod ?? 0,
    CpuQuota: limits.cpuQuota ?? 0,
    CpusetCpus: limits.cpusetCpus ?? '',
    CpusetMems: limits.cpusetMems ?? '',
    MemorySwap: limits.memorySwapBytes ?? 0,
    Ulimits: limits.ulimits === undefined ? null : [...limits.ulimits],
    LogConfig: { Type: 'none', Config: {} },
    NetworkMode: options.networkMode,
    AutoRemove: true,
    ExtraHosts: [...options.extraHosts],
    ShmSize: limits.shmSizeBytes ?? 0,
    Privileged: options.isInsecure,
    Devices: options.devices,
  });
}
