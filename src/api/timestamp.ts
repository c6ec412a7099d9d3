import { EngineError } from '../errors/index.ts';

const unitNs: Record<string, bigint> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/**
 * A point in time as clients give it to `since` and `until`: unix seconds (`1700000000.000000001`), RFC 3339 in the
 * shorter forms of the docker CLI too, or a Go duration before now (`10m`).
 * @returns nanoseconds since the epoch
 * @throws {EngineError} `invalid-parameter`
 */
export function parseTimestamp(given: string, name: string, nowMs: number = Date.now()): bigint {
  const seconds = /^(-?\d+)(?:\.(\d*))?$/.exec(given);
  if (seconds !== null) {
    const fraction = (seconds[2] ?? '').slice(0, 9).padEnd(9, '0');
    return BigInt(seconds[1] as string) * 1_000_000_000n + BigInt(fraction);
  }
  const duration = parseDuration(given);
  if (duration !== undefined) return BigInt(nowMs) * 1_000_000n - duration;
  const date = parseDate(given);
  if (date !== undefined) return date;
  throw new EngineError(
    'invalid-parameter',
    `invalid value for ${JSON.stringify(name)}: invalid timestamp ${JSON.stringify(given)}: invalid seconds ${JSON.stringify(given)}: invalid syntax`,
  );
}

function parseDuration(given: string): bigint | undefined {
  if (!/^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+$/.test(given)) return undefined;
  let total = 0n;
  for (const [, amount, unit] of given.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)/g)) {
    const [whole = '', fraction = ''] = (amount as string).split('.');
    const scale = unitNs[unit as string] as bigint;
    total += BigInt(whole === '' ? '0' : whole) * scale;
    if (fraction !== '') total += (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length);
  }
  return given.startsWith('-') ? -total : total;
}

function parseDate(given: string): bigint | undefined {
  const parts =
    /^(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?)?(Z|z|[+-]\d\d:\d\d)?$/.exec(given);
  if (parts === null) return undefined;
  const [, day, hour = '00', minute = '00', second = '00', fraction = '', zone = 'Z'] = parts;
  const ms = Date.parse(`${day}T${hour}:${minute}:${second}${zone.toUpperCase()}`);
  if (Number.isNaN(ms)) return undefined;
  return BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}

/** RFC 3339 with all nine digits, as `docker logs -t` prints: `2026-01-02T03:04:05.000000006Z`. */
export function formatNanos(timeNs: bigint): string {
  const seconds = timeNs / 1_000_000_000n;
  const nanos = timeNs % 1_000_000_000n;
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${nanos.toString().padStart(9, '0')}Z`;
}
