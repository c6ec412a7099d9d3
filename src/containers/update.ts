import { EngineError, errorMessage } from '../errors/index.ts';
import type { HostConfig, Resources, RestartPolicy } from '../spec/index.ts';
import type { ContainerEntry } from './entry.ts';
import { runtimeResources, verifyResources } from './oci-spec/index.ts';
import { validateRestartPolicy } from './settings.ts';
import type { ContainerTable } from './table.ts';

const numeric = [
  'BlkioWeight',
  'CpuShares',
  'NanoCpus',
  'CpuPeriod',
  'CpuQuota',
  'CpuRealtimePeriod',
  'CpuRealtimeRuntime',
  'Memory',
  'MemorySwap',
  'MemoryReservation',
] as const;
const throttles = [
  'BlkioDeviceReadBps',
  'BlkioDeviceWriteBps',
  'BlkioDeviceReadIOps',
  'BlkioDeviceWriteIOps',
] as const;

/**
 * Changes limits and restart policy; a running container gets them at once. All or nothing.
 * @see moby container/container_unix.go, UpdateContainer
 */
export async function updateContainer(
  table: ContainerTable,
  entry: ContainerEntry,
  change: Partial<Resources> & { RestartPolicy?: RestartPolicy },
): Promise<{ warnings: string[] }> {
  const warnings = await entry.lock.run(async () => {
    if (entry.removed || entry.removing || entry.record.state.status === 'dead') {
      throw cannotUpdate(entry, 'conflict', 'container is marked for removal and cannot be "update"');
    }
    const { record } = entry;
    const before = record.hostConfig;
    const after = changed(entry, change);
    const found = verifyResources(after, table.machine, true);
    if (entry.task !== null) {
      try {
        await table.parts.runtime.update(entry.id, runtimeResources(after));
      } catch (error) {
        throw cannotUpdate(entry, 'internal', errorMessage(error), error);
      }
    }
    record.hostConfig = after;
    try {
      table.save(entry);
    } catch (error) {
      record.hostConfig = before;
      throw error;
    }
    table.publish(entry, 'update');
    return found;
  });
  return { warnings };
}

function changed(
  entry: ContainerEntry,
  change: Partial<Resources> & { RestartPolicy?: RestartPolicy },
): HostConfig {
  const old = entry.record.hostConfig;
  assertNoConflict(entry, old, change);
  const after: HostConfig = { ...old };
  for (const key of numeric) {
    const value = change[key];
    if (value !== undefined && value !== 0) after[key] = value;
  }
  for (const key of ['CpusetCpus', 'CpusetMems'] as const) {
    const value = change[key];
    if (value !== undefined && value !== '') after[key] = value;
  }
  if (change.PidsLimit !== undefined && change.PidsLimit !== null) after.PidsLimit = change.PidsLimit;
  if (change.BlkioWeightDevice !== undefined && change.BlkioWeightDevice !== null)
    after.BlkioWeightDevice = change.BlkioWeightDevice;
  for (const key of throttles) {
    const value = change[key];
    if (value !== undefined && value !== null) after[key] = value;
  }
  const policy = change.RestartPolicy;
  if (policy !== undefined && policy.Name !== '') {
    validateRestartPolicy({ RestartPolicy: policy });
    if (old.AutoRemove && policy.Name !== 'no') {
      throw cannotUpdate(
        entry,
        'conflict',
        'Restart policy cannot be updated because AutoRemove is enabled for the container',
      );
    }
    after.RestartPolicy = policy;
  }
  return after;
}

function assertNoConflict(entry: ContainerEntry, old: HostConfig, change: Partial<Resources>): void {
  const set = (value: number | undefined): boolean => value !== undefined && value > 0;
  const text = set(change.NanoCpus)
    ? old.CpuPeriod > 0
      ? 'Nano CPUs cannot be updated as CPU Period has already been set'
      : old.CpuQuota > 0
        ? 'Nano CPUs cannot be updated as CPU Quota has already been set'
        : null
    : set(change.CpuPeriod) && old.NanoCpus > 0
      ? 'CPU Period cannot be updated as NanoCPUs has already been set'
      : set(change.CpuQuota) && old.NanoCpus > 0
        ? 'CPU Quota cannot be updated as NanoCPUs has already been set'
        : null;
  if (text !== null) throw cannotUpdate(entry, 'conflict', `Conflicting options: ${text}`);
  const memory = change.Memory ?? 0;
  if (memory !== 0 && memory > old.MemorySwap && (change.MemorySwap ?? 0) === 0) {
    throw cannotUpdate(
      entry,
      'conflict',
      'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time',
    );
  }
}

function cannotUpdate(
  entry: ContainerEntry,
  kind: 'conflict' | 'internal',
  reason: string,
  cause?: unknown,
): EngineError {
  return new EngineError(kind, `Cannot update container ${entry.id}: ${reason}`, { cause });
}
