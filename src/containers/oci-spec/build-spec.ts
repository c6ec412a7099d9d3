import type {
  ContainerConfig,
  HostConfig,
  ImageConfig,
  RuntimeMount,
  RuntimeProcess,
  RuntimeSpec,
} from '../../spec/index.ts';

/** What a container's OCI configuration is made from; everything that needs I/O has been found out before. */
export interface SpecInput {
  id: string;
  config: ContainerConfig;
  hostConfig: HostConfig;
  imageConfig: ImageConfig;
  /** Path of the mounted root file system (for users, groups, entry points: read below it with RESOLVE_IN_ROOT). */
  rootPath: string;
  entrypointAndCommand: string[];
  /** Binds, volumes and the like, already resolved to host paths, in mount order, resolv.conf, hosts, hostname included. */
  mounts: RuntimeMount[];
  /** Paths of namespaces to join: network sandbox, or another container's. */
  namespacePaths: { network?: string; pid?: string; ipc?: string; uts?: string };
  cgroupsPath: string;
  cgroupVersion: 1 | 2;
  hostname: string;
  /** What the engine itself may give: names as `CAP_CHOWN`. */
  boundingCapabilities: readonly string[];
  /** Host path of tini, when init is asked for. */
  initPath?: string;
  daemonDefaults: {
    shmSizeBytes: number;
    ulimits: { Name: string; Soft: number; Hard: number }[];
    noNewPrivileges: boolean;
  };
}

export interface BuiltSpec {
  spec: RuntimeSpec;
  warnings: string[];
}

export type BuildSpec = (input: SpecInput) => BuiltSpec;

/** The process of an exec session: the container's own, with what `exec` was told to change. */
export type BuildExecProcess = (input: {
  base: RuntimeProcess;
  containerConfig: ContainerConfig;
  rootPath: string;
  command: string[];
  tty: boolean;
  env: string[] | null;
  user: string;
  /** `HostConfig.GroupAdd` of the container, for a user other than its own. */
  groupAdd?: readonly string[];
  workingDir: string;
  privileged: boolean;
  containerPrivileged: boolean;
  boundingCapabilities: readonly string[];
  consoleSize?: [number, number];
}) => RuntimeProcess;
