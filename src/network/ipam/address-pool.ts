import { EngineError } from '../../errors/index.ts';
import { contains, formatAddress, parseAddress, size, type Subnet } from './subnet.ts';

/**
 * The addresses of one subnet, handed out lowest first, as dockerd does: the first container of a bridge is `.2`, and an
 * address that was given back is the next one given. The network's own, its broadcast address and what the owner
 * reserves (the gateway) are never handed out.
 */
export class AddressPool {
  readonly #subnet: Subnet;
  readonly #taken = new Set<number>();
  /** The first address behind what is handed out. */
  readonly #end: number;
  readonly #first: number;
  /** No address below is free. */
  #lowest: number;

  /** @param range the part of the subnet that addresses are handed out from; others are for those who ask by number. */
  constructor(subnet: Subnet, range: Subnet = subnet) {
    this.#subnet = subnet;
    this.#lowest = Math.max(subnet.base + 1, range.base);
    this.#end = Math.min(subnet.base + size(subnet) - 1, range.base + size(range));
    this.#first = this.#lowest;
  }

  /** @throws {EngineError} `unavailable` when all addresses are taken. */
  allocate(): string {
    for (let address = this.#lowest; address < this.#end; address++) {
      if (this.#taken.has(address)) continue;
      this.#taken.add(address);
      this.#lowest = address + 1;
      return formatAddress(address);
    }
    throw new EngineError('unavailable', "no available IPv4 addresses on this network's address pools");
  }

  /**
   * Takes this one address.
   * @throws {EngineError} `invalid-parameter` outside of the subnet; `conflict` when it is taken.
   */
  reserve(text: string): void {
    const address = parseAddress(text);
    const broadcast = this.#subnet.base + size(this.#subnet) - 1;
    if (!contains(this.#subnet, address) || address === this.#subnet.base || address === broadcast) {
      throw new EngineError('invalid-parameter', `no configured subnet contains IP address ${text}`);
    }
    if (this.#taken.has(address)) throw new EngineError('conflict', 'Address already in use');
    this.#taken.add(address);
  }

  /** No error when it was free. */
  release(text: string): void {
    const address = parseAddress(text);
    if (this.#taken.delete(address) && address >= this.#first && address < this.#lowest)
      this.#lowest = address;
  }
}
