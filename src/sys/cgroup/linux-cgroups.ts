import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SyscallError, errorMessage } from '../../errors/index.ts';
import type { CgroupSetup, CgroupStats, Cgroups } from '../cgroup.ts';
import type { Syscall } from '../syscall.ts';
import { cgroupDirectory, sliceDirectory } from './cgroups-path.ts';
import { readHierarchies, systemdAnswers, type Hierarchy } from './hierarchies.ts';

export interface LinuxCgroupsOptions {
  syscall: Pick<Syscall, 'mount' | 'unmount' | 'kill'>;
  /** Forces a driver; absent: systemd where cgroup v2 and systemd are there, else cgroupfs. */
  driver?: 'cgroupfs' | 'systemd' | undefined;
  /** Default /sys/fs/cgroup. */
  root?: string;
  /** Default /proc/self/mountinfo. */
  mountinfoPath?: string;
  /** Default /proc/cgroups. */
  countsPath?: string;
  /** Default /proc/self/cgroup. */
  membershipPath?: string;
}

/** Source of the mounts we make, so that any engine on this machine knows them again, whoever died in between. */
const MOUNT_SOURCE = 'coracle';
const REMOVE_TIMEOUT_MS = 5000;
const RELEASE_TIMEOUT_MS = 2000;

/** cgroups of this machine, v1 (also mounted beside an empty-handed v2) and v2, through their files. */
export class LinuxCgroups implements Cgroups {
  readonly setup: CgroupSetup;
  readonly #syscall: LinuxCgroupsOptions['syscall'];
  readonly #root: string;
  readonly #mountinfoPath: string;
  readonly #countsPath: string;
  readonly #membershipPath: string;
  readonly #controllersFile: string;
  readonly #parents = new Set<string>();
  /** Kills seen by the cgroups around containers, by the path of their memory.events. */
  readonly #oomKillsAround = new Map<string, number>();
  readonly #refused = new Set<string>();
  #hierarchies: Hierarchy[];

  /** @throws {EngineError} `unavailable` when no cgroup tree is mounted. */
  constructor(options: LinuxCgroupsOptions) {
    this.#syscall = options.syscall;
    this.#root = options.root ?? '/sys/fs/cgroup';
    this.#mountinfoPath = options.mountinfoPath ?? '/proc/self/mountinfo';
    this.#countsPath = options.countsPath ?? '/proc/cgroups';
    this.#membershipPath = options.membershipPath ?? '/proc/self/cgroup';
    this.#hierarchies = this.#readHierarchies();
    const v2 = this.#hierarchies.find(({ version }) => version === 2)?.mountPoint;
    const unified = v2 === this.#root;
    const mode = unified ? 'unified' : v2 === undefined ? 'legacy' : 'hybrid';
    const driver = options.driver ?? (unified && systemdAnswers() ? 'systemd' : 'cgroupfs');
    this.setup = { mode, version: unified ? 2 : 1, driver, notes: [] };
    this.#controllersFile = join(v2 ?? this.#root, 'cgroup.controllers');
  }

