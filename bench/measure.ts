import { spawn } from 'node:child_process';
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
  note?: string;
}

/** Each engine in turn, round after round, so that a machine whose speed drifts is fair to all. */
export async function compare(
  what: string,
  engines: readonly BenchEngine[],
  rounds: number,
  body: (engine: BenchEngine, round: number) => Promise<number>,
): Promise<Row> {
  const samples = new Map<string, number[]>(engines.map((engine) => [engine.name, []]));
  for (let round = -1; round < rounds; round++) {
    for (const engine of engines) {
      const took = await body(engine, round);
      // The first round warms caches.
      if (round >= 0) samples.get(engine.name)?.push(took);
    }
  }
  const values: Record<string, number> = {};
  for (const [name, list] of samples) values[name] = median(list);
  return { what, unit: 'ms', values };
}

/** A Markdown table with the ratio of each peer to the first engine. */
export function table(rows: readonly Row[], names: readonly string[]): string {
  const [first = '', ...peers] = names;
  const header = ['', first, ...peers.flatMap((peer) => [peer, `${first}/${peer}`])];
  const lines = [header.join(' | '), header.map(() => '---').join(' | ')];
  for (const row of rows) {
    const own = row.values[first] ?? Number.NaN;
    const cell = (value: number | undefined): string =>
      value === undefined || Number.isNaN(value) ? '' : `${value.toFixed(value < 10 ? 1 : 0)} ${row.unit}`;
    const cells = peers.flatMap((peer) => {
      const value = row.values[peer];
      return [cell(value), value === undefined || Number.isNaN(value) ? '' : (own / value).toFixed(2)];
    });
    lines.push(
      [row.what + (row.note === undefined ? '' : ` (${row.note})`), cell(own), ...cells].join(' | '),
    );
  }
  return lines.map((line) => `| ${line} |`).join('\n');
}
