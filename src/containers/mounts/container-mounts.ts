import { closeSync, fstatSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { EngineError, errorMessage } from '../../errors/index.ts';
import type { EventBus } from '../../events/index.ts';
import type { MountPoint, RuntimeMount } from '../../spec/index.ts';
import type { Syscall } from '../../sys/index.ts';
import type { Volumes } from '../../volumes/index.ts';
import { openPathInRoot } from '../oci-spec/index.ts';
import { copyTree } from './copy-tree.ts';
import { cleanDestination, defaultPropagation, type MountSpec } from './mount-spec.ts';
import {
  MountPlanner,
  discardVolume,
  ownSpecs,
  type FindDonor,
  type MountPlan,
  type MountedContainer,
} from './plan.ts';
import { checkPropagation, mountOf, readHostMounts, type HostMount } from './propagation.ts';
import { bindOptions } from './runtime-options.ts';
import { SharedMemory } from './shared-memory.ts';
import { tmpfsMountOptions } from './tmpfs-options.ts';

export interface ContainerMountsParts {
  volumes: Volumes;
  events: EventBus;
  syscall: Syscall;
  /** Absolute. Binds of what holds or is in it follow the host's mounts, lest a container keep the engine's alive. */
  dataRoot: string;
  /** Absolute; shared memory of `--ipc shareable` is mounted below. */
  execRoot: string;
}

/**
 * Mounts of containers: planned at create (volumes made and referred to), acquired at each start (volumes mounted and
 * filled from the image), released at each exit, forgotten at removal.
 */
export class ContainerMounts {
  readonly #parts: ContainerMountsParts;
  readonly #planner: MountPlanner;
  readonly #sharedMemory: SharedMemory;
  /** Descriptors that keep sub-paths of volumes what they were when they were checked. */
  readonly #descriptors = new Map<string, number[]>();
  /** Acquired volumes by container. */
  readonly #held = new Map<string, Set<string>>();

  constructor(parts: ContainerMountsParts) {
    this.#parts = parts;
    this.#planner = new MountPlanner(parts);
    this.#sharedMemory = new SharedMemory(parts.execRoot, parts.syscall);
  }

  /** @see MountPlanner.plan */
  plan(
    container: Pick<MountedContainer, 'id' | 'config' | 'hostConfig'>,
    donor: FindDonor,
  ): Promise<MountPlan> {
    return this.#planner.plan(container, donor);
  }

  /** The container is removed; with `removeAnonymous` its unnamed volumes too, unless others use them. */
  async forget(
    container: Pick<MountedContainer, 'id' | 'mounts' | 'anonymousVolumes'>,
    options: { removeAnonymous: boolean },
  ): Promise<void> {
    for (const point of container.mounts)
      if (point.Name !== undefined) this.#parts.volumes.unrefer(point.Name, container.id);
    if (!options.removeAnonymous) return;
    for (const name of container.anonymousVolumes) await discardVolume(this.#parts.volumes, name);
  }

  /**
   * Makes the mounts ready and says how the runtime mounts them, parents before children. Undone on error; else pairs
   * with release().
   * @param options.rootPath the container's mounted root file system
   * @param options.populate fill empty volumes with what the image has there: at the container's first start
   */
  async acquire(
    container: MountedContainer,
    options: { rootPath: string; populate: boolean },
  ): Promise<RuntimeMount[]> {
    const { id, hostConfig, mounts } = container;
    const specs = new Map(ownSpecs(hostConfig).map((spec) => [spec.destination, spec]));
    const tmpfs = Object.entries(hostConfig.Tmpfs ?? {}).map(([path, text]) => ({
      destination: cleanDestination(path),
      type: 'tmpfs',
      source: 'tmpfs',
      options: tmpfsMountOptions(text),
    }));
    const result: RuntimeMount[] = [...tmpfs];
    const covered = new Set(tmpfs.map((mount) => mount.destination));
    const binds: Bind[] = [];
    try {
      for (const point of mounts) {
        if (covered.has(point.Destination)) continue;
        covered.add(point.Destination);
        const spec = specs.get(point.Destination);
        if (point.Type === 'tmpfs') result.push(tmpfsMount(point, spec));
        else if (point.Type === 'volume')
          binds.push({ point, spec, source: await this.#acquireVolume(container, point, spec, options) });
        else binds.push({ point, spec, source: prepareBindSource(point, spec) });
      }
      const shm = covered.has('/dev/shm')
        ? undefined
        : this.#sharedMemory.acquire(id, hostConfig.IpcMode, hostConfig.ShmSize);
      if (shm !== undefined) binds.push({ point: sharedMemoryPoint, spec: undefined, source: shm });
      // Read after volumes have been mounted, and only when there is something to look up.
      const hostMounts = binds.length === 0 ? [] : readHostMounts();
      for (const bind of binds) result.push(bindMount(bind, hostMounts));
    } catch (error) {
      try {
        await this.release(container);
      } catch (failure) {
        throw new AggregateError([error, failure], errorMessage(error), { cause: failure });
      }
      throw error;
    }
    return result.toSorted((a, b) => depth(a.destination) - depth(b.destination));
  }

  async #acquireVolume(
    container: MountedContainer,
    point: MountPoint,
    spec: MountSpec | undefined,
    options: { rootPath: string; populate: boolean },
  ): Promise<string> {
    const { volumes, events } = this.#parts;
    const name = point.Name as string;
    const path = await volumes.acquire(name, container.id);
    this.#hold(container.id, name);
    if (options.populate && copiesUp(container, point, spec))
      await this.#populate(path, options.rootPath, point.Destination);
    events.publish('volume', 'mount', name, {
      container: container.id,
      destination: point.Destination,
      driver: point.Driver ?? 'local',
      propagation: point.Propagation,
      'read/write': String(point.RW),
    });
    if (spec === undefined || spec.volume.subpath === '') return path;
    const descriptor = openSubpath(path, spec.volume.subpath);
    this.#descriptors.set(container.id, [...(this.#descriptors.get(container.id) ?? []), descriptor]);
    return `/proc/${process.pid}/fd/${descriptor}`;
  }

  async #populate(volumePath: string, rootPath: string, destination: string): Promise<void> {
    let descriptor: number;
    try {
      descriptor = openPathInRoot(rootPath, destination);
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return;
      throw error;
    }
    try {
      if (!fstatSync(descriptor).isDirectory())
        throw new EngineError(
          'internal',
          `cannot mount volume over existing file, file exists ${rootPath}${destination}`,
        );
      if (readdirSync(volumePath).length === 0)
        await copyTree(`/proc/self/fd/${descriptor}`, volumePath, this.#parts.syscall);
    } finally {
      closeSync(descriptor);
    }
  }

  /** After the container has ended. No error for what was never acquired. */
  async release(container: Pick<MountedContainer, 'id' | 'mounts'>): Promise<void> {
    const { volumes, events } = this.#parts;
    for (const descriptor of this.#descriptors.get(container.id) ?? []) closeSync(descriptor);
    this.#descriptors.delete(container.id);
    this.#sharedMemory.release(container.id);
    const failures: unknown[] = [];
    const held = this.#held.get(container.id);
    this.#held.delete(container.id);
    for (const point of container.mounts) {
      if (point.Name === undefined || held?.has(point.Name) !== true) continue;
      try {
        await volumes.release(point.Name, container.id);
        events.publish('volume', 'unmount', point.Name, {
          container: container.id,
          driver: point.Driver ?? 'local',
        });
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0)
      throw new AggregateError(failures, `Cannot release volumes: ${failures.map(errorMessage).join('; ')}`);
  }

  /**
   * After an engine restart: refers to the volumes of a container that is on record, and holds those of a running one.
   */
  async restore(container: MountedContainer, running: boolean): Promise<void> {
    for (const point of container.mounts) {
      if (point.Name === undefined) continue;
      this.#parts.volumes.refer(point.Name, container.id);
      if (!running) continue;
      await this.#parts.volumes.acquire(point.Name, container.id);
      this.#hold(container.id, point.Name);
    }
  }

  #hold(containerId: string, name: string): void {
    const held = this.#held.get(containerId);
    if (held === undefined) this.#held.set(containerId, new Set([name]));
    else held.add(name);
  }
}

interface Bind {
  point: MountPoint;
  spec: MountSpec | undefined;
  source: string;
}

const sharedMemoryPoint: MountPoint = {
  Type: 'bind',
  Source: '',
  Destination: '/dev/shm',
  Mode: '',
  RW: true,
  Propagation: defaultPropagation,
};

function tmpfsMount(point: MountPoint, spec: MountSpec | undefined): RuntimeMount {
  return {
    destination: point.Destination,
    type: 'tmpfs',
    source: 'tmpfs',
    options: tmpfsMountOptions(spec?.tmpfsOptions ?? (point.RW ? '' : 'ro')),
  };
}

function bindMount({ point, spec, source }: Bind, hostMounts: readonly HostMount[]): RuntimeMount {
  const mount = mountOf(source, hostMounts);
  return {
    destination: point.Destination,
    type: 'bind',
    source,
    options: bindOptions({
      writable: point.RW,
      propagation: usablePropagation(source, mount, point.Propagation, spec),
      nonRecursive: spec?.nonRecursive === true,
      readOnlyRecursion: spec?.readOnlyRecursion ?? 'if-possible',
      sourceOptions: mount.options,
      sourceIsDirectory: statSync(source).isDirectory(),
    }),
  };
}

/** What we chose ourselves for a bind near the data root gives way where the host's mount cannot do it. */
function usablePropagation(
  source: string,
  mount: HostMount,
  propagation: string,
  spec: MountSpec | undefined,
): string {
  if (propagation === '') return '';
  try {
    checkPropagation(source, mount, propagation);
    return propagation;
  } catch (error) {
    if (propagation === 'rslave' && spec?.propagation === undefined) return defaultPropagation;
    throw error;
  }
}

/** Volumes of other containers were filled by them, if they wanted. */
function copiesUp(container: MountedContainer, point: MountPoint, spec: MountSpec | undefined): boolean {
  if (spec !== undefined) return spec.type === 'volume' && spec.copyUp && spec.volume.subpath === '';
  return Object.keys(container.config.Volumes ?? {}).some(
    (path) => cleanDestination(path) === point.Destination,
  );
}

function prepareBindSource(point: MountPoint, spec: MountSpec | undefined): string {
  if (spec?.createSource !== true) return point.Source;
  try {
    mkdirSync(point.Source, { recursive: true, mode: 0o755 });
  } catch (error) {
    // A file, a socket: binds of those are as good.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST' && code !== 'ENOTDIR')
      throw new EngineError(
        'internal',
        `error while creating mount source path '${point.Source}': ${errorMessage(error)}`,
        { cause: error },
      );
  }
  return point.Source;
}

function openSubpath(volumePath: string, subpath: string): number {
  try {
    return openPathInRoot(volumePath, subpath);
  } catch (error) {
    throw new EngineError(
      'not-found',
      `cannot access path ${volumePath}/${subpath}: ${errorMessage(error)}`,
      {
        cause: error,
      },
    );
  }
}

function depth(path: string): number {
  return path.split('/').length;
}
