import { EngineError } from '../errors/index.ts';
import type { Platform } from '../spec/index.ts';
import type { ApiVersion } from './api-version.ts';
import { goSyntaxError } from './json/read-body.ts';

/**
 * A platform as the image operations take it: OCI's JSON object, where containers and pulls take `os/arch/variant`.
 * @throws {EngineError} `invalid-parameter` in Docker's words
 */
function decodePlatform(json: string): Platform {
  const wrong = (message: string): EngineError => new EngineError('invalid-parameter', message);
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw wrong(`failed to parse platform: ${goSyntaxError(json, error)}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrong('failed to parse platform: json: cannot unmarshal value into Go value of type v1.Platform');
  }
  const member = (name: string): string => {
    const found = (value as Record<string, unknown>)[name] ?? '';
    if (typeof found === 'string') return found;
    throw wrong(
      `failed to parse platform: json: cannot unmarshal ${typeof found} into Go struct field Platform.${name} of type string`,
    );
  };
  const [os, architecture, variant] = ['os', 'architecture', 'variant'].map(member) as [
    string,
    string,
    string,
  ];
  if (os === '' && architecture === '' && (variant !== '' || member('os.version') !== '')) {
    throw wrong('optional platform fields provided, but OS and Architecture are missing');
  }
  if (os === '' || architecture === '') throw wrong('both OS and Architecture must be provided');
  return { os, architecture, ...(variant === '' ? {} : { variant }) };
}

/** The platform asked for, in versions of the API that know the parameter. */
export function platformSince(
  version: ApiVersion,
  since: ApiVersion,
  given: string,
): { platform?: Platform } {
  return version < since || given === '' ? {} : { platform: decodePlatform(given) };
}

/** As platformSince(), for the archives: one platform since 1.48, several since 1.52. */
export function archivePlatforms(version: ApiVersion, given: readonly string[]): Platform[] {
  if (version < 48) return [];
  if (version < 52 && given.length > 1) {
    throw new EngineError(
      'invalid-parameter',
      'multiple platform parameters are not supported in this API version; use API version 1.52 or later',
    );
  }
  return given.map(decodePlatform);
}

/** As platformSince(), for a repeated parameter. */
export function platformsSince(version: ApiVersion, since: ApiVersion, given: readonly string[]): Platform[] {
  return version < since ? [] : given.map(decodePlatform);
}
