import { matchesGlob } from 'node:path';
import { EngineError } from '../errors/index.ts';
import type { Filters } from '../containers/index.ts';
import type { Image } from '../images/index.ts';
import { checkFilters } from './filters.ts';
import { parseTimestamp } from './timestamp.ts';
import { createdSeconds } from './views/image-view.ts';
import { matchesLabels } from './views/labels.ts';

const known = ['dangling', 'label', 'label!', 'before', 'since', 'until', 'reference'];

/**
 * The images a list asks for, newest first. With `reference` an image keeps only the names that match.
 * @throws {EngineError} `invalid-parameter` for an unknown filter or value; `not-found` for a `before` or `since` image
 */
export function filterImages(
  images: readonly Image[],
  filters: Filters,
  get: (nameOrId: string) => Image,
): Image[] {
  checkFilters(filters, known);
  const first = (name: string): string | undefined => filters.get(name)?.[0];
  const [dangling, before, since, until] = ['dangling', 'before', 'since', 'until'].map(first);
  const wantsDangling = dangling === undefined ? undefined : parseBoolean('dangling', dangling);
  const beforeSeconds = before === undefined ? Infinity : createdSeconds(get(before));
  const sinceSeconds = since === undefined ? -Infinity : createdSeconds(get(since));
  const untilSeconds =
    until === undefined ? Infinity : Number(parseTimestamp(until, 'until') / 1_000_000_000n);
  const patterns = filters.get('reference') ?? [];
  const chosen: Image[] = [];
  for (const image of images) {
    const created = createdSeconds(image);
    if (created >= beforeSeconds || created <= sinceSeconds || created > untilSeconds) continue;
    if (wantsDangling !== undefined && wantsDangling !== (image.tags.length === 0)) continue;
    const labels = image.config.config?.Labels;
    if (!matchesLabels(labels, filters.get('label') ?? [])) continue;
    const unwanted = filters.get('label!') ?? [];
    if (unwanted.some((label) => matchesLabels(labels, [label]))) continue;
    if (patterns.length === 0) {
      chosen.push(image);
      continue;
    }
    const tags = image.tags.filter((tag) => patterns.some((pattern) => matchesReference(tag, pattern)));
    const digests = image.digests.filter((name) =>
      patterns.some((pattern) => matchesReference(name, pattern)),
    );
    if (tags.length + digests.length > 0) chosen.push({ ...image, tags, digests });
  }
  return chosen.sort((left, right) => createdSeconds(right) - createdSeconds(left));
}

/** The pattern matches the whole familiar name or the name without tag or digest; `*` stays within a path element. */
function matchesReference(reference: string, pattern: string): boolean {
  const name = reference.replace(/@.*$/, '').replace(/:[^:/]*$/, '');
  return matchesGlob(reference, pattern) || matchesGlob(name, pattern);
}

/** @throws {EngineError} `invalid-parameter` "invalid filter 'dangling=[x]'" */
export function parseBoolean(name: string, value: string): boolean {
  if (['1', 'true', 't', 'TRUE', 'True', 'T'].includes(value)) return true;
  if (['0', 'false', 'f', 'FALSE', 'False', 'F'].includes(value)) return false;
  throw new EngineError('invalid-parameter', `invalid filter '${name}=[${value}]'`);
}
