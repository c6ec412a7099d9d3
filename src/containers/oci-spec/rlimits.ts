import type { RuntimeProcess, Ulimit } from '../../spec/index.ts';

type Rlimit = NonNullable<RuntimeProcess['rlimits']>[number];

/**
 * The container's own limits, then the daemon's for those it does not name. Limits nobody named are left as the engine
 * has them: raising one above the engine's own needs CAP_SYS_RESOURCE.
 */
export function runtimeRlimits(own: readonly Ulimit[] | null, daemon: readonly Ulimit[]): Rlimit[] {
  const named = new Set(own?.map((ulimit) => ulimit.Name));
  return [...(own ?? []), ...daemon.filter((ulimit) => !named.has(ulimit.Name))].map((ulimit) => ({
    type: `RLIMIT_${ulimit.Name.toUpperCase()}`,
    soft: limitValue(ulimit.Soft),
    hard: limitValue(ulimit.Hard),
  }));
}

/** Mends limits that went through JSON.parse, where RLIM_INFINITY loses its last digits. */
export function exactRlimits(rlimits: readonly Rlimit[]): Rlimit[] {
  return rlimits.map(({ type, soft, hard }) => ({ type, soft: limitValue(soft), hard: limitValue(hard) }));
}

const { rawJSON } = JSON as unknown as { rawJSON(this: void, text: string): number };

/**
 * RLIM_INFINITY (-1 in the API) is 2^64-1 in the runtime's JSON, which no number of JavaScript holds: it becomes a raw
 * piece of JSON, to be written but not to be reckoned with.
 */
function limitValue(value: number): number {
  return typeof value === 'object' || (value >= 0 && value < 2 ** 64)
    ? value
    : rawJSON('18446744073709551615');
}
