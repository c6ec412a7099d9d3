import { EngineError } from '../errors/index.ts';

/** The minor number of an Engine API version: 41 for `1.41`. All versions served are `1.x`. */
export type ApiVersion = number;

export const maximumApiVersion: ApiVersion = 55;
/** Served unless an older one is asked for, as Docker has it. */
export const minimumApiVersion: ApiVersion = 24;
/** The oldest that can be asked for. */
const oldestApiVersion: ApiVersion = 12;

/** `1.55` for 55. */
export function formatApiVersion(version: ApiVersion): string {
  return `1.${version}`;
}

function compare(left: string, right: string): number {
  const a = left.split('.');
  const b = right.split('.');
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const difference = Number(a[at] ?? 0) - Number(b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * The version a request asked for in its path (`1.41`, without the `v`), or the newest when it asked for none.
 * @throws {EngineError} `invalid-parameter` with Docker's text when it is outside what is served.
 */
export function negotiate(asked: string | undefined, lowest: ApiVersion): ApiVersion {
  if (asked === undefined) return maximumApiVersion;
  const minimum = formatApiVersion(lowest);
  const maximum = formatApiVersion(maximumApiVersion);
  if (compare(asked, minimum) < 0) {
    throw new EngineError(
      'invalid-parameter',
      `client version ${asked} is too old. Minimum supported API version is ${minimum}, please upgrade your client to a newer version`,
      { code: 'version-too-old' },
    );
  }
  if (compare(asked, maximum) > 0) {
    throw new EngineError(
      'invalid-parameter',
      `client version ${asked} is too new. Maximum supported API version is ${maximum}`,
      { code: 'version-too-new' },
    );
  }
  return Number(asked.split('.')[1]);
}

/**
 * The lowest version to serve (`1.22`), as DOCKER_MIN_API_VERSION gives it.
 * @throws {EngineError} `invalid-parameter` for what is no version or is not between 1.12 and the newest
 * @see moby daemon/config/config.go, ValidateMinAPIVersion
 */
export function parseMinimumVersion(text: string): ApiVersion {
  const oldest = formatApiVersion(oldestApiVersion);
  const newest = formatApiVersion(maximumApiVersion);
  let problem = '';
  if (text.startsWith('v')) problem = 'API version must be provided without "v" prefix';
  else if (!/^1\.\d+$/.test(text)) problem = `not an API version: ${text}`;
  else if (compare(text, oldest) < 0) problem = `minimum supported API version is ${oldest}: ${text}`;
  else if (compare(text, newest) > 0) problem = `maximum supported API version is ${newest}: ${text}`;
  if (problem !== '') throw new EngineError('invalid-parameter', problem);
  return Number(text.split('.')[1]);
}
