import type { Filters } from '../../containers/index.ts';
import type { Builder, CachePrune, CacheUsage } from '../../builder/index.ts';
import { EngineError, errorMessage } from '../../errors/index.ts';
import { filters, flag, integer } from '../query.ts';
import { route, type Route } from '../route.ts';
import { parseTimestamp } from '../timestamp.ts';

/** How a record answers a filter of `POST /build/prune`. */
const fields: Readonly<Record<string, (record: CacheUsage, value: string) => boolean>> = {
  id: (record, value) => new RegExp(value).test(record.id),
  parent: ({ parents }, value) => parents.includes(value),
  type: ({ kind }, value) => kind === value,
  description: ({ description }, value) => description === value,
  inuse: ({ isInUse }, value) => isInUse === isTrue(value),
  shared: ({ isShared }, value) => isShared === isTrue(value),
  private: ({ isShared }, value) => isShared !== isTrue(value),
  mutable: ({ kind }, value) => (kind === 'exec.cachemount') === isTrue(value),
  immutable: ({ kind }, value) => (kind !== 'exec.cachemount') === isTrue(value),
  // Clients send these to whatever they prune.
  label: () => false,
  'label!': () => true,
};

/** `POST /build/prune`. */
export function buildCacheRoutes(builder: Pick<Builder, 'prune'>): Route[] {
  return [
    route({
      method: 'POST',
      path: '/build/prune',
      operation: 'BuildPrune',
      since: 31,
      query: {
        all: flag,
        filters,
        'keep-storage': integer,
        'reserved-space': integer,
        'max-used-space': integer,
        'min-free-space': integer,
      },
      async handle(exchange, query) {
        const reserved = query['reserved-space'] ?? 0;
        // Until API 1.48 there was only the older name.
        const hasNewer = exchange.version >= 48;
        const { ids, spaceReclaimedBytes } = await builder.prune({
          all: query.all,
          reservedBytes: (hasNewer ? reserved : 0) || (query['keep-storage'] ?? 0),
          maxUsedBytes: hasNewer ? (query['max-used-space'] ?? 0) : 0,
          minFreeBytes: hasNewer ? (query['min-free-space'] ?? 0) : 0,
          ...cacheFilters(query.filters),
        });
        exchange.json(200, {
          CachesDeleted: ids.length === 0 ? null : ids,
          SpaceReclaimed: spaceReclaimedBytes,
        });
      },
    }),
  ];
}

/** What filters let a prune remove. Records have no labels. @throws {EngineError} `invalid-parameter` with dockerd's texts */
export function cacheFilters(given: Filters): Pick<CachePrune, 'unusedSinceMs' | 'matches'> {
  const checks: ((record: CacheUsage) => boolean)[] = [];
  const [until, unusedFor] = ['until', 'unused-for'].map((name) => one(given, name));
  if (until !== undefined && unusedFor !== undefined) {
    throw new EngineError('invalid-parameter', 'conflicting filters: "until" and "unused-for"');
  }
  for (const name of given.keys()) {
    if (name === 'until' || name === 'unused-for') continue;
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field === undefined) throw new EngineError('invalid-parameter', `invalid filter '${name}'`);
    const value = one(given, name) ?? '';
    if (name === 'id') checkPattern(value);
    checks.push((record) => field(record, value));
  }
  return {
    ...(checks.length === 0 ? {} : { matches: (record) => checks.every((check) => check(record)) }),
    ...sinceOf(until === undefined ? 'unused-for' : 'until', until ?? unusedFor),
  };
}

function sinceOf(name: string, value: string | undefined): Pick<CachePrune, 'unusedSinceMs'> {
  if (value === undefined) return {};
  try {
    return { unusedSinceMs: Number(parseTimestamp(value, name) / 1_000_000n) };
  } catch (error) {
    throw new EngineError(
      'invalid-parameter',
      `"${name}" filter expects a duration (e.g., '24h') or a timestamp: ${errorMessage(error)}`,
      { cause: error },
    );
  }
}

function checkPattern(text: string): void {
  try {
    void new RegExp(text);
  } catch (error) {
    throw new EngineError('invalid-parameter', `invalid filter 'id=${text}'`, { cause: error });
  }
}

function one(given: Filters, name: string): string | undefined {
  const values = given.get(name);
  if (values !== undefined && values.length > 1) {
    throw new EngineError('invalid-parameter', 'filters expect only one value');
  }
  return values?.[0];
}

function isTrue(text: string): boolean {
  return !['false', '0', 'f'].includes(text.toLowerCase());
}

/** A record as `GET /system/df` lists it. */
export function cacheUsageView(record: CacheUsage): object {
  const { parents } = record;
  return {
    ID: record.id,
    ...(parents.length === 0 ? {} : { Parents: parents }),
    Type: record.kind,
    Description: record.description,
    InUse: record.isInUse,
    Shared: record.isShared,
    Size: record.sizeBytes,
    CreatedAt: new Date(record.createdAtMs).toISOString(),
    LastUsedAt: record.uses === 0 ? null : new Date(record.lastUsedAtMs).toISOString(),
    UsageCount: record.uses,
  };
}
