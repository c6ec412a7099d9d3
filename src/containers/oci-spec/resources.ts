import { statSync } from 'node:fs';
import { EngineError } from '../../errors/index.ts';
import type { Resources, RuntimeResources, ThrottleDevice, ThrottleRule } from '../../spec/index.ts';
import { deviceNumbers } from './devices.ts';

/**
 * PID_MAX_LIMIT of linux/threads.h: 0 and negative numbers mean no limit, which is -1 in the specification, but crun
 * 1.8 writes that to the cgroup as it is, and is refused.
 */
const allPids = 4_194_304;

/**
 * Limits in the runtime's words, device rules aside; also what `update` hands to a running container. Members that
 * nobody set are absent: the runtime then writes nothing.
 */
export function runtimeResources(resources: Resources): RuntimeResources {
  const result: RuntimeResources = {};
  const memory = memoryLimits(resources);
  if (memory !== undefined) result.memory = memory;
  const cpu = cpuLimits(resources);
  if (cpu !== undefined) result.cpu = cpu;
  if (resources.PidsLimit !== null && resources.PidsLimit !== undefined)
    result.pids = { limit: resources.PidsLimit > 0 ? resources.PidsLimit : allPids };
  const blockIO = blockIoLimits(resources);
  if (blockIO !== undefined) result.blockIO = blockIO;
  return result;
}

function unlessEmpty<T extends object>(value: T): T | undefined {
  return Object.keys(value).length === 0 ? undefined : value;
}

function memoryLimits(resources: Resources): RuntimeResources['memory'] {
  const memory: NonNullable<RuntimeResources['memory']> = {};
  if (resources.Memory > 0) memory.limit = resources.Memory;
  if (resources.MemoryReservation > 0) memory.reservation = resources.MemoryReservation;
  if (resources.MemorySwap > 0) memory.swap = resources.MemorySwap;
  // -1 is how old clients say "as it is".
  if (typeof resources.MemorySwappiness === 'number' && resources.MemorySwappiness !== -1)
    memory.swappiness = resources.MemorySwappiness;
  if (resources.OomKillDisable === true) memory.disableOOMKiller = true;
  return unlessEmpty(memory);
}

function cpuLimits(resources: Resources): RuntimeResources['cpu'] {
  const cpu: NonNullable<RuntimeResources['cpu']> = {};
  if (resources.CpuShares < 0)
    throw new EngineError(
      'invalid-parameter',
      `invalid CPU shares (${resources.CpuShares}): value must be a positive integer`,
    );
  if (resources.CpuShares > 0) cpu.shares = resources.CpuShares;
  if (resources.CpusetCpus) cpu.cpus = resources.CpusetCpus;
  if (resources.CpusetMems) cpu.mems = resources.CpusetMems;
  if (resources.NanoCpus > 0) {
    cpu.period = 100_000;
    cpu.quota = Math.trunc(resources.NanoCpus / 10_000);
  }
  if (resources.CpuPeriod) cpu.period = resources.CpuPeriod;
  if (resources.CpuQuota) cpu.quota = resources.CpuQuota;
  if (resources.CpuRealtimePeriod) cpu.realtimePeriod = resources.CpuRealtimePeriod;
  if (resources.CpuRealtimeRuntime) cpu.realtimeRuntime = resources.CpuRealtimeRuntime;
  return unlessEmpty(cpu);
}

function blockIoLimits(resources: Resources): RuntimeResources['blockIO'] {
  const blockIO: NonNullable<RuntimeResources['blockIO']> = {};
  if (resources.BlkioWeight) blockIO.weight = resources.BlkioWeight;
  if (resources.BlkioWeightDevice?.length)
    blockIO.weightDevice = resources.BlkioWeightDevice.map(({ Path, Weight }) => ({
      ...numbersOf(Path),
      weight: Weight,
    }));
  const throttles = {
    throttleReadBpsDevice: resources.BlkioDeviceReadBps,
    throttleWriteBpsDevice: resources.BlkioDeviceWriteBps,
    throttleReadIOPSDevice: resources.BlkioDeviceReadIOps,
    throttleWriteIOPSDevice: resources.BlkioDeviceWriteIOps,
  };
  for (const [name, devices] of Object.entries(throttles) as [
    keyof typeof throttles,
    ThrottleDevice[] | null,
  ][])
    if (devices?.length) blockIO[name] = devices.map(throttleRule);
  return unlessEmpty(blockIO);
}

function throttleRule({ Path, Rate }: ThrottleDevice): ThrottleRule {
  return { ...numbersOf(Path), rate: Rate };
}

function numbersOf(path: string): { major: number; minor: number } {
  try {
    return deviceNumbers(statSync(path).rdev);
  } catch {
    throw new EngineError('invalid-parameter', `stat ${path}: no such file or directory`);
  }
}
