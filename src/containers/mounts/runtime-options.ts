import { release } from 'node:os';
import { EngineError } from '../../errors/index.ts';

/** mount_setattr(2) with AT_RECURSIVE, which both runtimes use for `rro`. */
function kernelHasRecursiveReadOnly(kernelRelease: string): boolean {
  const [major = 0, minor = 0] = kernelRelease.split(/[.-]/).map(Number);
  return major > 5 || (major === 5 && minor >= 12);
}

/** Options of a bind mount in the runtime's words. */
export function bindOptions(
  mount: {
    writable: boolean;
    /** Empty for a volume of ours: the runtime's default. */
    propagation: string;
    nonRecursive: boolean;
    readOnlyRecursion: 'if-possible' | 'never' | 'force';
  },
  kernelRelease = release(),
): string[] {
  const options = [mount.nonRecursive ? 'bind' : 'rbind'];
  if (!mount.writable) {
    const recursive = mount.readOnlyRecursion !== 'never' && kernelHasRecursiveReadOnly(kernelRelease);
    if (mount.readOnlyRecursion === 'force' && !recursive)
      throw new EngineError('invalid-parameter', 'rro is not supported: kernel version is older than 5.12');
    options.push(recursive ? 'rro' : 'ro');
  }
  options.push(mount.propagation === '' ? 'rprivate' : mount.propagation);
  return options;
}
