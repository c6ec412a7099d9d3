import { EngineError } from '../../errors/index.ts';
import type { ContainerConfig, HostConfig } from '../../spec/index.ts';
import { normalizeCapabilities } from './capabilities.ts';
import { parseDeviceRule } from './devices.ts';
import type { MachineFacts } from './machine-facts.ts';
import { defaultMaskedPaths, defaultReadonlyPaths } from './masked-paths.ts';
import { loadSeccompProfile, seccompTarget } from './seccomp.ts';
import { parseSecurityOptions } from './security-options.ts';
import { verifyResources } from './verify-resources.ts';

/**
 * What a create request asks of the machine and of isolation: limits, capabilities, security options, conflicts between
 * modes. Limits that the machine cannot keep are taken out of `hostConfig`; the paths that will be masked and read-only
 * are written into it, so that inspect shows them. (Names, ports, restart policy and mounts are checked elsewhere.)
 * @param asked the configuration as the client sent it: a host name of the engine's own choice conflicts with nothing
 * @returns warnings, Docker's texts
 * @throws {EngineError} `invalid-parameter` with Docker's texts
 */
export function verifyContainerSettings(
  asked: Pick<ContainerConfig, 'Hostname' | 'ExposedPorts'>,
  hostConfig: HostConfig,
  facts: MachineFacts,
): string[] {
  verifyModes(asked, hostConfig);
  verifyCapabilities(hostConfig, facts);
  verifySecurityOptions(hostConfig);
  for (const rule of hostConfig.DeviceCgroupRules ?? []) parseDeviceRule(rule);
  if (hostConfig.StorageOpt && Object.keys(hostConfig.StorageOpt).length > 0)
    throw invalid("--storage-opt is supported only for overlay over xfs with 'pquota' mount option");
  for (const key of Object.keys(hostConfig.Annotations ?? {}))
    if (key === '')
      throw invalid('invalid Annotations: the empty string is not permitted as an annotation key');
  const warnings = verifyResources(hostConfig, facts);
  if (
    facts.cgroupDriver === 'systemd' &&
    hostConfig.CgroupParent !== '' &&
    !/^.+\.slice$/.test(hostConfig.CgroupParent)
  )
    throw invalid('cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"');
  if (!facts.ipv4Forwarding && hostConfig.NetworkMode !== 'host' && hostConfig.NetworkMode !== 'none')
    warnings.push('IPv4 forwarding is disabled. Networking will not work.');
  if (!hostConfig.Privileged) {
    hostConfig.MaskedPaths ??= defaultMaskedPaths();
    hostConfig.ReadonlyPaths ??= [...defaultReadonlyPaths];
  }
  return warnings;
}

function verifyModes(
  asked: Pick<ContainerConfig, 'Hostname' | 'ExposedPorts'>,
  hostConfig: HostConfig,
): void {
  const { NetworkMode: mode } = hostConfig;
  const links = hostConfig.Links?.length ?? 0;
  if (mode === 'container' || mode.startsWith('container:')) {
    const ports = Object.keys(hostConfig.PortBindings ?? {}).length > 0 || hostConfig.PublishAllPorts;
    const refused: [boolean, string][] = [
      [
        mode.length <= 'container:'.length,
        'invalid network mode: invalid container format container:<name|id>',
      ],
      [asked.Hostname !== '', 'conflicting options: hostname and the network mode'],
      [
        links > 0,
        "conflicting options: container type network can't be used with links. This would result in undefined behavior",
      ],
      [(hostConfig.Dns?.length ?? 0) > 0, 'conflicting options: dns and the network mode'],
      [
        (hostConfig.ExtraHosts?.length ?? 0) > 0,
        'conflicting options: custom host-to-IP mapping and the network mode',
      ],
      [ports, 'conflicting options: port publishing and the container type network mode'],
      [
        Object.keys(asked.ExposedPorts ?? {}).length > 0,
        'conflicting options: port exposing and the container type network mode',
      ],
    ];
    for (const [wrong, message] of refused) if (wrong) throw invalid(message);
  }
  if (hostConfig.UTSMode === 'host' && asked.Hostname !== '')
    throw invalid('conflicting options: hostname and the UTS mode');
  if (mode === 'host' && links > 0)
    throw invalid(
      "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
    );
}

function verifyCapabilities(hostConfig: HostConfig, facts: MachineFacts): void {
  for (const member of ['CapAdd', 'CapDrop'] as const) {
    try {
      if (member === 'CapDrop') normalizeCapabilities(hostConfig.CapDrop ?? []);
      else normalizeCapabilities(hostConfig.CapAdd ?? [], facts.boundingCapabilities);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      throw invalid(`invalid ${member}: ${error.message}`);
    }
  }
}

function verifySecurityOptions(hostConfig: HostConfig): void {
  const { seccomp } = parseSecurityOptions(hostConfig.SecurityOpt, false);
  if (seccomp !== undefined && !['', 'unconfined', 'builtin'].includes(seccomp))
    loadSeccompProfile(seccomp, seccompTarget([]));
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message);
}
