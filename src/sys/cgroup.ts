/** How this machine's cgroups are set up, and by which driver containers are placed in them. */
export interface CgroupSetup {
  /** `unified` is v2 alone; `legacy` v1 alone; `hybrid` v1 with a v2 tree beside it. */
  mode: 'unified' | 'legacy' | 'hybrid';
  version: 1 | 2;
  driver: 'cgroupfs' | 'systemd';
  /** What the engine changed or could not change on this machine, for `info` and the log. */
  notes: string[];
}

export interface CgroupStats {
  memoryUsageBytes: number;
  memoryLimitBytes: number;
  oomKills: number;
  pidsCurrent: number;
  cpuUsageNanos: bigint;
}

export interface Cgroups {
  readonly setup: CgroupSetup;
  /**
   * Makes the machine fit for the OCI runtime. crun refuses a hybrid whose v2 tree holds controllers: they are mounted
   * as v1 hierarchies. Idempotent and cheap (one file read) when there is nothing to do; called before each spawn.
   */
  ensureUsable(): void;
  /** Undoes what ensureUsable() mounted, if nothing uses it. */
  restore(): Promise<void>;
  /** Every process id in the container's cgroup, by the OCI `cgroupsPath`. */
  processes(cgroupsPath: string): number[];
  /** Count of processes killed by the OOM killer in this cgroup, 0 when unknown. */
  oomKills(cgroupsPath: string): number;
  /**
   * Notes, before a container starts, how many kills its surroundings have seen. systemd removes a scope with its last
   * process, counters and all: what is left to ask then is the slice around it.
   */
  watchOomKills(cgroupsPath: string): void;
  /** For a container whose cgroup is gone already: true when the cgroup around it has seen a kill since last asked. */
  oomKillsAround(cgroupsPath: string): boolean;
  stats(cgroupsPath: string): CgroupStats;
  /** Kills what is inside and removes the directories of all hierarchies; no error when gone. */
  remove(cgroupsPath: string): Promise<void>;
  /** Directories below `parent` (e.g. `/coracle-<id>`), for the sweep at start. */
  children(parent: string): string[];
}
