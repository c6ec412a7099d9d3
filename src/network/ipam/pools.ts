import { createHash } from 'node:crypto';
import { EngineError } from '../../errors/index.ts';
import {
  formatAddress,
  formatSubnet,
  lastAddress,
  overlaps,
  parseSubnet,
  type Family,
  type Subnet,
} from './subnet.ts';

/** One entry of `default-address-pools`: `base` is cut into subnets with prefixes of `size` bits. */
export interface AddressPoolOption {
  base: string;
  size: number;
}

/** dockerd's own: 172.17 to 172.31 as /16, then 192.168.0.0/16 as /20. */
export const defaultAddressPools: readonly AddressPoolOption[] = [
  { base: '172.17.0.0/16', size: 16 },
  { base: '172.18.0.0/16', size: 16 },
  { base: '172.19.0.0/16', size: 16 },
  { base: '172.20.0.0/14', size: 16 },
  { base: '172.24.0.0/14', size: 16 },
  { base: '172.28.0.0/14', size: 16 },
  { base: '192.168.0.0/16', size: 20 },
];

/**
 * The unique local prefix of one engine (RFC 4193), cut into /64: so that networks can have IPv6 where nobody configured
 * any, and two engines' networks hardly ever the same. Derived from the engine's id as dockerd does.
 * @see moby daemon/daemon.go deriveULABaseNetwork
 */
export function uniqueLocalPool(engineId: string): AddressPoolOption {
  const globalId = createHash('sha256').update(engineId).digest().subarray(3, 8);
  const base = BigInt(`0xfd${globalId.toString('hex')}${'0'.repeat(20)}`);
  return { base: `${formatAddress(base, 6)}/48`, size: 64 };
}

/** The pools as configured, or dockerd's own; with the engine's unique local one when none is IPv6. */
export function effectivePools(
  configured: readonly AddressPoolOption[] | undefined,
  engineId: string,
): readonly AddressPoolOption[] {
  const pools = configured ?? defaultAddressPools;
  return pools.some(({ base }) => base.includes(':')) ? pools : [...pools, uniqueLocalPool(engineId)];
}

/**
 * The first subnet of the family's pools that overlaps none of `taken`.
 * @param prefixLength instead of the pools' own; those that are smaller are passed over.
 * @throws {EngineError} `invalid-parameter` for a pool that cannot be cut so; `unavailable` when all are taken.
 */
export function chooseSubnet(
  pools: readonly AddressPoolOption[],
  taken: readonly Subnet[],
  family: Family = 4,
  prefixLength?: number,
): Subnet {
  for (const pool of pools) {
    const whole = parseSubnet(pool.base);
    if (whole.family !== family) continue;
    const bits = prefixLength ?? pool.size;
    if (prefixLength !== undefined && prefixLength < whole.prefixLength) continue;
    checkPool(whole, bits);
    const step = 1n << BigInt((family === 4 ? 32 : 128) - bits);
    const end = lastAddress(whole);
    for (let base = whole.base; base <= end; base += step) {
      const subnet = { family, base, prefixLength: bits };
      const clash = taken.find((other) => overlaps(subnet, other));
      if (clash === undefined) return subnet;
      // A range of many small subnets inside one taken: go on behind it.
      const behind = lastAddress(clash) + 1n;
      if (behind > base + step) base = behind - step - ((behind - whole.base) % step);
    }
  }
  throw new EngineError('unavailable', 'all predefined address pools have been fully subnetted');
}

function checkPool(whole: Subnet, size: number): void {
  const most = whole.family === 4 ? 30 : 126;
  if (!Number.isInteger(size) || size < whole.prefixLength || size > most) {
    throw new EngineError(
      'invalid-parameter',
      `invalid default address pool: cannot cut ${formatSubnet(whole)} into /${size}`,
    );
  }
}
