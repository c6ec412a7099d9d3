import { EngineError } from '../../errors/index.ts';
import { formatSubnet, overlaps, parseSubnet, size, type Subnet } from './subnet.ts';

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
 * The first subnet of the pools that overlaps none of `taken`.
 * @throws {EngineError} `invalid-parameter` for a pool that cannot be cut so; `unavailable` when all are taken.
 */
export function chooseSubnet(pools: readonly AddressPoolOption[], taken: readonly Subnet[]): Subnet {
  for (const pool of pools) {
    const whole = parseSubnet(pool.base);
    if (!Number.isInteger(pool.size) || pool.size < whole.prefixLength || pool.size > 30) {
      throw new EngineError(
        'invalid-parameter',
        `invalid default address pool: cannot cut ${formatSubnet(whole)} into /${pool.size}`,
      );
    }
    const step = 2 ** (32 - pool.size);
    for (let base = whole.base; base < whole.base + size(whole); base += step) {
      const subnet = { base, prefixLength: pool.size };
      const clash = taken.find((other) => overlaps(subnet, other));
      if (clash === undefined) return subnet;
      // A range of many small subnets inside one taken: go on behind it.
      const end = clash.base + size(clash);
      if (end > base + step) base = end - step - ((end - whole.base) % step);
    }
  }
  throw new EngineError('unavailable', 'all predefined address pools have been fully subnetted');
}
