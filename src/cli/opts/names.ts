import { isIP } from 'node:net';
import { cut } from './csv.ts';

/** An IP address in its usual spelling. */
export function parseIp(text: string): string {
  const ip = text.trim();
  if (isIP(ip) === 0) throw new Error(`IP address is not correctly formatted: ${text}`);
  return ip;
}

const hostGateway = 'host-gateway';

/** `--add-host name:ip` or `name=ip`, as the API takes it. */
export function parseExtraHost(text: string): string {
  const at = text.search(/[=:]/);
  if (at <= 0) throw new Error(`bad format for add-host: ${JSON.stringify(text)}`);
  const name = text.slice(0, at);
  let ip = text.slice(at + 1);
  if (ip === hostGateway) return `${name}:${ip}`;
  if (ip.startsWith('[') && ip.endsWith(']')) ip = ip.slice(1, -1);
  if (isIP(ip) === 0) throw new Error(`invalid IP address in add-host: ${JSON.stringify(ip)}`);
  return `${name}:${ip}`;
}

/** `--dns-search`; `.` alone means none. */
export function parseDnsSearch(text: string): string {
  const domain = text.trim();
  if (domain === '.') return domain;
  if (
    !/[a-zA-Z]/.test(domain) ||
    domain.length >= 255 ||
    !/^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*\.?$/.test(domain)
  ) {
    throw new Error(`${text} is not a valid domain`);
  }
  return domain.replace(/\.$/, '');
}

/** `--link container[:alias]`. */
export function parseLink(text: string): string {
  if (text === '') throw new Error('empty string specified for links');
  if (text.split(':').length > 2) throw new Error(`bad format for links: ${text}`);
  return text;
}

const kernelSysctls = new Set(
  'msgmax msgmnb msgmni sem shmall shmmax shmmni shm_rmid_forced'.split(' ').map((name) => `kernel.${name}`),
);

/** `--sysctl name=value`, of those that belong to a namespace. */
export function parseSysctl(text: string): string {
  const [name, value] = cut(text, '=');
  if (
    value === undefined ||
    !(kernelSysctls.has(name) || name.startsWith('net.') || name.startsWith('fs.mqueue.'))
  ) {
    throw new Error(`sysctl '${text}' is not allowed`);
  }
  return text;
}

/** `--attach`. */
export function parseAttach(text: string): string {
  const stream = text.toLowerCase();
  if (!['stdin', 'stdout', 'stderr'].includes(stream))
    throw new Error('valid streams are STDIN, STDOUT and STDERR');
  return stream;
}

/** Go's net.ParseMAC for six bytes and more. */
export function isMac(text: string): boolean {
  return /^([0-9a-f]{2}([:-])[0-9a-f]{2}(\2[0-9a-f]{2}){4}((\2[0-9a-f]{2}){2})?|[0-9a-f]{4}(\.[0-9a-f]{4}){2,3})$/i.test(
    text.trim(),
  );
}

/** `--filter name=value` collected as the API's `filters` parameter. */
export function filterArgs(values: readonly string[]): Record<string, string[]> {
  const filters: Record<string, string[]> = {};
  for (const value of values) {
    const [name, rest] = cut(value, '=');
    const list = (filters[name.trim().toLowerCase()] ??= []);
    const item = (rest ?? '').trim();
    if (!list.includes(item)) list.push(item);
  }
  return filters;
}

/** The parser of `--filter`. */
export function parseFilter(text: string): string {
  if (text !== '' && !text.includes('=')) throw new Error('bad format of filter (expected name=value)');
  return text;
}

/** The `filters` query parameter, or undefined without any. */
export function filtersQuery(filters: Record<string, string[]>): string | undefined {
  const names = Object.keys(filters);
  if (names.length === 0) return undefined;
  return JSON.stringify(
    Object.fromEntries(
      names.map((name) => [name, Object.fromEntries((filters[name] ?? []).map((value) => [value, true]))]),
    ),
  );
}
