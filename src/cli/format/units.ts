const decimalUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB', 'ZB', 'YB'];
const binaryUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB', 'ZiB', 'YiB'];

/** Go's %.<precision>g for sizes: significant digits, no trailing zeros. */
function significant(value: number, precision: number): string {
  if (value === 0) return '0';
  const exponent = Math.floor(Math.log10(Number(Math.abs(value).toPrecision(precision))));
  if (exponent >= precision || exponent < -4) {
    const [mantissa = '', power = '0'] = value.toExponential(precision - 1).split('e');
    const digits = mantissa.includes('.') ? mantissa.replace(/\.?0+$/, '') : mantissa;
    const sign = power.startsWith('-') ? '-' : '+';
    return `${digits}e${sign}${power.replace(/^[+-]/, '').padStart(2, '0')}`;
  }
  const text = value.toPrecision(precision);
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

function scaled(bytes: number, base: number, units: readonly string[], precision: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    unit++;
  }
  return significant(value, precision) + units[unit];
}

/** Bytes for people: `1.23MB`, powers of 1000. */
export function humanSize(bytes: number, precision = 4): string {
  return scaled(bytes, 1000, decimalUnits, precision);
}

/** Bytes for people: `1.5MiB`, powers of 1024. */
export function binarySize(bytes: number): string {
  return scaled(bytes, 1024, binaryUnits, 4);
}

/** A length of time in one or two words: `About a minute`, `3 hours`. */
export function humanDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1000);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(ms / 3_600_000);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.trunc(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.trunc(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`;
  return `${Math.trunc(ms / 3_600_000 / 24 / 365)} years`;
}

/** How long ago a moment was. */
export function ago(atMs: number, nowMs = Date.now()): string {
  return `${humanDuration(nowMs - atMs)} ago`;
}

function pad(value: number, width = 2): string {
  return String(value).padStart(width, '0');
}

function zone(date: Date): { offset: string; name: string } {
  const minutes = -date.getTimezoneOffset();
  const sign = minutes < 0 ? '-' : '+';
  const offset = `${sign}${pad(Math.trunc(Math.abs(minutes) / 60))}${pad(Math.abs(minutes) % 60)}`;
  if (minutes === 0 && /UTC|Coordinated/.test(date.toString())) return { offset, name: 'UTC' };
  const name = /^[A-Z]{2,5}$/.exec(
    new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' })
      .formatToParts(date)
      .find((part) => part.type === 'timeZoneName')?.value ?? '',
  )?.[0];
  return { offset, name: name ?? offset.replace(/00$/, '') };
}

function dayAndTime(date: Date): string {
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

/** Go's Time.String(): `2024-05-01 12:00:00 +0000 UTC`. */
export function goTime(atMs: number): string {
  const date = new Date(atMs);
  const { offset, name } = zone(date);
  return `${dayAndTime(date)} ${offset} ${name}`;
}

/** RFC 3339 in local time: `2024-05-01T12:00:00+02:00`. */
export function localRfc3339(atMs: number): string {
  const date = new Date(atMs);
  const { offset } = zone(date);
  const shown = offset === '+0000' ? 'Z' : `${offset.slice(0, 3)}:${offset.slice(3)}`;
  return dayAndTime(date).replace(' ', 'T') + shown;
}

/** Go's time.ANSIC: `Thu May  7 21:09:36 2026`, in local time. */
export function ansiTime(atMs: number): string {
  const date = new Date(atMs);
  const [weekday, month] = date.toString().split(' ');
  return `${weekday} ${month} ${String(date.getDate()).padStart(2)} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())} ${date.getFullYear()}`;
}

/** Cuts an id to its first 12 characters, without `sha256:`. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12);
}

/** Shortens a text to a width, with `…` for what is missing. */
export function ellipsis(text: string, width: number): string {
  const characters = Array.from(text);
  if (characters.length <= width) return text;
  return width <= 1 ? characters.slice(0, width).join('') : `${characters.slice(0, width - 1).join('')}…`;
}