  ensureUsable(): void {
    if (this.setup.mode !== 'hybrid') return;
    const inV2 = readText(this.#controllersFile)?.match(/\S+/g) ?? [];
    const missing = [...inV2, ...this.#unmounted()].filter((controller) => !this.#refused.has(controller));
    if (missing.length === 0) return;
    for (const controller of missing) this.#mountAsV1(controller);
    this.#hierarchies = this.#readHierarchies();
  }

  async restore(): Promise<void> {
    for (const parent of this.#parents) {
      // Fails, as it should, while anything is left inside.
      for (const { mountPoint } of this.#hierarchies) tryRemove(join(mountPoint, parent));
    }
    this.#parents.clear();
    if (this.setup.mode !== 'hybrid') return;
    for (const { mountPoint, source, version } of this.#readHierarchies()) {
      if (version !== 1 || source !== MOUNT_SOURCE || subdirectories(mountPoint).length > 0) continue;
      const controller = mountPoint.slice(this.#root.length + 1);
      await this.#released(controller);
      if (subdirectories(mountPoint).length > 0) continue;
      try {
        this.#syscall.unmount(mountPoint);
        rmdirSync(mountPoint);
        this.#note(`cgroup controller ${controller} given back to cgroup v2`);
      } catch (error) {
        this.#note(`cannot unmount ${mountPoint}: ${errorMessage(error)}`);
      }
    }
    this.#hierarchies = this.#readHierarchies();
  }

  processes(cgroupsPath: string): number[] {
    const directory = cgroupDirectory(cgroupsPath);
    const pids = new Set<number>();
    for (const { mountPoint } of this.#hierarchies) {
      for (const path of tree(join(mountPoint, directory))) {
        for (const pid of (readText(join(path, 'cgroup.procs')) ?? '').split('\n')) {
          if (pid !== '' && pid !== '0') pids.add(Number(pid));
        }
      }
      // Any one hierarchy that has the cgroup knows all of its processes.
      if (pids.size > 0) break;
    }
    return [...pids];
  }

  oomKills(cgroupsPath: string): number {
    const directory = cgroupDirectory(cgroupsPath);
    const memory = this.#directoryOf('memory', directory);
    if (memory === undefined) return 0;
    // v2 counts descendants in, v1 does not.
    if (this.setup.version === 2) return keyed(join(memory, 'memory.events'), 'oom_kill');
    return tree(memory).reduce((sum, path) => sum + keyed(join(path, 'memory.oom_control'), 'oom_kill'), 0);
  }

  watchOomKills(cgroupsPath: string): void {
    const around = this.#eventsAround(cgroupsPath);
    if (around !== undefined && !this.#oomKillsAround.has(around)) {
      this.#oomKillsAround.set(around, keyed(around, 'oom_kill'));
    }
  }

  oomKillsAround(cgroupsPath: string): boolean {
    const around = this.#eventsAround(cgroupsPath);
    if (around === undefined) return false;
    const known = this.#oomKillsAround.get(around);
    const now = keyed(around, 'oom_kill');
    this.#oomKillsAround.set(around, now);
    const own = this.#directoryOf('memory', cgroupDirectory(cgroupsPath));
    // A cgroup that is still there knows better.
    return known !== undefined && now > known && own !== undefined && !existsSync(own);
  }

  /** v2 counts the kills of descendants in. */
  #eventsAround(cgroupsPath: string): string | undefined {
    if (this.setup.version !== 2) return undefined;
    const memory = this.#directoryOf('memory', dirname(cgroupDirectory(cgroupsPath)));
    return memory === undefined ? undefined : join(memory, 'memory.events');
  }

  stats(cgroupsPath: string): CgroupStats {
    const directory = cgroupDirectory(cgroupsPath);
    const v2 = this.setup.version === 2;
    const at = (controller: string, file: string) => {
      const path = this.#directoryOf(controller, directory);
      return path === undefined ? undefined : readText(join(path, file))?.trim();
    };
    const limit = at('memory', v2 ? 'memory.max' : 'memory.limit_in_bytes');
    const cpuDirectory = this.#directoryOf('cpu', directory);
    return {
      memoryUsageBytes: Number(at('memory', v2 ? 'memory.current' : 'memory.usage_in_bytes') ?? 0),
      memoryLimitBytes: limit === undefined ? 0 : memoryLimit(limit),
      oomKills: this.oomKills(cgroupsPath),
      pidsCurrent: Number(at('pids', 'pids.current') ?? 0),
      cpuUsageNanos: v2
        ? BigInt(cpuDirectory === undefined ? 0 : keyed(join(cpuDirectory, 'cpu.stat'), 'usage_usec')) * 1000n
        : BigInt(at('cpuacct', 'cpuacct.usage') ?? 0),
    };
  }

  async remove(cgroupsPath: string): Promise<void> {
    const directory = cgroupDirectory(cgroupsPath);
    if (dirname(directory) !== '.' && !cgroupsPath.includes(':')) this.#parents.add(dirname(directory));
    const deadline = performance.now() + REMOVE_TIMEOUT_MS;
    for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 50)) {
      const left = this.#hierarchies.filter(({ mountPoint }) => !removeTree(join(mountPoint, directory)));
      const [first] = left;
      if (first === undefined) return;
      if (performance.now() > deadline) {
        throw new SyscallError('rmdir', 'EBUSY', join(first.mountPoint, directory));
      }
      this.#killAll(cgroupsPath, directory);
      await delay(pauseMs);
    }
  }

  children(parent: string): string[] {
    const [slice, prefix] = parent.split(':');
    const systemd = slice !== undefined && prefix !== undefined;
    const directory = systemd ? sliceDirectory(slice) : cgroupDirectory(parent);
    if (!systemd) this.#parents.add(directory);
    const names = new Set<string>();
    // Another engine may have mounted one since.
    this.#hierarchies = this.#readHierarchies();
    for (const { mountPoint } of this.#hierarchies) {
      for (const name of subdirectories(join(mountPoint, directory))) {
        if (!systemd) names.add(name);
        else if (name.startsWith(`${prefix}-`) && name.endsWith('.scope')) {
          names.add(name.slice(prefix.length + 1, -'.scope'.length));
        }
      }
    }
    return [...names];
  }

  #mountAsV1(controller: string): void {
    const target = join(this.#root, controller);
    try {
      mkdirSync(target, { recursive: true });
      this.#syscall.mount(MOUNT_SOURCE, target, 'cgroup', 0, controller);
      this.#note(`cgroup controller ${controller} moved from v2 to v1: crun refuses a hybrid otherwise`);
    } catch (error) {
      this.#refused.add(controller);
      this.#note(`cannot mount cgroup controller ${controller} as v1: ${errorMessage(error)}`);
      tryRemove(target);
    }
  }

  /**
   * Controllers of v1 hierarchies that live on without a mount: another engine unmounted one that was not free yet.
   */
  #unmounted(): string[] {
    const lines = readText(this.#membershipPath)?.split('\n') ?? [];
    // hierarchy-ID:controller-list:path, where v2 and named hierarchies have no controllers.
    const controllers = lines.flatMap((line) => line.split(':')[1]?.split(',') ?? []);
    return controllers.filter((controller) => {
      if (controller === '' || controller.startsWith('name=')) return false;
      const mounted = this.#hierarchies.find((hierarchy) => hierarchy.controllers.includes(controller));
      return mounted === undefined || !existsSync(join(mounted.mountPoint, 'cgroup.procs'));
    });
  }

  /**
   * Waits for the kernel to be done with a v1 hierarchy's removed cgroups, some milliseconds after their rmdir: a
   * hierarchy that is unmounted before does not go away, and v2 does not get its controller back.
   */
  async #released(controller: string): Promise<void> {
    const deadline = performance.now() + RELEASE_TIMEOUT_MS;
    while (performance.now() < deadline) {
      const counts = readText(this.#countsPath)?.split('\n') ?? [];
      // subsys_name, hierarchy, num_cgroups (the root counted), enabled
      const count = counts.map((line) => line.split('\t')).find(([name]) => name === controller)?.[2];
      if (count === undefined || Number(count) <= 1) return;
      await delay(5);
    }
  }

  #killAll(cgroupsPath: string, directory: string): void {
    for (const { mountPoint, controllers, version } of this.#hierarchies) {
      // A frozen process does not die.
      if (controllers.includes('freezer')) tryWrite(join(mountPoint, directory, 'freezer.state'), 'THAWED');
      if (version === 2) tryWrite(join(mountPoint, directory, 'cgroup.kill'), '1');
    }
    for (const pid of this.processes(cgroupsPath)) {
      try {
        this.#syscall.kill(pid, 9);
      } catch (error) {
        if (!(error instanceof SyscallError && error.errno === 'ESRCH')) throw error;
      }
    }
  }

