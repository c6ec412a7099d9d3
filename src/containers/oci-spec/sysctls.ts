import { existsSync } from 'node:fs';
import { EngineError } from '../../errors/index.ts';
import type { HostConfig, RuntimeNamespace } from '../../spec/index.ts';

const pingRange = 'net.ipv4.ping_group_range';
const portStart = 'net.ipv4.ip_unprivileged_port_start';
const known = new Map<string, boolean>();

function kernelHas(name: string): boolean {
  let has = known.get(name);
  if (has === undefined) known.set(name, (has = existsSync(`/proc/sys/${name.replaceAll('.', '/')}`)));
  return has;
}

const ipcSysctls = new Set(
  `kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni
  kernel.shm_rmid_forced`.split(/\s+/),
);

/**
 * What the user asked, over two defaults for a network namespace of the container's own: any user may ping and listen
 * on any port, as the default capabilities would allow root anyway.
 * @throws {EngineError} for a setting that would change the host.
 */
export function containerSysctls(
  hostConfig: Pick<HostConfig, 'NetworkMode' | 'Sysctls'>,
  namespaces: readonly RuntimeNamespace[],
): Record<string, string> {
  const sysctls: Record<string, string> = {};
  const mode = hostConfig.NetworkMode;
  if (mode !== 'host' && !mode.startsWith('container:')) {
    if (kernelHas(pingRange)) sysctls[pingRange] = '0 2147483647';
    if (kernelHas(portStart)) sysctls[portStart] = '0';
  }
  for (const [name, value] of Object.entries(hostConfig.Sysctls ?? {})) {
    checkNamespaced(name, namespaces);
    sysctls[name] = value;
  }
  return sysctls;
}

function checkNamespaced(name: string, namespaces: readonly RuntimeNamespace[]): void {
  const has = (type: RuntimeNamespace['type']): boolean => namespaces.some((entry) => entry.type === type);
  const dotted = name.replaceAll('/', '.');
  if (ipcSysctls.has(dotted) || dotted.startsWith('fs.mqueue.')) {
    if (has('ipc')) return;
    throw refused(`sysctl "${name}" is not allowed in the hosts ipc namespace`);
  }
  if (dotted.startsWith('net.')) {
    if (has('network')) return;
    throw refused(`sysctl "${name}" not allowed in host network namespace`);
  }
  if (dotted === 'kernel.domainname' && has('uts')) return;
  throw refused(`sysctl "${name}" is not in a separate kernel namespace`);
}

/** In the words of the runtime that Docker leaves this check to: crun would set what it must not, or say it otherwise. */
function refused(message: string): EngineError {
  return new EngineError(
    'internal',
    `failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: ${message}: unknown`,
  );
}
