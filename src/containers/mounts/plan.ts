import { EngineError, errorMessage, isKind } from '../../errors/index.ts';
import type { ContainerConfig, HostConfig, MountPoint, Volume } from '../../spec/index.ts';
import type { Volumes } from '../../volumes/index.ts';
import {
  checkDestination,
  cleanDestination,
  defaultPropagation,
  parseBind,
  parseMountRequest,
  parseVolumesFrom,
  type MountSpec,
} from './mount-spec.ts';
import { isWithin } from './propagation.ts';
import { tmpfsMountOptions } from './tmpfs-options.ts';

/** What a container's record says of its mounts. */
export interface MountedContainer {
  id: string;
  config: ContainerConfig;
  hostConfig: HostConfig;
  mounts: readonly MountPoint[];
  /** Volumes made for containers without a name, of this one or inherited. */
  anonymousVolumes: readonly string[];
}

/** The container that `--volumes-from` names; throws `not-found`. */
export type FindDonor = (
  nameOrId: string,
) => Pick<MountedContainer, 'hostConfig' | 'mounts' | 'anonymousVolumes'>;

export interface MountPlan {
  mountPoints: MountPoint[];
  anonymousVolumes: string[];
}

/** What a plan has done so far. */
interface VolumesInMaking {
  containerId: string;
  made: string[];
  referred: Set<string>;
}

/** Decides the mounts of a container that is being created. */
export class MountPlanner {
  readonly #volumes: Volumes;
  readonly #dataRoot: string;

  constructor(parts: { volumes: Volumes; dataRoot: string }) {
    this.#volumes = parts.volumes;
    this.#dataRoot = parts.dataRoot;
  }

  /**
   * Decides what is mounted where, in Docker's order: volumes of other containers, binds, mounts, then anonymous volumes
   * for the image's and the user's `Volumes` that have no mount yet. New volumes are made, all are referred to; undone
   * on error.
   * @throws {EngineError} with Docker's texts, e.g. `Duplicate mount point: /x`
   */
  async plan(
    container: Pick<MountedContainer, 'id' | 'config' | 'hostConfig'>,
    donor: FindDonor,
  ): Promise<MountPlan> {
    const { id, config, hostConfig } = container;
    for (const path of Object.keys(hostConfig.Tmpfs ?? {})) {
      checkDestination(path);
      tmpfsMountOptions(hostConfig.Tmpfs?.[path] ?? '');
    }
    const specs = ownSpecs(hostConfig);
    const points = new Map<string, MountPoint>();
    const anonymous = new Set<string>();
    const making: VolumesInMaking = { containerId: id, made: [], referred: new Set() };
    try {
      for (const text of hostConfig.VolumesFrom ?? []) this.#inherit(text, donor, points, anonymous);
      const own = new Set<string>();
      for (const spec of specs) {
        if (own.has(spec.destination)) throw duplicate(spec.destination);
        own.add(spec.destination);
        points.set(spec.destination, await this.#point(spec, anonymous, making));
      }
      for (const path of Object.keys(config.Volumes ?? {})) {
        const destination = cleanDestination(path);
        checkDestination(destination);
        if (points.has(destination) || hostConfig.Tmpfs?.[destination] !== undefined) continue;
        const volume = await this.#makeVolume(
          { source: '', driver: hostConfig.VolumeDriver, options: {}, labels: {} },
          making,
        );
        anonymous.add(volume.Name);
        points.set(destination, volumePoint(volume, destination, '', true));
      }
    } catch (error) {
      await this.#undo(making, new Set());
      throw error;
    }
    const mountPoints = [...points.values()];
    const inUse = new Set(mountPoints.flatMap((point) => point.Name ?? []));
    for (const name of inUse) this.#volumes.refer(name, id);
    // A mount that took the place of an inherited one leaves the volume to the other container.
    await this.#undo(making, inUse);
    return { mountPoints, anonymousVolumes: [...anonymous].filter((name) => inUse.has(name)) };
  }

  async #undo(making: VolumesInMaking, keep: ReadonlySet<string>): Promise<void> {
    for (const name of making.referred) if (!keep.has(name)) this.#volumes.unrefer(name, making.containerId);
    for (const name of making.made) if (!keep.has(name)) await discardVolume(this.#volumes, name);
  }

