import type { ContainerCreate } from '../containers/index.ts';
import type { ContainerConfig, HostConfig, NetworkingConfig } from '../spec/index.ts';

/** A container as a program asks for it; everything but the image has a default. */
export interface ContainerRequest {
  /** Reference or id of an image that is here. */
  image: string;
  /** Absent: the image's own. */
  command?: readonly string[];
  name?: string;
  /** `KEY=value` by key. */
  env?: Readonly<Record<string, string>>;
  /** Anything else of Docker's ContainerConfig and HostConfig. */
  config?: Partial<ContainerConfig>;
  hostConfig?: Partial<HostConfig>;
  networkingConfig?: NetworkingConfig;
}

/** What `Containers.create` takes, with Docker's defaults filled in. */
export function containerCreate(request: ContainerRequest): ContainerCreate {
  const env = Object.entries(request.env ?? {}).map(([key, value]) => `${key}=${value}`);
  const config: ContainerConfig = {
    Hostname: '',
    Domainname: '',
    User: '',
    AttachStdin: false,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: env.length === 0 ? null : env,
    Cmd: request.command === undefined ? null : [...request.command],
    Image: request.image,
    Volumes: null,
    WorkingDir: '',
    Entrypoint: null,
    OnBuild: null,
    Labels: {},
    ...request.config,
  };
  return {
    ...(request.name === undefined ? {} : { name: request.name }),
    config,
    hostConfig: { ...defaultHostConfig(), ...request.hostConfig },
    networkingConfig: request.networkingConfig ?? { EndpointsConfig: {} },
  };
}

function defaultHostConfig(): HostConfig {
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
    NetworkMode: 'bridge',
    PortBindings: null,
    RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
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
  };
}
