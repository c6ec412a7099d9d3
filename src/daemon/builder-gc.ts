import { cacheFilters } from '../api/index.ts';
import type { EngineOptions } from '../engine/index.ts';
import { errorMessage } from '../errors/index.ts';
import { invalid, parseSize } from './values.ts';

type CacheGc = NonNullable<EngineOptions['buildCacheGc']>;

/** How a rule of space is named, and was before: dockerd still takes the older names. */
const spaces = {
  reservedBytes: ['reservedSpace', 'keepStorage'],
  maxUsedBytes: ['maxUsedSpace'],
  minFreeBytes: ['minFreeSpace'],
} as const;

/**
 * Reads the member `gc` of daemon.json's `builder`, as dockerd does; undefined when it is not there. Members that dockerd does
 * not know are not looked at.
 * @param text JSON of `builder` @throws {EngineError} `invalid-parameter`
 */
export function parseBuilderGc(text: string | undefined): CacheGc | undefined {
  const gc = member(text === undefined ? undefined : (JSON.parse(text) as unknown), 'gc');
  if (gc === undefined) return undefined;
  if (typeof gc !== 'object' || gc === null) throw wrong('gc must be an object');
  if (member(gc, 'enabled') === false) return { rules: [] };
  const policy = member(gc, 'policy') ?? undefined;
  if (policy === undefined) return { space: spaceOf(gc, 'default') };
  if (!Array.isArray(policy)) throw wrong('policy must be a list');
  return {
    rules: (policy as unknown[]).map((rule) => {
      const { unusedSinceMs, ...filter } = filterOf(member(rule, 'filter'));
      return {
        all: member(rule, 'all') === true,
        ...spaceOf(rule, ''),
        ...filter,
        ...(unusedSinceMs === undefined ? {} : { unusedForMs: Date.now() - unusedSinceMs }),
      };
    }),
  };
}

/** @param prefix of the names, which begin with a capital letter behind it */
function spaceOf(rule: unknown, prefix: '' | 'default'): NonNullable<CacheGc['space']> {
  const given = Object.entries(spaces).flatMap(([space, names]) => {
    const known = names.map((name) =>
      prefix === '' ? name : `${prefix}${name[0]?.toUpperCase()}${name.slice(1)}`,
    );
    const name = known.find((one) => ![undefined, null, ''].includes(member(rule, one) as null));
    return name === undefined ? [] : [[space, sizeOf(name, member(rule, name))]];
  });
  return Object.fromEntries(given) as NonNullable<CacheGc['space']>;
}

function sizeOf(name: string, value: unknown): number {
  try {
    if (typeof value !== 'string') throw new Error('it is no text');
    return parseSize(value);
  } catch (error) {
    throw wrong(`failed to parse ${name}: ${errorMessage(error)}`);
  }
}

/** `["unused-for=48h"]`, or as dockerd wrote it by mistake once: `{"unused-for":{"48h":true}}`. */
function filterOf(given: unknown): ReturnType<typeof cacheFilters> {
  const filters = new Map<string, string[]>();
  const add = (name: string, value: string): void =>
    void filters.set(name, [...(filters.get(name) ?? []), value]);
  if (Array.isArray(given)) {
    for (const item of given as unknown[]) {
      const [name = '', ...value] = String(item).split('=');
      add(name.trim().toLowerCase(), value.join('=').trim());
    }
  } else if (typeof given === 'object' && given !== null) {
    for (const [name, values] of Object.entries(given)) {
      for (const value of Object.keys(values as object)) add(name, value);
    }
  } else if (given !== undefined && given !== null) throw wrong('filter must be a list');
  try {
    return cacheFilters(filters);
  } catch (error) {
    throw wrong(errorMessage(error));
  }
}

/** Of whatever case, as Go reads JSON. */
export function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  const found = Object.entries(value).find(([key]) => key.toLowerCase() === name.toLowerCase());
  return found?.[1] as unknown;
}

function wrong(message: string): Error {
  return invalid(`could not get builder GC policy: ${message}`);
}
