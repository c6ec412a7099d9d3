import { readFileSync } from 'node:fs';
import { hostPlatform, type Platform } from '../spec/index.ts';

/** What the microarchitecture levels of the x86-64 psABI add, by the names of /proc/cpuinfo. */
const levels: readonly (readonly string[])[] = [
  ['cx16', 'lahf_lm', 'popcnt', 'ssse3', 'sse4_1', 'sse4_2'],
  ['avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'abm', 'movbe', 'xsave'],
  ['avx512f', 'avx512bw', 'avx512cd', 'avx512dq', 'avx512vl'],
];

/** The level of an amd64 processor, 1 to 4, from the text of /proc/cpuinfo. */
export function amd64Level(cpuinfo: string): number {
  const flags = new Set(/^flags\s*:(.*)$/m.exec(cpuinfo)?.[1]?.trim().split(/\s+/));
  const missing = levels.findIndex((names) => !names.every((name) => flags.has(name)));
  return (missing === -1 ? levels.length : missing) + 1;
}

let known: Platform | undefined;

/** What this machine can run at best: with the level of an amd64 processor as a variant (`v3`), where there is one. */
export function machinePlatform(): Platform {
  known ??= readPlatform();
  return known;
}

function readPlatform(): Platform {
  const platform = hostPlatform();
  if (platform.architecture !== 'amd64') return platform;
  const level = amd64Level(readFileSync('/proc/cpuinfo', 'latin1'));
  return level === 1 ? platform : { ...platform, variant: `v${level}` };
}
