import type { ContainerConfig, HostConfig } from '../../spec/index.ts';
import type { SpecInput } from './build-spec.ts';
import { knownCapabilities } from './capabilities.ts';
import type { MachineFacts } from './machine-facts.ts';

/** A configuration as the API hands it over when the client says nothing. For tests. */
export function emptyConfig(changes: Partial<ContainerConfig> = {}): ContainerConfig {
  return {
    Hostname: '',
    Domainname: '',
    User: '',
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: null,
    Cmd: null,
    Image: '',
    Volumes: null,
    WorkingDir: '',
    Entrypoint: null,
    OnBuild: null,
    Labels: {},
    ...changes,
  };
}

export function emptyHostConfig(changes: Partial<HostConfig> = {}): HostConfig {
  return {
    CpuShares: 0,
    Memory: 0,
    NanoCpus: 0,
    CgroupParent: '',
    BlkioWeight: 0,
    BlkioWeightDevice: null,
    BlkioDeviceReadBps: null,
    BlkioDeviceWriteBps: null,
    BlkioDeviceReadIOps: null,
    BlkioDeviceWriteIOps: null,
    CpuPeriod: 0,
    CpuQuota: 0,
    CpuRealtimePeriod: 0,
    CpuRealtimeRuntime: 0,
    CpusetCpus: '',
    CpusetMems: '',
    Devices: null,
    DeviceCgroupRules: null,
    DeviceRequests: null,
    MemoryReservation: 0,
    MemorySwap: 0,
    MemorySwappiness: null,
    OomKillDisable: null,
    PidsLimit: null,
    Ulimits: null,
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
    Binds: null,
    ContainerIDFile: '',
    LogConfig: { Type: '', Config: {} },
    NetworkMode: 'none',
    PortBindings: null,
    RestartPolicy: { Name: '', MaximumRetryCount: 0 },
    AutoRemove: false,
    VolumeDriver: '',
    VolumesFrom: null,
    ConsoleSize: [0, 0],
    CapAdd: null,
    CapDrop: null,
    CgroupnsMode: '',
    Dns: null,
    DnsOptions: null,
    DnsSearch: null,
    ExtraHosts: null,
    GroupAdd: null,
    IpcMode: 'private',
    Cgroup: '',
    Links: null,
    OomScoreAdj: 0,
    PidMode: '',
    Privileged: false,
    PublishAllPorts: false,
    ReadonlyRootfs: false,
    SecurityOpt: null,
    UTSMode: '',
    UsernsMode: '',
    ShmSize: 0,
    Runtime: '',
    Isolation: '',
    MaskedPaths: null,
    ReadonlyPaths: null,
    ...changes,
  };
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
