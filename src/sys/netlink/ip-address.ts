import { isIP } from 'node:net';
import { EngineError } from '../../errors/index.ts';

/** An address with the length of its network's prefix. */
export interface InterfaceAddress {
  family: 4 | 6;
  /** 4 or 16, network byte order. */
  bytes: Buffer;
  prefixLength: number;
}

/** @throws {EngineError} `invalid-parameter` for anything but an IPv4 or IPv6 address without a zone. */
export function parseIp(text: string): { family: 4 | 6; bytes: Buffer } {
  const family = isIP(text);
  if (family === 4) return { family, bytes: Buffer.from(text.split('.').map(Number)) };
  if (family !== 6 || text.includes('%')) {
    throw new EngineError('invalid-parameter', `invalid IP address: ${text}`);
  }
  let plain = text;
  const dotted = /[^:]*\..*$/.exec(text)?.[0];
  if (dotted !== undefined) {
    // The last four bytes written as an IPv4 address.
    const [a = 0, b = 0, c = 0, d = 0] = dotted.split('.').map(Number);
    const words = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
    plain = text.slice(0, -dotted.length) + words;
  }
  const [head = '', tail] = plain.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const words = [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after];
  const bytes = Buffer.alloc(16);
  for (const [index, word] of words.entries()) bytes.writeUInt16BE(Number.parseInt(word, 16), index * 2);
  return { family: 6, bytes };
}

/** Text of an address of 4 or 16 bytes; IPv6 as in RFC 5952. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const words = Array.from({ length: 8 }, (_, i) => ((bytes[i * 2] ?? 0) << 8) | (bytes[i * 2 + 1] ?? 0));
  let start = -1;
  let longest = 1;
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && words[i + length] === 0) length++;
    if (length > longest) [start, longest] = [i, length];
  }
  const text = (part: number[]): string => part.map((word) => word.toString(16)).join(':');
  return start < 0 ? text(words) : `${text(words.slice(0, start))}::${text(words.slice(start + longest))}`;
}

/** `10.0.0.1/24`, `fd00::1/64`. @throws {EngineError} `invalid-parameter` */
export function parseCidr(text: string): InterfaceAddress {
  const slash = text.lastIndexOf('/');
  const prefix = text.slice(slash + 1);
  if (slash < 0 || !/^\d{1,3}$/.test(prefix)) {
    throw new EngineError('invalid-parameter', `invalid CIDR address: ${text}`);
  }
  const { family, bytes } = parseIp(text.slice(0, slash));
  const prefixLength = Number(prefix);
  if (prefixLength > bytes.length * 8) {
    throw new EngineError('invalid-parameter', `invalid CIDR address: ${text}`);
  }
  return { family, bytes, prefixLength };
}

/** The address with all bits behind the prefix cleared, or set (the broadcast address). */
export function maskBytes(bytes: Uint8Array, prefixLength: number, hostBits: 0 | 1 = 0): Buffer {
  return Buffer.from(
    bytes.map((byte, index) => {
      const kept = Math.min(8, Math.max(0, prefixLength - index * 8));
      const host = 0xff >> kept;
      return hostBits === 0 ? byte & ~host : byte | host;
    }),
  );
}
