import { parseDuration } from './duration.ts';

/**
 * `--since` and `--until`: a Unix time, a date, or a duration back from now, as `seconds.nanoseconds` for the API.
 * @throws for anything else.
 */
export function apiTime(text: string, nowMs = Date.now()): string {
  if (text === '' || /^\d+(\.\d{1,9})?$/.test(text)) return text;
  try {
    const ms = nowMs - parseDuration(text) / 1e6;
    return String(Math.trunc(ms / 1000));
  } catch {
    // Not a duration, so a date.
  }
  const match =
    /^(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?)?(Z|[+-]\d\d:\d\d)?$/.exec(text);
  const invalid = new Error(`failed to parse value as time or duration: ${JSON.stringify(text)}`);
  if (match === null) throw invalid;
  const [, day = '', hour = '00', minute = '00', second = '00', fraction = '', zone = ''] = match;
  const seconds = Math.trunc(new Date(`${day}T${hour}:${minute}:${second}${zone}`).getTime() / 1000);
  if (Number.isNaN(seconds)) throw invalid;
  return `${seconds}.${fraction.padEnd(9, '0')}`;
}
