import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { BenchEngine } from './engines.ts';

/** Middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Runs an engine's command line to its end; output is read and counted. @returns milliseconds */
export function timeCommand(
  engine: BenchEngine,
  argv: readonly string[],
  expectedBytes?: number,
): Promise<number> {
  return timeProcess([...engine.command, ...argv], engine.env, expectedBytes);
}

/** @throws when it fails, or wrote another number of bytes than expected */
export function timeProcess(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  expectedBytes?: number,
): Promise<number> {
  const [program = '', ...rest] = argv;
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let bytes = 0;
    let errors = '';
    child.stdout.on('data', (chunk: Buffer) => (bytes += chunk.length));
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => {
      const took = performance.now() - began;
      if (code !== 0) reject(new Error(`${argv.join(' ')}: exit ${code}: ${errors.slice(-300)}`));
      else if (expectedBytes !== undefined && bytes !== expectedBytes)
        reject(new Error(`${argv.join(' ')}: ${bytes} bytes instead of ${expectedBytes}`));
      else resolve(took);
    });
  });
}

export interface Row {
  what: string;
  unit: string;
  /** By engine name; NaN where it was not measured. */
  values: Record<string, number>;
  /** Processor time of client and engine in ms, where it was measured. */
  cpu?: Record<string, number>;
  note?: string;
}

type Body = (engine: BenchEngine, round: number) => Promise<number>;

/** A measured step with what must be done around it. */
export interface Steps {
  before?: (engine: BenchEngine) => void | Promise<void>;
  body: Body;
  after?: (engine: BenchEngine) => void | Promise<void>;
}

/**
 * Each engine in turn, round after round, so that a machine whose speed drifts is fair to all. Of steps the processor
 * time is measured too.
 */
export async function compare(
  what: string,
  engines: readonly BenchEngine[],
  rounds: number,
  body: Body | Steps,
): Promise<Row> {
  const steps = typeof body === 'function' ? { body } : body;
  const samples = new Map(engines.map(({ name }) => [name, { ms: [] as number[], cpu: [] as number[] }]));
  for (let round = -1; round < rounds; round++) {
    for (const engine of engines) {
      await steps.before?.(engine);
      const before = cpuMs(engine);
      const took = await steps.body(engine, round);
      const cpu = cpuMs(engine) - before;
      await steps.after?.(engine);
      // The first round warms caches.
      if (round < 0) continue;
      samples.get(engine.name)?.ms.push(took);
      samples.get(engine.name)?.cpu.push(cpu);
    }
  }
  const row: Row = { what, unit: 'ms', values: {}, ...(typeof body === 'function' ? {} : { cpu: {} }) };
  for (const [name, { ms, cpu }] of samples) {
    row.values[name] = median(ms);
    if (row.cpu !== undefined) row.cpu[name] = median(cpu);
  }
  return row;
}

/** User and system time of an engine's processes and of all clients that have ended, in ticks of 10 ms. */
function cpuMs(engine: BenchEngine): number {
  let ticks = 0;
  for (const pid of ['self', ...engine.enginePids()]) {
    // utime, stime, and those of children that were waited for; this program's own time is none of the engine's.
    for (const field of pid === 'self' ? [13, 14] : [11, 12, 13, 14]) ticks += Number(statFields(pid)[field]);
  }
  return ticks * 10;
}

/** What follows the name in /proc/<pid>/stat; zeros when it has ended. */
function statFields(pid: string | number): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
  } catch {
    return Array.from({ length: 50 }, () => '0');
  }
}

/**
 * Measures the rows that the command line names, or all, telling each as soon as it is there; then prints the table, also
 * of what was measured until something failed.
 */
export async function measureRows(
  benches: Readonly<Record<string, () => Promise<Row>>>,
  engines: readonly BenchEngine[],
): Promise<void> {
  const only = process.argv.slice(2);
  const rows: Row[] = [];
  try {
    for (const [name, bench] of Object.entries(benches)) {
      if (only.length > 0 && !only.includes(name)) continue;
      const row = await bench();
      rows.push(row);
      console.error(JSON.stringify(row));
    }
  } finally {
    printTable(rows, engines);
  }
}

export function printTable(rows: readonly Row[], engines: readonly BenchEngine[]): void {
  const names = engines.map(({ name }) => name);
  console.log(table(rows, names));
}

/** A Markdown table with the ratio of each peer to the first engine. */
function table(rows: readonly Row[], names: readonly string[]): string {
  const [first = '', ...peers] = names;
  const header = ['', first, ...peers.flatMap((peer) => [peer, `${first}/${peer}`])];
  const lines = [header.join(' | '), header.map(() => '---').join(' | ')];
  for (const row of rows) {
    const own = row.values[first] ?? Number.NaN;
    const cell = (name: string): string => {
      const value = row.values[name];
      if (value === undefined || Number.isNaN(value)) return '';
      const cpu = row.cpu?.[name];
      const busy = cpu === undefined ? '' : ` (${cpu.toFixed(0)})`;
      return `${value.toFixed(value < 10 ? 1 : 0)} ${row.unit}${busy}`;
    };
    const cells = peers.flatMap((peer) => {
      const value = row.values[peer];
      return [cell(peer), value === undefined || Number.isNaN(value) ? '' : (own / value).toFixed(2)];
    });
    lines.push(
      [row.what + (row.note === undefined ? '' : ` (${row.note})`), cell(first), ...cells].join(' | '),
    );
  }
  return lines.map((line) => `| ${line} |`).join('\n');
}
