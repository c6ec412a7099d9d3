/**
 * Images and files beside dockerd and podman, in one run on one machine, with a registry on the same machine (Debian's
 * docker-registry): `node bench/images.ts [row …]`, rows by their first word. Beside each time stands the processor time
 * that client and engine took, which other work on the machine blurs less. Ratios below 1 mean that we are faster.
 *
 * ext4 without a journal looks at each inode that was deleted in the last minutes before it makes a new one, which costs
 * seconds after `rmi` whoever unpacks: there, set TMPDIR to a file system with a journal (an image mounted by loop).
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DockerRegistry } from '../tests/fixtures/docker-registry.ts';
import { image as busybox, startEngines, type BenchEngine } from './engines.ts';
import { imageArchives, writeSmallFiles } from './image-archives.ts';
import { compare, printTable, timeCommand, type Row, type Steps } from './measure.ts';

const only = process.argv.slice(2);
// Beside the engines' own roots, so that nothing is copied to another file system.
const directory = mkdtempSync(join(tmpdir(), 'bench-images-'));
const engines = await startEngines();
const rows: Row[] = [];
const [own] = engines as [BenchEngine];

try {
  const archives = imageArchives(own);
  await images('Debian, one layer', archives.debian, 'bench-debian:1');
  await images('Debian, ten layers', archives.layered, 'bench-debian:10');
  await containers(archives.debian, 'bench-debian:1');
} finally {
  printTable(rows, engines);
  for (const engine of engines) await engine.dispose();
  rmSync(directory, { recursive: true, force: true });
}

async function images(what: string, archive: string, name: string): Promise<void> {
  const size = `${what} of ${Math.round(statSync(archive).size / 1e6)} MB`;
  await row('load', size, 5, {
    body: (engine) => timeCommand(engine, ['load', '-i', archive]),
    after: (engine) => run(engine, ['rmi', imageName(engine, name)]),
  });
  const saved = join(directory, 'saved.tar');
  for (const engine of engines) run(engine, ['load', '-i', archive]);
  await row('save', size, 5, {
    body: (engine) => timeCommand(engine, ['save', '-o', saved, imageName(engine, name)]),
    after: () => rmSync(saved),
  });
  // A registry that has no layer of it yet, each time.
  let registry: DockerRegistry | undefined;
  await row('push', size, 3, {
    before: async (engine) => {
      registry = await DockerRegistry.start({ isSecure: false });
      run(engine, ['tag', imageName(engine, name), `${registry.domain}/bench:1`]);
    },
    body: (engine) => timeCommand(engine, ['push', ...insecure(engine), `${registry?.domain ?? ''}/bench:1`]),
    after: async (engine) => {
      run(engine, ['rmi', `${registry?.domain ?? ''}/bench:1`]);
      await registry?.dispose();
    },
  });
  for (const engine of engines) run(engine, ['rmi', '-f', imageName(engine, name)]);
  if (!chosen('pull')) return;
  const source = await DockerRegistry.start({ isSecure: false });
  try {
    const remote = `${source.domain}/bench:1`;
    // What dockerd pushes is what most registries hold.
    const pusher = engines.find((engine) => engine.name === 'dockerd') ?? own;
    run(pusher, ['load', '-i', archive]);
    run(pusher, ['tag', imageName(pusher, name), remote]);
    run(pusher, ['push', remote]);
    run(pusher, ['rmi', imageName(pusher, name), remote]);
    await row('pull', size, 5, {
      body: (engine) => timeCommand(engine, ['pull', ...insecure(engine), remote]),
      after: (engine) => run(engine, ['rmi', remote]),
    });
  } finally {
    await source.dispose();
  }
}

async function containers(archive: string, name: string): Promise<void> {
  for (const engine of engines) {
    run(engine, ['load', '-i', archive]);
    const write =
      'mkdir /new; for i in $(seq 1000); do echo $i >/new/$i; done; dd if=/dev/urandom of=/new/big bs=1M count=10';
    run(engine, ['run', '--name', 'changed', imageName(engine, name), 'sh', '-c', write]);
    run(engine, ['run', '-d', '--name', 'files', busybox, 'sleep', '100000']);
  }
  await row('commit', '1000 small files and 10 MB on Debian', 5, {
    body: (engine) => timeCommand(engine, ['commit', 'changed', 'bench-committed']),
    after: (engine) => run(engine, ['rmi', imageName(engine, 'bench-committed')]),
  });
  mkdirSync(join(directory, 'big'));
  const half = randomBytes(50e6);
  writeFileSync(join(directory, 'big/file'), Buffer.concat([half, half]));
  writeSmallFiles(join(directory, 'small'), 10_000);
  for (const [what, from] of [
    ['a file of 100 MB', 'big'],
    ['10,000 small files', 'small'],
  ] as const) {
    await row('cp', `${what}, in`, 5, {
      body: (engine) => timeCommand(engine, ['cp', join(directory, from), 'files:/in']),
      after: (engine) => run(engine, ['exec', 'files', 'rm', '-r', '/in']),
    });
    for (const engine of engines) run(engine, ['cp', join(directory, from), 'files:/out']);
    const target = join(directory, 'out');
    await row('cp', `${what}, out`, 5, {
      body: (engine) => timeCommand(engine, ['cp', 'files:/out', target]),
      after: () => rmSync(target, { recursive: true }),
    });
    for (const engine of engines) run(engine, ['exec', 'files', 'rm', '-r', '/out']);
  }
  for (const engine of engines) run(engine, ['rm', '-f', 'changed', 'files']);
}

async function row(name: string, what: string, rounds: number, steps: Steps): Promise<void> {
  if (!chosen(name)) return;
  const made = await compare(`${name}: ${what}`, engines, rounds, steps);
  rows.push(made);
  console.error(JSON.stringify(made));
}

function chosen(name: string): boolean {
  return only.length === 0 || only.includes(name);
}

/** podman puts what has no registry under localhost. */
function imageName(engine: BenchEngine, name: string): string {
  return engine.name === 'podman' ? `localhost/${name}` : name;
}

function insecure(engine: BenchEngine): string[] {
  return engine.name === 'podman' ? ['--tls-verify=false'] : [];
}

function run(engine: BenchEngine, argv: readonly string[]): void {
  const [program = '', ...rest] = [...engine.command, ...argv];
  const result = spawnSync(program, rest, { env: engine.env, encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`${engine.name} ${argv.join(' ')}: ${result.stderr}`);
}
