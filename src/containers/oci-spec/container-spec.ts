import { EngineError } from '../../errors/index.ts';
import type {
  HostConfig,
  RuntimeProcess,
  RuntimeResources,
  RuntimeSpec,
  SeccompPolicy,
} from '../../spec/index.ts';
import type { BuildSpec, SpecInput } from './build-spec.ts';
import { containerCapabilities } from './capabilities.ts';
import { defaultMounts, initDestination } from './default-mounts.ts';
import { containerDevices } from './devices.ts';
import { containerEnvironment } from './environment.ts';
import { defaultMaskedPaths, defaultReadonlyPaths } from './masked-paths.ts';
import { containerNamespaces } from './namespaces.ts';
import { refuseProcMounts } from './proc-mounts.ts';
import { runtimeResources } from './resources.ts';
import { runtimeRlimits } from './rlimits.ts';
import { makeDirectoriesInRoot } from './root-files.ts';
import { defaultSeccompPolicy, loadSeccompProfile, seccompTarget } from './seccomp.ts';
import { parseSecurityOptions, type SecurityOptions } from './security-options.ts';
import { containerSysctls } from './sysctls.ts';
import { resolveUserInRoot } from './users.ts';

/** Builds a container's OCI configuration; makes the working directory in its root file system when it is missing. */
export const buildSpec: BuildSpec = (input) => {
  const { config, hostConfig } = input;
  refuseProcMounts(input.rootPath, input.mounts);
  const security = parseSecurityOptions(hostConfig.SecurityOpt, input.daemonDefaults.noNewPrivileges);
  const namespaces = containerNamespaces(hostConfig, input.namespacePaths, input.cgroupVersion);
  const { devices, rules } = containerDevices(hostConfig);
  const capabilities = containerCapabilities({
    add: hostConfig.CapAdd,
    drop: hostConfig.CapDrop,
    privileged: hostConfig.Privileged,
    bounding: input.boundingCapabilities,
  });
  const ownUts = namespaces.some((namespace) => namespace.type === 'uts');
  const initPath = privatePidNamespace(hostConfig.PidMode) ? input.initPath : undefined;

  const linux: RuntimeSpec['linux'] = {
    cgroupsPath: input.cgroupsPath,
    namespaces,
    devices,
    resources: { devices: rules, ...newResources(hostConfig) },
  };
  const sysctl = containerSysctls(hostConfig, namespaces);
  if (Object.keys(sysctl).length > 0) linux.sysctl = sysctl;
  const seccomp = containerSeccomp(security, hostConfig.Privileged, capabilities);
  if (seccomp !== undefined) linux.seccomp = seccomp;
  const masked = hostConfig.MaskedPaths ?? (hostConfig.Privileged ? [] : defaultMaskedPaths());
  if (masked.length > 0) linux.maskedPaths = masked;
  const readonly = hostConfig.ReadonlyPaths ?? (hostConfig.Privileged ? [] : [...defaultReadonlyPaths]);
  if (readonly.length > 0) linux.readonlyPaths = readonly;
  const rootfsPropagation = rootPropagation(input);
  if (rootfsPropagation !== undefined) linux.rootfsPropagation = rootfsPropagation;

  const spec: RuntimeSpec = {
    ociVersion: '1.0.2',
    process: containerProcess(input, capabilities, security, initPath),
    root: { path: input.rootPath, readonly: hostConfig.ReadonlyRootfs },
    mounts: [
      ...defaultMounts({
        mounts: input.mounts,
        ipcMode: hostConfig.IpcMode,
        shmSizeBytes: hostConfig.ShmSize || input.daemonDefaults.shmSizeBytes,
        privileged: hostConfig.Privileged,
        writableCgroups: security.writableCgroups ?? hostConfig.Privileged,
        readonlyRoot: hostConfig.ReadonlyRootfs,
      }),
      ...(initPath === undefined
        ? []
        : [{ destination: initDestination, type: 'bind', source: initPath, options: ['bind', 'ro'] }]),
      ...input.mounts,
    ],
    linux,
  };
  if (ownUts) {
    // Another container's UTS namespace, or the host's, keeps its own names.
    spec.hostname = input.hostname;
    if (config.Domainname) spec.domainname = config.Domainname;
  }
  if (hostConfig.Annotations && Object.keys(hostConfig.Annotations).length > 0)
    spec.annotations = { ...hostConfig.Annotations };
  return { spec, warnings: [] };
};

