import { EngineError } from '../errors/index.ts';

/** The minor number of an Engine API version: 41 for `1.41`. All versions served are `1.x`. */
export type ApiVersion = number;

export const maximumApiVersion: ApiVersion = 55;
export const minimumApiVersion: ApiVersion = 24;

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
export function negotiate(asked: string | undefined): ApiVersion {
  if (asked === undefined) return maximumApiVersion;
  const minimum = formatApiVersion(minimumApiVersion);
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
