import type {
  ContainerConfig,
  DeviceMapping,
  DeviceRequest,
  Healthcheck,
  HostConfig,
  LogConfig,
  MountRequest,
  NetworkingConfig,
  PortBinding,
  Resources,
  RestartPolicy,
  ThrottleDevice,
  Ulimit,
  WeightDevice,
} from '../../spec/index.ts';
import {
  boolean,
  emptyObject,
  integer,
  list,
  map,
  nullable,
  optional,
  pair,
  string,
  stringOrList,
  struct,
  withZero,
  type Fields,
  type Schema,
} from '../json/schema.ts';
import { endpointSettings } from './network.ts';

const labels = (): Schema<Record<string, string>> => withZero(map(string()), () => ({}));

const healthcheck: Schema<Healthcheck> = struct<Healthcheck>('v1.HealthcheckConfig', {
  Test: optional(list(string())),
  Interval: optional(integer('int64')),
  Timeout: optional(integer('int64')),
  StartPeriod: optional(integer('int64')),
  StartInterval: optional(integer('int64')),
  Retries: optional(integer('int')),
});

const configFields: Fields<ContainerConfig> = {
  Hostname: string(),
  Domainname: string(),
  User: string(),
  AttachStdin: boolean(),
  AttachStdout: boolean(),
  AttachStderr: boolean(),
  ExposedPorts: optional(map(emptyObject())),
  Tty: boolean(),
  OpenStdin: boolean(),
  StdinOnce: boolean(),
  Env: list(string()),
  Cmd: stringOrList(),
  Healthcheck: optional(nullable(healthcheck)),
  ArgsEscaped: optional(boolean()),
  Image: string(),
  Volumes: map(emptyObject()),
  WorkingDir: string(),
  Entrypoint: stringOrList(),
  NetworkDisabled: optional(boolean()),
  MacAddress: optional(string()),
  OnBuild: list(string()),
  Labels: labels(),
  StopSignal: optional(string()),
  StopTimeout: optional(nullable(integer('int'))),
  Shell: optional(stringOrList()),
};

/** `ContainerConfig` alone, as `commit` takes it. */
export const containerConfig: Schema<ContainerConfig> = struct('container.Config', configFields);

const ulimit: Schema<Ulimit> = struct<Ulimit>('units.Ulimit', {
  Name: string(),
  Soft: integer(),
  Hard: integer(),
});
const weightDevice: Schema<WeightDevice> = struct<WeightDevice>('blkiodev.WeightDevice', {
  Path: string(),
  Weight: integer('uint16'),
});
const throttleDevice: Schema<ThrottleDevice> = struct<ThrottleDevice>('blkiodev.ThrottleDevice', {
  Path: string(),
  Rate: integer('uint64'),
});
const deviceMapping: Schema<DeviceMapping> = struct<DeviceMapping>('container.DeviceMapping', {
  PathOnHost: string(),
  PathInContainer: string(),
  CgroupPermissions: string(),
});
const deviceRequest: Schema<DeviceRequest> = struct<DeviceRequest>('container.DeviceRequest', {
  Driver: optional(string()),
  Count: optional(integer('int')),
  DeviceIDs: optional(list(string())),
  Capabilities: optional(list(withZero(list(string()), () => []))),
  Options: optional(map(string())),
});

const resourceFields: Fields<Resources> = {
  CpuShares: integer(),
  Memory: integer(),
  NanoCpus: integer(),
  CgroupParent: string(),
  BlkioWeight: integer('uint16'),
  BlkioWeightDevice: list(weightDevice),
  BlkioDeviceReadBps: list(throttleDevice),
  BlkioDeviceWriteBps: list(throttleDevice),
  BlkioDeviceReadIOps: list(throttleDevice),
  BlkioDeviceWriteIOps: list(throttleDevice),
  CpuPeriod: integer(),
  CpuQuota: integer(),
  CpuRealtimePeriod: integer(),
  CpuRealtimeRuntime: integer(),
  CpusetCpus: string(),
  CpusetMems: string(),
  Devices: list(deviceMapping),
  DeviceCgroupRules: list(string()),
  DeviceRequests: list(deviceRequest),
  KernelMemory: optional(integer()),
  KernelMemoryTCP: optional(integer()),
  MemoryReservation: integer(),
  MemorySwap: integer(),
  MemorySwappiness: nullable(integer()),
  OomKillDisable: nullable(boolean()),
  PidsLimit: nullable(integer()),
  Ulimits: list(ulimit),
  CpuCount: integer(),
  CpuPercent: integer(),
  IOMaximumIOps: integer('uint64'),
  IOMaximumBandwidth: integer('uint64'),
};

