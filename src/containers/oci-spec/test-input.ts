import {
  emptyContainerConfig,
  emptyHostConfig as zeroHostConfig,
  type ContainerConfig,
  type HostConfig,
} from '../../spec/index.ts';
import type { SpecInput } from './build-spec.ts';
import { knownCapabilities } from './capabilities.ts';
import type { MachineFacts } from './machine-facts.ts';

/** A configuration as the API hands it over when the client says nothing. For tests. */
export function emptyConfig(changes: Partial<ContainerConfig> = {}): ContainerConfig {
  return emptyContainerConfig(changes);
}

export function emptyHostConfig(changes: Partial<HostConfig> = {}): HostConfig {
  return zeroHostConfig({
    NetworkMode: 'none',
    RestartPolicy: { Name: '', MaximumRetryCount: 0 },
    ...changes,
  });
}

export function specInput(
  rootPath: string,
  changes: {
    config?: Partial<ContainerConfig>;
    hostConfig?: Partial<HostConfig>;
  } & Partial<Omit<SpecInput, 'config' | 'hostConfig'>> = {},
): SpecInput {
  const { config, hostConfig, ...rest } = changes;
  return {
    id: 'a'.repeat(64),
    config: emptyConfig(config),
    hostConfig: emptyHostConfig(hostConfig),
    imageConfig: { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } },
    rootPath,
    entrypointAndCommand: ['echo', 'hi'],
    mounts: [],
    namespacePaths: {},
    cgroupsPath: '/coracle-test/aaa',
    cgroupVersion: 1,
    hostname: 'box',
    boundingCapabilities: knownCapabilities,
    daemonDefaults: { shmSizeBytes: 64 * 2 ** 20, ulimits: [], noNewPrivileges: false },
    ...rest,
  };
}

/** A machine that can do everything, with four processors. */
export function machineFacts(changes: Partial<MachineFacts> = {}): MachineFacts {
  return {
    cgroupVersion: 1,
    cgroupDriver: 'cgroupfs',
    boundingCapabilities: knownCapabilities,
    processors: 4,
    cpusetCpus: '0-3',
    cpusetMems: '0',
    ipv4Forwarding: true,
    memory: true,
    memoryReservation: true,
    memorySwappiness: true,
    swap: true,
    oomKillDisable: true,
    pids: true,
    cpuShares: true,
    cpuQuota: true,
    cpuRealtime: true,
    cpuset: true,
    blkioWeight: true,
    blkioWeightDevice: true,
    blkioThrottle: true,
    ...changes,
  };
}
