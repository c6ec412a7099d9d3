import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname as hostHostname } from 'node:os';
import { buildHostname, buildHosts, buildResolvConf, readHostResolvConf } from '../../network/index.ts';
import type { ChainId, ImageConfig, RuntimeMount } from '../../spec/index.ts';
import { containerCgroupsPath } from '../../sys/index.ts';
import type { BuildLimits } from '../builder.ts';
import type { RunDevice } from '../dockerfile/instructions/instruction.ts';
import type { BuilderOptions, BuilderParts, StepNetwork } from '../parts.ts';
import { findDevices } from './cdi-devices.ts';
import { removeStubs, stubsFor } from './mount-stubs.ts';
import { StepMounts } from './step-mounts.ts';
import { stepConfig, stepHostConfig } from './step-config.ts';

/** A step is not started from an image: it knows its user, environment and directory itself. */
const noImage: ImageConfig = {
  architecture: '',
  os: 'linux',
  rootfs: { type: 'layers', diff_ids: [] },
};

/** A command to run on top of a layer. */
export interface ExecStep {
  /** 64 hex; also the key of the writable snapshot, which the caller has prepared and removes. */
  id: string;
  chainId: ChainId | null;
  user: string;
  workingDirectory: string;
  command: string[];
  environment: string[];
  /** `default`, `none`, `host` or a network's name. */
  networkMode: string;
  isInsecure: boolean;
  devices: readonly RunDevice[];
  extraHosts: readonly string[];
  cgroupParent: string;
  limits: BuildLimits;
  signal: AbortSignal;
  onOutput: (stream: 'stdout' | 'stderr', chunk: Buffer) => void;
}

/**
 * Runs a step's command in a container of its own in the snapshot `step.id`. Nothing of it is left when this returns or
 * throws but what the command wrote to the snapshot.
 * @param mounts made by the caller for this step, undone here
 * @returns the exit code
 * @throws {EngineError} when it cannot be started; `cancelled`
 */
export async function execStep(
  parts: BuilderParts,
  options: BuilderOptions,
  step: ExecStep,
  mounts: StepMounts,
): Promise<number> {
  const { snapshotter, networks, cgroups } = parts;
  const { id, signal } = step;
  const directory = `${options.execRoot}/builder/${id}`;
  const undo = new AsyncDisposableStack();
  try {
    undo.defer(() => snapshotter.unmount(id));
    const rootPath = await snapshotter.mount(id, { isDiscardable: true });
    undo.defer(() => rmSync(directory, { recursive: true, force: true }));
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    undo.defer(() => mounts.close());
    const prepared = await mounts.prepare(directory);
    undo.defer(() => networks.removeSandbox(id));
    const network = prepareNetwork(parts, step, directory);
    const cgroupPath = containerCgroupsPath(cgroups.setup.driver, {
      parent: step.cgroupParent || options.cgroupParent,
      prefix: 'coracle',
      id,
    });
    const given = findDevices(step.devices);
    const hostConfig = stepHostConfig({ ...step, networkMode: network.mode, devices: given.devices });
    const stubs = stubsFor(
      rootPath,
      [...given.mounts, ...prepared.mounts].map((mount) => mount.destination),
    );
    const { spec } = parts.buildSpec({
      id,
      config: stepConfig(step, network.hostname, [
        ...step.environment,
        ...given.environment,
        ...prepared.environment,
      ]),
      hostConfig,
      imageConfig: noImage,
      rootPath,
      entrypointAndCommand: step.command,
      mounts: [...network.mounts, ...given.mounts, ...prepared.mounts],
      namespacePaths: network.namespacePaths,
      cgroupsPath: cgroupPath,
      cgroupVersion: cgroups.setup.version,
      hostname: network.hostname,
      boundingCapabilities: options.boundingCapabilities,
      daemonDefaults: {
        shmSizeBytes: options.shmSizeBytes,
        ulimits: [...options.ulimits],
        noNewPrivileges: options.noNewPrivileges,
      },
    });
    signal.throwIfAborted();
    const exitCode = await runToEnd(parts, { id, spec, signal, onOutput: step.onOutput });
    removeStubs(rootPath, stubs);
    return exitCode;
  } finally {
    await undo.disposeAsync();
  }
}

async function runToEnd(
  { runtime }: BuilderParts,
  step: Pick<ExecStep, 'id' | 'signal' | 'onOutput'> & {
    spec: Parameters<BuilderParts['runtime']['create']>[0]['spec'];
  },
): Promise<number> {
  const { id, spec, signal } = step;
  const task = await runtime.create({ id, spec, openStdin: false, stdinOnce: false, logPath: null });
  const kill = (): void => void runtime.kill(id, 9, { all: true }).catch(() => undefined);
  try {
    const streams = task.attach();
    const ended = new Promise<void>((resolve, reject) => {
      streams.onOutput = step.onOutput;
      streams.onEnd = (error) => (error === undefined ? resolve() : reject(error));
    });
    ended.catch(() => undefined);
    signal.addEventListener('abort', kill, { once: true });
    signal.throwIfAborted();
    await runtime.start(id);
    const exit = await task.exited;
    await ended;
    signal.throwIfAborted();
    return exit.exitCode;
  } finally {
    signal.removeEventListener('abort', kill);
    await runtime.delete(id);
  }
}

/** Namespace, endpoint, and the three files. */
function prepareNetwork(
  parts: BuilderParts,
  step: ExecStep,
  directory: string,
): StepNetwork & { mode: string } {
  const { networks } = parts;
  const mode = ['', 'default'].includes(step.networkMode) ? 'bridge' : step.networkMode;
  if (mode.startsWith('container:')) {
    return { mode, ...parts.joinNetwork(mode.slice('container:'.length)) };
  }
  const isHost = mode === 'host';
  const hostname = isHost ? hostHostname() : step.id.slice(0, 12);
  const namespacePaths: { network?: string } = {};
  const ownAddresses: string[] = [];
  if (!isHost) {
    namespacePaths.network = networks.createSandbox(step.id, { network: mode }).path;
    if (mode !== 'none') {
      const given = networks.attach({
        containerId: step.id,
        containerName: step.id.slice(0, 12),
        network: mode,
        settings: {},
      });
      ownAddresses.push(...[given.IPAddress, given.GlobalIPv6Address].filter((address) => address !== ''));
    }
  }
  const asksGateway = step.extraHosts.some((text) => text.endsWith('host-gateway'));
  const files: Record<string, string> = {
    hostname: buildHostname(hostname),
    hosts: buildHosts({
      ...(isHost ? { host: readFileSync('/etc/hosts', 'utf8') } : {}),
      hostname,
      domainname: '',
      ownAddresses,
      extraHosts: step.extraHosts,
      hostGateway: asksGateway ? networks.hostGateway() : undefined,
    }),
    'resolv.conf': buildResolvConf({ host: readHostResolvConf(), sharesHostNetwork: isHost }),
  };
  const mounts = Object.entries(files).map(([name, text]): RuntimeMount => {
    writeFileSync(`${directory}/${name}`, text, { mode: 0o644 });
    return {
      destination: `/etc/${name}`,
      type: 'bind',
      source: `${directory}/${name}`,
      options: ['rbind', 'rprivate'],
    };
  });
  return { mode, namespacePaths, mounts, hostname };
}
