import type { Builder } from '../builder/index.ts';
import type { Containers } from '../containers/index.ts';
import type { EventBus } from '../events/index.ts';
import type { Images } from '../images/index.ts';
import type { Networks } from '../network/index.ts';
import type { Registries } from '../registry/index.ts';
import type { Volumes } from '../volumes/index.ts';

/** What the engine is and can do on this machine, for `info` and `version`. */
export interface EngineFacts {
  /** Stable over restarts, uuid. */
  id: string;
  name: string;
  dataRoot: string;
  execRoot: string;
  storageDriver: string;
  storageStatus: [string, string][];
  cgroupDriver: 'cgroupfs' | 'systemd';
  cgroupVersion: 1 | 2;
  runtimes: Record<string, { path: string; args: string[] }>;
  defaultRuntime: string;
  runtimeVersion: { name: string; version: string; commit: string };
  monitorVersion: string;
  initPath: string | null;
  initVersion: string;
  kernelVersion: string;
  operatingSystem: string;
  operatingSystemVersion: string;
  architecture: string;
  cpus: number;
  memoryBytes: number;
  securityOptions: string[];
  /** As dockerd prints: "WARNING: No swap limit support" … and what the engine changed on this machine. */
  warnings: string[];
  labels: string[];
  debug: boolean;
  startedAt: string;
}

/** The rooms of an engine in this process. */
export interface EngineServices {
  readonly containers: Containers;
  readonly images: Images;
  readonly volumes: Volumes;
  readonly networks: Networks;
  readonly events: EventBus;
  readonly builder: Builder;
  readonly registries: Pick<Registries, 'login' | 'inspect' | 'putManifest' | 'search' | 'configure'>;
  facts(): EngineFacts;
}