const restartPolicy: Schema<RestartPolicy> = struct<RestartPolicy>('container.RestartPolicy', {
  Name: string<RestartPolicy['Name']>('container.RestartPolicyMode'),
  MaximumRetryCount: integer('int'),
});
const logConfig: Schema<LogConfig> = struct<LogConfig>('container.LogConfig', {
  Type: string(),
  Config: labels(),
});
const portBinding: Schema<PortBinding> = struct<PortBinding>('network.PortBinding', {
  HostIp: string(),
  HostPort: string(),
});

const mount: Schema<MountRequest> = struct<MountRequest>('mount.Mount', {
  Type: string<MountRequest['Type']>('mount.Type'),
  Source: optional(string()),
  Target: string(),
  ReadOnly: optional(boolean()),
  Consistency: optional(string('mount.Consistency')),
  BindOptions: optional(
    struct<NonNullable<MountRequest['BindOptions']>>('mount.BindOptions', {
      Propagation: optional(string('mount.Propagation')),
      NonRecursive: optional(boolean()),
      CreateMountpoint: optional(boolean()),
      ReadOnlyNonRecursive: optional(boolean()),
      ReadOnlyForceRecursive: optional(boolean()),
    }),
  ),
  VolumeOptions: optional(
    struct<NonNullable<MountRequest['VolumeOptions']>>('mount.VolumeOptions', {
      NoCopy: optional(boolean()),
      Labels: optional(labels()),
      DriverConfig: optional(
        struct<{ Name?: string; Options?: Record<string, string> }>('mount.Driver', {
          Name: optional(string()),
          Options: optional(labels()),
        }),
      ),
      Subpath: optional(string()),
    }),
  ),
  ImageOptions: optional(
    struct<NonNullable<MountRequest['ImageOptions']>>('mount.ImageOptions', { Subpath: optional(string()) }),
  ),
  TmpfsOptions: optional(
    struct<NonNullable<MountRequest['TmpfsOptions']>>('mount.TmpfsOptions', {
      SizeBytes: optional(integer()),
      Mode: optional(integer('uint32')),
      Options: optional(withZero(list(withZero(list(string()), () => [])), () => [])),
    }),
  ),
});

/** In Go's order of members, which is the order inspect answers in. */
export const hostConfig: Schema<HostConfig> = struct<HostConfig>('container.HostConfig', {
  Binds: list(string()),
  ContainerIDFile: string(),
  LogConfig: logConfig,
  NetworkMode: string('container.NetworkMode'),
  PortBindings: map(list(portBinding)),
  RestartPolicy: restartPolicy,
  AutoRemove: boolean(),
  VolumeDriver: string(),
  VolumesFrom: list(string()),
  ConsoleSize: pair(integer('uint')),
  Annotations: optional(map(string())),
  CapAdd: stringOrList(),
  CapDrop: stringOrList(),
  CgroupnsMode: string<HostConfig['CgroupnsMode']>('container.CgroupnsMode'),
  Dns: list(string()),
  DnsOptions: list(string()),
  DnsSearch: list(string()),
  ExtraHosts: list(string()),
  GroupAdd: list(string()),
  IpcMode: string('container.IpcMode'),
  Cgroup: string('container.CgroupSpec'),
  Links: list(string()),
  OomScoreAdj: integer('int'),
  PidMode: string('container.PidMode'),
  Privileged: boolean(),
  PublishAllPorts: boolean(),
  ReadonlyRootfs: boolean(),
  SecurityOpt: list(string()),
  StorageOpt: optional(map(string())),
  Tmpfs: optional(map(string())),
  UTSMode: string('container.UTSMode'),
  UsernsMode: string('container.UsernsMode'),
  ShmSize: integer(),
  Sysctls: optional(map(string())),
  Runtime: string(),
  Isolation: string('container.Isolation'),
  ...resourceFields,
  Mounts: optional(list(mount)),
  MaskedPaths: list(string()),
  ReadonlyPaths: list(string()),
  Init: optional(nullable(boolean())),
});

/** What `POST /containers/create` takes: the configuration's members with the host's beside them. */
export interface CreateBody extends ContainerConfig {
  HostConfig: HostConfig | null;
  NetworkingConfig: NetworkingConfig | null;
}

export const createBody: Schema<CreateBody> = struct<CreateBody>('container.CreateRequest', {
  ...configFields,
  HostConfig: nullable(hostConfig),
  NetworkingConfig: nullable(
    struct<NetworkingConfig>('network.NetworkingConfig', {
      EndpointsConfig: withZero(map(nullable(endpointSettings)), () => ({})),
    }),
  ),
});

/** A partial change: only what was sent is there, so that null and 0 keep their meaning of "leave it". */
export interface UpdateBody extends Resources {
  RestartPolicy: RestartPolicy;
}

export const updateBody: Schema<UpdateBody> = struct<UpdateBody>('container.UpdateConfig', {
  ...resourceFields,
  RestartPolicy: restartPolicy,
});
