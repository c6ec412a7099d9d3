import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError, SyscallError } from '../../errors/index.ts';
import { mountFlags, unmountFlags, type Syscall } from '../../sys/index.ts';

/**
 * /dev/shm of containers that share it: the host's, another container's, or one of their own that others may join. The
 * latter is a tmpfs on the host, as a mount in a container's namespace could not be bound into another's.
 */
export class SharedMemory {
  readonly #root: string;
  readonly #syscall: Pick<Syscall, 'mount' | 'unmount'>;

  constructor(execRoot: string, syscall: Pick<Syscall, 'mount' | 'unmount'>) {
    this.#root = join(execRoot, 'shm');
    this.#syscall = syscall;
  }

  /** The host path for this mode, made when it is the container's own; undefined for `private` and `none`. */
  acquire(containerId: string, ipcMode: string, sizeBytes: number): string | undefined {
    if (ipcMode === 'host') {
      if (!existsSync('/dev/shm'))
        throw new EngineError('internal', '/dev/shm is not mounted, but must be for --ipc=host');
      return '/dev/shm';
    }
    if (ipcMode.startsWith('container:')) {
      const donor = ipcMode.slice('container:'.length);
      if (existsSync(this.#path(donor))) return this.#path(donor);
      throw new EngineError(
        'invalid-parameter',
        `failed to join IPC namespace: container ${donor}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
      );
    }
    if (ipcMode !== 'shareable') return undefined;
    // Left by an engine that was killed while it started the container.
    this.release(containerId);
    const path = this.#path(containerId);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    try {
      const flags = mountFlags.nosuid | mountFlags.nodev | mountFlags.noexec;
      this.#syscall.mount('shm', path, 'tmpfs', flags, `mode=1777,size=${sizeBytes}`);
    } catch (error) {
      rmdirSync(path);
      throw error;
    }
    return path;
  }

  /** No error when there is none. */
  release(containerId: string): void {
    const path = this.#path(containerId);
    if (!existsSync(path)) return;
    try {
      // Containers that joined it keep it until they end.
      this.#syscall.unmount(path, unmountFlags.detach);
    } catch (error) {
      if (!(error instanceof SyscallError && error.errno === 'EINVAL')) throw error;
    }
    rmdirSync(path);
  }

  #path(containerId: string): string {
    return join(this.#root, containerId);
  }
}