/** A new cgroup has no limit on processes that would have to be lifted. */
function newResources(hostConfig: HostConfig): RuntimeResources {
  const resources = runtimeResources(hostConfig);
  if ((hostConfig.PidsLimit ?? 0) <= 0) delete resources.pids;
  return resources;
}

function privatePidNamespace(mode: string): boolean {
  return mode !== 'host' && !mode.startsWith('container:');
}

function containerProcess(
  input: SpecInput,
  capabilities: string[],
  security: SecurityOptions,
  initPath: string | undefined,
): RuntimeProcess {
  const { config, hostConfig } = input;
  const { user, home } = resolveUserInRoot(input.rootPath, config.User, hostConfig.GroupAdd ?? []);
  const process: RuntimeProcess = {
    terminal: config.Tty,
    user,
    args: [...(initPath === undefined ? [] : [initDestination, '--']), ...input.entrypointAndCommand],
    env: containerEnvironment({ hostname: input.hostname, tty: config.Tty, own: config.Env ?? [], home }),
    cwd: workingDirectory(input.rootPath, config.WorkingDir),
    capabilities: capabilitySets(capabilities),
    noNewPrivileges: security.noNewPrivileges,
    oomScoreAdj: hostConfig.OomScoreAdj,
  };
  const [height, width] = hostConfig.ConsoleSize ?? [0, 0];
  if (config.Tty && (height > 0 || width > 0)) process.consoleSize = { height, width };
  const rlimits = runtimeRlimits(hostConfig.Ulimits, input.daemonDefaults.ulimits);
  if (rlimits.length > 0) process.rlimits = rlimits;
  return process;
}

/** Inheritable stays empty (CVE-2022-24769), ambient too: a user other than root loses what it has on execve(2). */
export function capabilitySets(names: string[]): NonNullable<RuntimeProcess['capabilities']> {
  return { bounding: names, effective: names, permitted: names, inheritable: [], ambient: [] };
}

function workingDirectory(rootPath: string, path: string): string {
  if (path === '' || path === '/') return '/';
  try {
    makeDirectoriesInRoot(rootPath, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR')
      throw new EngineError('internal', `Cannot mkdir: ${path} is not a directory`, { cause: error });
    throw error;
  }
  return path;
}

/** The seccomp policy of a container that asks for nothing special. */
export function commonSeccompPolicy(boundingCapabilities: readonly string[]): SeccompPolicy {
  const options = { add: null, drop: null, privileged: false, bounding: boundingCapabilities };
  return defaultSeccompPolicy(seccompTarget(containerCapabilities(options)));
}

function containerSeccomp(
  security: SecurityOptions,
  privileged: boolean,
  capabilities: readonly string[],
): SeccompPolicy | undefined {
  if (security.seccomp === 'unconfined') return undefined;
  if (security.seccomp === undefined || security.seccomp === '' || security.seccomp === 'builtin')
    return privileged && security.seccomp !== 'builtin'
      ? undefined
      : defaultSeccompPolicy(seccompTarget(capabilities));
  return loadSeccompProfile(security.seccomp, seccompTarget(capabilities));
}

/** A shared or slave mount reaches the container only when its root is so too. */
function rootPropagation(input: SpecInput): string | undefined {
  const options = new Set(input.mounts.flatMap((mount) => mount.options ?? []));
  if (options.has('shared') || options.has('rshared')) return 'shared';
  if (options.has('slave') || options.has('rslave')) return 'rslave';
  return undefined;
}
