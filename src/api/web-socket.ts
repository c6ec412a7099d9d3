import { createHash } from 'node:crypto';
import { Duplex } from 'node:stream';
import type { IncomingMessage } from 'node:http';
import { EngineError } from '../errors/index.ts';

const keySuffix = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
/** A frame is taken whole, so its size is bounded. */
const maximumFrameBytes = 16 * 1024 * 1024;

/**
 * The answer that opens a WebSocket (RFC 6455 section 4.2).
 * @throws {EngineError} `invalid-parameter` when the request does not ask for one
 */
export function webSocketHead(request: IncomingMessage): string {
  const { upgrade, 'sec-websocket-key': key, 'sec-websocket-version': version } = request.headers;
  if (upgrade?.toLowerCase() !== 'websocket' || typeof key !== 'string' || version !== '13') {
    throw new EngineError('invalid-parameter', 'not websocket protocol');
  }
  const accept = createHash('sha1').update(`${key}${keySuffix}`).digest('base64');
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
}

/**
 * The server's side of an open WebSocket as a byte stream: each write is a binary message, each message's bytes are read.
 * Messages' borders mean nothing, as in Docker's attach. Back-pressure goes through to the socket in both directions.
 */
export class WebSocketStream extends Duplex {
  readonly #socket: Duplex;
  #pending: Buffer = Buffer.alloc(0);

  constructor(socket: Duplex) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => this.push(null));
    socket.on('error', (error: Error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#send(opcodes.binary, chunk)) done();
    else this.#socket.once('drain', () => done());
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#send(opcodes.close, Buffer.from([0x03, 0xe8]));
    this.#socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  #send(opcode: number, payload: Buffer): boolean {
    if (this.#socket.destroyed || this.#socket.writableEnded) return true;
    return this.#socket.write(Buffer.concat([frameHead(opcode, payload.length), payload]));
  }

  #receive(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    for (;;) {
      const frame = parseFrame(this.#pending);
      if (frame === 'incomplete') return;
      if (frame === 'invalid') {
        this.destroy(new Error('invalid WebSocket frame'));
        return;
      }
      this.#pending = this.#pending.subarray(frame.length);
      this.#handle(frame.opcode, frame.payload);
    }
  }

  #handle(opcode: number, payload: Buffer): void {
    switch (opcode) {
      case opcodes.continuation:
      case opcodes.text:
      case opcodes.binary:
        if (payload.length > 0 && !this.push(payload)) this.#socket.pause();
        return;
      case opcodes.ping:
        this.#send(opcodes.pong, payload);
        return;
      case opcodes.close:
        this.push(null);
        this.end();
        return;
      default:
    }
  }
}

function frameHead(opcode: number, length: number): Buffer {
  const first = 0x80 | opcode;
  if (length < 126) return Buffer.from([first, length]);
  if (length < 65_536) return Buffer.from([first, 126, length >> 8, length & 0xff]);
  const head = Buffer.alloc(10);
  head[0] = first;
  head[1] = 127;
  head.writeBigUInt64BE(BigInt(length), 2);
  return head;
}

interface Frame {
  opcode: number;
  payload: Buffer;
  /** Bytes of the whole frame. */
  length: number;
}

/** Clients must mask what they send (RFC 6455 section 5.1). */
function parseFrame(bytes: Buffer): Frame | 'incomplete' | 'invalid' {
  if (bytes.length < 2) return 'incomplete';
  const opcode = (bytes[0] as number) & 0x0f;
  const second = bytes[1] as number;
  if ((second & 0x80) === 0) return 'invalid';
  let payloadLength = second & 0x7f;
  let at = 2;
  if (payloadLength === 126) {
    if (bytes.length < 4) return 'incomplete';
    payloadLength = bytes.readUInt16BE(2);
    at = 4;
  } else if (payloadLength === 127) {
    if (bytes.length < 10) return 'incomplete';
    const long = bytes.readBigUInt64BE(2);
    if (long > BigInt(maximumFrameBytes)) return 'invalid';
    payloadLength = Number(long);
    at = 10;
  }
  const length = at + 4 + payloadLength;
  if (bytes.length < length) return 'incomplete';
  const mask = bytes.subarray(at, at + 4);
  const payload = Buffer.from(bytes.subarray(at + 4, length));
  for (let index = 0; index < payload.length; index++) {
    payload[index] = (payload[index] as number) ^ (mask[index & 3] as number);
  }
  return { opcode, payload, length };
}
