import { readFileSync, realpathSync } from 'node:fs';
import { EngineError } from '../../errors/index.ts';

export interface HostMount {
  mountPoint: string;
  /** Options of this mount, not of the file system: `ro`, `nosuid`, `relatime` … */
  options: string[];
  shared: boolean;
  slave: boolean;
}

/** This process's mounts, in the order they were made, by /proc/self/mountinfo (proc_pid_mountinfo(5)). */
export function readHostMounts(mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')): HostMount[] {
  const mounts: HostMount[] = [];
  for (const line of mountinfo.split('\n')) {
    const fields = line.split(' ');
    const [, , , , mountPoint, options] = fields;
    if (mountPoint === undefined || options === undefined) continue;
    const optional = fields.slice(6, fields.indexOf('-', 6));
    mounts.push({
      mountPoint: mountPoint.replace(/\\([0-7]{3})/g, (_, octal: string) =>
        String.fromCharCode(Number.parseInt(octal, 8)),
      ),
      options: options.split(','),
      shared: optional.some((field) => field.startsWith('shared:')),
      slave: optional.some((field) => field.startsWith('master:')),
    });
  }
  return mounts;
}

/** The mount that a host path is on. */
export function mountOf(path: string, mounts: readonly HostMount[]): HostMount {
  let real: string;
  try {
    real = realpathSync(path);
  } catch (error) {
    throw new EngineError('internal', `bind source path does not exist: ${path}`, { cause: error });
  }
  let found: HostMount | undefined;
  for (const mount of mounts) {
    if (!isWithin(real, mount.mountPoint)) continue;
    // A later mount at the same place covers an earlier one.
    if (found === undefined || found.mountPoint.length <= mount.mountPoint.length) found = mount;
  }
  if (found === undefined) throw new EngineError('internal', `Can't find mount point of ${path}`);
  return found;
}

export function isWithin(path: string, directory: string): boolean {
  return path === directory || directory === '/' || path.startsWith(`${directory}/`);
}

/**
 * A mount can only be shared with the container where it is shared on the host, and only follow the host where it is
 * shared or a follower itself. @throws {EngineError} with Docker's text
 */
export function checkPropagation(source: string, mount: HostMount, propagation: string): void {
  if (propagation.endsWith('private')) return;
  const follows = propagation.endsWith('slave');
  if (mount.shared || (follows && mount.slave)) return;
  throw new EngineError(
    'internal',
    `path ${source} is mounted on ${mount.mountPoint} but it is not a shared${follows ? ' or slave' : ''} mount`,
  );
}
