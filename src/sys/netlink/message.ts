/**
 * The bytes of rtnetlink(7): a message is a header, a fixed structure of its type, and attributes (length, type, value,
 * padded to four bytes; some hold attributes themselves). All numbers are little-endian, as the supported machines are.
 */
const HEADER_BYTES = 16;
/** Type bits that are no part of an attribute's number: NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
const ATTRIBUTE_TYPE_MASK = 0x3fff;

/** Writes one message. Methods return the writer, so that a message reads as one expression. */
export class MessageWriter {
  #buffer = Buffer.alloc(256);
  #length = HEADER_BYTES;

  constructor(type: number, flags: number) {
    this.#buffer.writeUInt16LE(type, 4);
    this.#buffer.writeUInt16LE(flags, 6);
  }

  /** struct ifinfomsg. */
  linkHeader(fields: { family?: number; index?: number; flags?: number; change?: number }): this {
    const at = this.#reserve(16);
    this.#buffer.writeUInt8(fields.family ?? 0, at);
    this.#buffer.writeInt32LE(fields.index ?? 0, at + 4);
    this.#buffer.writeUInt32LE(fields.flags ?? 0, at + 8);
    this.#buffer.writeUInt32LE(fields.change ?? 0, at + 12);
    return this;
  }

  /** Single bytes of a fixed structure, then 32-bit words. */
  header(bytes: readonly number[], words: readonly number[] = []): this {
    const at = this.#reserve(bytes.length + words.length * 4);
    for (const [index, byte] of bytes.entries()) this.#buffer.writeUInt8(byte, at + index);
    for (const [index, word] of words.entries()) {
      this.#buffer.writeUInt32LE(word >>> 0, at + bytes.length + index * 4);
    }
    return this;
  }

  attribute(type: number, value: Uint8Array): this {
    const at = this.#reserve(4 + value.length);
    this.#buffer.writeUInt16LE(4 + value.length, at);
    this.#buffer.writeUInt16LE(type, at + 2);
    this.#buffer.set(value, at + 4);
    return this;
  }

  /** A C string with its NUL. */
  text(type: number, value: string): this {
    return this.attribute(type, Buffer.from(`${value}\0`));
  }

  uint32(type: number, value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value >>> 0);
    return this.attribute(type, bytes);
  }

  uint16(type: number, value: number): this {
    return this.attribute(type, Buffer.of(value & 0xff, value >> 8));
  }

  uint8(type: number, value: number): this {
    return this.attribute(type, Buffer.of(value));
  }

  /** An attribute holding what `body` writes. */
  nested(type: number, body: (writer: this) => void): this {
    const at = this.#reserve(4);
    body(this);
    this.#buffer.writeUInt16LE(this.#length - at, at);
    this.#buffer.writeUInt16LE(type, at + 2);
    return this;
  }

  /** The message, its length and sequence number filled in. */
  finish(sequence: number): Buffer {
    this.#buffer.writeUInt32LE(this.#length, 0);
    this.#buffer.writeUInt32LE(sequence, 8);
    return this.#buffer.subarray(0, this.#length);
  }

  /** Room for so many bytes, and padding after them. */
  #reserve(bytes: number): number {
    const at = this.#length;
    this.#length += (bytes + 3) & ~3;
    if (this.#length > this.#buffer.length) {
      this.#buffer = Buffer.concat([this.#buffer, Buffer.alloc(this.#length * 2)]);
    }
    return at;
  }
}

export interface Message {
  type: number;
  flags: number;
  sequence: number;
  /** What follows the header. */
  payload: Buffer;
}

/** The messages of one received datagram. Stops at a length that cannot be. */
export function* readMessages(datagram: Buffer): Generator<Message> {
  for (let at = 0; at + HEADER_BYTES <= datagram.length;) {
    const length = datagram.readUInt32LE(at);
    if (length < HEADER_BYTES || at + length > datagram.length) return;
    yield {
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      payload: datagram.subarray(at + HEADER_BYTES, at + length),
    };
    at += (length + 3) & ~3;
  }
}

/** Attributes by number, starting `from` bytes into the payload; the last of equal ones counts. */
export function readAttributes(payload: Buffer, from = 0): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  for (let at = from; at + 4 <= payload.length;) {
    const length = payload.readUInt16LE(at);
    if (length < 4 || at + length > payload.length) break;
    attributes.set(payload.readUInt16LE(at + 2) & ATTRIBUTE_TYPE_MASK, payload.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return attributes;
}

/** An attribute's text without its NUL. */
export function attributeText(value: Buffer | undefined): string | undefined {
  if (value === undefined) return undefined;
  const end = value.indexOf(0);
  return value.toString('utf8', 0, end < 0 ? value.length : end);
}
