import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EngineError, errorMessage } from '../../errors/index.ts';
import { writeTar } from '../../archive/index.ts';
import type { ImageConfig } from '../../spec/index.ts';
import { hostPlatform } from '../../spec/index.ts';
import { busyboxTree, isStaticProgram } from './busybox-tree.ts';
import { runProgram, type RunOptions } from './host-program.ts';

const programPaths = ['/bin/busybox', '/usr/bin/busybox'];

export const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

interface Program {
  bytes: Buffer;
  mtimeSeconds: number;
}

/**
 * The busybox base image from Debian's busybox-static: the same program gives the same image id everywhere, since the
 * only time in it is the program's own, which the package fixes.
 */
export async function busyboxImage(
  options: RunOptions,
): Promise<{ layer: AsyncIterable<Uint8Array>; config: ImageConfig }> {
  const program = installedProgram() ?? (await downloadedProgram(options));
  const created = new Date(program.mtimeSeconds * 1000).toISOString().replace('.000Z', 'Z');
  return {
    layer: writeTar(busyboxTree(program.bytes, program.mtimeSeconds)),
    config: {
      ...hostPlatform(),
      created,
      config: { Env: [defaultPath], Cmd: ['sh'] },
      rootfs: { type: 'layers', diff_ids: [] },
      history: [{ created, created_by: 'bootstrap busybox', comment: 'From the package busybox-static' }],
    },
  };
}

function installedProgram(): Program | undefined {
  for (const path of programPaths) {
    const program = readProgram(path);
    if (program !== undefined && isStaticProgram(program.bytes)) return program;
  }
  return undefined;
}

function readProgram(path: string): Program | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined || !found.isFile()) return undefined;
  return { bytes: readFileSync(path), mtimeSeconds: Math.floor(found.mtimeMs / 1000) };
}

/**
 * With no static busybox here the package is fetched and opened beside the system, because a dynamic busybox that is
 * installed must stay.
 */
async function downloadedProgram(options: RunOptions): Promise<Program> {
  const directory = mkdtempSync(join(tmpdir(), 'busybox-'));
  try {
    options.onLine?.('Downloading busybox-static');
    await runProgram(['apt-get', 'download', '-o', 'APT::Sandbox::User=root', 'busybox-static'], {
      ...options,
      cwd: directory,
    });
    const archive = readdirSync(directory).find((name) => name.endsWith('.deb'));
    if (archive === undefined) throw new Error('apt-get fetched nothing');
    await runProgram(['dpkg-deb', '-x', join(directory, archive), join(directory, 'root')], options);
    for (const path of programPaths) {
      const program = readProgram(join(directory, 'root', path));
      if (program !== undefined) return program;
    }
    throw new Error('the package has no busybox');
  } catch (error) {
    options.signal?.throwIfAborted();
    throw new EngineError(
      'unavailable',
      `Cannot bootstrap busybox: there is no static busybox on this machine and busybox-static could not be ` +
        `fetched (try apt-get update): ${errorMessage(error)}`,
      { code: 'no-busybox', cause: error },
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
