import { execFile } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { packChanges, treeChanges, type TreeChange } from '../archive/index.ts';
import { SyscallError } from '../errors/index.ts';
import type { ChainId } from '../spec/index.ts';
import { diskUsageBytes, unmountFlags, type OverlayMount } from '../sys/index.ts';
import { LayeredSnapshotter } from './layered-snapshotter.ts';
import type { Snapshotter } from './snapshotter.ts';
import { treeSizeBytes } from './tree-size.ts';
import { removeUntouched } from './untouched-tree.ts';

/** What a disk takes in some milliseconds; a process costs about as much. */
const DIRTY_MAX_BYTES = 16 * 1024 * 1024;

/**
 * Snapshots on overlayfs: `layers/<short id>/{fs,meta.json,init}` and `active/<key>/{upper,work,merged,parent}`, where
 * `parent` is a symlink whose text is the layer's chain id. Upper directories are plain (no redirects, no metacopy), so
 * that changes and diff can read them as they are.
 */
export class OverlaySnapshotter extends LayeredSnapshotter implements Snapshotter {
  readonly driver = 'overlay2';
  #refusesVolatile = false;

  createLayer(
    chainId: ChainId,
    parent: ChainId | null,
    fill: (directory: string, form: 'overlay' | 'merged') => Promise<void>,
  ): Promise<void> {
    return this.store.create(chainId, parent, (directory) => fill(directory, 'overlay'));
  }

  layerSizeBytes(chainId: ChainId): Promise<number> {
    return this.store.sizeBytes(chainId);
  }

  layerDirectories(chainId: ChainId): string[] {
    return this.store.chain(chainId).map((layer) => this.store.files(layer));
  }

  prepare(key: string, parent: ChainId | null): Promise<void> {
    return this.make(key, parent, (directory, lower) => {
      const upper = `${directory}/upper`;
      mkdirSync(upper);
      chmodSync(upper, 0o755);
      mkdirSync(`${directory}/work`, { mode: 0o700 });
      mkdirSync(`${directory}/merged`, { mode: 0o755 });
      // The root of the merged tree looks as the upper directory does. Docker keeps the image's owner and always has
      // mode 0755: images made from a private directory (0700) would be closed to their own users otherwise.
      const root = lstatSync(lower[0] ?? directory);
      if (root.uid !== 0 || root.gid !== 0) chownSync(upper, root.uid, root.gid);
    });
  }

  mount(key: string, options: { isDiscardable?: boolean } = {}): Promise<string> {
    return attempt(() => {
      const directory = this.existing(key);
      const target = `${directory}/merged`;
      if (this.#isMounted(directory)) return target;
      // The kernel's mark that it was mounted so before and may have lost writes: here it may.
      const mark = volatileMark(directory);
      if (existsSync(mark)) rmSync(mark, { recursive: true });
      const overlay = {
        target,
        lowerDirs: this.lowerDirectories(this.parent(key)),
        upperDir: `${directory}/upper`,
        workDir: `${directory}/work`,
      };
      if (options.isDiscardable === true && this.#mountVolatile(overlay)) return target;
      this.syscall.mountOverlay(overlay);
      return target;
    });
  }

  /** @returns false on a kernel before 5.10, which does not know the option */
  #mountVolatile(overlay: OverlayMount): boolean {
    if (this.#refusesVolatile) return false;
    try {
      this.syscall.mountOverlay({ ...overlay, isVolatile: true });
      return true;
    } catch (error) {
      if (!(error instanceof SyscallError) || error.errno !== 'EINVAL') throw error;
      this.#refusesVolatile = true;
      return false;
    }
  }

  async unmount(key: string): Promise<void> {
    await this.#unmount(this.directory(key));
  }

  async remove(key: string): Promise<void> {
    const directory = this.directory(key);
    await this.#unmount(directory);
    if (!removeUntouched(directory)) this.trash.discard(directory);
  }

  describe(key: string): { rootPath: string; data: Record<string, string> } {
    const directory = this.existing(key);
    return {
      rootPath: `${directory}/merged`,
      data: {
        LowerDir: this.lowerDirectories(this.parent(key)).join(':'),
        MergedDir: `${directory}/merged`,
        UpperDir: `${directory}/upper`,
        WorkDir: `${directory}/work`,
      },
    };
  }

  async changes(key: string): Promise<TreeChange[]> {
    const directory = this.existing(key);
    return treeChanges(this.syscall, `${directory}/upper`, this.lowerDirectories(this.parent(key)));
  }

  async *diff(key: string): AsyncIterable<Uint8Array> {
    yield* packChanges(this.syscall, `${this.existing(key)}/upper`);
  }

  async takeChanges(key: string, directory: string): Promise<boolean> {
    const own = this.existing(key);
    await this.#unmount(own);
    try {
      renameSync(`${own}/upper`, directory);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EXDEV') return false;
      throw error;
    }
  }

  async usageBytes(key: string): Promise<number> {
    return treeSizeBytes(`${this.existing(key)}/upper`);
  }

  async diskBytes(key: string): Promise<number> {
    return diskUsageBytes(`${this.existing(key)}/upper`);
  }

  #isMounted(directory: string): boolean {
    // A mount has a device of its own.
    return lstatSync(`${directory}/merged`).dev !== lstatSync(directory).dev;
  }

  async #unmount(directory: string): Promise<void> {
    const target = `${directory}/merged`;
    if (!existsSync(target) || !this.#isMounted(directory)) return;
    // Unmounting writes back all that is dirty on the disk, whoever wrote it. That must not stop the engine.
    if (!existsSync(volatileMark(directory)) && dirtyBytes() > DIRTY_MAX_BYTES) {
      const error = await new Promise((resolve) => execFile('umount', ['-n', '--', target], resolve));
      if (error === null) return;
    }
    try {
      this.syscall.unmount(target);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      if (error.errno === 'EINVAL' || error.errno === 'ENOENT') return;
      if (error.errno !== 'EBUSY') throw error;
      // Something on the host still looks into it: it goes when that does.
      this.syscall.unmount(target, unmountFlags.detach);
    }
  }
}

/** Made by the kernel in the work directory of a mount that syncs nothing. */
function volatileMark(directory: string): string {
  return [directory, 'work', 'work', 'incompat'].join('/');
}

/** What the page cache holds for the disks. */
function dirtyBytes(): number {
  const match = /^Dirty:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'latin1'));
  return Number(match?.[1] ?? 0) * 1024;
}

/** Errors of synchronous code as a rejection, as callers of a promise expect them. */
async function attempt<T>(body: () => T): Promise<T> {
  return body();
}
