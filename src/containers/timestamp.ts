/** Docker's time for "never". */
export const zeroTime = '0001-01-01T00:00:00Z';

let last = 0n;

/** The wall clock in nanoseconds since the epoch (resolution 1 µs); never the same twice, so that it can order. */
export function nowNs(): bigint {
  // performance.now() has the microseconds, Date.now() follows a clock that was set meanwhile.
  let now = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
  const wall = BigInt(Date.now()) * 1_000_000n;
  const drift = now > wall ? now - wall : wall - now;
  if (drift > 2_000_000n) now = wall;
  if (now <= last) now = last + 1n;
  last = now;
  return now;
}

/** RFC 3339 with nanoseconds, trailing zeros left out, as Go prints it. */
export function formatNs(timeNs: bigint): string {
  const seconds = timeNs / 1_000_000_000n;
  const fraction = (timeNs % 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '');
  const text = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return fraction === '' ? `${text}Z` : `${text}.${fraction}Z`;
}

export function formatMs(timeMs: number): string {
  return formatNs(BigInt(Math.round(timeMs)) * 1_000_000n);
}

export function nowText(): string {
  return formatNs(nowNs());
}

/** Nanoseconds since the epoch of RFC 3339 text, all nine digits kept. */
export function parseNs(text: string): bigint {
  const match = /^(.*?)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (match === null) return 0n;
  const ms = Date.parse(`${match[1]}${match[3]}`);
  if (Number.isNaN(ms)) return 0n;
  return BigInt(ms) * 1_000_000n + BigInt((match[2] ?? '').padEnd(9, '0'));
}
