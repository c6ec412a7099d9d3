import { BlockList, isIP } from 'node:net';

/**
 * Whether a host is reached without the proxy of the environment, by Go's rules for NO_PROXY: loopback always; `*`;
 * addresses and CIDR ranges; `.example.org` for its subdomains, `example.org` for itself and them; each with a port or
 * without.
 */
export function bypassesProxy(hostname: string, port: string, environment: NodeJS.ProcessEnv): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  if (host === 'localhost' || isInRange(host, '127.0.0.0/8') || host === '::1') return true;
  const list = environment['NO_PROXY'] ?? environment['no_proxy'] ?? '';
  return list
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .some((entry) => matches(entry, host, port));
}

function matches(entry: string, host: string, port: string): boolean {
  if (entry === '') return false;
  if (entry === '*') return true;
  if (entry.includes('/')) return isInRange(host, entry);
  const colon = isIP(entry) === 6 ? -1 : entry.lastIndexOf(':');
  const name = (colon === -1 ? entry : entry.slice(0, colon)).replace(/^\[|\]$/g, '').replace(/^\*/, '');
  if (colon !== -1 && entry.slice(colon + 1) !== port) return false;
  if (isIP(name) !== 0) return name === host;
  return name.startsWith('.') ? host.endsWith(name) : host === name || host.endsWith(`.${name}`);
}

/** `range` in CIDR notation; false for a host that is no address of its family. */
export function isInRange(host: string, range: string): boolean {
  const [network = '', bits = ''] = range.split('/');
  const family = isIP(network);
  if (family === 0 || isIP(host) !== family || !/^\d{1,3}$/.test(bits)) return false;
  if (Number(bits) > (family === 4 ? 32 : 128)) return false;
  const type = family === 4 ? 'ipv4' : 'ipv6';
  const blocks = new BlockList();
  blocks.addSubnet(network, Number(bits), type);
  return blocks.check(host, type);
}
