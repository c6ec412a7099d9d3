import { readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError } from '../../errors/index.ts';

/** One mounted tree of cgroups. */
export interface Hierarchy {
  /** Where its root is mounted. */
  mountPoint: string;
  /** `['cpu', 'cpuacct']`, `['name=systemd']`; empty for the v2 tree. */
  controllers: string[];
  version: 1 | 2;
  /** The mount's source: who mounted it. */
  source: string;
}

const v1Controllers = new Set(
  'cpu cpuacct cpuset memory devices freezer net_cls net_prio blkio perf_event hugetlb pids rdma misc debug'.split(
    ' ',
  ),
);

/**
 * The hierarchies mounted at or below `root`, from the text of /proc/self/mountinfo (proc(5)). A hierarchy mounted at two
 * places below it is given once.
 * @throws {EngineError} `unavailable` when there is none.
 */
export function parseHierarchies(mountinfo: string, root: string): Hierarchy[] {
  const found: Hierarchy[] = [];
  const devices = new Set<string>();
  for (const line of mountinfo.split('\n')) {
    const [before, after] = line.split(' - ');
    const left = before?.split(' ') ?? [];
    const [type, source, superOptions] = after?.split(' ') ?? [];
    const device = left[2];
    const mountPoint = left[4];
    if (device === undefined || mountPoint === undefined || (type !== 'cgroup' && type !== 'cgroup2'))
      continue;
    if (mountPoint !== root && !mountPoint.startsWith(`${root}/`)) continue;
    if (devices.has(device)) continue;
    devices.add(device);
    const controllers =
      type === 'cgroup2'
        ? []
        : (superOptions ?? '')
            .split(',')
            .filter((name) => v1Controllers.has(name) || name.startsWith('name='));
    found.push({ mountPoint, controllers, version: type === 'cgroup2' ? 2 : 1, source: source ?? '' });
  }
  if (found.length === 0) {
    throw new EngineError('unavailable', `Cannot use cgroups: nothing is mounted at ${root}`);
  }
  return found;
}

/** The hierarchies of this machine. */
export function readHierarchies(root: string, mountinfoPath = '/proc/self/mountinfo'): Hierarchy[] {
  return parseHierarchies(readFileSync(mountinfoPath, 'utf8'), root);
}

/** systemd runs this machine and answers on the system bus, which is how crun asks it for a scope. */
export function systemdAnswers(hostRoot = '/'): boolean {
  try {
    if (readFileSync(join(hostRoot, 'proc/1/comm'), 'utf8').trim() !== 'systemd') return false;
    statfsSync(join(hostRoot, 'run/systemd/system'));
    statfsSync(join(hostRoot, 'run/dbus/system_bus_socket'));
    return true;
  } catch {
    return false;
  }
}
