import type { Images } from '../../images/index.ts';
import { chainIds, type ChainId } from '../../spec/index.ts';
import type { CacheUsage } from '../builder.ts';
import type { CacheMounts } from '../ops/cache-mounts.ts';
import type { BuildCache } from './cache.ts';

/** Letters that BuildKit's ids have, too: what a key's beginning is shown as. */
const ID_DIGITS = 25;

/** A record with what it stands for: the key of a step, or the name of a cache mount. */
export interface UsedCache extends CacheUsage {
  step: string | undefined;
  mount: string | undefined;
  /** Layers that it needs besides its own. */
  below: readonly ChainId[];
  /** The uppermost of its own. */
  top: ChainId | undefined;
}

/** What the cache holds, the longest unused first. */
export async function cacheUsage(parts: {
  cache: BuildCache;
  cacheMounts: CacheMounts;
  images: Images;
}): Promise<UsedCache[]> {
  const { cache, cacheMounts, images } = parts;
  const ofImages = new Set(images.list().flatMap(({ config }) => chainIds(config.rootfs.diff_ids)));
  const bytes = await images.trees.diskBytes();
  const counted = new Set<string>();
  /** The step that made a tree, by its top layer. */
  const makers = new Map<string, string>();
  const entries = cache.entries().toSorted(([, a], [, b]) => a.createdAtMs - b.createdAtMs);
  const found: UsedCache[] = [];
  for (const [key, record] of entries) {
    const layers = images.trees.get(record.treeId)?.layers ?? [];
    const own = layers.slice(layers.length - record.ownLayers);
    // Two steps may have made the same layer: it is on disk once.
    const unseen = own.filter(({ chainId }) => !counted.has(chainId));
    for (const { chainId } of unseen) counted.add(chainId);
    const isShared = own.length > 0 && own.every(({ chainId }) => ofImages.has(chainId));
    // What an image has of them is counted there.
    const sized = isShared ? unseen : unseen.filter(({ chainId }) => !ofImages.has(chainId));
    const below = layers.slice(0, layers.length - record.ownLayers).map(({ chainId }) => chainId);
    const parent = makers.get(below.at(-1) ?? '');
    const top = own.at(-1)?.chainId;
    if (top !== undefined && !makers.has(top)) makers.set(top, key.slice(0, ID_DIGITS));
    found.push({
      step: key,
      mount: undefined,
      below,
      top,
      id: key.slice(0, ID_DIGITS),
      parents: parent === undefined ? [] : [parent],
      kind: 'regular',
      description: record.description,
      isInUse: cache.isInUse(record),
      isShared,
      sizeBytes: sized.reduce((sum, { chainId }) => sum + (bytes.get(chainId) ?? 0), 0),
      createdAtMs: record.createdAtMs,
      lastUsedAtMs: record.lastUsedAtMs,
      uses: record.uses,
    });
  }
  const sizes = await cacheMounts.sizesBytes();
  for (const { name, record, isInUse } of cacheMounts.list()) {
    found.push({
      step: undefined,
      mount: name,
      below: [],
      top: undefined,
      id: name.slice(0, ID_DIGITS),
      parents: [],
      kind: 'exec.cachemount',
      description: `cached mount ${record.target} with id ${JSON.stringify(record.id)}`,
      isInUse,
      isShared: false,
      sizeBytes: sizes.get(name) ?? 0,
      createdAtMs: record.createdAtMs,
      lastUsedAtMs: record.lastUsedAtMs,
      uses: record.uses,
    });
  }
  return found.toSorted((a, b) => a.lastUsedAtMs - b.lastUsedAtMs);
}
