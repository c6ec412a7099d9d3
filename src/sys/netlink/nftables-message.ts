import { MessageWriter, attributeText, readAttributes, type Message } from './message.ts';
import { requestFlags } from './link-message.ts';

/** linux/netfilter/nfnetlink.h, nf_tables.h. */
const SUBSYSTEM = 10 << 8;
const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;
const GET_TABLE = SUBSYSTEM | 1;
const NEW_CHAIN = SUBSYSTEM | 3;
const GET_CHAIN = SUBSYSTEM | 4;
export const NEW_RULE = SUBSYSTEM | 6;
const GET_RULE = SUBSYSTEM | 7;
const NEW_ELEMENTS = SUBSYSTEM | 12;
const DELETE_ELEMENTS = SUBSYSTEM | 14;
const families = { inet: 1, ip: 2, bridge: 7, ip6: 10 } as const;
const NFTA_TABLE_NAME = 1;
const NFTA_LIST_ELEM = 1;
const NFTA_DATA_VALUE = 1;
const elements = { table: 1, set: 2, list: 3 } as const;
const element = { key: 1, data: 2, keyEnd: 10 } as const;
const rule = { table: 1, chain: 2, expressions: 4 } as const;
const expression = { name: 1, data: 2 } as const;
const chain = { table: 1, name: 3, hook: 4, policy: 5, hookNumber: 1 } as const;
const NF_INET_FORWARD = 2;
const NF_DROP = 0;
const familyNames: Readonly<Record<number, string>> = { 1: 'inet', 2: 'ip', 10: 'ip6' };
const REQUEST = 0x1;

export type FirewallFamily = keyof typeof families;

/** One key of an nftables set or map, in the kernel's bytes: each field of a concatenation padded to four. */
export interface FirewallElement {
  family: FirewallFamily;
  table: string;
  /** Name of the set or map. */
  set: string;
  key: Uint8Array;
  /** The other end of an interval, inclusive; of sets with that flag. */
  keyEnd?: Uint8Array;
  /** Of a map. */
  value?: Uint8Array;
}

/** Asks for one nftables table. */
export function getTableMessage(name: string, family: FirewallFamily): MessageWriter {
  return new MessageWriter(GET_TABLE, requestFlags.change)
    .header([families[family], 0, 0, 0])
    .text(NFTA_TABLE_NAME, name);
}

/** Asks for all rules of the tables with this name, whatever their family. */
export function dumpRulesMessage(table: string): MessageWriter {
  return new MessageWriter(GET_RULE, requestFlags.dump).header([0, 0, 0, 0]).text(rule.table, table);
}

/** A chain that sees what the machine forwards. */
export interface ForwardChain {
  /** nft's word: `ip`, `ip6`, `inet`. */
  family: string;
  table: string;
  chain: string;
}

export function dumpChainsMessage(): MessageWriter {
  return new MessageWriter(GET_CHAIN, requestFlags.dump).header([0, 0, 0, 0]);
}

/** A chain of the answer that drops what nothing in it accepts; undefined for others. */
export function readDroppingForwardChain({ type, payload }: Message): ForwardChain | undefined {
  const family = familyNames[payload[0] ?? 0];
  if (type !== NEW_CHAIN || family === undefined) return undefined;
  const attributes = readAttributes(payload, 4);
  const hook = attributes.get(chain.hook);
  const number = hook === undefined ? undefined : readAttributes(hook).get(chain.hookNumber);
  const policy = attributes.get(chain.policy);
  if (number?.readUInt32BE(0) !== NF_INET_FORWARD || policy?.readUInt32BE(0) !== NF_DROP) return undefined;
  return {
    family,
    table: attributeText(attributes.get(chain.table)) ?? '',
    chain: attributeText(attributes.get(chain.name)) ?? '',
  };
}

/** What stands around the messages of one transaction. */
export function batchMessages(): { begin: MessageWriter; end: MessageWriter } {
  // The resource id of struct nfgenmsg, big-endian, says which subsystem is meant.
  const mark = (type: number) => new MessageWriter(type, REQUEST).header([0, 0, 0, SUBSYSTEM >> 8]);
  return { begin: mark(BATCH_BEGIN), end: mark(BATCH_END) };
}

