import { mkdirSync, rmdirSync } from 'node:fs';
import type { Image } from '../../images/index.ts';
import type { Snapshotter } from '../../snapshots/index.ts';
import { unmountFlags, type Syscall } from '../../sys/index.ts';

/** The files of an image, to be read. */
export interface ImageView {
  readonly path: string;
  close(): void;
}

/**
 * Shows an image's files at `target` (made here, removed by close()) without what the engine puts into containers' trees.
 * One directory alone is read where it lies.
 */
export function viewImage(
  image: Pick<Image, 'chainId'> | null,
  target: string,
  parts: { snapshotter: Snapshotter; syscall: Syscall },
): ImageView {
  const { snapshotter, syscall } = parts;
  const chainId = image?.chainId ?? null;
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
