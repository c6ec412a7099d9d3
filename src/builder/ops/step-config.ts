import {
  emptyContainerConfig,
  emptyHostConfig,
  type ContainerConfig,
  type HostConfig,
  type ImageRunConfig,
} from '../../spec/index.ts';
import type { BuildLimits } from '../builder.ts';

/** A step's container as the API would describe it: the image's configuration with this command. */
export function stepConfig(config: ImageRunConfig, hostname: string, environment: string[]): ContainerConfig {
  return emptyContainerConfig({
    Hostname: hostname,
    User: config.User ?? '',
    Env: environment,
    WorkingDir: config.WorkingDir ?? '',
  });
}

export function stepHostConfig(options: {
  networkMode: string;
  limits: BuildLimits;
  extraHosts: readonly string[];
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
  });
}
