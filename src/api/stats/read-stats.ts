import { readFileSync, statSync } from 'node:fs';
import { cpus } from 'node:os';

/** One sample of a running container, read from its cgroup and its network namespace's counters under /proc. */
export interface StatsSample {
  readAtMs: number;
  cgroupVersion: 1 | 2;
  cpuNanos: number;
  cpuUserNanos: number;
  cpuSystemNanos: number;
  /** By processor; only cgroup v1 tells. */
  cpuNanosByProcessor: number[] | undefined;
  throttling: { periods: number; throttledPeriods: number; throttledNanos: number };
  /** Time all processors spent since boot, without idle and I/O wait subtracted: the base of CPU percentages. */
  systemCpuNanos: number;
  onlineCpus: number;
  memoryBytes: number;
  memoryMaxBytes: number | undefined;
  memoryLimitBytes: number;
  memoryDetails: Record<string, number>;
  pids: number;
  pidsLimit: number;
  blockIo: { major: number; minor: number; op: string; value: number }[];
  networks: Record<string, Record<NetworkCounter, number>>;
}

export type NetworkCounter =
  | 'rx_bytes'
  | 'rx_packets'
  | 'rx_errors'
  | 'rx_dropped'
  | 'tx_bytes'
  | 'tx_packets'
  | 'tx_errors'
  | 'tx_dropped';

const root = '/sys/fs/cgroup';
const ticksPerSecond = 100;
const nanosPerTick = 1e9 / ticksPerSecond;

/**
 * @param pid the container's first process, on the host
 * @returns Undefined when it has ended.
 */
export function readStats(pid: number, memoryTotalBytes: number): StatsSample | undefined {
  const membership = read(`/proc/${pid}/cgroup`);
  if (membership === undefined) return undefined;
  const directories = cgroupDirectories(membership);
  const unified = directories.get('') ?? root;
  const version = directories.has('memory') ? 1 : 2;
  const common = {
    readAtMs: Date.now(),
    systemCpuNanos: systemCpuNanos(),
    onlineCpus: cpus().length,
    networks: networkCounters(pid),
  };
  return version === 1
    ? { ...common, cgroupVersion: 1, ...readV1(directories, memoryTotalBytes) }
    : { ...common, cgroupVersion: 2, ...readV2(unified, memoryTotalBytes) };
}

type CgroupPart = Omit<
  StatsSample,
  'readAtMs' | 'systemCpuNanos' | 'onlineCpus' | 'networks' | 'cgroupVersion'
>;

/** Controller to directory; '' is the v2 hierarchy. */
function cgroupDirectories(membership: string): Map<string, string> {
  const directories = new Map<string, string>();
  for (const line of membership.split('\n')) {
    const [, controllers, ...path] = line.split(':');
    if (controllers === undefined) continue;
    const group = path.join(':');
    if (controllers === '') {
      const mounted = isDirectory(`${root}/unified`) ? `${root}/unified` : root;
      directories.set('', `${mounted}${group}`);
      continue;
    }
    for (const controller of controllers.split(',')) {
      const mounted = [controllers, controller].find((name) => isDirectory(`${root}/${name}`)) ?? controller;
      directories.set(controller, `${root}/${mounted}${group}`);
    }
  }
  return directories;
}

