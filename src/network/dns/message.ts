import { formatIp, parseIp } from '../../sys/index.ts';

/**
 * As much of DNS messages (RFC 1035) as a server for container names needs: it reads one question and writes addresses
 * and names as answers. Everything else is passed on as the bytes that came.
 */
export const recordType = { a: 1, ptr: 12, aaaa: 28, opt: 41 } as const;
export const responseCode = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  refused: 5,
} as const;

const HEADER_BYTES = 12;
const CLASS_IN = 1;
const MAX_NAME_BYTES = 255;
const MAX_LABEL_BYTES = 63;
/** What fits into a datagram when the client says nothing (EDNS). */
const PLAIN_UDP_BYTES = 512;

/** A standard query for one name. */
export interface Question {
  id: number;
  /** Lower case, no dot at the end; '' for the root. */
  name: string;
  type: number;
  /** The message up to and with its question, which every answer repeats. */
  head: Buffer;
  /** Bytes of an answer that the client takes by UDP. */
  maxUdpBytes: number;
}

/** Undefined for anything but a standard query with one question of the class IN. */
export function readQuestion(message: Buffer): Question | undefined {
  if (message.length < HEADER_BYTES + 5) return undefined;
  const flags = message.readUInt16BE(2);
  const isQuery = (flags & 0x8000) === 0 && (flags & 0x7800) === 0;
  if (!isQuery || message.readUInt16BE(4) !== 1) return undefined;
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > MAX_LABEL_BYTES || at - HEADER_BYTES > MAX_NAME_BYTES)
      return undefined;
    at++;
    if (length === 0) break;
    if (at + length > message.length) return undefined;
    labels.push(message.toString('latin1', at, at + length));
    at += length;
  }
  if (at + 4 > message.length || message.readUInt16BE(at + 2) !== CLASS_IN) return undefined;
  return {
    id: message.readUInt16BE(0),
    name: labels.join('.').toLowerCase(),
    type: message.readUInt16BE(at),
    head: message.subarray(0, at + 4),
    maxUdpBytes: readUdpSize(message, at + 4),
  };
}

/** From the OPT record (RFC 6891), which stands alone behind a query's question. */
function readUdpSize(message: Buffer, at: number): number {
  const isOpt =
    message.readUInt16BE(6) === 0 &&
    message.readUInt16BE(8) === 0 &&
    message.length >= at + 11 &&
    message[at] === 0 &&
    message.readUInt16BE(at + 1) === recordType.opt;
  return isOpt ? Math.max(PLAIN_UDP_BYTES, message.readUInt16BE(at + 3)) : PLAIN_UDP_BYTES;
}

export interface AnswerRecord {
  type: number;
  data: Uint8Array;
}

/**
 * The answer to a question.
 * @param options.maxBytes records beyond are left out and the answer is marked truncated, so that the client asks by TCP.
 */
export function writeAnswer(
  { head }: Question,
  records: readonly AnswerRecord[],
  options: { code?: number; ttlSeconds?: number; maxBytes?: number } = {},
): Buffer {
  const { code = responseCode.noError, ttlSeconds = 0, maxBytes = 65535 } = options;
  const parts: Uint8Array[] = [Buffer.from(head)];
  let length = head.length;
  let count = 0;
  for (const { type, data } of records) {
    if (length + 12 + data.length > maxBytes) break;
    const fixed = Buffer.alloc(12);
    // A pointer to the question's name, right behind the header.
    fixed.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
    fixed.writeUInt16BE(type, 2);
    fixed.writeUInt16BE(CLASS_IN, 4);
    fixed.writeUInt32BE(ttlSeconds, 6);
    fixed.writeUInt16BE(data.length, 10);
    parts.push(fixed, data);
    length += 12 + data.length;
    count++;
  }
  const message = Buffer.concat(parts);
  const recursionDesired = head.readUInt16BE(2) & 0x0100;
  const truncated = count < records.length ? 0x0200 : 0;
  message.writeUInt16BE(0x8000 | 0x0080 | recursionDesired | truncated | code, 2);
  message.writeUInt16BE(1, 4);
  message.writeUInt16BE(count, 6);
  message.writeUInt16BE(0, 8);
  message.writeUInt16BE(0, 10);
  return message;
}

/** A name in the form that messages carry; labels that are too long are cut. */
export function encodeName(name: string): Buffer {
  const parts = name
    .split('.')
    .filter((label) => label !== '')
    .flatMap((label) => {
      const bytes = Buffer.from(label, 'latin1').subarray(0, MAX_LABEL_BYTES);
      return [Buffer.of(bytes.length), bytes];
    });
  return Buffer.concat([...parts, Buffer.of(0)]);
}

/** `10.0.0.2` of `2.0.0.10.in-addr.arpa`, and as well of `ip6.arpa`; undefined for other names. */
export function addressOfReverseName(name: string): string | undefined {
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(name);
  if (v4 !== null) return v4.slice(1).reverse().join('.');
  const v6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name)?.[1];
  if (v6 === undefined) return undefined;
  return formatIp(Buffer.from(v6.replaceAll('.', '').split('').reverse().join(''), 'hex'));
}

/** The record's type and data for an address. */
export function addressRecord(address: string): AnswerRecord {
  const { family, bytes } = parseIp(address);
  return { type: family === 4 ? recordType.a : recordType.aaaa, data: bytes };
}

/** True when this message answers that question: same id, same name and type (their case may differ). */
export function answers(message: Buffer, { id, head }: Question): boolean {
  if (message.length < HEADER_BYTES || message.readUInt16BE(0) !== id) return false;
  if ((message.readUInt16BE(2) & 0x8000) === 0) return false;
  // Some servers leave the question out when they refuse.
  if (message.readUInt16BE(4) === 0) return true;
  const asked = head.toString('latin1', HEADER_BYTES).toLowerCase();
  return message.toString('latin1', HEADER_BYTES, head.length).toLowerCase() === asked;
}

export function codeOf(message: Buffer): number {
  return message.readUInt16BE(2) & 0x000f;
}
