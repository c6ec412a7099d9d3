import type { ContainerEntry } from './entry.ts';
import type { ContainerTable } from './table.ts';

/**
 * A container's root file system, mounted for as long as it is open, whether the container runs or not. Close it once;
 * the end of the container's run leaves it mounted until then.
 */
export async function openRoot(
  table: ContainerTable,
  entry: ContainerEntry,
): Promise<{ path: string; close(): Promise<void> }> {
  const { snapshotter } = table.parts;
  entry.rootUsers++;
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (!isOpen) return;
    isOpen = false;
    entry.rootUsers--;
    await entry.lock.run(async () => {
      if (entry.rootUsers === 0 && entry.task === null) await snapshotter.unmount(entry.id);
    });
  };
  try {
    return { path: await entry.lock.run(() => snapshotter.mount(entry.id)), close };
  } catch (error) {
    await close();
    throw error;
  }
}
