import type { EngineOptions } from '../engine/index.ts';
import { invalid, keyValues, parseSize } from './values.ts';

const keys = ['keep-bytes', 'high-water', 'low-water', 'unused-for', 'labels', 'except-labels', 'interval'];
const defaultUnusedMs = 60 * 60 * 1000;
const defaultIntervalMs = 5 * 60 * 1000;
const leastIntervalMs = 1000;

/**
 * Reads `--image-gc key=value …`, or the object of daemon.json; undefined when there is none, so that nothing is ever
 * removed. @throws {EngineError} `invalid-parameter`
 */
export function parseImageGc(entries: readonly string[]): EngineOptions['imageGc'] {
  if (entries.length === 0) return undefined;
  const given = keyValues(entries);
  const unknown = Object.keys(given).find((key) => !keys.includes(key));
  if (unknown !== undefined) throw wrong(`unknown option: ${unknown}`);
  const high = percent('high-water', given['high-water']);
  const low = percent('low-water', given['low-water']);
  if (high === undefined && low !== undefined) throw wrong('low-water needs high-water');
  if (high !== undefined && low !== undefined && low > high) throw wrong('low-water is above high-water');
  const intervalMs = duration('interval', given['interval']) ?? defaultIntervalMs;
  const keep = given['keep-bytes'];
  return {
    ...(keep === undefined ? {} : { keepBytes: parseSize(keep) }),
    ...(high === undefined ? {} : { waterMarks: { highPercent: high, lowPercent: low ?? high } }),
    unusedForMs: duration('unused-for', given['unused-for']) ?? defaultUnusedMs,
    labels: texts(given['labels']),
    exceptLabels: texts(given['except-labels']),
    intervalMs: Math.max(leastIntervalMs, intervalMs),
  };
}

function texts(given = ''): string[] {
  return given.split(',').filter((text) => text !== '');
}

/** `85` or `85%`. */
function percent(name: string, given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const found = /^(\d+(?:\.\d+)?)%?$/.exec(given);
  const value = Number(found?.[1]);
  if (found === null || value > 100) throw wrong(`${name} is not a percentage: ${given}`);
  return value;
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Go's durations: `90s`, `1h30m`, `168h`; `0` is one, too. */
function duration(name: string, given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const parts = [...given.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (given !== '0' && (parts.length === 0 || parts.map(([text]) => text).join('') !== given)) {
    throw wrong(`${name} is not a duration: ${given}`);
  }
  return parts.reduce((sum, [, count, unit = '']) => sum + Number(count) * (units[unit] ?? 0), 0);
}

function wrong(message: string): Error {
  return invalid(`invalid image-gc: ${message}`);
}
