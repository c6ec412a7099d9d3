import type { Duplex } from 'node:stream';
import { EngineError } from '../../errors/index.ts';

/**
 * A frame is a big-endian length of four bytes, a kind of one byte, and that many bytes: a JSON text, or a reference of four
 * bytes with what was sent for it.
 */
const kinds = { json: 0, bytes: 1, stdout: 2, stderr: 3 } as const;
export type ByteKind = Exclude<keyof typeof kinds, 'json'>;
const kindNames = ['json', 'bytes', 'stdout', 'stderr'] as const;
const headBytes = 5;
const maxFrameBytes = 64 * 1024 * 1024;

export interface FrameListener {
  onJson(text: string): void;
  onBytes(kind: ByteKind, reference: number, bytes: Buffer): void;
  /** Once; with an error when the connection broke or sent what is no frame. */
  onEnd(error?: Error): void;
}

/** Frames over a connection, both ways. */
export class FrameConnection {
  readonly #connection: Duplex;
  readonly #listener: FrameListener;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #ended = false;

  /** @param rest what was read of the connection already */
  constructor(connection: Duplex, rest: Buffer, listener: FrameListener) {
    this.#connection = connection;
    this.#listener = listener;
    connection.on('data', (chunk: Buffer) => this.#read(chunk));
    connection.on('end', () => this.#end());
    connection.on('close', () => this.#end());
    connection.on('error', (error) => this.#end(error));
    // The listener is set up first.
    queueMicrotask(() => {
      if (rest.length > 0) this.#read(rest);
      connection.resume();
    });
  }

  sendJson(text: string): void {
    this.#send(kinds.json, Buffer.from(text));
  }

  /** @returns false when the other side should be given time, see onDrain() */
  sendBytes(kind: ByteKind, reference: number, bytes: Uint8Array): boolean {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(reference);
    return this.#send(kinds[kind], head, bytes);
  }

  onDrain(listener: () => void): void {
    this.#connection.on('drain', listener);
  }

  /** What was sent arrives. */
  close(): void {
    this.#ended = true;
    this.#connection.end();
    this.#connection.resume();
  }

  #send(kind: number, ...parts: Uint8Array[]): boolean {
    if (this.#ended || this.#connection.destroyed) return true;
    const head = Buffer.alloc(headBytes);
    head.writeUInt32BE(parts.reduce((sum, part) => sum + part.length, 0));
    head[4] = kind;
    this.#connection.cork();
    this.#connection.write(head);
    let more = true;
    for (const part of parts) more = this.#connection.write(part);
    this.#connection.uncork();
    return more;
  }

  #read(chunk: Buffer): void {
    this.#received.push(chunk);
    this.#receivedBytes += chunk.length;
    while (!this.#ended && this.#receivedBytes >= headBytes) {
      const first = this.#received[0] as Buffer;
      const head = first.length >= headBytes ? first : this.#join();
      const length = head.readUInt32BE(0);
      const kind = kindNames[head[4] ?? 0];
      if (length > maxFrameBytes || kind === undefined || (kind !== 'json' && length < 4)) {
        this.#connection.destroy();
        this.#end(new EngineError('internal', 'Cannot understand the other engine: not a frame'));
        return;
      }
      if (this.#receivedBytes < headBytes + length) return;
      const all = this.#join();
      const body = all.subarray(headBytes, headBytes + length);
      this.#received = [all.subarray(headBytes + length)];
      this.#receivedBytes -= headBytes + length;
      try {
        if (kind === 'json') this.#listener.onJson(body.toString());
        else this.#listener.onBytes(kind, body.readUInt32BE(0), body.subarray(4));
      } catch (error) {
        // Not understood, or a function of the caller's that threw: either ends the call.
        this.#end(error as Error);
      }
    }
  }

  #join(): Buffer {
    const all = this.#received.length === 1 ? (this.#received[0] as Buffer) : Buffer.concat(this.#received);
    this.#received = [all];
    return all;
  }

  #end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#connection.destroy();
    this.#listener.onEnd(error);
  }
}
