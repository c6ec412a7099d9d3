import { Glob } from '../archive/index.ts';
import { EngineError } from '../errors/index.ts';
import type { Filters } from '../containers/index.ts';
import type { Image } from '../images/index.ts';
import { familiarName, formatReference, parseReference, repositoryName } from '../spec/index.ts';
import { checkFilters } from './filters.ts';
import { parseTimestamp } from './timestamp.ts';
import { createdNanos } from './views/image-view.ts';
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
  const all = (name: string): readonly string[] => filters.get(name) ?? [];
  const [dangling] = all('dangling');
  const wantsDangling = dangling === undefined ? undefined : parseBoolean('dangling', dangling);
  const before = all('before').map((name) => createdNanos(get(name)));
  const since = all('since').map((name) => createdNanos(get(name)));
  const until = all('until').map((text) => parseTimestamp(text, 'until'));
  const patterns = all('reference').map(referencePattern);
  const chosen: Image[] = [];
  for (const image of images) {
    const created = createdNanos(image);
    if (before.some((limit) => created >= limit) || since.some((limit) => created <= limit)) continue;
    if (until.some((limit) => created > limit)) continue;
    // Docker shows one that has a digest only in either case.
    if (wantsDangling === true && image.tags.length > 0) continue;
    if (wantsDangling === false && image.tags.length + image.digests.length === 0) continue;
    const labels = image.config.config?.Labels;
    if (!matchesLabels(labels, all('label'))) continue;
    if (all('label!').some((label) => matchesLabels(labels, [label]))) continue;
    if (patterns.length === 0) {
      chosen.push(image);
      continue;
    }
    const matches = (name: string): boolean => patterns.some((pattern) => matchesReference(name, pattern));
    const tags = image.tags.filter(matches);
    const digests = image.digests.filter(matches);
    if (tags.length + digests.length > 0) chosen.push({ ...image, tags, digests });
  }
  return chosen.sort((left, right) => Number(createdNanos(right) - createdNanos(left)));
}

/** As Go's path.Match reads it: a star never crosses a slash. @throws {EngineError} `invalid-parameter` */
function referencePattern(pattern: string): Glob {
  for (let at = 0; at < pattern.length; at += 1) {
    const char = pattern.charAt(at);
    const close = char === '[' ? pattern.indexOf(']', at + 2) : at;
    if (close === -1 || (char === '\\' && at === pattern.length - 1)) {
      throw new EngineError('invalid-parameter', 'syntax error in pattern');
    }
    at = char === '\\' ? at + 1 : close;
  }
  // Only a caret negates a class.
  return new Glob(pattern.replace(/\*+/g, '*').replaceAll('[!', '[\\!'));
}

/** The pattern matches the familiar or the full name, whole or without tag or digest; `*` stays within a path element. */
function matchesReference(text: string, pattern: Glob): boolean {
  const reference = parseReference(text);
  const forms = [text, familiarName(reference), formatReference(reference), repositoryName(reference)];
  return forms.some((form) => pattern.matches(form));
}

/** @throws {EngineError} `invalid-parameter` "invalid filter 'dangling=[x]'" */
export function parseBoolean(name: string, value: string): boolean {
  if (['1', 'true', 't', 'TRUE', 'True', 'T'].includes(value)) return true;
  if (['0', 'false', 'f', 'FALSE', 'False', 'F'].includes(value)) return false;
  throw new EngineError('invalid-parameter', `invalid filter '${name}=[${value}]'`);
}
