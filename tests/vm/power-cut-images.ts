/** Writes the archives of power-cuts.sh: `node power-cut-images.ts DIRECTORY NAME …`, an image `NAME:1` of its own files each. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeTar, type TarSource } from '../../src/archive/index.ts';
import { digestOf } from '../../src/spec/index.ts';

const file = (path: string, body: Buffer, mode = 0o644): TarSource => ({ path, type: 'file', mode, body });
const directory = (path: string): TarSource => ({ path, type: 'directory', mode: 0o755 });

async function tar(members: readonly TarSource[]): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(writeTar(members)));
}

/** Three layers: programs; some hundred files; a large file, more small ones and what else there is in layers. */
function layers(): TarSource[][] {
  const small = (at: number): TarSource => file(`files/${at}`, randomBytes((at * 997) % 30_000));
  return [
    [
      directory('bin/'),
      file('bin/busybox', readFileSync('/bin/busybox'), 0o755),
      ...['sh', 'echo', 'true', 'mkdir', 'seq', 'rm', 'touch', 'cat'].map((name): TarSource => ({
        path: `bin/${name}`,
        type: 'symlink',
        mode: 0o777,
        linkPath: 'busybox',
      })),
    ],
    [directory('files/'), ...Array.from({ length: 300 }, (_, at) => small(at))],
    [
      file('files/large', randomBytes(3_000_000)),
      ...Array.from({ length: 100 }, (_, at) => small(at + 250)),
      { path: 'files/link', type: 'hardlink', mode: 0o644, linkPath: 'files/large' },
      { path: 'files/pipe', type: 'fifo', mode: 0o600 },
      { path: 'files/null', type: 'char-device', mode: 0o666, deviceMajor: 1, deviceMinor: 3 },
      file('files/.wh.7', Buffer.alloc(0)),
    ],
  ];
}

const [target = '.', ...names] = process.argv.slice(2);
for (const name of names) {
  const tars = await Promise.all(layers().map(tar));
  const rootfs = { type: 'layers', diff_ids: tars.map((bytes) => digestOf(bytes)) };
  const config = {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: { Cmd: ['sh'], Env: ['PATH=/bin'] },
    rootfs,
  };
  const paths = tars.map((_, at) => `${at}.tar`);
  const manifest = [{ Config: 'config.json', RepoTags: [`${name}:1`], Layers: paths }];
  const members = [
    ...tars.map((bytes, at) => file(`${at}.tar`, bytes)),
    file('config.json', Buffer.from(JSON.stringify(config))),
    file('manifest.json', Buffer.from(JSON.stringify(manifest))),
  ];
  writeFileSync(join(target, `${name}.tar`), await tar(members));
}
