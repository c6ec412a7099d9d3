import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestDaemon } from '../tests/fixtures/daemon.ts';
import { writeBusyboxTree } from '../tests/fixtures/busybox-tree.ts';

export const image = 'bench:busybox';

/** One engine under measurement, driven by a docker-like command line. */
export interface BenchEngine {
  name: string;
  /** The command line's program and leading arguments. */
  command: readonly string[];
  env: NodeJS.ProcessEnv;
  /** Unix socket of its API; podman is measured by its command line alone. */
  socket: string | undefined;
  /** Process ids of the engine itself. */
  enginePids(): number[];
  dispose(): Promise<void>;
}

/** Our daemon, a dockerd and podman, each with roots of its own and the same image. Peers that are missing are left out. */
export async function startEngines(): Promise<BenchEngine[]> {
  const engines = [await ours()];
  if (found('dockerd')) engines.push(await dockerd());
  if (found('podman')) engines.push(podman());
  const tree = mkdtempSync(join(tmpdir(), 'bench-tree-'));
  writeBusyboxTree(tree);
  for (const engine of engines) {
    const change = engine.name === 'podman' ? '-c CMD=sh' : `-c 'CMD ["sh"]'`;
    const result = spawnSync(
      'sh',
      ['-c', `tar -C ${tree} -c . | ${engine.command.join(' ')} import ${change} - ${image}`],
      {
        env: engine.env,
        encoding: 'utf8',
      },
    );
    if (result.status !== 0) throw new Error(`${engine.name}: ${result.stderr}`);
  }
  rmSync(tree, { recursive: true });
  return engines;
}

function found(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}

async function ours(): Promise<BenchEngine> {
  const daemon = await TestDaemon.start();
  return {
    name: 'coracle',
    command: ['docker'],
    env: { ...process.env, DOCKER_HOST: daemon.host },
    socket: daemon.socket,
    enginePids: () => [daemon.pid],
    dispose: () => daemon.dispose(),
  };
}

async function dockerd(): Promise<BenchEngine> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-dockerd-'));
  const socket = join(directory, 'docker.sock');
  const log = openSync(join(directory, 'log'), 'a');
  mkdirSync(join(directory, 'exec'));
  const child: ChildProcess = spawn(
    'dockerd',
    ['--data-root', join(directory, 'data'), '--exec-root', join(directory, 'exec'), '-H', `unix://${socket}`]
      .concat(['--pidfile', join(directory, 'pid')])
      // A dockerd that runs already keeps its bridge.
      .concat(existsSync('/sys/class/net/docker0') ? ['--bip', '172.29.0.1/16'] : []),
    { stdio: ['ignore', log, log] },
  );
  const env = { ...process.env, DOCKER_HOST: `unix://${socket}` };
  for (let tries = 0; spawnSync('docker', ['version'], { env }).status !== 0; tries++) {
    if (tries > 300)
      throw new Error(`dockerd did not start: ${readFileSync(join(directory, 'log'), 'utf8').slice(-500)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    name: 'dockerd',
    command: ['docker'],
    env,
    socket,
    enginePids: () => (child.pid === undefined ? [] : [child.pid, ...childrenOf(child.pid)]),
    dispose: async () => {
      await new Promise((resolve) => {
        child.once('exit', resolve);
        child.kill('SIGTERM');
      });
      // Under load it leaves the binds of its directories behind.
      unmountBelow(directory);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function podman(): BenchEngine {
  const directory = mkdtempSync(join(tmpdir(), 'bench-podman-'));
  const config = join(directory, 'containers.conf');
  // Its own default raises limits, which not every machine allows.
  writeFileSync(config, '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n');
  const command = ['podman', '--root', join(directory, 'root'), '--runroot', join(directory, 'run')];
  return {
    name: 'podman',
    command: [...command, '--cgroup-manager', 'cgroupfs'],
    env: { ...process.env, CONTAINERS_CONF: config },
    socket: undefined,
    enginePids: () => [],
    dispose: async () => {
      spawnSync(command[0] ?? '', [...command.slice(1), 'system', 'reset', '-f']);
      // On some file systems it binds its directory to itself, and leaves that.
      unmountBelow(directory);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function unmountBelow(directory: string): void {
  const targets = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .flatMap((line) => line.split(' ')[1] ?? []);
  for (const target of targets.toReversed()) {
    if (target.startsWith(`${directory}/`)) spawnSync('umount', [target]);
  }
}

/** Children of a process, to any depth. */
export function childrenOf(pid: number): number[] {
  const parents = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const parent = Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1]);
      parents.set(parent, [...(parents.get(parent) ?? []), Number(name)]);
    } catch {
      // It ended.
    }
  }
  const all: number[] = [];
  const queue = [pid];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const children = parents.get(next) ?? [];
    all.push(...children);
    queue.push(...children);
  }
  return all;
}

/** Proportional set size in MiB: shared pages are counted once over all. */
export function memoryMiB(pids: readonly number[]): number {
  let kib = 0;
  for (const pid of pids) {
    try {
      kib += Number(/^Pss:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
    } catch {
      // It ended.
    }
  }
  return kib / 1024;
}
