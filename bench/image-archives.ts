import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchEngine } from './engines.ts';

/** Making a Debian takes a minute and its package mirror: it is made once. Survives a reboot, unlike /tmp. */
const cache = process.env['BENCH_CACHE'] ?? '/var/tmp/coracle-bench';

/** Archives as `docker save` writes them, by the name of the image in each. */
export interface ImageArchives {
  /** `bench-debian:1`, one layer of some 125 MB. */
  debian: string;
  /** `bench-debian:10`, the same files in ten layers of about the same size. */
  layered: string;
}

/** @param own makes the image by `image bootstrap` when it is not cached */
export function imageArchives(own: BenchEngine): ImageArchives {
  const debian = join(cache, '1.tar');
  const layered = join(cache, '10.tar');
  if (!existsSync(layered)) {
    const work = join(cache, `work-${process.pid}`);
    mkdirSync(work, { recursive: true });
    const root = join(work, 'root');
    mkdirSync(root);
    run(['./coracle', 'image', 'bootstrap', 'debian:bookworm'], own);
    run(
      ['sh', '-c', `docker create --name made debian:bookworm && docker export made >${work}/root.tar`],
      own,
    );
    run(['sh', '-c', 'docker rm made && docker rmi debian:bookworm'], own);
    run(['tar', '-C', root, '-xf', join(work, 'root.tar')]);
    writeArchive(work, root, 'bench-debian:1', 1);
    renameSync(join(work, 'archive.tar'), debian);
    writeArchive(work, root, 'bench-debian:10', 10);
    renameSync(join(work, 'archive.tar'), layered);
    rmSync(work, { recursive: true });
  }
  return { debian, layered };
}

/** A directory of so many files, a hundred in each directory, as packages and source trees have them. */
export function writeSmallFiles(directory: string, count: number): void {
  for (let at = 0; at < count; at += 1) {
    const below = join(directory, `d${Math.floor(at / 100)}`);
    if (at % 100 === 0) mkdirSync(below, { recursive: true });
    writeFileSync(join(below, `f${at}`), `file ${at}\n`.repeat((at % 64) + 1));
  }
}

function run(argv: readonly string[], engine?: BenchEngine): void {
  const [program = '', ...rest] = argv;
  const env = { ...process.env, ...engine?.env, CORACLE_HOST: engine?.env['DOCKER_HOST'] };
  const { status, stderr } = spawnSync(program, rest, { env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`);
}

/** Writes `archive.tar` in the work directory. */
function writeArchive(work: string, root: string, name: string, layers: number): void {
  const paths = spawnSync('find', ['.', '-mindepth', '1', '-printf', '%s\t%P\n'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  const files = paths.stdout.trim().split('\n').toSorted(byPath);
  const total = files.reduce((sum, line) => sum + Number.parseInt(line, 10), 0);
  const lists: string[][] = Array.from({ length: layers }, () => []);
  let bytes = 0;
  for (const line of files) {
    const at = Math.min(layers - 1, Math.floor((bytes / total) * layers));
    lists[at]?.push(line.slice(line.indexOf('\t') + 1));
    bytes += Number.parseInt(line, 10);
  }
  const names: string[] = [];
  const diffIds: string[] = [];
  for (const [at, list] of lists.entries()) {
    const tar = join(work, `layer${at}.tar`);
    writeFileSync(join(work, 'list'), list.join('\n'));
    run(['tar', '-C', root, '-cf', tar, '--no-recursion', '--numeric-owner', '-T', join(work, 'list')]);
    names.push(`layer${at}.tar`);
    diffIds.push(`sha256:${createHash('sha256').update(readFileSync(tar)).digest('hex')}`);
  }
  const rootfs = { type: 'layers', diff_ids: diffIds };
  const config = { architecture: 'amd64', os: 'linux', config: { Cmd: ['sh'] }, rootfs };
  writeFileSync(join(work, 'config.json'), JSON.stringify(config));
  const manifest = [{ Config: 'config.json', RepoTags: [name], Layers: names }];
  writeFileSync(join(work, 'manifest.json'), JSON.stringify(manifest));
  run(['tar', '-C', work, '-cf', join(work, 'archive.tar'), 'manifest.json', 'config.json', ...names]);
  if (statSync(join(work, 'archive.tar')).size < 50e6) throw new Error('the Debian tree is too small');
}

/** A hard link's first name lands in the layer of all its names only by luck; each layer is a tar of its own. */
function byPath(a: string, b: string): number {
  const [left, right] = [a.slice(a.indexOf('\t')), b.slice(b.indexOf('\t'))];
  return left < right ? -1 : 1;
}
