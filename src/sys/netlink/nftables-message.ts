import { MessageWriter, attributeText, readAttributes, type Message } from './message.ts';
import { requestFlags } from './link-message.ts';

/** linux/netfilter/nfnetlink.h, nf_tables.h. */
const SUBSYSTEM = 10 << 8;
const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;
const NEW_TABLE = SUBSYSTEM | 0;
const GET_TABLE = SUBSYSTEM | 1;
const DELETE_TABLE = SUBSYSTEM | 2;
const NEW_CHAIN = SUBSYSTEM | 3;
const GET_CHAIN = SUBSYSTEM | 4;
export const NEW_RULE = SUBSYSTEM | 6;
const GET_RULE = SUBSYSTEM | 7;
const NEW_ELEMENTS = SUBSYSTEM | 12;
const DELETE_ELEMENTS = SUBSYSTEM | 14;
export const families = { inet: 1, ip: 2, bridge: 7, ip6: 10 } as const;
const NFTA_TABLE_NAME = 1;
const NFTA_LIST_ELEM = 1;
const NFTA_DATA_VALUE = 1;
const elements = { table: 1, set: 2, list: 3 } as const;
const element = { key: 1, data: 2, keyEnd: 10 } as const;
const NFTA_RULE_TABLE = 1;
const chain = { table: 1, name: 3, hook: 4, policy: 5, type: 7, hookNumber: 1, hookPriority: 2 } as const;
/** enum nf_inet_hooks. */
const hooks = { forward: 2, output: 3 } as const;
const NF_DROP = 0;
const familyNames: Readonly<Record<number, string>> = { 1: 'inet', 2: 'ip', 10: 'ip6' };
const REQUEST = 0x1;
/** NLM_F_EXCL: what is there already is an error. */
const EXCLUSIVE = 0x200;
/** Makes what is not there. */
export const ADD_FLAGS = requestFlags.create & ~EXCLUSIVE;

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

/** `create` refuses a table that is there, `add` does not; `delete` takes all that is in it. */
export function tableMessage(
  action: 'create' | 'add' | 'delete',
  family: FirewallFamily,
  name: string,
): MessageWriter {
  const [type, flags] = {
    create: [NEW_TABLE, requestFlags.create] as const,
    add: [NEW_TABLE, ADD_FLAGS] as const,
    delete: [DELETE_TABLE, requestFlags.change] as const,
  }[action];
  return new MessageWriter(type, flags).header([families[family], 0, 0, 0]).text(NFTA_TABLE_NAME, name);
}

/** Adds a chain that sees packets at a hook and lets them pass. */
export function baseChainMessage(
  place: { family: FirewallFamily; table: string; chain: string },
  { type, hook, priority }: { type: 'nat'; hook: keyof typeof hooks; priority: number },
): MessageWriter {
  return new MessageWriter(NEW_CHAIN, ADD_FLAGS)
    .header([families[place.family], 0, 0, 0])
    .text(chain.table, place.table)
    .text(chain.name, place.chain)
    .nested(chain.hook | NESTED, (data) =>
      data
        .attribute(chain.hookNumber, bigEndian(hooks[hook]))
        .attribute(chain.hookPriority, bigEndian(priority)),
    )
    .text(chain.type, type);
}

/** Asks for all rules of the tables with this name, whatever their family. */
export function dumpRulesMessage(table: string): MessageWriter {
  return new MessageWriter(GET_RULE, requestFlags.dump).header([0, 0, 0, 0]).text(NFTA_RULE_TABLE, table);
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
  if (number?.readUInt32BE(0) !== hooks.forward || policy?.readUInt32BE(0) !== NF_DROP) return undefined;
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
  const [type, flags] = action === 'add' ? [NEW_ELEMENTS, ADD_FLAGS] : [DELETE_ELEMENTS, requestFlags.change];
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

const NESTED = 0x8000;

/** Numbers of nfnetlink are big-endian. */
export function bigEndian(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}
