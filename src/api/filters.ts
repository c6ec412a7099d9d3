import { EngineError } from '../errors/index.ts';
import type { Filters } from '../containers/index.ts';

/**
 * The `filters` parameter: `{"label":{"a=b":true}}`, or the form before API 1.22, `{"label":["a=b"]}`.
 * @throws {EngineError} `invalid-parameter` "invalid filter"
 */
export function parseFilters(text: string): Filters {
  const result = new Map<string, readonly string[]>();
  if (text === '') return result;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw invalidFilter();
  }
  if (parsed === null) return result;
  if (typeof parsed !== 'object' || Array.isArray(parsed)) throw invalidFilter();
  for (const [name, values] of Object.entries(parsed)) result.set(name, filterValues(values));
  return result;
}

function filterValues(values: unknown): string[] {
  if (Array.isArray(values)) {
    if (!values.every((value) => typeof value === 'string')) throw invalidFilter();
    return values;
  }
  if (values === null) return [];
  if (typeof values !== 'object') throw invalidFilter();
  const chosen: string[] = [];
  for (const [value, given] of Object.entries(values)) {
    if (typeof given !== 'boolean') throw invalidFilter();
    // Docker keeps a key whatever its boolean: the map is a set.
    chosen.push(value);
  }
  return chosen;
}

function invalidFilter(): EngineError {
  return new EngineError('invalid-parameter', 'invalid filter', { code: 'invalid-filter' });
}

/** @throws {EngineError} `invalid-parameter` "invalid filter 'x'" for a name that this list does not take. */
export function checkFilters(filters: Filters, accepted: readonly string[]): void {
  for (const name of filters.keys()) {
    if (!accepted.includes(name)) {
      throw new EngineError('invalid-parameter', `invalid filter '${name}'`, { code: 'invalid-filter' });
    }
  }
}

/** `until` of prune. @throws {EngineError} `invalid-parameter` when there are several. */
export function untilOf(filters: Filters): string | undefined {
  const [until, ...more] = filters.get('until') ?? [];
  if (more.length > 0) throw new EngineError('invalid-parameter', 'more than one until filter specified');
  return until;
}
