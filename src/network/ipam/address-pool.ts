import { EngineError } from '../../errors/index.ts';
import { contains, formatAddress, lastAddress, parseAddress, type Subnet } from './subnet.ts';

/**
 * The addresses of one subnet, handed out lowest first, as dockerd does: the first container of a bridge is `.2`, and an
 * address that was given back is the next one given. The network's own (IPv6: the anycast address of its routers), the
 * broadcast address of IPv4 and what the owner reserves (the gateway) are never handed out.
 */
export class AddressPool {
  readonly #subnet: Subnet;
  readonly #taken = new Set<bigint>();
  /** The last address that is handed out. */
  readonly #last: bigint;
  readonly #first: bigint;
  /** Not for anybody. */
  readonly #reserved: readonly bigint[];
  /** No address below is free. */
  #lowest: bigint;

  /** @param range the part of the subnet that addresses are handed out from; others are for those who ask by number. */
  constructor(subnet: Subnet, range: Subnet = subnet) {
    this.#subnet = subnet;
    this.#reserved = reservedAddresses(subnet);
    this.#first = range.base;
    this.#last = lastAddress(range);
    this.#lowest = this.#first;
  }

  /** @throws {EngineError} `unavailable` when all addresses are taken. */
  allocate(): string {
    for (let address = this.#lowest; address <= this.#last; address++) {
      if (this.#taken.has(address) || this.#reserved.includes(address)) continue;
      this.#taken.add(address);
      this.#lowest = address + 1n;
      return formatAddress(address, this.#subnet.family);
    }
    throw new EngineError(
      'unavailable',
      `no available IPv${this.#subnet.family} addresses on this network's address pools`,
    );
  }

  /**
   * Takes this one address.
   * @throws {EngineError} `invalid-parameter` outside of the subnet; `conflict` when it is taken.
   */
  reserve(text: string): void {
    const address = parseAddress(text);
    if (!contains(this.#subnet, address) || this.#reserved.includes(address.value)) {
      throw new EngineError('invalid-parameter', `no configured subnet contains IP address ${text}`);
    }
    if (this.#taken.has(address.value)) throw new EngineError('conflict', 'Address already in use');
    this.#taken.add(address.value);
  }

  /** How many addresses nobody else can have, and how many are left to be handed out. */
  status(): { inUse: bigint; available: bigint } {
    const out = new Set([...this.#taken, ...this.#reserved]);
    let outOfRange = 0n;
    for (const address of out) if (address < this.#first || address > this.#last) outOfRange++;
    const inUse = BigInt(out.size);
    return { inUse, available: this.#last - this.#first + 1n - (inUse - outOfRange) };
  }

  /** No error when it was free. */
  release(text: string): void {
    const { value } = parseAddress(text);
    if (this.#taken.delete(value) && value >= this.#first && value < this.#lowest) this.#lowest = value;
  }
}

/** A point-to-point network of two addresses (RFC 3021) and one of a single address have none to spare. */
function reservedAddresses(subnet: Subnet): bigint[] {
  if (subnet.family === 6) return subnet.prefixLength === 128 ? [] : [subnet.base];
  return subnet.prefixLength > 30 ? [] : [subnet.base, lastAddress(subnet)];
}