export function elementMessage(action: 'add' | 'delete', changed: FirewallElement): MessageWriter {
  const { family, table, set, key, keyEnd, value } = changed;
  const [type, flags] =
    action === 'add' ? [NEW_ELEMENTS, requestFlags.create & ~0x200] : [DELETE_ELEMENTS, requestFlags.change];
  const data = (writer: MessageWriter, number: number, bytes: Uint8Array | undefined): void => {
    if (bytes !== undefined)
      writer.nested(number | NESTED, (inside) => inside.attribute(NFTA_DATA_VALUE, bytes));
  };
  return new MessageWriter(type, flags)
    .header([families[family], 0, 0, 0])
    .text(elements.table, table)
    .text(elements.set, set)
    .nested(elements.list | NESTED, (list) =>
      list.nested(NFTA_LIST_ELEM | NESTED, (one) => {
        data(one, element.key, key);
        data(one, element.data, action === 'add' ? value : undefined);
        data(one, element.keyEnd, keyEnd);
      }),
    );
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
  const keyAt = FIRST_REGISTER;
  const afterAddress = keyAt + (byAddress ? addressWords : 0);
  const valueWords = addressWords + 1;
  const protocol = ipFamily === 4 ? 2 : 10;
  return new MessageWriter(NEW_RULE, (requestFlags.create & ~0x200) | NLM_F_APPEND)
    .header([families.inet, 0, 0, 0])
    .text(rule.table, table)
    .text(rule.chain, chain)
    .nested(rule.expressions | NESTED, (list) => {
      const add = (name: string, body: (data: MessageWriter) => void): void => {
        list.nested(NFTA_LIST_ELEM | NESTED, (one) =>
          one.text(expression.name, name).nested(expression.data | NESTED, body),
        );
      };
      // meta nfproto == ipv4
      add('meta', (data) => data.attribute(1, word(afterAddress)).attribute(2, word(META_NFPROTO)));
      add('cmp', (data) =>
        data
          .attribute(1, word(afterAddress))
          .attribute(2, word(CMP_EQ))
          .nested(3 | NESTED, (value) => value.attribute(NFTA_DATA_VALUE, Buffer.of(protocol))),
      );
      if (byAddress)
        add('payload', (data) =>
          payload(data, keyAt, NETWORK_HEADER, ipFamily === 4 ? 16 : 24, addressWords * 4),
        );
      add('meta', (data) => data.attribute(1, word(afterAddress)).attribute(2, word(META_L4PROTO)));
      add('payload', (data) => payload(data, afterAddress + 1, TRANSPORT_HEADER, 2, 2));
      add('lookup', (data) => data.text(1, map).attribute(2, word(keyAt)).attribute(3, word(FIRST_REGISTER)));
      add('nat', (data) =>
        data
          .attribute(1, word(NAT_DESTINATION))
          .attribute(2, word(protocol))
          .attribute(3, word(FIRST_REGISTER))
          .attribute(4, word(FIRST_REGISTER + valueWords))
          .attribute(5, word(FIRST_REGISTER + addressWords))
          .attribute(6, word(FIRST_REGISTER + valueWords + addressWords))
          .attribute(7, word(NAT_PROTO_OFFSET)),
      );
    });
}

const NESTED = 0x8000;
const NLM_F_APPEND = 0x800;
/** NFT_REG32_00. */
const FIRST_REGISTER = 8;
const META_NFPROTO = 15;
const META_L4PROTO = 16;
const CMP_EQ = 0;
const NETWORK_HEADER = 1;
const TRANSPORT_HEADER = 2;
const NAT_DESTINATION = 1;
/** NF_NAT_RANGE_PROTO_OFFSET. */
const NAT_PROTO_OFFSET = 1 << 5;

function payload(data: MessageWriter, register: number, base: number, offset: number, length: number): void {
  data
    .attribute(1, word(register))
    .attribute(2, word(base))
    .attribute(3, word(offset))
    .attribute(4, word(length));
}

/** nfnetlink's numbers are big-endian. */
function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
