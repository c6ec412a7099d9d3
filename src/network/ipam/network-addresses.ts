import { EngineError, isKind } from '../../errors/index.ts';
import type { SubnetStatus } from '../../spec/index.ts';
import type { PoolRecord } from '../network-records.ts';
import { AddressPool } from './address-pool.ts';
import { contains, parseAddress, parseSubnet, type Family, type Subnet } from './subnet.ts';

/** What one endpoint was given of one family. */
export interface GivenAddress {
  address: string;
  prefixLength: number;
  /** Where the network's default route goes; absent: it has none. */
  gateway?: string;
}

export type GivenAddresses = { readonly [F in Family]?: GivenAddress };

const MAX_COUNT = (1n << 64n) - 1n;

interface Part {
  subnet: Subnet;
  record: PoolRecord;
  pool: AddressPool;
}

/** All addresses of one network: its subnets of both families, what is taken and what is free in them. */
export class NetworkAddresses {
  readonly #parts: readonly Part[];

  constructor(pools: readonly PoolRecord[]) {
    this.#parts = pools.map((record) => {
      const subnet = parseSubnet(record.subnet);
      const range = record.range === undefined ? subnet : parseSubnet(record.range);
      return { subnet, record, pool: new AddressPool(subnet, range) };
    });
    for (const { record } of this.#parts)
      this.adopt([record.gateway, ...(record.auxiliary ?? [])].filter((one) => one !== undefined));
  }

  has(family: Family): boolean {
    return this.#parts.some(({ subnet }) => subnet.family === family);
  }

  /**
   * An address of each family that the network has: the one that was asked for, or the lowest free one.
   * @param families those that the endpoint is to have
   * @throws {EngineError} `unavailable` when none is free; `invalid-parameter`, `conflict` for an asked one; none is
   * taken then.
   */
  take(asked: { readonly [F in Family]?: string }, families: readonly Family[] = [4, 6]): GivenAddresses {
    const given: { [F in Family]?: GivenAddress } = {};
    try {
      for (const family of families) {
        const one = asked[family];
        if (one !== undefined || this.has(family)) given[family] = this.#takeOne(family, one);
      }
      return given;
    } catch (error) {
      this.release(Object.values(given).map(({ address }) => address));
      throw error;
    }
  }

  #takeOne(family: Family, asked: string | undefined): GivenAddress {
    if (asked !== undefined) {
      const part = this.#partOf(asked);
      if (part === undefined)
        throw new EngineError(
          'invalid-parameter',
          `invalid endpoint settings:\nno configured subnet contains IP address ${asked}`,
        );
      part.pool.reserve(asked);
      return given(part, asked);
    }
    let full: unknown;
    for (const part of this.#parts) {
      if (part.subnet.family !== family) continue;
      try {
        return given(part, part.pool.allocate());
      } catch (error) {
        if (!isKind(error, 'unavailable')) throw error;
        full = error;
      }
    }
    throw full;
  }

  /** Addresses of an endpoint that is there already; those of no subnet (it was changed meanwhile) are no business of ours. */
  adopt(addresses: readonly string[]): void {
    for (const address of addresses) {
      try {
        this.#partOf(address)?.pool.reserve(address);
      } catch (error) {
        if (!isKind(error, 'invalid-parameter')) throw error;
      }
    }
  }

  /** The opposite; no error for those that were free. */
  release(addresses: readonly string[]): void {
    for (const address of addresses) this.#partOf(address)?.pool.release(address);
  }

  /** `10.0.0.7` as its link has it: `10.0.0.7/24`; of no subnet any more: with the family's whole length. */
  withPrefix(address: string): string {
    const part = this.#partOf(address);
    return `${address}/${part?.subnet.prefixLength ?? (parseAddress(address).family === 4 ? 32 : 128)}`;
  }

  /** By subnet, as Docker's inspect tells it: no number is more than 64 bits can say. */
  status(): Record<string, SubnetStatus> {
    const most = (count: bigint): bigint => (count > MAX_COUNT ? MAX_COUNT : count);
    return Object.fromEntries(
      this.#parts.map(({ record, pool }) => {
        const { inUse, available } = pool.status();
        return [record.subnet, { IPsInUse: most(inUse), DynamicIPsAvailable: most(available) }];
      }),
    );
  }

  #partOf(address: string): Part | undefined {
    const parsed = parseAddress(address);
    return this.#parts.find(({ subnet }) => contains(subnet, parsed));
  }
}

function given({ subnet, record }: Part, address: string): GivenAddress {
  const gateway = record.router ?? record.gateway;
  return { address, prefixLength: subnet.prefixLength, ...(gateway === undefined ? {} : { gateway }) };
}
