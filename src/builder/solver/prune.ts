import type { Images } from '../../images/index.ts';
import type { Builder } from '../builder.ts';
import type { BuildCache } from './cache.ts';

/**
 * Forgets cache records, and removes the images behind them that have no name: those that nothing is based on first.
 * Without `all`, records behind named images are kept, so that these can be built again quickly.
 */
export async function pruneCache(
  cache: BuildCache,
  images: Images,
  options: Parameters<Builder['prune']>[0],
): ReturnType<Builder['prune']> {
  cache.sweep();
  const kept = new Set<string>();
  if (!options.all) {
    // What a named image was made from, step by step.
    for (const image of images.list()) {
      if (image.tags.length === 0 && image.digests.length === 0) continue;
      for (let id: string = image.id; id !== '' && images.has(id); id = images.get(id).parent) kept.add(id);
    }
  }
  const before = images.diskUsage().layersSizeBytes;
  const candidates = cache
    .entries()
    .filter(
      ([, record]) => !kept.has(record.imageId) && record.lastUsedAtMs < (options.unusedSinceMs ?? Infinity),
    )
    .toSorted(([, a], [, b]) => a.lastUsedAtMs - b.lastUsedAtMs);
  const ids: string[] = [];
  for (const [key, record] of candidates) {
    const reclaimed = before - images.diskUsage().layersSizeBytes;
    if (options.keepBytes !== undefined && before - reclaimed <= options.keepBytes) break;
    cache.forget(key);
    ids.push(key.slice(0, 25));
    if (!images.has(record.imageId)) continue;
    const image = images.get(record.imageId);
    const isParent = images.list().some((other) => other.parent === image.id);
    if (image.tags.length > 0 || isParent) continue;
    // One that a container uses stays.
    await images.remove(image.id, { force: false, prune: true, usedBy: () => [] }).catch(() => undefined);
  }
  return { ids, spaceReclaimedBytes: before - images.diskUsage().layersSizeBytes };
}
