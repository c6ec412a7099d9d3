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
  const imageBytes = imageId !== '' && images.has(imageId) ? images.get(imageId).sizeBytes : 0;
  return { sizeRwBytes, sizeRootFsBytes: sizeRwBytes + imageBytes };
}
