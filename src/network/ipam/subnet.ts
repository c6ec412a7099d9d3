import { EngineError } from '../../errors/index.ts';
import { formatIp, maskBytes, parseCidr, parseIp } from '../../sys/index.ts';

export type Family = 4 | 6;

/** A network: its first address as a number, and the length of its prefix. */
export interface Subnet {
  family: Family;
  base: bigint;
  prefixLength: number;
}

const addressBits = (family: Family): number => (family === 4 ? 32 : 128);

/** @throws {EngineError} `invalid-parameter` for anything but an IPv4 or IPv6 CIDR; host bits are cleared. */
export function parseSubnet(text: string): Subnet {
  const { family, bytes, prefixLength } = parseCidr(text);
  return { family, base: toNumber(maskBytes(bytes, prefixLength)), prefixLength };
}

export function formatSubnet(subnet: Subnet): string {
  return `${formatAddress(subnet.base, subnet.family)}/${subnet.prefixLength}`;
}

/** @throws {EngineError} `invalid-parameter` for anything but an IPv4 or IPv6 address without a zone. */
export function parseAddress(text: string): { family: Family; value: bigint } {
  const { family, bytes } = parseIp(text);
  return { family, value: toNumber(bytes) };
}

export function formatAddress(value: bigint, family: Family): string {
  const digits = value.toString(16).padStart(addressBits(family) / 4, '0');
  return formatIp(Buffer.from(digits, 'hex'));
}

/** The one address as a subnet. */
export function hostSubnet(text: string): Subnet {
  const { family, value } = parseAddress(text);
  return { family, base: value, prefixLength: addressBits(family) };
}

/** Count of addresses in it. */
export function size(subnet: Subnet): bigint {
  return 1n << BigInt(addressBits(subnet.family) - subnet.prefixLength);
}

/** The last address in it: IPv4's broadcast address. */
export function lastAddress(subnet: Subnet): bigint {
  return subnet.base + size(subnet) - 1n;
}

export function contains(subnet: Subnet, address: { family: Family; value: bigint }): boolean {
  return (
    address.family === subnet.family && address.value >= subnet.base && address.value <= lastAddress(subnet)
  );
}

export function overlaps(a: Subnet, b: Subnet): boolean {
  return a.family === b.family && a.base <= lastAddress(b) && b.base <= lastAddress(a);
}

/** `10.0.0.7` in `10.0.0.0/24` as a link takes it: `10.0.0.7/24`. */
export function withPrefix(address: string, subnet: Subnet): string {
  return `${address}/${subnet.prefixLength}`;
}

function toNumber(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`);
}

/** @throws {EngineError} `invalid-parameter` for a prefix that the family does not have. */
export function checkPrefixLength(family: Family, prefixLength: number): void {
  if (!Number.isInteger(prefixLength) || prefixLength < 0 || prefixLength > addressBits(family))
    throw new EngineError('invalid-parameter', `invalid prefix length: ${prefixLength}`);
}
