import type { UnpackLimits } from '../archive/index.ts';
import type { EventBus } from '../events/index.ts';
import type { Images } from '../images/index.ts';
import type { Networks } from '../network/index.ts';
import type { Records } from '../records/index.ts';
import type { Registries } from '../registry/index.ts';
import type { ContainerRuntime } from '../runtime/index.ts';
import type { Snapshotter } from '../snapshots/index.ts';
import type {
  ContainerConfig,
  HostConfig,
  ImageConfig,
  Platform,
  RuntimeMount,
  RuntimeSpec,
  Ulimit,
} from '../spec/index.ts';
import type { Cgroups, Syscall } from '../sys/index.ts';
import type { CacheGcOptions } from './builder.ts';

/** What a step's OCI configuration is made from. */
export interface StepSpecInput {
  id: string;
  config: ContainerConfig;
  hostConfig: HostConfig;
  imageConfig: ImageConfig;
  rootPath: string;
  entrypointAndCommand: string[];
  mounts: RuntimeMount[];
  namespacePaths: { network?: string };
  cgroupsPath: string;
  cgroupVersion: 1 | 2;
  hostname: string;
  boundingCapabilities: readonly string[];
  daemonDefaults: { shmSizeBytes: number; ulimits: Ulimit[]; noNewPrivileges: boolean };
}

/** The rooms a builder is composed from. */
export interface BuilderParts {
  records: Records;
  images: Images;
  snapshotter: Snapshotter;
  runtime: ContainerRuntime;
  networks: Networks;
  registries: Pick<Registries, 'repository' | 'maxConcurrentUploads'>;
  events: EventBus;
  cgroups: Cgroups;
  syscall: Syscall;
  /** Makes a step's configuration with the same defaults as a container's. */
  buildSpec: (input: StepSpecInput) => { spec: RuntimeSpec };
  /** The network of a running container, with the files that belong to it. @throws {EngineError} */
  joinNetwork: (container: string) => StepNetwork;
}

export interface StepNetwork {
  namespacePaths: { network?: string };
  /** resolv.conf, hostname and hosts. */
  mounts: RuntimeMount[];
  hostname: string;
}

export interface BuilderOptions {
  /** Absolute; the builder keeps contexts and cache mounts below `<dataRoot>/builder`. */
  dataRoot: string;
  /** Files of running steps go below `<execRoot>/builder`. */
  execRoot: string;
  cgroupParent: string;
  boundingCapabilities: readonly string[];
  shmSizeBytes: number;
  ulimits: readonly Ulimit[];
  noNewPrivileges: boolean;
  /** The machine's. */
  platform: Platform;
  /** Of contexts, and of archives that ADD unpacks. */
  archiveLimits?: UnpackLimits;
  /** What is removed from the cache without being asked. */
  cacheGc?: CacheGcOptions;
  /** What no build is given, whatever it asks for. */
  refusedEntitlements?: readonly string[];
  onBackgroundError: (context: string, error: unknown) => void;
}
