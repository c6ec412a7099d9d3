import { readFileSync, readdirSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';

/** What containers could leave on a machine, by kind. Names that dockerd makes by itself are left out. */
export interface MachineState {
  processes: Set<string>;
  mounts: Set<string>;
  links: Set<string>;
  nftTables: Set<string>;
  cgroups: Set<string>;
  /** Controllers that cgroup v1 holds: an engine takes them from a hybrid's v2 and gives them back. */
  v1Controllers: Set<string>;
  runFiles: Set<string>;
  /** Directories that tests made below the temporary directory. */
  temporaryFiles: Set<string>;
}

const dockersOwn = /docker|containerd|\/moby|^br-|^veth[0-9a-f]{7}$/;

/** Looks at the whole machine; some 30 ms. */
export function machineState(): MachineState {
  return {
    processes: processes(),
    mounts: new Set(
      readFileSync('/proc/self/mountinfo', 'utf8')
        .split('\n')
        .map((line) => line.split(' ')[4] ?? '')
        .filter((path) => path !== '' && !dockersOwn.test(path)),
    ),
    links: new Set(readdirSync('/sys/class/net').filter((name) => !dockersOwn.test(name))),
    nftTables: new Set(
      (spawnSync('nft', ['list', 'tables'], { encoding: 'utf8' }).stdout ?? '')
        .split('\n')
        .filter((line) => line.includes('coracle')),
    ),
    cgroups: cgroups('/sys/fs/cgroup', 0),
    v1Controllers: new Set(
      readFileSync('/proc/self/cgroup', 'utf8')
        .split('\n')
        .flatMap((line) => line.split(':')[1]?.split(',') ?? []),
    ),
    runFiles: new Set(readdirSync('/run').filter((name) => name.startsWith('cor'))),
    temporaryFiles: new Set(readdirSync(tmpdir()).filter((name) => name.startsWith('coracle-'))),
  };
}

/** What is there now and was not before, as lines; empty when nothing leaked. */
export function leaksSince(before: MachineState, now: MachineState = machineState()): string[] {
  const lines: string[] = [];
  for (const kind of Object.keys(before) as (keyof MachineState)[]) {
    for (const item of now[kind]) if (!before[kind].has(item)) lines.push(`${kind}: ${item}`);
  }
  return lines;
}

function processes(): Set<string> {
  const found = new Set<string>();
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const line = words.join(' ').trim();
      if (
        /(^|\/)(conmon|crun|coracle|tini|mmdebstrap)$/.test(words[0] ?? '') ||
        /dist\/daemon\.mjs|daemon\/entry\.ts|names-keeper/.test(line)
      ) {
        found.add(`${pid} ${line.slice(0, 160)}`);
      }
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

function cgroups(directory: string, depth: number): Set<string> {
  const found = new Set<string>();
  if (depth > 4) return found;
  let names;
  try {
    names = readdirSync(directory, { withFileTypes: true });
  } catch {
    return found;
  }
  for (const entry of names) {
    if (!entry.isDirectory()) continue;
    const path = `${directory}/${entry.name}`;
    if (dockersOwn.test(path) || /\.(service|scope|mount|slice)$/.test(entry.name)) continue;
    if (depth > 0) found.add(path);
    for (const inner of cgroups(path, depth + 1)) found.add(inner);
  }
  return found;
}