  /** Where a controller keeps this cgroup's files; undefined when the controller is in no hierarchy. */
  #directoryOf(controller: string, directory: string): string | undefined {
    const hierarchy =
      this.setup.version === 2
        ? this.#hierarchies.find(({ version }) => version === 2)
        : this.#hierarchies.find(({ controllers }) => controllers.includes(controller));
    return hierarchy === undefined ? undefined : join(hierarchy.mountPoint, directory);
  }

  #readHierarchies(): Hierarchy[] {
    return readHierarchies(this.#root, this.#mountinfoPath);
  }

  #note(text: string): void {
    if (!this.setup.notes.includes(text)) this.setup.notes.push(text);
  }
}

/** The file's text; undefined when it is not there (cgroup gone, controller not enabled). */
function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENODEV' || code === 'EOPNOTSUPP') return undefined;
    throw error;
  }
}

/** Value of `key <number>` lines; 0 when there is none. */
function keyed(path: string, key: string): number {
  for (const line of (readText(path) ?? '').split('\n')) {
    if (line.startsWith(`${key} `)) return Number(line.slice(key.length + 1));
  }
  return 0;
}

/** 0 for "no limit": `max` in v2, the largest page-aligned count in v1. */
function memoryLimit(text: string): number {
  const value = text === 'max' ? 0 : Number(text);
  return value > Number.MAX_SAFE_INTEGER ? 0 : value;
}

function subdirectories(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}

/** The directory and all below it, parents first; empty when it is not there. */
function tree(path: string): string[] {
  if (readText(join(path, 'cgroup.procs')) === undefined) return [];
  return [path, ...subdirectories(path).flatMap((name) => tree(join(path, name)))];
}

/** rmdir of the directory and all below it, deepest first; false while processes hold one of them. */
function removeTree(path: string): boolean {
  if (tryRemove(path)) return true;
  for (const name of subdirectories(path)) removeTree(join(path, name));
  return tryRemove(path);
}

function tryRemove(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

function tryWrite(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch {
    // Gone, or not offered by this kernel: the signals that follow do the same.
  }
}
