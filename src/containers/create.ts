import { errorMessage } from '../errors/index.ts';
import type { Image } from '../images/index.ts';
import { joinErrors } from '../network/index.ts';
import {
  configPlatform,
  formatPlatform,
  platformRank,
  type ContainerConfig,
  type EndpointSettings,
  type HostConfig,
  type NetworkingConfig,
} from '../spec/index.ts';
import { hostname } from 'node:os';
import type { ContainerCreate, ContainerRecord } from './containers.ts';
import { mergeConfig } from './config-merge.ts';
import type { ContainerEntry } from './entry.ts';
import { checkTogether } from './network-modes.ts';
import { invalid } from './errors.ts';
import { linkTexts, plannedLinks } from './links.ts';
import { logSettings } from './log-settings.ts';
import { machinePlatform } from '../sys/index.ts';
import { verifyContainerSettings } from './oci-spec/index.ts';
import { adaptHostConfig, validateConfig, validateHostConfig } from './settings.ts';
import type { ContainerTable } from './table.ts';
import { nowText, zeroTime } from './timestamp.ts';

/**
 * Makes a container: name, volumes, writable tree, record, in this order, so that a crash between two of them leaves
 * only what the next start sweeps (a tree or an anonymous volume without a record). Nothing is mounted.
 */
export async function createContainer(
  table: ContainerTable,
  request: ContainerCreate,
): Promise<{ id: string; warnings: string[] }> {
  const { images, snapshotter, cgroups } = table.parts;
  validateConfig(request.config);
  validateHostConfig(request.hostConfig);
  const image = request.config.Image === '' ? null : images.get(request.config.Image, request.platform);
  const hostConfig = adaptHostConfig(request.hostConfig, {
    shmSizeBytes: table.options.shmSizeBytes,
    cgroupVersion: cgroups.setup.version,
    defaultRuntime: table.options.defaultRuntime,
    logDriver: table.options.logDriver,
    logOptions: table.options.logOptions,
  });
  const warnings = verifyContainerSettings(request.config, hostConfig, table.machine);
  table.runtimeByName(hostConfig.Runtime);
  logSettings(hostConfig.LogConfig);
  resolveSharedModes(table, hostConfig);
  const links = plannedLinks(table, hostConfig);
  const config = mergeConfig(request.config, image?.config.config);

  const id = table.newId();
  const name =
    request.name === undefined || request.name === ''
      ? table.names.generate(id)
      : table.names.reserve(request.name, id);
  const undo: (() => Promise<unknown> | void)[] = [() => table.names.release(name, id)];
  try {
    config.Hostname = hostnameFor(config, hostConfig, id);
    const record = newRecord(table, { id, name, config, hostConfig, image });
    record.networks = plannedNetworks(config, hostConfig, request.networkingConfig, (network, settings) =>
      table.parts.networks.checkEndpoint(network, settings),
    );
    if (links.length > 0) {
      record.links = links;
      record.hostConfig.Links = linkTexts(table, record);
    }
    if (wantsMounts(config, hostConfig)) {
      const plan = await table.mounts.plan(record, (donor) => table.resolve(donor).record);
      record.mounts = plan.mountPoints;
      record.anonymousVolumes = plan.anonymousVolumes;
      undo.push(() => table.mounts.forget(record, { removeAnonymous: true }));
    }
    undo.push(() => snapshotter.remove(id));
    await snapshotter.prepare(id, image?.chainId ?? null);
    const entry = table.add(record);
    // From here on the image knows its user. It must not have gone between the look-up and now.
    if (image !== null && !images.has(image.id)) images.get(image.id);
    table.save(entry);
    table.publish(entry, 'create');
    const foreign = request.platform === undefined && image !== null ? platformWarnings(image) : [];
    return { id, warnings: [...warnings, ...createWarnings(hostConfig), ...foreign] };
  } catch (error) {
    for (const step of undo.reverse()) {
      try {
        await step();
      } catch (failure) {
        table.report(`undo creation of ${id}`, failure);
      }
    }
    throw error;
  }
}

/** That an image was taken which this machine cannot be expected to run. */
function platformWarnings(image: Image): string[] {
  const [own, host] = [configPlatform(image.config), machinePlatform()];
  if (platformRank(own, host) >= 0) return [];
  return [
    `The requested image's platform (${formatPlatform(own)}) does not match the detected host platform (${formatPlatform(host)}) and no specific platform was requested`,
  ];
}

/** Most containers have no mounts of their own: nothing to plan. */
function wantsMounts(config: ContainerConfig, hostConfig: HostConfig): boolean {
  return (
    [hostConfig.Binds, hostConfig.Mounts, hostConfig.VolumesFrom].some((list) => (list ?? []).length > 0) ||
    [config.Volumes, hostConfig.Tmpfs].some((map) => Object.keys(map ?? {}).length > 0)
  );
}

