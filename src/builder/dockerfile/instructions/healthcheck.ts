import type { Healthcheck } from '../../../spec/index.ts';
import { jsonWords } from '../parser/words.ts';
import type { Flags } from './flags.ts';

export const healthcheckFlags = {
  interval: 'text',
  timeout: 'text',
  'start-period': 'text',
  'start-interval': 'text',
  retries: 'text',
} as const;

/** `HEALTHCHECK NONE` or `HEALTHCHECK [flags] CMD …`. @throws {Error} with Docker's text */
export function parseHealthcheck(rest: string, flags: Flags): Healthcheck {
  const [, word = '', command = ''] = /^(\S*)\s*([^]*)$/.exec(rest) ?? [];
  const kind = word.toUpperCase();
  if (kind === '') throw new Error('HEALTHCHECK requires at least one argument');
  if (kind === 'NONE') {
    if (command.trim() !== '') throw new Error('HEALTHCHECK NONE takes no arguments');
    return { Test: ['NONE'] };
  }
  if (kind !== 'CMD') throw new Error(`Unknown type ${JSON.stringify(word)} in HEALTHCHECK (try CMD)`);
  const list = jsonWords(command.trim());
  if (command.trim() === '' || list?.length === 0) throw new Error('Missing command after HEALTHCHECK CMD');
  const check: Healthcheck = { Test: list === undefined ? ['CMD-SHELL', command.trim()] : ['CMD', ...list] };
  const interval = durationNanos('interval', flags.text('interval'));
  const timeout = durationNanos('timeout', flags.text('timeout'));
  const startPeriod = durationNanos('start-period', flags.text('start-period'));
  const startInterval = durationNanos('start-interval', flags.text('start-interval'));
  if (interval > 0) check.Interval = interval;
  if (timeout > 0) check.Timeout = timeout;
  if (startPeriod > 0) check.StartPeriod = startPeriod;
  if (startInterval > 0) check.StartInterval = startInterval;
  const retries = flags.text('retries');
  if (retries !== '') {
    if (!/^[+-]?\d+$/.test(retries)) {
      throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(retries)}: invalid syntax`);
    }
    if (Number(retries) < 0) throw new Error(`--retries cannot be negative (${Number(retries)})`);
    if (Number(retries) > 0) check.Retries = Number(retries);
  }
  return check;
}

const unitNanos: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Go's durations: `1m30s`, `1.5h`; 0 when not given. */
function durationNanos(flag: string, text: string): number {
  if (text === '' || text === '0') return 0;
  const sign = text.startsWith('-') ? -1 : 1;
  const body = text.replace(/^[+-]/, '');
  const parts = [...body.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== body) {
    const missing = /^\d+(\.\d*)?$/.test(body);
    throw new Error(`time: ${missing ? 'missing unit in' : 'invalid'} duration ${JSON.stringify(text)}`);
  }
  const nanos = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (unitNanos[unit ?? ''] ?? 0), 0);
  if (sign * nanos < 0 || (nanos > 0 && nanos < 1e6)) {
    throw new Error(`Interval ${JSON.stringify(flag)} cannot be less than 1ms`);
  }
  return Math.round(nanos);
}
