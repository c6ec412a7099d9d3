import { existsSync, readFileSync } from 'node:fs';

const alwaysMasked = `
  /proc/acpi /proc/asound /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/sched_debug /proc/scsi
  /proc/timer_list /proc/timer_stats /sys/devices/virtual/powercap /sys/firmware`
  .trim()
  .split(/\s+/);

let masked: string[] | undefined;

/**
 * Paths that show the host, or let its timing be measured, and are hidden from containers; processors' thermal
 * counters among them (GHSA-6fw5-f8r9-fgfm). Found out once.
 */
export function defaultMaskedPaths(): string[] {
  masked ??= [...alwaysMasked, ...thermalThrottlePaths()];
  return [...masked];
}

function thermalThrottlePaths(): string[] {
  let possible: string;
  try {
    possible = readFileSync('/sys/devices/system/cpu/possible', 'utf8');
  } catch {
    return [];
  }
  return parseCpuList(possible.trim())
    .map((cpu) => `/sys/devices/system/cpu/cpu${cpu}/thermal_throttle`)
    .filter((path) => existsSync(path));
}

/** `0-3,7` as numbers. @throws {RangeError} for anything else. */
export function parseCpuList(list: string): number[] {
  const numbers: number[] = [];
  for (const part of list.split(',')) {
    if (part === '') continue;
    const range = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    if (range === null) throw new RangeError(`invalid list of processors: ${list}`);
    const first = Number(range[1]);
    const last = range[2] === undefined ? first : Number(range[2]);
    // The kernel knows at most 8192 processors; more is a mistake, or somebody who wants our memory.
    if (last < first || last > 8192) throw new RangeError(`invalid list of processors: ${list}`);
    for (let number = first; number <= last; number++) numbers.push(number);
  }
  return numbers;
}

/** Paths that stay readable but can no longer be written. */
export const defaultReadonlyPaths: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];
