import type { BuildRun } from './build-run.ts';
import type { StageState } from './stage.ts';
import type { StepLayer } from './step-maker.ts';

/** Lets `write` change a stage's files, and gives what it changed as a layer. */
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
  return { tar: snapshotter.diff(id), [Symbol.asyncDispose]: () => snapshotter.remove(id) };
}
