import { EngineError } from '../errors/index.ts';
import type { ContainerConfig, Digest, ImageConfig, ImageRunConfig } from '../spec/index.ts';
import type { CommitRequest } from './containers.ts';
import { mergeConfig } from './config-merge.ts';
import { imageConfigOf } from './create.ts';
import type { ContainerEntry } from './entry.ts';
import { pauseContainer, unpauseContainer } from './pause.ts';
import type { ContainerTable } from './table.ts';

/**
 * An image of the container's image and what was written since; a running container is paused meanwhile unless asked
 * otherwise. @see moby daemon/commit.go
 */
export async function commitContainer(
  table: ContainerTable,
  entry: ContainerEntry,
  request: CommitRequest,
): Promise<Digest> {
  const { record } = entry;
  const { status } = record.state;
  if (status === 'dead') {
    throw new EngineError('conflict', `You cannot commit container ${entry.id} which is Dead`);
  }
  if (status === 'removing' || entry.removing) {
    throw new EngineError('conflict', `You cannot commit container ${entry.id} which is being removed`);
  }
  const config = committedConfig(table, entry, request);
  const reference = referenceOf(request);
  const { images, snapshotter } = table.parts;
  const parent = images.ofContainer(record.imageId) ?? null;
  const pauses = request.pause && status === 'running';
  if (pauses) await pauseContainer(table, entry);
  try {
    const image = await images.createFromLayer({
      parent,
      layer: snapshotter.diff(entry.id),
      config,
      ...(reference === null ? {} : { reference }),
    });
    table.publish(entry, 'commit', {
      comment: request.message,
      imageID: image.id,
      imageRef: reference ?? '',
    });
    return image.id;
  } finally {
    if (pauses && record.state.status === 'paused') await unpauseContainer(table, entry);
  }
}

function referenceOf(request: CommitRequest): string | null {
  if (request.repository === '') return null;
  return request.tag === '' ? request.repository : `${request.repository}:${request.tag}`;
}

function committedConfig(table: ContainerTable, entry: ContainerEntry, request: CommitRequest): ImageConfig {
  const { record } = entry;
  const created = new Date().toISOString();
  const before = imageConfigOf(table, entry);
  const { architecture, os, variant } = before;
  const changed = table.parts.applyChanges(runConfig(request.config ?? record.config), request.changes);
  const asked: ContainerConfig = {
    ...(request.config ?? record.config),
    ...changed,
    Env: changed.Env ?? null,
    Cmd: changed.Cmd ?? null,
    Entrypoint: changed.Entrypoint ?? null,
    Labels: changed.Labels ?? {},
    OnBuild: changed.OnBuild ?? null,
    User: changed.User ?? '',
    Volumes: changed.Volumes ?? null,
    WorkingDir: changed.WorkingDir ?? '',
  };
  const merged = mergeConfig(asked, record.config);
  return {
    architecture,
    os,
    ...(variant === undefined ? {} : { variant }),
    created,
    author: request.author,
    ...(request.message === '' ? {} : { comment: request.message }),
    container: entry.id,
    config: runConfig(merged),
    rootfs: { type: 'layers', diff_ids: [] },
    history: [
      ...(before.history ?? []),
      {
        created,
        created_by: (record.config.Cmd ?? []).join(' '),
        ...(request.author === '' ? {} : { author: request.author }),
        ...(request.message === '' ? {} : { comment: request.message }),
      },
    ],
  };
}

/** What of a container's configuration travels with an image. */
function runConfig(config: ContainerConfig): ImageRunConfig {
  const { User, ExposedPorts, Env, Entrypoint, Cmd, Volumes, WorkingDir, Labels, StopSignal } = config;
  return {
    User,
    ...(ExposedPorts === undefined ? {} : { ExposedPorts }),
    Env,
    Entrypoint,
    Cmd,
    Volumes,
    WorkingDir,
    Labels,
    ...(StopSignal === undefined ? {} : { StopSignal }),
    ...(config.Healthcheck === undefined ? {} : { Healthcheck: config.Healthcheck }),
    ...(config.OnBuild === null ? {} : { OnBuild: config.OnBuild }),
    ...(config.Shell === undefined ? {} : { Shell: config.Shell }),
  };
}
