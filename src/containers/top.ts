import { existsSync } from 'node:fs';
import { EngineError } from '../errors/index.ts';
import type { ContainerEntry } from './entry.ts';
import { invalid, isRestarting, notRunning } from './errors.ts';
import type { ContainerTable } from './table.ts';

const psPaths = ['/usr/bin/ps', '/bin/ps'];

/** `ps` on the host, filtered to the processes of the container. @see moby daemon/top_unix.go */
export async function topContainer(
  table: ContainerTable,
  entry: ContainerEntry,
  psArguments: string,
): Promise<{ titles: string[]; processes: string[][] }> {
  const text = psArguments === '' ? '-ef' : psArguments;
  assertPsArguments(text);
  if (!entry.running) throw notRunning(entry.id);
  if (entry.record.state.status === 'restarting') throw isRestarting(entry.id);
  const pids = table.parts.cgroups.processes(entry.record.cgroupsPath);
  const ps = psPaths.find((path) => existsSync(path));
  if (ps === undefined)
    throw new EngineError('unavailable', 'exec: "ps": executable file not found in $PATH');
  const args = text.split(' ').filter((word) => word !== '');
  // Some options (such as f) refuse to be combined with -q: all processes are asked for then.
  let output = await runPs(table, ps, [...args, `-q${pids.join(',')}`]);
  if (output.exitCode !== 0) output = await runPs(table, ps, args);
  if (output.exitCode !== 0) {
    throw new EngineError('internal', `ps: ${output.stderr.split('\n')[0] ?? 'failed'}`);
  }
  const list = parsePs(output.stdout, new Set(pids));
  table.publish(entry, 'top');
  return list;
}

async function runPs(
  table: ContainerTable,
  path: string,
  args: readonly string[],
): Promise<{ exitCode: number | null; stdout: string; stderr: string }> {
  return table.parts.spawner.run({
    path,
    argv: ['ps', ...args],
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
  });
}

/** A column renamed to PID would let other processes through. */
function assertPsArguments(text: string): void {
  for (const match of text.matchAll(/\s+([^\s]*)=\s*(PID[^\s]*)/g)) {
    if (match[1] !== 'pid') throw invalid(`specifying "${match[1]}=${match[2]}" is not allowed`);
  }
}

/** Lines of the wanted processes; threads (`-` for a pid) go with the process before them. */
export function parsePs(
  output: string,
  pids: ReadonlySet<number>,
): { titles: string[]; processes: string[][] } {
  const [head = '', ...lines] = output.split('\n');
  const titles = fieldsOf(head);
  const pidColumn = titles.indexOf('PID');
  if (pidColumn < 0) throw new EngineError('internal', "Couldn't find PID field in ps output");
  const processes: string[][] = [];
  let inside = false;
  for (const line of lines) {
    if (line.trim() === '') continue;
    const fields = fieldsOf(line);
    const pid = fields[pidColumn] ?? '';
    if (pid !== '-') inside = pids.has(Number(pid));
    if (!inside) continue;
    const last = titles.length - 1;
    processes.push([...fields.slice(0, last), fields.slice(last).join(' ')]);
  }
  return { titles, processes };
}

function fieldsOf(line: string): string[] {
  return line.split(/[\t\n\f\r ]+/).filter((field) => field !== '');
}
