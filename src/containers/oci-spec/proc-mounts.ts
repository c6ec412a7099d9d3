import { closeSync, readlinkSync, realpathSync, statfsSync } from 'node:fs';
import { posix } from 'node:path';
import { EngineError } from '../../errors/index.ts';
import type { RuntimeMount } from '../../spec/index.ts';
import { openPathInRoot } from './root-files.ts';

/** What a container may have another version of; runc's list. */
const replaceable = new Set(
  ['cpuinfo', 'diskstats', 'loadavg', 'meminfo', 'net/dev', 'slabinfo', 'stat', 'swaps', 'uptime'].map(
    (name) => `/proc/${name}`,
  ),
);
const procMagic = 0x9fa0;
/** Where the engine's own files go; they are not looked at, since every start has them. */
const notLookedAt = /^\/(?:etc|dev)\//;

/**
 * Refuses mounts in the place of /proc or of something in it, by their own names or through links of the image: what
 * the runtime writes there would reach the container's files instead of the kernel (CVE-2019-16884). As runc does, with
 * its words.
 * @throws {EngineError} `internal`
 */
export function refuseProcMounts(rootPath: string, mounts: readonly RuntimeMount[]): void {
  for (const { destination, source = '' } of mounts) {
    if (notLookedAt.test(destination)) continue;
    const real = realDestination(rootPath, destination);
    if (!/^\/proc(?:\/|$)/.test(real) || replaceable.has(real)) continue;
    if (real === '/proc' && isProc(source)) continue;
    const why = real === '/proc' ? 'is not of type proc' : 'is inside /proc';
    throw new EngineError(
      'internal',
      `error mounting ${JSON.stringify(source)} to rootfs at "${destination}": "${real}" cannot be mounted because it ${why}`,
      { code: 'proc-mount' },
    );
  }
}

function isProc(source: string): boolean {
  try {
    return statfsSync(source).type === procMagic;
  } catch {
    return false;
  }
}

/** The destination with the image's links followed, as far as it exists. */
function realDestination(rootPath: string, destination: string): string {
  const missing: string[] = [];
  for (let path = posix.normalize(`/${destination}`); ; path = posix.dirname(path)) {
    try {
      const fd = openPathInRoot(rootPath, path);
      try {
        const found = readlinkSync(`/proc/self/fd/${fd}`).slice(realpathSync(rootPath).length);
        return posix.join('/', found, ...missing.toReversed());
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if (path === '/' || (error as NodeJS.ErrnoException).code !== 'ENOENT')
        return posix.normalize(destination);
      missing.push(posix.basename(path));
    }
  }
}
