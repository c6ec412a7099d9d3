import { mkdirSync, rmdirSync } from 'node:fs';
import type { Snapshotter } from '../../snapshots/index.ts';
import type { ChainId } from '../../spec/index.ts';
import { unmountFlags, type Syscall } from '../../sys/index.ts';

/** The files of a tree, to be read. */
export interface TreeView {
  readonly path: string;
  close(): void;
}

/**
 * Shows a tree's files at `target` (made here, removed by close()) without what the engine puts into containers' trees.
 * One directory alone is read where it lies.
 */
export function viewTree(
  chainId: ChainId | null,
  target: string,
  parts: { snapshotter: Snapshotter; syscall: Syscall },
): TreeView {
  const { snapshotter, syscall } = parts;
  const layers = chainId === null ? [] : snapshotter.layerDirectories(chainId);
  const [only] = layers;
  if (only !== undefined && layers.length === 1) return { path: only, close: () => undefined };
  mkdirSync(target, { recursive: true });
  if (layers.length === 0) return { path: target, close: () => rmdirSync(target) };
  try {
    syscall.mountOverlay({ target, lowerDirs: layers, readOnly: true });
  } catch (error) {
    rmdirSync(target);
    throw error;
  }
  return {
    path: target,
    close() {
      syscall.unmount(target, unmountFlags.detach);
      rmdirSync(target);
    },
  };
}
