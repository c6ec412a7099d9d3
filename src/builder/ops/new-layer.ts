import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { packChanges } from '../../archive/index.ts';
import type { LayerStack } from '../../images/index.ts';
import type { Snapshotter } from '../../snapshots/index.ts';
import type { BuildSession } from '../solver/session.ts';
import type { NewLayer } from './prepared.ts';

/** What was written to a snapshot as a layer; the snapshot goes with it. */
export function snapshotLayer(snapshotter: Snapshotter, id: string): NewLayer {
  const takes = snapshotter.takeChanges !== undefined;
  return {
    tar: snapshotter.diff(id),
    ...(takes
      ? { place: async (directory: string) => (await snapshotter.takeChanges?.(id, directory)) ?? false }
      : {}),
    [Symbol.asyncDispose]: () => snapshotter.remove(id),
  };
}

/** Lets `write` change a tree's files, mounted, and gives what it changed as a layer. */
export async function writableTree(
  session: BuildSession,
  stack: LayerStack | null,
  write: (root: string) => Promise<void> | void,
): Promise<NewLayer> {
  const { snapshotter } = session.services.parts;
  const id = session.newId();
  await snapshotter.prepare(id, stack?.chainId ?? null);
  try {
    const root = await snapshotter.mount(id, { isDiscardable: true });
    await write(root);
    await snapshotter.unmount(id);
  } catch (error) {
    await snapshotter.remove(id);
    throw error;
  }
  return snapshotLayer(snapshotter, id);
}

/** Where a layer is written without a mount, which makes new files several times as fast. */
export interface BareLayer {
  /** Empty; gets the new layer's own entries. */
  directory: string;
  /** The files below it, to be read. */
  view: string;
  /** The layers of these files, top first. */
  lowerDirectories: readonly string[];
}

/** Lets `write` make a layer from what it knows of the files below. */
export async function bareLayer(
  session: BuildSession,
  stack: LayerStack | null,
  write: (layer: BareLayer) => Promise<void> | void,
): Promise<NewLayer> {
  const { parts } = session.services;
  const directory = session.newDirectory('layer');
  const remove = async (): Promise<void> => rmSync(directory, { recursive: true, force: true });
  const chainId = stack?.chainId ?? null;
  try {
    mkdirSync(directory, { mode: 0o755 });
    const lowerDirectories = chainId === null ? [] : parts.snapshotter.layerDirectories(chainId);
    await write({ directory, view: session.view(chainId), lowerDirectories });
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    tar: packChanges(parts.syscall, directory),
    async place(target) {
      try {
        renameSync(directory, target);
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EXDEV') return false;
        throw error;
      }
    },
    [Symbol.asyncDispose]: remove,
  };
}
