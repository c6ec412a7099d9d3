import type { Image } from '../../images/index.ts';
import { parseReference, repositoryName, type ImageRunConfig } from '../../spec/index.ts';
import type { ApiVersion } from '../api-version.ts';

const never = '0001-01-01T00:00:00Z';

/** The answer of `GET /images/{name}/json`; older versions get the members that were dropped since. */
export function imageInspectView(
  image: Image,
  version: ApiVersion,
  storageDriver: string,
): Record<string, unknown> {
  const { config } = image;
  const legacy = version < 52;
  return {
    Id: image.id,
    RepoTags: image.tags,
    RepoDigests: image.digests,
    ...whenSet('Parent', image.parent, legacy),
    ...whenSet('Comment', config.comment ?? config.history?.at(-1)?.comment ?? '', legacy),
    ...(config.created === undefined && version >= 44 ? {} : { Created: config.created ?? never }),
    ...(version < 45
      ? { Container: config.container ?? '', ContainerConfig: runConfigView({}, version) }
      : {}),
    ...whenSet('DockerVersion', config.docker_version ?? '', legacy),
    ...whenSet('Author', config.author ?? '', legacy),
    Config: runConfigView(config.config ?? {}, version),
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    ...(config['os.version'] === undefined ? {} : { OsVersion: config['os.version'] }),
    Size: image.sizeBytes,
    ...(version < 44 ? { VirtualSize: image.sizeBytes } : {}),
    ...(legacy ? { GraphDriver: { Data: null, Name: storageDriver } } : {}),
    RootFS: {
      Type: config.rootfs.type,
      ...(config.rootfs.diff_ids.length === 0 ? {} : { Layers: config.rootfs.diff_ids }),
    },
    Metadata: { LastTagTime: new Date(image.lastTaggedAtMs ?? 0).toISOString().replace(/^1970.*/, never) },
  };
}

/**
 * `Identity` of API 1.53 and later: the repositories that what a name stands for was pulled from or pushed to. No
 * signatures, and no builds: their history is not kept.
 * @param target digest of the index or manifest
 */
export function identityView({ digests }: Image, target: string): { Identity?: object } {
  const repositories = digests
    .map(parseReference)
    .filter(({ digest }) => digest === target)
    .map((reference) => ({ Repository: repositoryName(reference) }));
  return repositories.length === 0 ? {} : { Identity: { Pull: repositories } };
}

function whenSet(name: string, value: string, always: boolean): Record<string, string> {
  return always || value !== '' ? { [name]: value } : {};
}

/** `Config` of an image: before 1.50 it was a whole container configuration, with zeros for what images do not have. */
function runConfigView(config: ImageRunConfig, version: ApiVersion): Record<string, unknown> {
  const optional = {
    ...(config.ExposedPorts ? { ExposedPorts: config.ExposedPorts } : {}),
    ...(config.Healthcheck ? { Healthcheck: config.Healthcheck } : {}),
    ...(config.ArgsEscaped === true ? { ArgsEscaped: true } : {}),
    ...(config.StopSignal ? { StopSignal: config.StopSignal } : {}),
    ...(config.Shell ? { Shell: config.Shell } : {}),
  };
  if (version >= 52) {
    return Object.fromEntries(
      Object.entries({
        User: config.User || undefined,
        Env: config.Env ?? undefined,
        Entrypoint: config.Entrypoint ?? undefined,
        Cmd: config.Cmd ?? undefined,
        Volumes: config.Volumes ?? undefined,
        WorkingDir: config.WorkingDir || undefined,
        Labels: config.Labels ?? undefined,
        OnBuild: config.OnBuild ?? undefined,
        ...optional,
      }).filter(([, value]) => value !== undefined),
    );
  }
  return {
    ...(version < 50
      ? {
          Hostname: '',
          Domainname: '',
          User: config.User ?? '',
          AttachStdin: false,
          AttachStdout: false,
          AttachStderr: false,
          Tty: false,
          OpenStdin: false,
          StdinOnce: false,
        }
      : { User: config.User ?? '' }),
    Env: config.Env ?? null,
    Cmd: config.Cmd ?? null,
    ...(version < 50 ? { Image: '' } : {}),
    Volumes: config.Volumes ?? null,
    WorkingDir: config.WorkingDir ?? '',
    Entrypoint: config.Entrypoint ?? null,
    OnBuild: config.OnBuild ?? null,
    Labels: config.Labels ?? null,
    ...optional,
  };
}

/** One entry of `GET /images/json`. `containers` and `sharedSizeBytes` are -1 where they were not asked for. */
export function imageSummaryView(
  image: Image,
  version: ApiVersion,
  counts: { containers: number; sharedSizeBytes: number } = { containers: -1, sharedSizeBytes: -1 },
): Record<string, unknown> {
  const nameless = image.tags.length === 0 && image.digests.length === 0 && version < 43;
  return {
    Containers: counts.containers,
    Created: createdSeconds(image),
    Id: image.id,
    Labels: image.config.config?.Labels ?? null,
    ParentId: image.parent,
    RepoDigests: nameless ? ['<none>@<none>'] : image.digests,
    RepoTags: nameless ? ['<none>:<none>'] : image.tags,
    SharedSize: counts.sharedSizeBytes,
    Size: image.sizeBytes,
    ...(version < 44 ? { VirtualSize: image.sizeBytes } : {}),
  };
}

/** Unix seconds, 0 when the image does not say. */
function createdSeconds(image: Image): number {
  return Number(createdNanos(image) / nanosPerSecond);
}

const nanosPerSecond = 1_000_000_000n;

/** The same to the nanosecond. */
export function createdNanos({ config: { created = '' } }: Image): bigint {
  const ms = Date.parse(created);
  if (Number.isNaN(ms)) return 0n;
  const fraction = /\.(\d+)/.exec(created)?.[1] ?? '';
  return BigInt(Math.floor(ms / 1000)) * nanosPerSecond + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
}
