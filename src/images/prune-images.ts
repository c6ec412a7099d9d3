import { EngineError } from '../errors/index.ts';
import { chainIds, formatReference, type ChainId } from '../spec/index.ts';
import type { ImageStore } from './image-store.ts';
import type { Image, Images, RemovedImage } from './images.ts';
import { ImageRemoval } from './remove-image.ts';

type PruneOptions = Parameters<Images['prune']>[0];

/**
 * `docker image prune`: without tag and child (dangling), or all, that no container uses. One that cannot be removed
 * stays. What was freed is the size of the layers that went, as dockerd counts it.
 */
export async function pruneImages(
  store: ImageStore,
  options: PruneOptions,
): Promise<{ removed: RemovedImage[]; spaceReclaimedBytes: number }> {
  const { catalog } = store;
  const sizes = layerSizes(store);
  const removed: RemovedImage[] = [];
  const candidates = catalog.ids().map((id) => catalog.view(id));
  for (const image of candidates.filter((candidate) => isCandidate(store, candidate, options))) {
    // Gone with another: its child, or another platform of the same index.
    if (!catalog.ids().includes(image.id)) continue;
    const references = catalog.references(image.id).map(formatReference);
    for (const name of references.length === 0 ? [image.id] : references) {
      try {
        const removal = new ImageRemoval(store, { force: false, prune: true, usedBy: options.usedBy });
        removed.push(...(await removal.run(name)));
      } catch (error) {
        const expected =
          error instanceof EngineError && (error.kind === 'conflict' || error.kind === 'not-found');
        if (!expected) throw error;
      }
    }
  }
  const spaceReclaimedBytes = removed
    .filter((item) => item.kind === 'deleted')
    .reduce((sum, item) => sum + (sizes.get(item.reference) ?? 0), 0);
  return { removed, spaceReclaimedBytes };
}

function isCandidate(store: ImageStore, image: Image, options: PruneOptions): boolean {
  const { catalog } = store;
  const named = image.tags.length + image.digests.length > 0;
  // A step of a build goes with the image that was built on it.
  if (!named && catalog.children(image.id).length > 0) return false;
  if (options.dangling && image.tags.length > 0) return false;
  return options.matches(image);
}

/** Bytes of the files of each layer, as Docker's classic store counts them. */
export function layerSizes(store: ImageStore): Map<ChainId, number> {
  const { catalog } = store;
  const sizes = new Map<ChainId, number>();
  for (const id of catalog.ids()) {
    const layers = catalog.record(id)?.layers ?? [];
    for (const [index, chainId] of chainIds(catalog.view(id).config.rootfs.diff_ids).entries()) {
      sizes.set(chainId, layers[index]?.sizeBytes ?? 0);
    }
  }
  return sizes;
}
