import type { ContainerRecord } from '../../containers/index.ts';
import type { ApiVersion } from '../api-version.ts';
import type { StatsSample } from './read-stats.ts';

const never = '0001-01-01T00:00:00Z';

/** The answer of `GET /containers/{id}/stats`; a container that does not run answers zeros. */
export function statsView(
  record: ContainerRecord,
  sample: StatsSample | undefined,
  before: StatsSample | undefined,
  version: ApiVersion,
): Record<string, unknown> {
  const time = (of: StatsSample | undefined): string =>
    of === undefined ? never : new Date(of.readAtMs).toISOString();
  return {
    read: time(sample),
    preread: time(before),
    pids_stats:
      sample === undefined
        ? {}
        : { current: sample.pids, ...(sample.pidsLimit > 0 ? { limit: sample.pidsLimit } : {}) },
    blkio_stats: {
      io_service_bytes_recursive: sample?.blockIo ?? null,
      io_serviced_recursive: null,
      io_queue_recursive: null,
      io_service_time_recursive: null,
      io_wait_time_recursive: null,
      io_merged_recursive: null,
      io_time_recursive: null,
      sectors_recursive: null,
    },
    num_procs: 0,
    storage_stats: {},
    cpu_stats: cpuView(sample),
    precpu_stats: cpuView(before),
    memory_stats:
      sample === undefined
        ? {}
        : {
            usage: sample.memoryBytes,
            ...(sample.memoryMaxBytes === undefined ? {} : { max_usage: sample.memoryMaxBytes }),
            stats: sample.memoryDetails,
            limit: sample.memoryLimitBytes,
          },
    name: `/${record.name}`,
    id: record.id,
    ...(version >= 52 ? { os_type: 'linux' } : {}),
    ...(sample === undefined || Object.keys(sample.networks).length === 0
      ? {}
      : { networks: sample.networks }),
  };
}

function cpuView(sample: StatsSample | undefined): Record<string, unknown> {
  return {
    cpu_usage: {
      total_usage: sample?.cpuNanos ?? 0,
      ...(sample?.cpuNanosByProcessor === undefined ? {} : { percpu_usage: sample.cpuNanosByProcessor }),
      usage_in_kernelmode: sample?.cpuSystemNanos ?? 0,
      usage_in_usermode: sample?.cpuUserNanos ?? 0,
    },
    ...(sample === undefined
      ? {}
      : { system_cpu_usage: sample.systemCpuNanos, online_cpus: sample.onlineCpus }),
    throttling_data: {
      periods: sample?.throttling.periods ?? 0,
      throttled_periods: sample?.throttling.throttledPeriods ?? 0,
      throttled_time: sample?.throttling.throttledNanos ?? 0,
    },
  };
}
