import { MessageWriter } from './message.ts';
import {
  ADD_FLAGS,
  baseChainMessage,
  bigEndian,
  families,
  NEW_RULE,
  tableMessage,
  type FirewallFamily,
} from './nftables-message.ts';

/** linux/netfilter/nf_tables.h: numbers of attributes and of what they say. */
const rule = { table: 1, chain: 2, expressions: 4 } as const;
const expression = { name: 1, data: 2 } as const;
const NFTA_LIST_ELEM = 1;
const NFTA_DATA_VALUE = 1;
const NESTED = 0x8000;
const NLM_F_APPEND = 0x800;
/** NFT_REG32_00. */
const FIRST_REGISTER = 8;
const metaKey = { family: 15, protocol: 16 } as const;
const header = { network: 1, transport: 2 } as const;
const CMP_EQ = 0;
const NAT_DESTINATION = 1;
/** NF_NAT_RANGE_PROTO_OFFSET. */
const NAT_PROTO_OFFSET = 1 << 5;
const ipFamilies = { 4: 2, 6: 10 } as const;
const protocols = { tcp: 6, udp: 17 } as const;
/** Where headers have what is looked at, in bytes. */
const destination = { 4: 16, 6: 24, port: 2 } as const;

/**
 * The expressions of a rule, one after the other as the kernel evaluates them. They work on registers of four bytes, here
 * numbered from 0.
 */
class Expressions {
  readonly #list: MessageWriter;

  constructor(list: MessageWriter) {
    this.#list = list;
  }

  meta(key: keyof typeof metaKey, to: number): this {
    return this.#add('meta', (data) => data.attribute(1, register(to)).attribute(2, bigEndian(metaKey[key])));
  }

  /** So many bytes of a header, from `offset` on. */
  load(from: keyof typeof header, offset: number, bytes: number, to: number): this {
    return this.#add('payload', (data) =>
      data
        .attribute(1, register(to))
        .attribute(2, bigEndian(header[from]))
        .attribute(3, bigEndian(offset))
        .attribute(4, bigEndian(bytes)),
    );
  }

  /** The rule ends here for a packet of which it is not so. */
  isEqual(at: number, bytes: Uint8Array): this {
    return this.#add('cmp', (data) =>
      data
        .attribute(1, register(at))
        .attribute(2, bigEndian(CMP_EQ))
        .nested(3 | NESTED, value(bytes)),
    );
  }

  set(to: number, bytes: Uint8Array): this {
    return this.#add('immediate', (data) => data.attribute(1, register(to)).nested(2 | NESTED, value(bytes)));
  }

  /** The map's value for the key that begins at `key`; the rule ends here where there is none. */
  lookup(map: string, key: number, to: number): this {
    return this.#add('lookup', (data) =>
      data.text(1, map).attribute(2, register(key)).attribute(3, register(to)),
    );
  }

  /** By registers: a last address and port for ranges of them. */
  translateDestination(
    family: 4 | 6,
    to: { address: number; port: number; lastAddress?: number; lastPort?: number; flags?: number },
  ): this {
    return this.#add('nat', (data) => {
      data.attribute(1, bigEndian(NAT_DESTINATION)).attribute(2, bigEndian(ipFamilies[family]));
      data.attribute(3, register(to.address));
      if (to.lastAddress !== undefined) data.attribute(4, register(to.lastAddress));
      data.attribute(5, register(to.port));
      if (to.lastPort !== undefined) data.attribute(6, register(to.lastPort));
      if (to.flags !== undefined) data.attribute(7, bigEndian(to.flags));
    });
  }

  #add(name: string, body: (data: MessageWriter) => void): this {
    this.#list.nested(NFTA_LIST_ELEM | NESTED, (one) =>
      one.text(expression.name, name).nested(expression.data | NESTED, body),
    );
    return this;
  }
}

function newRuleMessage(
  place: { family: FirewallFamily; table: string; chain: string },
  write: (expressions: Expressions) => void,
): MessageWriter {
  return new MessageWriter(NEW_RULE, ADD_FLAGS | NLM_F_APPEND)
    .header([families[place.family], 0, 0, 0])
    .text(rule.table, place.table)
    .text(rule.chain, place.chain)
    .nested(rule.expressions | NESTED, (list) => write(new Expressions(list)));
}

/** A rule that translates destinations by a map of intervals: values are `address . first port` twice, the second with the last port. */
export interface OffsetTranslation {
  /** Of the family `inet`. */
  table: string;
  chain: string;
  /** Keys are `[destination address .] protocol . port`. */
  map: string;
  ipFamily: 4 | 6;
  /** The destination's address is part of the key. */
  byAddress: boolean;
}

/**
 * Appends the rule. The new port is `first + port % (last - first + 1)`: a range of ports under other numbers is one
 * element. nft(8) has no word for it (NF_NAT_RANGE_PROTO_OFFSET), the kernel does.
 */
export function offsetTranslationMessage(wanted: OffsetTranslation): MessageWriter {
  const { table, chain, map, ipFamily, byAddress } = wanted;
  const addressWords = ipFamily === 4 ? 1 : 4;
  const afterAddress = byAddress ? addressWords : 0;
  const valueWords = addressWords + 1;
  return newRuleMessage({ family: 'inet', table, chain }, (expressions) => {
    expressions.meta('family', afterAddress).isEqual(afterAddress, Buffer.of(ipFamilies[ipFamily]));
    if (byAddress) expressions.load('network', destination[ipFamily], addressWords * 4, 0);
    expressions
      .meta('protocol', afterAddress)
      .load('transport', destination.port, 2, afterAddress + 1)
      .lookup(map, 0, 0)
      .translateDestination(ipFamily, {
        address: 0,
        lastAddress: valueWords,
        port: addressWords,
        lastPort: valueWords + addressWords,
        flags: NAT_PROTO_OFFSET,
      });
  });
}

/** An address and port of IPv4; what a machine's own programs send there goes to another port of the address. */
export interface PortRedirection {
  address: Uint8Array;
  port: number;
  toPort: number;
}

/**
 * A table of the family `ip` with nothing but redirections for UDP and TCP.
 * @param before what is done with a table of that name: with 'kept' there must be none
 */
export function redirectionMessages(
  table: string,
  { address, port, toPort }: PortRedirection,
  before: 'kept' | 'replaced',
): MessageWriter[] {
  const place = { family: 'ip', table, chain: 'output' } as const;
  return [
    // Added, if need be, for its deletion not to fail.
    ...(before === 'kept' ? [] : (['add', 'delete'] as const).map((one) => tableMessage(one, 'ip', table))),
    tableMessage('create', 'ip', table),
    baseChainMessage(place, { type: 'nat', hook: 'output', priority: -100 }),
    ...(['udp', 'tcp'] as const).map((protocol) =>
      newRuleMessage(place, (expressions) =>
        expressions
          .load('network', destination[4], 4, 0)
          .isEqual(0, address)
          .meta('protocol', 0)
          .isEqual(0, Buffer.of(protocols[protocol]))
          .load('transport', destination.port, 2, 0)
          .isEqual(0, portBytes(port))
          .set(0, address)
          .set(1, portBytes(toPort))
          .translateDestination(4, { address: 0, port: 1 }),
      ),
    ),
  ];
}

const value =
  (bytes: Uint8Array) =>
  (data: MessageWriter): MessageWriter =>
    data.attribute(NFTA_DATA_VALUE, bytes);

const portBytes = (port: number): Buffer => Buffer.of(port >> 8, port & 0xff);

const register = (number: number): Buffer => bigEndian(FIRST_REGISTER + number);
