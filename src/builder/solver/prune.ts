import { statfsSync } from 'node:fs';
import type { CachePrune, CacheRule, CacheSpace } from '../builder.ts';
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
  const steps: string[] = [];
  let spaceReclaimedBytes = 0;
  const left = new RemovableRecords(
    usage.filter((record) => isCandidate(record, options, keepBytes)),
    usage,
  );
  while (keepBytes === undefined || leftBytes > keepBytes) {
    const record = left.next();
    if (record === undefined) break;
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

/** Gives records one after the other, the longest unused first, but none before those that lie on its layers are gone. */
class RemovableRecords {
  readonly #waiting: UsedCache[];
  /** How many of all records there still are need a layer besides their own. */
  readonly #needed = new Map<string, number>();

  constructor(removable: readonly UsedCache[], all: readonly UsedCache[]) {
    this.#waiting = [...removable];
    for (const record of all) this.#need(record, 1);
  }

  next(): UsedCache | undefined {
    const at = this.#waiting.findIndex(({ top }) => top === undefined || (this.#needed.get(top) ?? 0) === 0);
    const [record] = at === -1 ? [] : this.#waiting.splice(at, 1);
    if (record !== undefined) this.#need(record, -1);
    return record;
  }

  #need({ below }: UsedCache, by: 1 | -1): void {
    for (const chainId of below) this.#needed.set(chainId, (this.#needed.get(chainId) ?? 0) + by);
  }
}

function isCandidate(
  record: UsedCache,
  { all, unusedSinceMs = Infinity, matches }: CachePrune,
  keepBytes: number | undefined,
): boolean {
  if (record.isInUse || record.lastUsedAtMs >= unusedSinceMs) return false;
  // What images have as well takes no space of the cache's.
  if (record.isShared && (!all || keepBytes !== undefined)) return false;
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
/** So much of the space that is reserved may be taken by what is easily made again, percent; a number of BuildKit's. */
const EASY_PERCENT = Math.E * Math.PI * ((1 + Math.sqrt(5)) / 2);

/** Removes what rules say. */
export async function collectCache(services: BuildServices, rules: readonly CacheRule[]): Promise<void> {
  for (const { unusedForMs, ...rule } of rules) {
    const since = unusedForMs === undefined ? {} : { unusedSinceMs: Date.now() - unusedForMs };
    await pruneCache(services, { ...rule, ...since });
  }
}

/**
 * The rules that there are when none are given, dockerd's: cache mounts that nobody used for two days, beyond a part of the
 * space; then what is older than sixty days, what images do not need, and all, until there is room.
 * @param diskBytes size of the disk, of which the space is a share when nothing is said of it
 */
export function defaultRules(given: CacheSpace, diskBytes: number): CacheRule[] {
  const share = (percent: number): number => (Math.floor((diskBytes * percent) / 100 / 2 ** 30) + 1) * GB;
  const isGiven = Object.values(given).some((bytes: number) => bytes !== 0);
  const space = isGiven
    ? given
    : { reservedBytes: share(10), maxUsedBytes: share(80), minFreeBytes: share(20) };
  const easyBytes = Math.round(((space.reservedBytes ?? 0) / 100) * EASY_PERCENT);
  return [
    {
      all: false,
      matches: ({ kind }) => kind === 'exec.cachemount',
      unusedForMs: 48 * HOUR_MS,
      maxUsedBytes: Math.max(easyBytes, 512_000_000),
    },
    { all: false, unusedForMs: STALE_MS, ...space },
    { all: false, ...space },
    { all: true, ...space },
  ];
}