function readV1(directories: ReadonlyMap<string, string>, memoryTotalBytes: number): CgroupPart {
  const file = (controller: string, name: string): string =>
    read(`${directories.get(controller) ?? root}/${name}`) ?? '';
  const cpuStat = keyed(file('cpu', 'cpu.stat'));
  const cpuAccount = keyed(file('cpuacct', 'cpuacct.stat'));
  const limit = Number(file('memory', 'memory.limit_in_bytes'));
  const pidsLimit = file('pids', 'pids.max').trim();
  const blockIo = file('blkio', 'blkio.throttle.io_service_bytes_recursive');
  return {
    cpuNanos: Number(file('cpuacct', 'cpuacct.usage')),
    cpuUserNanos: (cpuAccount['user'] ?? 0) * nanosPerTick,
    cpuSystemNanos: (cpuAccount['system'] ?? 0) * nanosPerTick,
    cpuNanosByProcessor: file('cpuacct', 'cpuacct.usage_percpu').trim().split(/\s+/).map(Number),
    throttling: {
      periods: cpuStat['nr_periods'] ?? 0,
      throttledPeriods: cpuStat['nr_throttled'] ?? 0,
      throttledNanos: cpuStat['throttled_time'] ?? 0,
    },
    memoryBytes: Number(file('memory', 'memory.usage_in_bytes')),
    memoryMaxBytes: Number(file('memory', 'memory.max_usage_in_bytes')),
    memoryLimitBytes: Math.min(limit > 0 ? limit : Infinity, memoryTotalBytes),
    memoryDetails: keyed(file('memory', 'memory.stat')),
    pids: Number(file('pids', 'pids.current')),
    pidsLimit: pidsLimit === 'max' ? 0 : Number(pidsLimit),
    blockIo: blockIo.split('\n').flatMap((line) => {
      const found = /^(\d+):(\d+) (\w+) (\d+)$/.exec(line);
      if (found === null) return [];
      return [
        {
          major: Number(found[1]),
          minor: Number(found[2]),
          op: (found[3] as string).toLowerCase(),
          value: Number(found[4]),
        },
      ];
    }),
  };
}

function readV2(directory: string, memoryTotalBytes: number): CgroupPart {
  const file = (name: string): string => read(`${directory}/${name}`) ?? '';
  const cpuStat = keyed(file('cpu.stat'));
  const micros = (name: string): number => (cpuStat[name] ?? 0) * 1000;
  const limit = file('memory.max').trim();
  const pidsLimit = file('pids.max').trim();
  return {
    cpuNanos: micros('usage_usec'),
    cpuUserNanos: micros('user_usec'),
    cpuSystemNanos: micros('system_usec'),
    cpuNanosByProcessor: undefined,
    throttling: {
      periods: cpuStat['nr_periods'] ?? 0,
      throttledPeriods: cpuStat['nr_throttled'] ?? 0,
      throttledNanos: micros('throttled_usec'),
    },
    memoryBytes: Number(file('memory.current')),
    memoryMaxBytes: undefined,
    memoryLimitBytes: limit === 'max' || limit === '' ? memoryTotalBytes : Number(limit),
    memoryDetails: keyed(file('memory.stat')),
    pids: Number(file('pids.current')),
    pidsLimit: pidsLimit === 'max' ? 0 : Number(pidsLimit),
    blockIo: file('io.stat')
      .split('\n')
      .flatMap((line) => {
        const device = /^(\d+):(\d+) /.exec(line);
        if (device === null) return [];
        const major = Number(device[1]);
        const minor = Number(device[2]);
        return [...line.matchAll(/([rw])bytes=(\d+)/g)].map((found) => ({
          major,
          minor,
          op: found[1] === 'r' ? 'read' : 'write',
          value: Number(found[2]),
        }));
      }),
  };
}

/** Interfaces but `lo`, from the container's own view of its network. */
function networkCounters(pid: number): StatsSample['networks'] {
  const networks: StatsSample['networks'] = {};
  for (const line of (read(`/proc/${pid}/net/dev`) ?? '').split('\n').slice(2)) {
    const [name, rest] = line.split(':');
    if (rest === undefined || name === undefined || name.trim() === 'lo') continue;
    const columns = rest.trim().split(/\s+/).map(Number);
    const at = (index: number): number => columns[index] ?? 0;
    networks[name.trim()] = {
      rx_bytes: at(0),
      rx_packets: at(1),
      rx_errors: at(2),
      rx_dropped: at(3),
      tx_bytes: at(8),
      tx_packets: at(9),
      tx_errors: at(10),
      tx_dropped: at(11),
    };
  }
  return networks;
}

/** The first seven columns of /proc/stat's total, as moby adds them up. */
function systemCpuNanos(): number {
  const line = (read('/proc/stat') ?? '').split('\n', 1)[0] ?? '';
  const ticks = line
    .split(/\s+/)
    .slice(1, 8)
    .reduce((sum, column) => sum + Number(column), 0);
  return ticks * nanosPerTick;
}

function keyed(text: string): Record<string, number> {
  const result: Record<string, number> = {};
  for (const line of text.split('\n')) {
    const blank = line.indexOf(' ');
    if (blank > 0) result[line.slice(0, blank)] = Number(line.slice(blank + 1));
  }
  return result;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
