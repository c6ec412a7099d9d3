import type { Filters } from '../containers/index.ts';
import { EngineError } from '../errors/index.ts';
import type { NetworkResource } from '../spec/index.ts';
import { checkFilters, untilOf } from './filters.ts';
import { parseTimestamp } from './timestamp.ts';
import { matchesLabels } from './views/labels.ts';

export type NetworkFilter = (network: NetworkResource) => boolean;

const predefined = ['bridge', 'host', 'none'];

/**
 * Which networks a list shows.
 * @throws {EngineError} `invalid-parameter`, `internal` with dockerd's texts
 * @see moby daemon/network/filter.go
 */
export function networkFilter(filters: Filters): NetworkFilter {
  checkFilters(filters, ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type']);
  const dangling = danglingOf(filters.get('dangling') ?? []);
  const [type] = typesOf(filters.get('type') ?? []);
  const any = (name: string, test: (value: string) => boolean): boolean => {
    const values = filters.get(name) ?? [];
    return values.length === 0 || values.some(test);
  };
  return (network) =>
    any('driver', (value) => value === network.Driver) &&
    any('id', (value) => matchesPattern(network.Id, value)) &&
    any('name', (value) => matchesPattern(network.Name, value)) &&
    any('scope', (value) => value === network.Scope) &&
    (type === undefined || (type === 'builtin') === predefined.includes(network.Name)) &&
    (dangling === undefined || dangling === isDangling(network)) &&
    matchesLabels(network.Labels, filters.get('label') ?? []);
}

/** Which networks go when those that nobody uses go. @throws {EngineError} as networkFilter() */
export function networkPruneFilter(filters: Filters): NetworkFilter {
  checkFilters(filters, ['label', 'label!', 'until']);
  const until = untilOf(filters);
  const before = until === undefined ? undefined : parseTimestamp(until, 'until');
  const unwanted = filters.get('label!') ?? [];
  return (network) =>
    isDangling(network) &&
    !network.ConfigOnly &&
    (before === undefined || parseTimestamp(network.Created, 'created') <= before) &&
    matchesLabels(network.Labels, filters.get('label') ?? []) &&
    (unwanted.length === 0 || !matchesLabels(network.Labels, unwanted));
}

function isDangling(network: NetworkResource): boolean {
  return !predefined.includes(network.Name) && Object.keys(network.Containers).length === 0;
}

function danglingOf(values: readonly string[]): boolean | undefined {
  const [value, ...more] = values;
  if (value === undefined) return undefined;
  if (more.length > 0) throw invalid('got more than one value for filter key "dangling"');
  if (['1', 'true'].includes(value)) return true;
  if (['0', 'false'].includes(value)) return false;
  throw invalid(`invalid value for filter 'dangling', must be "true" (or "1"), or "false" (or "0")`);
}

function typesOf(values: readonly string[]): readonly string[] {
  const wrong = values.find((value) => value !== 'builtin' && value !== 'custom');
  // dockerd does not class this one.
  if (wrong !== undefined) throw new EngineError('internal', `invalid filter: 'type'='${wrong}'`);
  return values;
}

/** Docker's filters are regular expressions that are found anywhere; what is none finds nothing. */
function matchesPattern(text: string, pattern: string): boolean {
  try {
    return new RegExp(pattern).test(text);
  } catch {
    return false;
  }
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message, { code: 'invalid-filter' });
}
