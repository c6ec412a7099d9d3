import { parseIp, type FirewallElement, type FirewallFamily } from '../../sys/index.ts';

/** One field of a key or value, as nft(8) writes it and as the kernel keeps it, padded to four bytes. */
export interface Field {
  text: string;
  bytes: Uint8Array;
}

/** An element of one of a bridge's sets or maps. */
export interface Element {
  family: FirewallFamily;
  set: string;
  key: readonly Field[];
  /** Of an interval: the last port; the key's last field is the first. */
  lastPort?: number;
  /** Of a map. */
  value?: readonly Field[];
  /** The value is an interval too, whose other end has this port. */
  lastValuePort?: number;
}

const protocolNumbers = { tcp: 6, udp: 17, sctp: 132 } as const;

export function protocolField(protocol: keyof typeof protocolNumbers): Field {
  return { text: protocol, bytes: Uint8Array.of(protocolNumbers[protocol], 0, 0, 0) };
}

export function portField(port: number): Field {
  return { text: String(port), bytes: Uint8Array.of(port >> 8, port & 0xff, 0, 0) };
}

export function addressField(address: string): Field {
  return { text: address, bytes: parseIp(address).bytes };
}

export function linkField(name: string): Field {
  const bytes = new Uint8Array(16);
  bytes.set(Buffer.from(name));
  return { text: JSON.stringify(name), bytes };
}

/** `02:42:ac:11:00:02` */
export function macField(mac: string): Field {
  const bytes = new Uint8Array(8);
  bytes.set(mac.split(':').map((byte) => Number.parseInt(byte, 16)));
  return { text: mac, bytes };
}

/** As nft(8) writes it in a transaction. */
export function elementCommand(action: 'add' | 'delete', table: string, element: Element): string {
  const { family, set, key, lastPort, value, lastValuePort } = element;
  const words = (fields: readonly Field[], last: number | undefined): string =>
    fields.map(({ text }) => text).join(' . ') + (last === undefined ? '' : `-${last}`);
  const data = action === 'delete' || value === undefined ? '' : ` : ${words(value, lastValuePort)}`;
  return `${action} element ${family} ${table} ${set} { ${words(key, lastPort)}${data} }\n`;
}

/** The same for the kernel. */
export function kernelElement(table: string, element: Element): FirewallElement {
  const { family, set, key, lastPort, value, lastValuePort } = element;
  const bytes = (fields: readonly Field[]): Buffer => Buffer.concat(fields.map((field) => field.bytes));
  const end = (fields: readonly Field[], last: number): Buffer =>
    bytes([...fields.slice(0, -1), portField(last)]);
  return {
    family,
    table,
    set,
    key: bytes(key),
    ...(lastPort === undefined ? {} : { keyEnd: end(key, lastPort) }),
    ...(value === undefined
      ? {}
      : {
          value:
            lastValuePort === undefined
              ? bytes(value)
              : Buffer.concat([bytes(value), end(value, lastValuePort)]),
        }),
  };
}
