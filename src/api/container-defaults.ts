import { EngineError } from '../errors/index.ts';
import type { ContainerCreate } from '../containers/index.ts';
import type { ContainerConfig, EndpointSettings, HostConfig, NetworkingConfig } from '../spec/index.ts';
import type { ApiVersion } from './api-version.ts';
import { endpointSettings } from './schemas/network.ts';
import { hostConfig as hostConfigSchema, type CreateBody } from './schemas/container.ts';

/** dockerd's daemon-wide defaults that a create request falls back to. */
export interface CreateDefaults {
  shmSizeBytes: number;
  cgroupVersion: 1 | 2;
  logDriver: string;
  logOptions: Readonly<Record<string, string>>;
  init: boolean;
}

export interface PreparedCreate {
  request: ContainerCreate;
  warnings: string[];
}

/**
 * Turns what a client sent into what the engine creates: Docker's defaults filled in, and what an API version did not
 * have yet taken out, so that inspect answers as dockerd does.
 * @throws {EngineError} `invalid-parameter` with Docker's text
 */
export function prepareCreate(
  body: CreateBody,
  version: ApiVersion,
  defaults: CreateDefaults,
): PreparedCreate {
  const { HostConfig: sentHost, NetworkingConfig: sentNetworking, ...config } = body;
  const host = sentHost ?? hostConfigSchema.zero();
  const networking = { EndpointsConfig: { ...sentNetworking?.EndpointsConfig } };
  const warnings: string[] = [];
  fillHostDefaults(host, defaults, version);
  applyVersion(config, host, networking, version);
  warnings.push(...macAddress(config, host, networking, version));
  warnings.push(...emptyPortBindings(host, version));
  if (host.PidsLimit !== null && host.PidsLimit <= 0) host.PidsLimit = null;
  return { request: { config, hostConfig: host, networkingConfig: networking }, warnings };
}

function fillHostDefaults(host: HostConfig, defaults: CreateDefaults, version: ApiVersion): void {
  // `default` is the client's way to name the platform's network; dockerd 28 and later say `bridge` from then on.
  if (host.NetworkMode === '' || host.NetworkMode === 'default') host.NetworkMode = 'bridge';
  host.PortBindings ??= {};
  if (host.ShmSize === 0) host.ShmSize = defaults.shmSizeBytes;
  if (host.IpcMode === '') host.IpcMode = version < 40 ? 'shareable' : 'private';
  if (host.CgroupnsMode === '') {
    const onV1 = defaults.cgroupVersion === 1 || version < 41;
    host.CgroupnsMode = onV1 && defaults.cgroupVersion === 1 ? 'host' : 'private';
  }
  if (host.Memory > 0 && host.MemorySwap === 0) host.MemorySwap = host.Memory * 2;
  host.OomKillDisable ??= defaults.cgroupVersion === 1 ? false : null;
  if (defaults.init) host.Init ??= true;
  if (host.LogConfig.Type === '') {
    host.LogConfig = {
      Type: defaults.logDriver,
      Config: { ...defaults.logOptions, ...host.LogConfig.Config },
    };
  }
}

function applyVersion(
  config: ContainerConfig,
  host: HostConfig,
  networking: NetworkingConfig,
  version: ApiVersion,
): void {
  if (version < 42) host.ConsoleSize = [0, 0];
  if (version < 43) delete host.Annotations;
  if (version < 44) {
    delete config.Healthcheck?.StartInterval;
    const names = Object.keys(networking.EndpointsConfig);
    if (names.length > 1) {
      throw invalid(`Container cannot be created with multiple network endpoints: ${names.join(', ')}`);
    }
  }
  for (const mount of host.Mounts ?? []) applyVersionToMount(mount, version);
}

type Mount = NonNullable<HostConfig['Mounts']>[number];

