import type { ApiClient } from '../../../client/index.ts';
import type { Cli } from '../../cli.ts';
import { anyArgs, type Command } from '../../command.ts';
import { bool, text } from '../../flags/flags.ts';
import { render, type Listing } from '../../format/table.ts';
import { binarySize, humanSize, shortId } from '../../format/units.ts';
import { segment } from '../each.ts';
import { formatUsage, type ContainerSummary } from './ls.ts';

interface CpuSample {
  cpu_usage: { total_usage: number; percpu_usage?: number[] | null };
  system_cpu_usage?: number;
  online_cpus?: number;
}

interface StatsSample {
  name: string;
  id: string;
  cpu_stats: CpuSample;
  precpu_stats: CpuSample;
  memory_stats: { usage?: number; limit?: number; stats?: Record<string, number> };
  networks?: Record<string, { rx_bytes: number; tx_bytes: number }> | null;
  blkio_stats: { io_service_bytes_recursive: { op: string; value: number }[] | null };
  pids_stats: { current?: number };
}

/** One line of the table; without a sample it shows dashes. */
interface Line {
  container: string;
  sample: StatsSample | null;
}

function cpuPercent({ cpu_stats: now, precpu_stats: before }: StatsSample): number {
  const used = now.cpu_usage.total_usage - before.cpu_usage.total_usage;
  const system = (now.system_cpu_usage ?? 0) - (before.system_cpu_usage ?? 0);
  const cpus = now.online_cpus || now.cpu_usage.percpu_usage?.length || 0;
  return used > 0 && system > 0 ? (used / system) * cpus * 100 : 0;
}

/** Page cache that can be dropped at once does not count; cgroup v1 and v2 name it differently. */
function memoryUsed({ memory_stats: { usage = 0, stats = {} } }: StatsSample): number {
  const cache = stats['total_inactive_file'] ?? stats['inactive_file'] ?? 0;
  return cache < usage ? usage - cache : usage;
}

function percent(value: number): string {
  return `${value.toFixed(2)}%`;
}

function transferred(sample: StatsSample): string {
  const networks = Object.values(sample.networks ?? {});
  const sum = (key: 'rx_bytes' | 'tx_bytes'): number => networks.reduce((total, one) => total + one[key], 0);
  return `${humanSize(sum('rx_bytes'), 3)} / ${humanSize(sum('tx_bytes'), 3)}`;
}

function blockIo(sample: StatsSample): string {
  const entries = sample.blkio_stats.io_service_bytes_recursive ?? [];
  const sum = (letter: string): number =>
    entries.reduce((total, one) => (one.op[0]?.toLowerCase() === letter ? total + one.value : total), 0);
  return `${humanSize(sum('r'), 3)} / ${humanSize(sum('w'), 3)}`;
}

function listing(full: boolean): Listing<Line> {
  const show =
    (value: (sample: StatsSample) => string, missing = '--') =>
    (line: Line): string =>
      line.sample === null ? missing : value(line.sample);
  return {
    typeName: '*container.statsContext',
    fields: {
      BlockIO: show(blockIo),
      CPUPerc: show((sample) => percent(cpuPercent(sample))),
      Container: ({ container }) => container,
      ID: show((sample) => (full ? sample.id : shortId(sample.id)), ''),
      MemPerc: show((sample) =>
        percent(sample.memory_stats.limit ? (memoryUsed(sample) / sample.memory_stats.limit) * 100 : 0),
      ),
      MemUsage: show(
        (sample) => `${binarySize(memoryUsed(sample))} / ${binarySize(sample.memory_stats.limit ?? 0)}`,
        '-- / --',
      ),
      Name: show((sample) => sample.name.replace(/^\//, '') || '--'),
      NetIO: show(transferred),
      PIDs: show((sample) => String(sample.pids_stats.current ?? 0)),
    },
    headers: {
      Container: 'CONTAINER',
      Name: 'NAME',
      ID: 'CONTAINER ID',
      CPUPerc: 'CPU %',
      MemUsage: 'MEM USAGE / LIMIT',
      MemPerc: 'MEM %',
      NetIO: 'NET I/O',
      BlockIO: 'BLOCK I/O',
      PIDs: 'PIDS',
    },
    table:
      '{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}',
  };
}

async function once(client: ApiClient, lines: readonly Line[]): Promise<void> {
  await Promise.all(
    lines.map(async (line) => {
      line.sample = await client.get<StatsSample>(`/containers/${segment(line.container)}/stats`, {
        stream: 0,
      });
    }),
  );
}

/** Keeps the lines up to date until the last stream ends. */
async function follow(client: ApiClient, lines: Map<string, Line>, container: string): Promise<void> {
  const line: Line = { container, sample: null };
  lines.set(container, line);
  try {
    const response = await client.request('GET', `/containers/${segment(container)}/stats`, {
      query: { stream: 1 },
    });
    for await (const sample of response.values<StatsSample>()) line.sample = sample;
  } catch {
    // Gone: its line goes too.
  }
  lines.delete(container);
}

async function live(
  cli: Cli,
  client: ApiClient,
  names: readonly string[],
  format: string,
  full: boolean,
  watchNew: boolean,
): Promise<number> {
  const lines = new Map<string, Line>();
  const problems: string[] = [];
  for (const name of names)
    void follow(client, lines, name).catch((error: Error) => problems.push(error.message));
  if (watchNew) {
    const events = await client.request('GET', '/events', {
      query: { filters: JSON.stringify({ type: { container: true }, event: { start: true } }) },
    });
    void (async () => {
      for await (const event of events.values<{ id: string }>()) {
        const id = event.id.slice(0, 12);
        if (!lines.has(id)) void follow(client, lines, id);
      }
    })();
  }
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    if (cli.isTerminal(1)) cli.out('\x1b[H\x1b[J');
    render(cli, listing(full), [...lines.values()], { format });
    if (lines.size === 0 && !watchNew) return 0;
  }
}

export const stats: Command = {
  synopsis: '[OPTIONS] [CONTAINER...]',
  flags: [
    bool('all', 'Show stopped containers too', { short: 'a' }),
    text('format', formatUsage),
    bool('no-stream', 'Print once'),
    bool('no-trunc', 'Do not shorten anything'),
  ],
  arity: anyArgs,
  run: async (cli, flags) => {
    const client = await cli.client();
    const format = flags.text('format') || (await cli.config()).statsFormat || '';
    const full = flags.bool('no-trunc');
    let names: readonly string[] = flags.args;
    if (names.length === 0) {
      const running = await client.get<ContainerSummary[]>(
        '/containers/json',
        flags.bool('all') ? { all: 1 } : undefined,
      );
      names = running.map((container) => container.Id.slice(0, 12));
    } else for (const name of names) await client.get(`/containers/${segment(name)}/json`);
    if (!flags.bool('no-stream')) return live(cli, client, names, format, full, flags.args.length === 0);
    const lines = names.map((container): Line => ({ container, sample: null }));
    await once(client, lines);
    render(cli, listing(full), lines, { format });
    return 0;
  },
};
