import { EngineError } from '../errors/index.ts';
import type { Volume } from '../spec/index.ts';
import type { VolumeFilters } from './volumes.ts';

/** The label by which a volume that was made without a name is known. */
export const anonymousLabel = 'com.docker.volume.anonymous';

/** Docker's `volume ls --filter`: names are all required; of `label` all values, of the others one. */
export function volumeTest(
  filters: VolumeFilters,
  inUse: (name: string) => boolean,
): (volume: Volume) => boolean {
  checkNames(filters, ['dangling', 'driver', 'label', 'name']);
  const dangling = booleanFilter(filters, 'dangling');
  return (volume) =>
    (dangling === undefined || dangling !== inUse(volume.Name)) &&
    oneOf(filters.get('driver'), (value) => volume.Driver === value) &&
    oneOf(filters.get('name'), (value) => volume.Name.includes(value)) &&
    (filters.get('label') ?? []).every((value) => hasLabel(volume, value));
}

/** Docker's `volume prune --filter`. */
export function pruneTest(filters: VolumeFilters): (volume: Volume) => boolean {
  checkNames(filters, ['all', 'label', 'label!']);
  const all = booleanFilter(filters, 'all') === true;
  return (volume) =>
    (all || volume.Labels?.[anonymousLabel] !== undefined) &&
    (filters.get('label') ?? []).every((value) => hasLabel(volume, value)) &&
    !(filters.get('label!') ?? []).some((value) => hasLabel(volume, value));
}

function checkNames(filters: VolumeFilters, known: readonly string[]): void {
  for (const name of filters.keys())
    if (!known.includes(name)) throw new EngineError('invalid-parameter', `invalid filter '${name}'`);
}

function booleanFilter(filters: VolumeFilters, name: string): boolean | undefined {
  const values = filters.get(name);
  if (values === undefined || values.length === 0) return undefined;
  const truths = new Set(values.map((value) => parseBoolean(value)));
  if (truths.size > 1 || truths.has(undefined))
    throw new EngineError('invalid-parameter', `invalid filter '${name}=[${values.join(' ')}]'`);
  return truths.has(true);
}

function parseBoolean(value: string): boolean | undefined {
  if (/^(1|true)$/i.test(value)) return true;
  return /^(0|false)$/i.test(value) ? false : undefined;
}

function oneOf(values: readonly string[] | undefined, test: (value: string) => boolean): boolean {
  return values === undefined || values.length === 0 || values.some(test);
}

function hasLabel(volume: Volume, wanted: string): boolean {
  const at = wanted.indexOf('=');
  if (at === -1) return volume.Labels?.[wanted] !== undefined;
  return volume.Labels?.[wanted.slice(0, at)] === wanted.slice(at + 1);
}
