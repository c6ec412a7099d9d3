import { release } from 'node:os';
import { EngineError } from '../../errors/index.ts';

/** mount_setattr(2) with AT_RECURSIVE, which both runtimes use for `rro`. */
function kernelHasRecursiveReadOnly(kernelRelease: string): boolean {
  const [major = 0, minor = 0] = kernelRelease.split(/[.-]/).map(Number);
  return major > 5 || (major === 5 && minor >= 12);
}

const lockedOptions = new Set(['ro', 'nosuid', 'nodev', 'noexec', 'noatime', 'nodiratime']);

/** Options of a bind mount in the runtime's words. */
export function bindOptions(
  mount: {
    writable: boolean;
    /** Empty for a volume of ours: the runtime's default. */
    propagation: string;
    nonRecursive: boolean;
    readOnlyRecursion: 'if-possible' | 'never' | 'force';
    /** Options of the mount that the source is on. */
    sourceOptions: readonly string[];
    sourceIsDirectory: boolean;
  },
  kernelRelease = release(),
): string[] {
  const options = [mount.nonRecursive ? 'bind' : 'rbind'];
  if (!mount.writable) {
    const recursive = mount.readOnlyRecursion !== 'never' && kernelHasRecursiveReadOnly(kernelRelease);
    if (mount.readOnlyRecursion === 'force' && !recursive)
      throw new EngineError('invalid-parameter', 'rro is not supported: kernel version is older than 5.12');
    // There is nothing below a file, and crun 1.8 takes the mount point of `rro` for a directory.
    options.push(recursive && mount.sourceIsDirectory ? 'rro' : 'ro');
  }
  // crun remounts each bind with the options it was told and no others: a mount that is read-only or `nosuid` on the
  // host would be neither in the container.
  for (const option of mount.sourceOptions)
    if (lockedOptions.has(option) && !options.includes(option)) options.push(option);
  options.push(mount.propagation === '' ? 'rprivate' : mount.propagation);
  return options;
}
