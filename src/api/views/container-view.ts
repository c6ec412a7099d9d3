import type { ContainerRecord } from '../../containers/index.ts';
import type { Descriptor, HostConfig } from '../../spec/index.ts';
import type { ApiVersion } from '../api-version.ts';
import { endpointsView, networkSettingsView, portSummaries } from './container-network.ts';
import { stateView, statusText } from './container-state.ts';

export interface ContainerSizes {
  sizeRwBytes: number;
  sizeRootFsBytes: number;
}

export interface InspectContext {
  version: ApiVersion;
  storageDriver: string;
  execIds: readonly string[];
  sizes?: ContainerSizes;
  /** Shown since 1.48. */
  manifest?: Descriptor | undefined;
}

/** The answer of `GET /containers/{id}/json`. */
export function inspectView(record: ContainerRecord, context: InspectContext): Record<string, unknown> {
  const { version, sizes, manifest } = context;
  return {
    Id: record.id,
    Created: record.createdAt,
    Path: record.path,
    Args: record.args,
    State: stateView(record.state),
    Image: record.imageId,
    ResolvConfPath: record.resolvConfPath,
    HostnamePath: record.hostnamePath,
    HostsPath: record.hostsPath,
    LogPath: record.logPath,
    Name: `/${record.name}`,
    RestartCount: record.restartCount,
    Driver: context.storageDriver,
    Platform: record.platform.os,
    ...(version >= 48 && manifest ? { ImageManifestDescriptor: manifest } : {}),
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: context.execIds.length === 0 ? null : context.execIds,
    HostConfig: hostConfigView(record.hostConfig),
    ...(version < 52
      ? { GraphDriver: { Data: null, Name: context.storageDriver } }
      : { Storage: { RootFS: { Snapshot: { Name: context.storageDriver } } } }),
    ...(sizes === undefined ? {} : { SizeRw: sizes.sizeRwBytes, SizeRootFs: sizes.sizeRootFsBytes }),
    Mounts: record.mounts,
    Config: configView(record, version),
    NetworkSettings: networkSettingsView(record, version),
  };
}

function hostConfigView(host: HostConfig): Partial<HostConfig> {
  const { Runtime, ...rest } = host;
  return Runtime === '' ? rest : { ...rest, Runtime };
}

function configView(record: ContainerRecord, version: ApiVersion): Record<string, unknown> {
  const { MacAddress, ...config } = record.config;
  // Shown here until 1.52, when the main endpoint's own took over.
  const mac = MacAddress ?? record.networks[record.hostConfig.NetworkMode]?.MacAddress ?? '';
  return version < 52 && MacAddress !== undefined && mac !== '' ? { ...config, MacAddress: mac } : config;
}

/** One entry of `GET /containers/json`; `image` is what it is said to be made from. */
export function summaryView(
  record: ContainerRecord,
  version: ApiVersion,
  { image, sizes, manifest }: { image: string; sizes?: ContainerSizes; manifest?: Descriptor | undefined },
): Record<string, unknown> {
  const { annotations } = { annotations: record.hostConfig.Annotations };
  return {
    Id: record.id,
    Names: [`/${record.name}`],
    Image: image,
    ImageID: record.imageId,
    ...(version >= 49 && manifest ? { ImageManifestDescriptor: manifest } : {}),
    Command: commandText(record),
    Created: Math.floor(Date.parse(record.createdAt) / 1000),
    Ports: portSummaries(record),
    ...(sizes === undefined ? {} : { SizeRw: sizes.sizeRwBytes, SizeRootFs: sizes.sizeRootFsBytes }),
    Labels: record.config.Labels,
    State: record.state.status,
    Status: statusText(record),
    HostConfig: {
      NetworkMode: record.hostConfig.NetworkMode,
      ...(version >= 46 && annotations ? { Annotations: annotations } : {}),
    },
    ...(version >= 52 ? { Health: healthSummary(record) } : {}),
    NetworkSettings: { Networks: endpointsView(record, 55) },
    Mounts: record.mounts,
  };
}

function healthSummary(record: ContainerRecord): Record<string, unknown> {
  const { health } = record.state;
  return { Status: health?.Status ?? 'none', FailingStreak: health?.FailingStreak ?? 0 };
}

/** The command as one line, as moby's list builds it: arguments with a space are put in single quotes. */
function commandText(record: ContainerRecord): string {
  if (record.args.length === 0) return record.path;
  const args = record.args.map((argument) => (argument.includes(' ') ? `'${argument}'` : argument));
  return `${record.path} ${args.join(' ')}`;
}