function applyVersionToMount(mount: Mount, version: ApiVersion): void {
  const { BindOptions: bind, VolumeOptions: volume } = mount;
  if (version < 42) {
    delete bind?.CreateMountpoint;
    if (mount.Type !== 'volume') delete mount.VolumeOptions;
    if (mount.Type !== 'tmpfs') delete mount.TmpfsOptions;
  } else {
    const misplaced = (
      [
        ['VolumeOptions', 'volume'],
        ['BindOptions', 'bind'],
        ['TmpfsOptions', 'tmpfs'],
      ] as const
    ).find(([member, type]) => mount[member] !== undefined && mount.Type !== type);
    if (misplaced !== undefined) {
      throw invalid(`${misplaced[0]} must not be specified on mount type ${JSON.stringify(mount.Type)}`);
    }
  }
  if (version < 40) delete bind?.NonRecursive;
  if (version < 44) {
    if (bind?.ReadOnlyForceRecursive === true) {
      throw invalid('BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer');
    }
    // Read-only mounts were not recursive before 1.44.
    if (mount.Type === 'bind' && mount.ReadOnly === true) {
      mount.BindOptions = { ...bind, ReadOnlyNonRecursive: true };
    }
  }
  if (version < 45 && (volume?.Subpath ?? '') !== '') {
    throw invalid('VolumeOptions.Subpath needs API v1.45 or newer');
  }
  if (version < 48 && mount.Type === 'image') throw invalid('Mount type "Image" needs API v1.48 or newer');
}

/** The container-wide MAC address of before 1.44 becomes the endpoint's; gone in 1.52. */
function macAddress(
  config: ContainerConfig,
  host: HostConfig,
  networking: NetworkingConfig,
  version: ApiVersion,
): string[] {
  const wanted = config.MacAddress ?? '';
  delete config.MacAddress;
  if (version < 44 && wanted === '') {
    // The endpoint's own was not looked at then.
    for (const endpoint of Object.values(networking.EndpointsConfig)) {
      if (endpoint !== null) endpoint.MacAddress = '';
    }
    return [];
  }
  if (wanted === '') return [];
  if (version >= 52) {
    throw invalid(
      'container-wide MAC address no longer supported; use endpoint-specific MAC address instead',
    );
  }
  const bridged = !['host', 'none'].includes(host.NetworkMode) && !host.NetworkMode.startsWith('container:');
  if (version < 44) {
    if (!bridged) throw invalid('conflicting options: mac-address and the network mode');
    endpointFor(host, networking, version).MacAddress = wanted;
    return [];
  }
  if (bridged) {
    const endpoint = endpointFor(host, networking, version);
    if (endpoint.MacAddress !== '' && endpoint.MacAddress !== wanted) {
      throw invalid(
        'the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty',
      );
    }
    endpoint.MacAddress = wanted;
  }
  return [
    'The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.',
  ];
}

function endpointFor(host: HostConfig, networking: NetworkingConfig, version: ApiVersion): EndpointSettings {
  const endpoints = networking.EndpointsConfig;
  const names = Object.keys(endpoints);
  const name = names.length > 0 && version < 44 ? (names[0] as string) : host.NetworkMode;
  if (names.length > 0 && !Object.hasOwn(endpoints, name)) {
    throw invalid('HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks');
  }
  const endpoint = endpoints[name] ?? endpointSettings.zero();
  endpoints[name] = endpoint;
  return endpoint;
}

/** An empty list of bindings means one to any address and port; from 1.52 on with a warning. */
function emptyPortBindings(host: HostConfig, version: ApiVersion): string[] {
  const empty: string[] = [];
  for (const [port, bindings] of Object.entries(host.PortBindings ?? {})) {
    if (bindings !== null && bindings.length > 0) continue;
    empty.push(port);
    (host.PortBindings ?? {})[port] = [{ HostIp: '', HostPort: '' }];
  }
  if (empty.length === 0 || version < 52) return [];
  return [
    `Following container port(s) have an empty list of port-bindings: ${empty.join(', ')}. Such bindings will be discarded in a future version.`,
  ];
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message);
}
