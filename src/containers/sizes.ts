import { diskUsageBytes } from '../sys/index.ts';
import type { ContainerEntry } from './entry.ts';
import type { ContainerTable } from './table.ts';

/** Bytes written, and those with the image's layers. */
export async function containerSizes(
  table: ContainerTable,
  entry: ContainerEntry,
): Promise<{ sizeRwBytes: number; sizeRootFsBytes: number }> {
  const { images, snapshotter } = table.parts;
  const sizeRwBytes = await snapshotter.usageBytes(entry.id);
  const { imageId } = entry.record;
  const imageBytes = images.ofContainer(imageId)?.sizeBytes ?? 0;
  return { sizeRwBytes, sizeRootFsBytes: sizeRwBytes + imageBytes };
}

/** Of the blocks that what it wrote takes, and what the engine keeps for it: its log above all. */
export async function containerDiskBytes(table: ContainerTable, entry: ContainerEntry): Promise<number> {
  const written = await table.parts.snapshotter.diskBytes(entry.id);
  return written + (await diskUsageBytes(table.directory(entry.id)));
}