function newRecord(
  table: ContainerTable,
  given: {
    id: string;
    name: string;
    config: ContainerConfig;
    hostConfig: HostConfig;
    image: Image | null;
  },
): ContainerRecord {
  const { id, config, hostConfig, image } = given;
  const command = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  const directory = table.directory(id);
  return {
    id,
    name: given.name,
    createdAt: nowText(),
    imageId: image?.id ?? '',
    imageName: config.Image,
    config,
    hostConfig,
    path: command[0] ?? '',
    args: command.slice(1),
    mounts: [],
    anonymousVolumes: [],
    networks: {},
    sandbox: null,
    state: {
      status: 'created',
      pid: 0,
      monitorPid: 0,
      exitCode: 0,
      error: '',
      oomKilled: false,
      startedAt: zeroTime,
      finishedAt: zeroTime,
      health: null,
    },
    restartCount: 0,
    stoppedByUser: false,
    platform: image === null ? table.options.platform : imagePlatform(image),
    logPath: `${directory}/${id}-json.log`,
    resolvConfPath: `${directory}/resolv.conf`,
    hostnamePath: `${directory}/hostname`,
    hostsPath: `${directory}/hosts`,
    cgroupsPath: cgroupsPath(table, hostConfig, id),
  };
}

function imagePlatform(image: Image): ContainerRecord['platform'] {
  const { architecture, os, variant } = image.config;
  return variant === undefined ? { architecture, os } : { architecture, os, variant };
}

/** As the cgroup driver wants it: a path, or `slice:prefix:name`. */
function cgroupsPath(table: ContainerTable, hostConfig: HostConfig, id: string): string {
  const parent = hostConfig.CgroupParent || table.options.cgroupParent;
  if (table.parts.cgroups.setup.driver === 'systemd') return `${parent}:coracle:${id}`;
  return `${parent.startsWith('/') ? '' : '/'}${parent}/${id}`;
}

function hostnameFor(config: ContainerConfig, hostConfig: HostConfig, id: string): string {
  if (config.Hostname !== '') return config.Hostname;
  return hostConfig.NetworkMode === 'host' ? hostname() : id.slice(0, 12);
}

/** `container:<name>` modes are kept by id, so that a rename does not change them. */
function resolveSharedModes(table: ContainerTable, hostConfig: HostConfig): void {
  for (const key of ['NetworkMode', 'PidMode', 'IpcMode'] as const) {
    const mode = hostConfig[key];
    if (mode.startsWith('container:')) {
      hostConfig[key] = `container:${table.resolve(mode.slice('container:'.length)).id}`;
    }
  }
}

/** The networks it will be attached to at its start, with what the user asked of them. */
function plannedNetworks(
  config: ContainerConfig,
  hostConfig: HostConfig,
  asked: NetworkingConfig,
  check: (network: string, settings: Partial<EndpointSettings>) => void,
): Record<string, EndpointSettings> {
  const mode = hostConfig.NetworkMode;
  if (config.NetworkDisabled === true || mode.startsWith('container:')) return {};
  const endpoints = Object.entries(asked.EndpointsConfig ?? {});
  const networks: Record<string, EndpointSettings> = {};
  const wrong: string[] = [];
  for (const [name, settings] of endpoints) {
    try {
      check(networkName(name), settings ?? {});
    } catch (error) {
      wrong.push(`invalid config for network ${networkName(name)}: ${errorMessage(error)}`);
    }
    networks[networkName(name)] = { ...emptyEndpoint(), ...settings };
  }
  if (wrong.length > 0) throw invalid(joinErrors(wrong));
  const first = networkName(mode);
  for (const name of Object.keys(networks)) if (name !== first) checkTogether(mode, [first], name);
  if (endpoints.length === 0) networks[first] = emptyEndpoint();
  const main = networks[first];
  // Until API 1.44 the address was one of the container's, not of its endpoint.
  if (main !== undefined && main.MacAddress === '') main.MacAddress = config.MacAddress ?? '';
  return networks;
}

export function networkName(mode: string): string {
  return mode === 'default' ? 'bridge' : mode;
}

export function emptyEndpoint(): EndpointSettings {
  return {
    IPAMConfig: null,
    Links: null,
    Aliases: null,
    MacAddress: '',
    DriverOpts: null,
    GwPriority: 0,
    NetworkID: '',
    EndpointID: '',
    Gateway: '',
    IPAddress: '',
    IPPrefixLen: 0,
    IPv6Gateway: '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    DNSNames: null,
  };
}

function createWarnings(hostConfig: HostConfig): string[] {
  const warnings: string[] = [];
  if (hostConfig.NetworkMode === 'host' && Object.keys(hostConfig.PortBindings ?? {}).length > 0) {
    warnings.push('Published ports are discarded when using host network mode');
  }
  return warnings;
}

/** The entry's image configuration; what is known of it when the image is gone. */
export function imageConfigOf(table: ContainerTable, entry: ContainerEntry): Image['config'] {
  const { imageId, platform } = entry.record;
  const image = table.parts.images.ofContainer(imageId);
  if (image !== undefined) return image.config;
  return {
    architecture: platform.architecture,
    os: platform.os,
    rootfs: { type: 'layers', diff_ids: [] },
  };
}
