import { statfsSync } from 'node:fs';
import type { CachePrune } from '../builder.ts';
import { cacheUsage, type UsedCache } from './cache-usage.ts';
import type { BuildServices } from './session.ts';

/**
 * Forgets cache records, the longest unused first, with the files that nothing else needs. Without `all` those whose files
 * an image has are kept, so that it can be built again quickly; those that a build works on are kept in any case. The rules of
 * space are BuildKit's: down to `maxUsedBytes`, further where the disk has less than `minFreeBytes` free, but never below
 * `reservedBytes`.
 */
export async function pruneCache(
  services: BuildServices,
  options: CachePrune,
): Promise<{ ids: string[]; spaceReclaimedBytes: number }> {
  const { cache, cacheMounts, parts } = services;
  const usage = await cacheUsage({ cache, cacheMounts, images: parts.images });
  let leftBytes = usage.reduce((sum, record) => sum + (record.isShared ? 0 : record.sizeBytes), 0);
  const keepBytes = bytesToKeep(leftBytes, options, services.options.dataRoot);
  const ids: string[] = [];
  let spaceReclaimedBytes = 0;
  const isOver = (): boolean => keepBytes === undefined || leftBytes > keepBytes;
  const steps: string[] = [];
  for (const record of usage) {
    if (!isOver()) break;
    if (!isCandidate(record, options)) continue;
    if (record.mount !== undefined && !cacheMounts.remove(record.mount)) continue;
    if (record.step !== undefined) steps.push(record.step);
    ids.push(record.id);
    if (!record.isShared) {
      leftBytes -= record.sizeBytes;
      spaceReclaimedBytes += record.sizeBytes;
    }
  }
  await cache.forget(steps);
  cache.sweep();
  const isEverything = options.all && options.unusedSinceMs === undefined && keepBytes === undefined;
  cache.sweepConfigs(isEverything && options.matches === undefined ? Infinity : Date.now() - STALE_MS);
  return { ids, spaceReclaimedBytes };
}

const STALE_MS = 60 * 24 * 60 * 60 * 1000;

function isCandidate(record: UsedCache, { all, unusedSinceMs = Infinity, matches }: CachePrune): boolean {
  if (record.isInUse || record.lastUsedAtMs >= unusedSinceMs) return false;
  if (record.isShared && !all) return false;
  return matches?.(record) ?? true;
}

/** Undefined: nothing needs to be kept. */
function bytesToKeep(totalBytes: number, options: CachePrune, directory: string): number | undefined {
  const { reservedBytes = 0, maxUsedBytes = 0, minFreeBytes = 0 } = options;
  if (reservedBytes === 0 && maxUsedBytes === 0 && minFreeBytes === 0) return undefined;
  let keep = maxUsedBytes;
  if (minFreeBytes > 0) {
    const { bavail, bsize } = statfsSync(directory);
    const missing = minFreeBytes - bavail * bsize;
    if (maxUsedBytes === 0) keep = totalBytes;
    if (missing > 0) keep = Math.min(keep, totalBytes - missing);
  }
  return Math.max(keep, reservedBytes);
}

const HOUR_MS = 60 * 60 * 1000;
const GB = 1_000_000_000;

/**
 * What is removed without being asked, as BuildKit has it when nothing is configured: cache mounts that nobody used for two
 * days, beyond 512 MB; then what is older than sixty days, what images do not need, and all, until there is room.
 * @param diskBytes size of the disk
 */
export function defaultPolicy(diskBytes: number, nowMs: number): CachePrune[] {
  const space = {
    reservedBytes: Math.min(diskBytes * 0.1, 10 * GB),
    maxUsedBytes: Math.min(diskBytes * 0.6, 100 * GB),
    minFreeBytes: Math.min(diskBytes * 0.2, 20 * GB),
  };
  return [
    {
      all: false,
      matches: ({ kind }) => kind === 'exec.cachemount',
      unusedSinceMs: nowMs - 48 * HOUR_MS,
      maxUsedBytes: 512 * 1_000_000,
    },
    { all: false, unusedSinceMs: nowMs - STALE_MS, ...space },
    { all: false, ...space },
    { all: true, ...space },
  ];
}
