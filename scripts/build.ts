/**
 * Bundles the programs into dist/: one file each, so that a start reads no source tree and strips no types.
 * dist/complete is written last; ./coracle compares it with the sources.
 */
import { mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build, type BuildOptions } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = `${root}dist`;
mkdirSync(dist, { recursive: true });
const began = new Date();
const common: BuildOptions = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node26',
  external: ['koffi'],
  legalComments: 'none',
  logLevel: 'warning',
};

const next = `${dist}/next-${process.pid}`;
await Promise.all([
  build({
    ...common,
    entryPoints: ['src/cli/main.ts'],
    format: 'cjs',
    outfile: `${next}/cli.cjs`,
    logOverride: { 'empty-import-meta': 'silent' },
  }),
  build({
    ...common,
    entryPoints: {
      daemon: 'src/daemon/entry.ts',
      'unpack-worker': 'src/archive/unpack-worker.ts',
      'names-keeper': 'src/engine/names-keeper.ts',
    },
    format: 'esm',
    outdir: next,
    outExtension: { '.js': '.mjs' },
    // Packages in CommonJS form ask for require().
    banner: { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" },
  }),
]);
for (const name of ['cli.cjs', 'daemon.mjs', 'unpack-worker.mjs', 'names-keeper.mjs'])
  renameSync(`${next}/${name}`, `${dist}/${name}`);
rmSync(next, { recursive: true });
writeFileSync(`${dist}/complete`, `${began.toISOString()}\n`);
// A source edited while this ran is newer than the stamp.
utimesSync(`${dist}/complete`, began, began);
