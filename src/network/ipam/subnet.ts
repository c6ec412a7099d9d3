import { EngineError } from '../../errors/index.ts';
import { formatIp, maskBytes, parseCidr } from '../../sys/index.ts';

/** An IPv4 network: its first address as a number, and the length of its prefix. */
export interface Subnet {
  base: number;
  prefixLength: number;
}

/** @throws {EngineError} `invalid-parameter` for anything but an IPv4 CIDR; host bits are cleared. */
export function parseSubnet(text: string): Subnet {
  const { family, bytes, prefixLength } = parseCidr(text);
  if (family !== 4) throw new EngineError('invalid-parameter', `invalid IPv4 subnet: ${text}`);
  return { base: maskBytes(bytes, prefixLength).readUInt32BE(0), prefixLength };
}

export function formatSubnet(subnet: Subnet): string {
  return `${formatAddress(subnet.base)}/${subnet.prefixLength}`;
}

export function parseAddress(text: string): number {
  return parseSubnet(`${text}/32`).base;
}

export function formatAddress(address: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(address >>> 0);
  return formatIp(bytes);
}

/** Count of addresses in it. */
export function size(subnet: Subnet): number {
  return 2 ** (32 - subnet.prefixLength);
}

export function contains(subnet: Subnet, address: number): boolean {
  return address >= subnet.base && address < subnet.base + size(subnet);
}

export function overlaps(a: Subnet, b: Subnet): boolean {
  return contains(a, b.base) || contains(b, a.base);
}
