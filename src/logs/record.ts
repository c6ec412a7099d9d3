import type { LogEntry } from './container-log.ts';

const SPACE = 0x20;
const NEWLINE = 0x0a;
const DOT = 0x2e;
const FULL = 0x46;
const PARTIAL = 0x50;
/** `stdout` and `stderr` differ in their fourth letter. */
const O = 0x6f;
const NAME_BYTES = 6;
const SECONDS_BYTES = 19;

export interface RecordFilter {
  stdout: boolean;
  stderr: boolean;
  sinceNs?: bigint | undefined;
  untilNs?: bigint | undefined;
}

/**
 * Reads conmon's records: `<RFC 3339 time> <stdout|stderr> <F|P> <data>`, where `F` ends a line and `P` is a part of one.
 * Entries share the memory of the bytes they were read from. What is no record is left out.
 */
export class RecordParser {
  /** A record later than `untilNs` was met: what follows is later still. */
  pastUntil = false;
  readonly #filter: RecordFilter;
  /** Neighbouring records share their second: it is worked out once. */
  #secondsText = '';
  #secondsNs = 0n;
  #zoneText = '';

  constructor(filter: RecordFilter) {
    this.#filter = filter;
  }

  /** The entries of whole records; `bytes` ends with a newline or is empty. */
  parse(bytes: Buffer): LogEntry[] {
    const { stdout, stderr, sinceNs, untilNs } = this.#filter;
    const entries: LogEntry[] = [];
    for (let at = 0; at < bytes.length;) {
      const end = bytes.indexOf(NEWLINE, at);
      if (end < 0) break;
      const next = end + 1;
      const name = bytes.indexOf(SPACE, at) + 1;
      const tag = name + NAME_BYTES + 1;
      const data = tag + 2;
      const full = bytes[tag] === FULL;
      if (name > at + SECONDS_BYTES && tag < end && (full || bytes[tag] === PARTIAL)) {
        const isStdout = bytes[name + 3] === O;
        if (isStdout ? stdout : stderr) {
          const timeNs = this.#time(bytes, at, name - 1);
          if (untilNs !== undefined && timeNs > untilNs) this.pastUntil = true;
          else if (sinceNs === undefined || timeNs >= sinceNs) {
            entries.push({
              stream: isStdout ? 'stdout' : 'stderr',
              timeNs,
              data: bytes.subarray(Math.min(data, end), full ? next : end),
            });
          }
        }
      }
      at = next;
    }
    return entries;
  }

  /** Nanoseconds since the epoch of `2026-11-23T21:34:03.123456789+00:00`. */
  #time(bytes: Buffer, at: number, end: number): bigint {
    const seconds = bytes.toString('latin1', at, at + SECONDS_BYTES);
    let fraction = 0;
    let digits = 0;
    let rest = at + SECONDS_BYTES;
    if (bytes[rest] === DOT) {
      for (rest++; rest < end && digits < 9; rest++, digits++) {
        const digit = (bytes[rest] ?? 0) - 0x30;
        if (digit < 0 || digit > 9) break;
        fraction = fraction * 10 + digit;
      }
      for (; digits < 9; digits++) fraction *= 10;
    }
    const zone = bytes.toString('latin1', rest, end);
    if (seconds !== this.#secondsText || zone !== this.#zoneText) {
      const ms = Date.parse(`${seconds}${zone}`);
      this.#secondsText = seconds;
      this.#zoneText = zone;
      this.#secondsNs = Number.isNaN(ms) ? 0n : BigInt(ms) * 1_000_000n;
    }
    return this.#secondsNs + BigInt(fraction);
  }
}

/** True when the record that begins at `at` ends a line. */
export function endsLine(bytes: Buffer, at: number): boolean {
  return bytes[bytes.indexOf(SPACE, at) + 1 + NAME_BYTES + 1] === FULL;
}
