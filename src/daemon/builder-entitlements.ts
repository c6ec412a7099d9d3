import { member } from './builder-gc.ts';
import { invalid } from './values.ts';

const names = { 'network-host': 'network.host', 'security-insecure': 'security.insecure' } as const;

/**
 * What daemon.json's `builder.entitlements` refuses to every build: those that are `false` there.
 * @param text JSON of `builder` @throws {EngineError} `invalid-parameter`
 */
export function parseRefusedEntitlements(
  text: string | undefined,
): (typeof names)[keyof typeof names][] | undefined {
  const given = member(text === undefined ? undefined : (JSON.parse(text) as unknown), 'entitlements');
  if (given === undefined || given === null) return undefined;
  return Object.entries(names).flatMap(([key, name]) => {
    const value = member(given, key) ?? true;
    if (typeof value !== 'boolean') throw invalid(`builder.entitlements.${key} must be true or false`);
    return value ? [] : [name];
  });
}
