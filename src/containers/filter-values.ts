import { EngineError } from '../errors/index.ts';
import type { Filters } from './containers.ts';

/** @throws {EngineError} `invalid-parameter` "invalid filter 'x'" */
export function assertKnownFilters(filters: Filters, known: readonly string[]): void {
  for (const name of filters.keys()) {
    if (!known.includes(name)) throw new EngineError('invalid-parameter', `invalid filter '${name}'`);
  }
}

/** All wanted labels are there: `key` or `key=value`. */
export function matchesLabels(labels: Record<string, string>, wanted: readonly string[]): boolean {
  return wanted.every((text) => {
    const equals = text.indexOf('=');
    if (equals < 0) return Object.hasOwn(labels, text);
    const key = text.slice(0, equals);
    return Object.hasOwn(labels, key) && labels[key] === text.slice(equals + 1);
  });
}

/** Docker matches names and ids as regular expressions, or literally when they are none. */
export function matchesPattern(text: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => {
    if (pattern === text) return true;
    try {
      return new RegExp(pattern).test(text);
    } catch {
      return text.includes(pattern);
    }
  });
}

const durationUnitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/**
 * `until` of prune: a time (RFC 3339, date, Unix seconds) or a Go duration before now. ms since the epoch.
 * @throws {EngineError} `invalid-parameter`
 */
export function parseUntil(text: string, nowMs: number): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length > 0 && parts.map((part) => part[0]).join('') === text) {
    return parts.reduce(
      (ms, [, count, unit]) => ms - Number(count) * (durationUnitMs[unit ?? ''] ?? 0),
      nowMs,
    );
  }
  const ms = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new EngineError('invalid-parameter', `failed to parse value as time: ${text}`);
  return ms;
}
