import { readdirSync, readFileSync } from 'node:fs';
import { arch } from 'node:process';
import type { ContainerStatus } from '../../containers/index.ts';
import type { EngineFacts } from '../../engine/index.ts';
import { formatApiVersion, maximumApiVersion, type ApiVersion } from '../api-version.ts';

/** What the daemon's configuration adds to the engine's facts. */
export interface InfoSettings {
  serverVersion: string;
  gitCommit: string;
  buildTime: string;
  /** The lowest API version that is served. */
  minimumVersion: ApiVersion;
  logDriver: string;
  insecureRegistries: readonly string[];
  registryMirrors: readonly string[];
  addressPools: readonly { base: string; size: number }[];
  /** Listeners of `/events`, counted by its route. */
  eventListeners: () => number;
}

const goArchitecture: Record<string, string> = { x64: 'amd64', arm64: 'arm64', arm: 'arm', ia32: '386' };

/** The answer of `GET /version`, with the components that `docker version` prints below the engine. */
export function versionView(facts: EngineFacts, settings: InfoSettings): Record<string, unknown> {
  const architecture = goArchitecture[arch] ?? arch;
  const details = {
    ApiVersion: formatApiVersion(maximumApiVersion),
    Arch: architecture,
    BuildTime: settings.buildTime,
    Experimental: 'false',
    GitCommit: settings.gitCommit,
    GoVersion: `Node.js ${process.version}`,
    KernelVersion: facts.kernelVersion,
    MinAPIVersion: formatApiVersion(settings.minimumVersion),
    Os: 'linux',
  };
  return {
    Platform: { Name: 'Coracle' },
    Components: [
      { Name: 'Engine', Version: settings.serverVersion, Details: details },
      { Name: 'conmon', Version: facts.monitorVersion, Details: { GitCommit: '' } },
      {
        Name: facts.runtimeVersion.name,
        Version: facts.runtimeVersion.version,
        Details: { GitCommit: facts.runtimeVersion.commit },
      },
      { Name: 'docker-init', Version: facts.initVersion, Details: { GitCommit: '' } },
    ],
    Version: settings.serverVersion,
    ApiVersion: details.ApiVersion,
    MinAPIVersion: details.MinAPIVersion,
    GitCommit: settings.gitCommit,
    GoVersion: details.GoVersion,
    Os: 'linux',
    Arch: architecture,
    KernelVersion: facts.kernelVersion,
    BuildTime: settings.buildTime,
  };
}

export interface InfoCounts {
  containers: readonly ContainerStatus[];
  images: number;
}

