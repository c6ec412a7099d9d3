/**
 * Pulls and pushes beside dockerd and podman, in one run on one machine, with a registry on the same machine (Debian's
 * docker-registry): `node bench/registry-pull.ts [row …]`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEngines, type BenchEngine } from './engines.ts';
import { compare, table, timeCommand, type Row } from './measure.ts';

const only = process.argv.slice(2);
const megabytes = 125;
const directory = mkdtempSync(join(tmpdir(), 'bench-registry-'));
const port = await freePort();
const registry = await startRegistry();
const engines = await startEngines();
const [own] = engines as [BenchEngine];
const rows: Row[] = [];

try {
  for (const layers of [1, 10]) {
    const name = `127.0.0.1:${port}/bench:${layers}`;
    loadImage(own, name, layers);
    run(own, ['push', name]);
    run(own, ['rmi', name]);
    const what = `${megabytes} MB in ${layers} layer${layers === 1 ? '' : 's'}`;
    if (chosen('pull')) {
      rows.push(
        await compare(`pull, ${what}`, engines, 5, async (engine) => {
          const took = await timeCommand(engine, ['pull', ...insecure(engine), name]);
          run(engine, ['rmi', name]);
          return took;
        }),
      );
    }
    if (chosen('push')) {
      for (const engine of engines) loadImage(engine, name, layers);
      rows.push(
        await compare(`push, ${what}, nothing there yet`, engines, 3, async (engine, round) => {
          const target = `127.0.0.1:${port}/push-${engine.name}-${layers}-${round + 1}:1`;
          run(engine, ['tag', name, target]);
          // Layers may be mounted from where they are already, as each engine does by itself.
          return await timeCommand(engine, ['push', ...insecure(engine), target]);
        }),
      );
      for (const engine of engines) run(engine, ['rmi', '-f', name]);
    }
  }
} finally {
  console.log(
    table(
      rows,
      engines.map((engine) => engine.name),
    ),
  );
  for (const engine of engines) await engine.dispose();
  registry.kill();
  rmSync(directory, { recursive: true, force: true });
}

function chosen(row: string): boolean {
  return only.length === 0 || only.includes(row);
}

function insecure(engine: BenchEngine): string[] {
  return engine.name === 'podman' ? ['--tls-verify=false'] : [];
}

function run(engine: BenchEngine, argv: readonly string[], input?: string): void {
  const [program = '', ...rest] = [...engine.command, ...argv];
  const result = spawnSync(program, rest, { env: engine.env, encoding: 'utf8' });
  if (result.status !== 0)
    throw new Error(`${engine.name} ${argv.join(' ')} ${input ?? ''}: ${result.stderr}`);
}

/** Files of this machine's own programs and libraries, so that they compress as such do. */
function loadImage(engine: BenchEngine, name: string, layers: number): void {
  const archive = join(directory, `${layers}.tar`);
  if (spawnSync('test', ['-e', archive]).status !== 0) writeArchive(archive, layers);
  run(engine, ['load', '-i', archive]);
  run(engine, ['tag', `bench-registry:${layers}`, name]);
  run(engine, ['rmi', `bench-registry:${layers}`]);
}

function writeArchive(archive: string, layers: number): void {
  const files = spawnSync('sh', ['-c', 'find /usr/lib /usr/bin -xdev -type f -size -2000k | sort'], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  }).stdout.split('\n');
  const size = (megabytes * 1e6) / layers;
  const names: string[] = [];
  const diffIds: string[] = [];
  let at = 0;
  for (let layer = 0; layer < layers; layer += 1) {
    const list: string[] = [];
    for (let bytes = 0; bytes < size && at < files.length; at += 1) {
      const file = files[at] ?? '';
      if (file === '') continue;
      bytes += Number(spawnSync('stat', ['-c', '%s', file], { encoding: 'utf8' }).stdout);
      list.push(file.slice(1));
    }
    const tar = join(directory, `layer${layer}.tar`);
    writeFileSync(join(directory, 'list'), list.join('\n'));
    spawnSync('tar', ['-C', '/', '-cf', tar, '-T', join(directory, 'list')]);
    names.push(`layer${layer}.tar`);
    diffIds.push(`sha256:${createHash('sha256').update(readFileSync(tar)).digest('hex')}`);
  }
  const rootfs = { type: 'layers', diff_ids: diffIds };
  const config = { architecture: 'amd64', os: 'linux', config: { Cmd: ['sh'] }, rootfs };
  writeFileSync(join(directory, 'config.json'), JSON.stringify(config));
  const manifest = [{ Config: 'config.json', RepoTags: [`bench-registry:${layers}`], Layers: names }];
  writeFileSync(join(directory, 'manifest.json'), JSON.stringify(manifest));
  spawnSync('tar', ['-C', directory, '-cf', archive, 'manifest.json', 'config.json', ...names]);
}

async function startRegistry(): Promise<ReturnType<typeof spawn>> {
  const config = join(directory, 'config.yml');
  writeFileSync(
    config,
    [
      'version: 0.1',
      'log: {level: error}',
      `storage: {filesystem: {rootdirectory: ${join(directory, 'data')}}}`,
      `http: {addr: '127.0.0.1:${port}'}`,
    ].join('\n'),
  );
  const child = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  for (let tries = 0; !(await answers()); tries += 1) {
    if (tries > 100) throw new Error('docker-registry did not start');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return child;
}

function answers(): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = request({ host: '127.0.0.1', port, path: '/v2/' }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    sent.on('error', () => resolve(false));
    sent.end();
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port: found } = server.address() as AddressInfo;
      server.close(() => resolve(found));
    });
  });
}
