import { chainIds, type ChainId, type Digest } from '../spec/index.ts';
import type { ImageStore } from './image-store.ts';
import type { Images } from './images.ts';
import { layerSizes } from './prune-images.ts';
import { treeHolder } from './trees.ts';

/** By the lengths of files: what all layers have, and of each image what it shares with others. */
export function imagesDiskUsage(store: ImageStore): ReturnType<Images['diskUsage']> {
  const { catalog } = store;
  const sizes = layerSizes(store);
  const images = catalog.ids().map((id) => {
    const image = catalog.view(id);
    return { image, chain: chainIds(image.config.rootfs.diff_ids) };
  });
  const uses = countUses(images.map(({ chain }) => chain));
  const sum = (chain: readonly ChainId[]) =>
    chain.reduce((total, chainId) => total + (sizes.get(chainId) ?? 0), 0);
  return {
    layersSizeBytes: sum([...sizes.keys()]),
    images: images.map(({ image, chain }) => ({
      image,
      sharedSizeBytes: sum(chain.filter((chainId) => (uses.get(chainId) ?? 0) > 1)),
    })),
  };
}

/**
 * By the blocks really used, of blobs and of unpacked layers, with what stays only for containers of removed images and
 * for downloads that can be gone on with.
 */
export async function imagesDiskBlocks(store: ImageStore): ReturnType<Images['diskBlocks']> {
  const { catalog, content, snapshotter } = store;
  const { blobs, unfinishedBytes } = await content.diskUsage();
  const bytes = new Map<string, number>();
  for (const [digest, size] of blobs) bytes.set(`blob ${digest}`, size);
  for (const chainId of snapshotter.layers()) {
    bytes.set(`layer ${chainId}`, await snapshotter.layerDiskBytes(chainId));
  }
  const sum = (keys: Iterable<string>): number =>
    [...keys].reduce((total, key) => total + (bytes.get(key) ?? 0), 0);
  const images = catalog
    .ids()
    .filter((id) => catalog.isForemost(id))
    .map((id) => {
      const ids = catalog.namingOfId(id).ids;
      return { image: catalog.view(id), ids, keys: keysOf(store, ids) };
    });
  const uses = countUses(images.map(({ keys }) => keys));
  // The build cache counts its own.
  const held = catalog.held().filter(([, users]) => users.some((user) => user !== treeHolder));
  const all = [...catalog.ids(), ...held.map(([id]) => id)];
  return {
    totalBytes: sum(keysOf(store, all)) + unfinishedBytes,
    images: images.map(({ image, ids, keys }) => ({
      image,
      ids,
      sizeBytes: sum(keys),
      sharedBytes: sum(keys.filter((key) => (uses.get(key) ?? 0) > 1)),
    })),
  };
}

/** All that images of one name refer to, each thing once. */
function keysOf({ catalog }: ImageStore, ids: readonly Digest[]): string[] {
  const shared = ids.flatMap((id) => catalog.shared(id));
  return [...new Set(shared.map(({ kind, digest }) => `${kind} ${digest}`))];
}

function countUses<T>(lists: readonly (readonly T[])[]): Map<T, number> {
  const uses = new Map<T, number>();
  for (const key of lists.flat()) uses.set(key, (uses.get(key) ?? 0) + 1);
  return uses;
}