/** The answer of `GET /info`. */
export function infoView(
  facts: EngineFacts,
  counts: InfoCounts,
  settings: InfoSettings,
  version: ApiVersion,
): Record<string, unknown> {
  const running = counts.containers.filter(
    (status) => status === 'running' || status === 'restarting',
  ).length;
  const paused = counts.containers.filter((status) => status === 'paused').length;
  const onV1 = facts.cgroupVersion === 1;
  const commit = (id: string) => (version < 49 ? { ID: id, Expected: id } : { ID: id });
  return {
    ID: facts.id,
    Containers: counts.containers.length,
    ContainersRunning: running,
    ContainersPaused: paused,
    ContainersStopped: counts.containers.length - running - paused,
    Images: counts.images,
    Driver: facts.storageDriver,
    DriverStatus: facts.storageStatus,
    Plugins: {
      Volume: ['local'],
      Network: ['bridge', 'host', 'ipvlan', 'macvlan', 'null'],
      Authorization: null,
      Log: ['json-file'],
    },
    MemoryLimit: true,
    SwapLimit: !facts.warnings.some((warning) => warning.includes('No swap limit')),
    ...(version < 42 ? { KernelMemory: false, KernelMemoryTCP: onV1 } : {}),
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    IPv4Forwarding: readFlag('/proc/sys/net/ipv4/ip_forward'),
    ...(version < 50 ? { BridgeNfIptables: false, BridgeNfIp6tables: false } : {}),
    Debug: facts.debug,
    NFd: openDescriptors(),
    OomKillDisable: onV1,
    NGoroutines: process.getActiveResourcesInfo().length,
    SystemTime: new Date().toISOString(),
    LoggingDriver: settings.logDriver,
    CgroupDriver: facts.cgroupDriver,
    CgroupVersion: String(facts.cgroupVersion),
    NEventsListener: settings.eventListeners(),
    KernelVersion: facts.kernelVersion,
    OperatingSystem: facts.operatingSystem,
    OSVersion: facts.operatingSystemVersion,
    OSType: 'linux',
    Architecture: facts.architecture,
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: registryConfig(settings, version),
    NCPU: facts.cpus,
    MemTotal: facts.memoryBytes,
    GenericResources: null,
    DockerRootDir: facts.dataRoot,
    HttpProxy: proxy('HTTP_PROXY'),
    HttpsProxy: proxy('HTTPS_PROXY'),
    NoProxy: proxy('NO_PROXY'),
    Name: facts.name,
    Labels: facts.labels,
    ExperimentalBuild: false,
    ServerVersion: settings.serverVersion,
    Runtimes: runtimes(facts),
    DefaultRuntime: facts.defaultRuntime,
    Swarm: {
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    },
    // Containers always outlive this engine.
    LiveRestoreEnabled: true,
    Isolation: '',
    InitBinary: facts.initPath ?? '',
    ContainerdCommit: commit(''),
    RuncCommit: commit(facts.runtimeVersion.commit),
    InitCommit: commit(facts.initVersion),
    SecurityOptions: facts.securityOptions,
    ...(settings.addressPools.length === 0
      ? {}
      : { DefaultAddressPools: settings.addressPools.map(({ base, size }) => ({ Base: base, Size: size })) }),
    ...(version >= 49 ? { FirewallBackend: { Driver: 'nftables' } } : {}),
    CDISpecDirs: [],
    Warnings: facts.warnings.length === 0 ? null : facts.warnings,
  };
}

function runtimes(facts: EngineFacts): Record<string, { path: string; runtimeArgs?: string[] }> {
  const result: Record<string, { path: string; runtimeArgs?: string[] }> = {};
  for (const [name, { path, args }] of Object.entries(facts.runtimes)) {
    result[name] = args.length === 0 ? { path } : { path, runtimeArgs: args };
  }
  return result;
}

function registryConfig(settings: InfoSettings, version: ApiVersion): Record<string, unknown> {
  const hosts = settings.insecureRegistries.filter((registry) => !registry.includes('/'));
  const indexConfigs: Record<string, unknown> = {
    'docker.io': { Name: 'docker.io', Mirrors: settings.registryMirrors, Secure: true, Official: true },
  };
  for (const host of hosts) {
    indexConfigs[host] = { Name: host, Mirrors: [], Secure: false, Official: false };
  }
  return {
    ...(version < 48
      ? { AllowNondistributableArtifactsCIDRs: null, AllowNondistributableArtifactsHostnames: null }
      : {}),
    InsecureRegistryCIDRs: [
      '127.0.0.0/8',
      '::1/128',
      ...settings.insecureRegistries.filter((registry) => registry.includes('/')),
    ],
    IndexConfigs: indexConfigs,
    Mirrors: settings.registryMirrors,
  };
}

/** A proxy of the environment, without the password in it. */
function proxy(name: string): string {
  const given = process.env[name] ?? process.env[name.toLowerCase()] ?? '';
  const url = URL.parse(given);
  if (url === null || (url.username === '' && url.password === '')) return given;
  return given.replace(/\/\/[^/]*@/, '//xxxxx:xxxxx@');
}

function readFlag(path: string): boolean {
  try {
    return readFileSync(path, 'utf8').trim() === '1';
  } catch {
    return false;
  }
}

function openDescriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}
