import type { RuntimeMount } from '../../spec/index.ts';

/** Where tini is in a container that asked for an init. */
export const initDestination = '/sbin/docker-init';

/**
 * The file systems every container has, with Docker's options. A mount of the user's at the same place wins; one at
 * /dev takes everything below with it.
 */
export function defaultMounts(options: {
  /** The user's own. */
  mounts: readonly RuntimeMount[];
  ipcMode: string;
  shmSizeBytes: number;
  privileged: boolean;
  writableCgroups: boolean;
  readonlyRoot: boolean;
}): RuntimeMount[] {
  const taken = new Set(options.mounts.map((mount) => mount.destination));
  const guarded = ['nosuid', 'noexec', 'nodev'];
  const sysReadonly = options.privileged && !options.readonlyRoot ? [] : ['ro'];
  const cgroupReadonly = options.writableCgroups ? [] : ['ro'];
  const mounts: RuntimeMount[] = [
    { destination: '/proc', type: 'proc', source: 'proc', options: guarded },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...guarded, ...sysReadonly] },
    {
      destination: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      options: [...cgroupReadonly, ...guarded],
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: guarded },
    {
      destination: '/dev/shm',
      type: 'tmpfs',
      source: 'shm',
      options: [...guarded, 'mode=1777', `size=${options.shmSizeBytes}`],
    },
  ];
  return mounts.filter(
    ({ destination }) =>
      !taken.has(destination) &&
      !(taken.has('/dev') && destination.startsWith('/dev/')) &&
      !(destination === '/dev/shm' && options.ipcMode === 'none'),
  );
}
