import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { packChanges } from '../../archive/index.ts';
import type { Snapshotter } from '../../snapshots/index.ts';
import { viewImage } from '../ops/image-view.ts';
import type { BuildRun } from './build-run.ts';
import type { StageState } from './stage.ts';
import type { StepLayer } from './step-maker.ts';

/** What was written to a snapshot as a layer; the snapshot goes with it. */
export function snapshotLayer(snapshotter: Snapshotter, id: string): StepLayer {
  const takes = snapshotter.takeChanges !== undefined;
  return {
    tar: snapshotter.diff(id),
    ...(takes
      ? { place: async (directory: string) => (await snapshotter.takeChanges?.(id, directory)) ?? false }
      : {}),
    [Symbol.asyncDispose]: () => snapshotter.remove(id),
  };
}

/** Lets `write` change a stage's files, mounted, and gives what it changed as a layer. */
export async function writableTree(
  run: BuildRun,
  state: StageState,
  write: (root: string) => Promise<void> | void,
): Promise<StepLayer> {
  const { snapshotter } = run.services.parts;
  const id = run.newId();
  await snapshotter.prepare(id, state.image?.chainId ?? null);
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
  run: BuildRun,
  state: StageState,
  write: (layer: BareLayer) => Promise<void> | void,
): Promise<StepLayer> {
  const { parts } = run.services;
  const directory = run.newDirectory('layer');
  const remove = async (): Promise<void> => rmSync(directory, { recursive: true, force: true });
  const chainId = state.image?.chainId ?? null;
  const view = viewImage(state.image, run.newDirectory('below'), parts);
  try {
    mkdirSync(directory, { mode: 0o755 });
    const lowerDirectories = chainId === null ? [] : parts.snapshotter.layerDirectories(chainId);
    await write({ directory, view: view.path, lowerDirectories });
  } catch (error) {
    await remove();
    throw error;
  } finally {
    view.close();
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