  #inherit(text: string, donor: FindDonor, points: Map<string, MountPoint>, anonymous: Set<string>): void {
    const { container: name, readOnly } = parseVolumesFrom(text);
    let from: ReturnType<typeof donor>;
    try {
      from = donor(name);
    } catch (error) {
      if (isKind(error, 'not-found')) throw new EngineError('invalid-parameter', errorMessage(error));
      throw error;
    }
    const withSubpath = ownSpecs(from.hostConfig).filter((spec) => spec.volume.subpath !== '');
    for (const point of from.mounts) {
      // The record of a mount does not say the sub-path: the whole volume would be more than was given.
      if (withSubpath.some((spec) => spec.destination === point.Destination))
        throw new EngineError(
          'not-implemented',
          `cannot use volumes from ${name}: the mount at ${point.Destination} is a part of a volume`,
        );
      points.set(point.Destination, { ...point, Mode: '', RW: point.RW && !readOnly });
      if (point.Name !== undefined && from.anonymousVolumes.includes(point.Name)) anonymous.add(point.Name);
    }
  }

  async #point(spec: MountSpec, anonymous: Set<string>, making: VolumesInMaking): Promise<MountPoint> {
    const rest = { Destination: spec.destination, Mode: spec.mode, RW: !spec.readOnly };
    switch (spec.type) {
      case 'volume': {
        const volume = await this.#makeVolume({ source: spec.source, ...spec.volume }, making);
        if (spec.source === '') anonymous.add(volume.Name);
        return volumePoint(volume, spec.destination, spec.mode || 'z', !spec.readOnly, spec.propagation);
      }
      case 'bind':
        return { Type: 'bind', Source: spec.source, ...rest, Propagation: this.#propagation(spec) };
      case 'tmpfs':
        return { Type: 'tmpfs', Source: '', ...rest, Propagation: '' };
      case 'image':
        throw new EngineError(
          'not-implemented',
          `invalid mount config for type "image": image mounts are not supported yet`,
        );
    }
  }

  /** @throws {EngineError} `invalid-parameter` for a propagation that would pin the engine's own mounts */
  #propagation(spec: MountSpec): string {
    const dataRoot = this.#dataRoot;
    if (!isWithin(spec.source, dataRoot) && !isWithin(dataRoot, spec.source))
      return spec.propagation ?? defaultPropagation;
    if (spec.propagation === undefined) return 'rslave';
    if (spec.propagation === 'rslave' || spec.propagation === 'rshared') return spec.propagation;
    throw new EngineError(
      'invalid-parameter',
      `invalid mount config: must use either propagation mode "rslave" or "rshared" when mount source is within the daemon root, daemon root: "${dataRoot}", bind mount source: "${spec.source}", propagation: "${spec.propagation}"`,
    );
  }

  async #makeVolume(
    asked: {
      source: string;
      driver: string;
      options: Record<string, string>;
      labels: Record<string, string>;
    },
    making: VolumesInMaking,
  ): Promise<Volume> {
    const volumes = this.#volumes;
    const known = asked.source !== '' && isThere(volumes, asked.source);
    // First, so that nobody prunes it under our hands.
    if (known) this.#refer(making, asked.source);
    const volume = await volumes.create({
      ...(asked.source === '' ? {} : { name: asked.source }),
      ...(asked.driver === '' ? {} : { driver: asked.driver }),
      options: asked.options,
      labels: asked.labels,
    });
    this.#refer(making, volume.Name);
    if (!known) making.made.push(volume.Name);
    return volume;
  }

  #refer(making: VolumesInMaking, name: string): void {
    this.#volumes.refer(name, making.containerId);
    making.referred.add(name);
  }
}

function isThere(volumes: Volumes, name: string): boolean {
  try {
    volumes.inspect(name);
    return true;
  } catch (error) {
    if (isKind(error, 'not-found')) return false;
    throw error;
  }
}

export function ownSpecs(hostConfig: HostConfig): MountSpec[] {
  const binds = (hostConfig.Binds ?? []).map((text) => parseBind(text, hostConfig.VolumeDriver));
  for (const { destination } of binds)
    if (hostConfig.Tmpfs?.[destination] !== undefined) throw duplicate(destination);
  return [...binds, ...(hostConfig.Mounts ?? []).map((request) => parseMountRequest(request))];
}

function duplicate(destination: string): EngineError {
  return new EngineError('invalid-parameter', `Duplicate mount point: ${destination}`);
}

function volumePoint(
  volume: Volume,
  destination: string,
  mode: string,
  writable: boolean,
  propagation = '',
): MountPoint {
  return {
    Type: 'volume',
    Name: volume.Name,
    Source: volume.Mountpoint,
    Destination: destination,
    Driver: volume.Driver,
    Mode: mode,
    RW: writable,
    Propagation: propagation,
  };
}

/** Removes a volume unless somebody uses it. */
export async function discardVolume(volumes: Volumes, name: string): Promise<void> {
  try {
    await volumes.remove(name, true);
  } catch (error) {
    if (!isKind(error, 'conflict') && !isKind(error, 'not-found')) throw error;
  }
}
