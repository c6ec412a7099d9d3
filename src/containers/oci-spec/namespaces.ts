import type { HostConfig, RuntimeNamespace } from '../../spec/index.ts';

type Modes = Pick<
  HostConfig,
  'NetworkMode' | 'PidMode' | 'IpcMode' | 'UTSMode' | 'CgroupnsMode' | 'Privileged'
>;

/** New ones, those to join by path, and none for the host's. */
export function containerNamespaces(
  modes: Modes,
  paths: { network?: string; pid?: string; ipc?: string; uts?: string },
  cgroupVersion: 1 | 2,
): RuntimeNamespace[] {
  const namespaces: RuntimeNamespace[] = [{ type: 'mount' }];
  const add = (type: RuntimeNamespace['type'], mode: string, path: string | undefined): void => {
    if (mode !== 'host') namespaces.push(path === undefined ? { type } : { type, path });
  };
  add('network', modes.NetworkMode, paths.network);
  add('uts', modes.UTSMode, paths.uts);
  add('pid', modes.PidMode, paths.pid);
  add('ipc', modes.IpcMode, paths.ipc);
  add('cgroup', effectiveCgroupnsMode(modes, cgroupVersion), undefined);
  return namespaces;
}

/** The default is the host's on cgroup v1, where hierarchies seen from a namespace confuse old programs. */
export function effectiveCgroupnsMode(
  modes: Pick<HostConfig, 'CgroupnsMode' | 'Privileged'>,
  cgroupVersion: 1 | 2,
): 'private' | 'host' {
  if (modes.CgroupnsMode !== '') return modes.CgroupnsMode;
  return cgroupVersion === 2 ? 'private' : 'host';
}
