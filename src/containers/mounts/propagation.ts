import { readFileSync, realpathSync } from 'node:fs';
import { EngineError } from '../../errors/index.ts';

export interface SourceMount {
  mountPoint: string;
  shared: boolean;
  slave: boolean;
}

/** The mount that a host path is on, by /proc/self/mountinfo (proc_pid_mountinfo(5)). */
export function mountOf(path: string, mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')): SourceMount {
  const real = realpathSync(path);
  let found: SourceMount | undefined;
  for (const line of mountinfo.split('\n')) {
    const fields = line.split(' ');
    const mountPoint = (fields[4] ?? '').replace(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    if (mountPoint === '' || !isWithin(real, mountPoint)) continue;
    // A later mount at the same place covers an earlier one.
    if (found !== undefined && found.mountPoint.length > mountPoint.length) continue;
    const optional = fields.slice(6, fields.indexOf('-', 6));
    found = {
      mountPoint,
      shared: optional.some((field) => field.startsWith('shared:')),
      slave: optional.some((field) => field.startsWith('master:')),
    };
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
export function checkPropagation(source: string, propagation: string): void {
  if (propagation.endsWith('private')) return;
  const mount = mountOf(source);
  const follows = propagation.endsWith('slave');
  if (mount.shared || (follows && mount.slave)) return;
  throw new EngineError(
    'internal',
    `path ${source} is mounted on ${mount.mountPoint} but it is not a shared${follows ? ' or slave' : ''} mount`,
  );
}
