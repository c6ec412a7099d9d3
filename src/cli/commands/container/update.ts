import { minArgs, type Command } from '../../command.ts';
import { custom, int, text } from '../../flags/flags.ts';
import { parseRestartPolicy } from '../../opts/limits.ts';
import { parseCpus, parseSize, parseSwapSize } from '../../opts/size.ts';
import { segment, throwJoined } from '../each.ts';

export const update: Command = {
  synopsis: '[OPTIONS] CONTAINER [CONTAINER...]',
  flags: [
    int('blkio-weight', 'Relative weight of block I/O, 10 to 1000; 0 leaves it alone', {
      typeName: 'uint16',
      unsigned: true,
      bits: 16,
      shownDefault: '0',
    }),
    int('cpu-period', 'Length of a CFS scheduler period, in microseconds'),
    int('cpu-quota', 'CPU time per CFS period, in microseconds'),
    int('cpu-rt-period', 'Length of a real-time period, in microseconds'),
    int('cpu-rt-runtime', 'Real-time CPU time per period, in microseconds'),
    int('cpu-shares', 'Relative weight of CPU time', { short: 'c' }),
    custom('cpus', 'decimal', 'Number of CPUs', parseCpus, { initial: 0 }),
    text('cpuset-cpus', 'CPUs to run on (0-3, 0,1)'),
    text('cpuset-mems', 'Memory nodes to use (0-3, 0,1)'),
    custom('kernel-memory', 'bytes', 'Limit kernel memory', parseSize, { initial: 0, hidden: true }),
    custom('memory', 'bytes', 'Limit memory', parseSize, { initial: 0, short: 'm' }),
    custom('memory-reservation', 'bytes', 'Memory that the container keeps under pressure', parseSize, {
      initial: 0,
    }),
    custom('memory-swap', 'bytes', 'Limit memory and swap together; -1 lifts the limit', parseSwapSize, {
      initial: 0,
    }),
    int('pids-limit', 'Limit the number of processes; -1 lifts the limit'),
    text('restart', 'What to do when the container exits'),
  ],
  arity: minArgs(1),
  run: async (cli, flags) => {
    const names = [
      'blkio-weight',
      'cpu-period',
      'cpu-quota',
      'cpu-rt-period',
      'cpu-rt-runtime',
      'cpu-shares',
      'cpus',
      'cpuset-cpus',
      'cpuset-mems',
      'kernel-memory',
      'memory',
      'memory-reservation',
      'memory-swap',
      'pids-limit',
      'restart',
    ];
    if (!names.some((name) => flags.changed(name)))
      throw new Error('you must provide one or more flags when using this command');
    const json = {
      BlkioWeight: flags.int('blkio-weight'),
      CpusetCpus: flags.text('cpuset-cpus'),
      CpusetMems: flags.text('cpuset-mems'),
      CpuShares: flags.int('cpu-shares'),
      Memory: flags.int('memory'),
      MemoryReservation: flags.int('memory-reservation'),
      MemorySwap: flags.int('memory-swap'),
      ...(flags.int('kernel-memory') !== 0 && { KernelMemory: flags.int('kernel-memory') }),
      CpuPeriod: flags.int('cpu-period'),
      CpuQuota: flags.int('cpu-quota'),
      CpuRealtimePeriod: flags.int('cpu-rt-period'),
      CpuRealtimeRuntime: flags.int('cpu-rt-runtime'),
      NanoCpus: flags.int('cpus'),
      ...(flags.int('pids-limit') !== 0 && { PidsLimit: flags.int('pids-limit') }),
      RestartPolicy: parseRestartPolicy(flags.text('restart')),
    };
    const client = await cli.client();
    const warnings: string[] = [];
    const errors: unknown[] = [];
    for (const name of flags.args) {
      try {
        const answer = await client.post<{ Warnings?: string[] | null }>(
          `/containers/${segment(name)}/update`,
          { json },
        );
        cli.out(`${name}\n`);
        warnings.push(...(answer.Warnings ?? []));
      } catch (error) {
        errors.push(error);
      }
    }
    if (warnings.length > 0) cli.out(`${warnings.join('\n')}\n`);
    throwJoined(errors);
  },
};
