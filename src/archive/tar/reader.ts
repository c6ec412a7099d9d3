import type { TarHeader } from './header.ts';
import { TarParser } from './parser.ts';

/** A member with its content. The body must be read before the next member is asked for; else it is skipped. */
export interface TarEntry extends TarHeader {
  /** The logical content, holes filled with zeros; chunks of any size. Can be iterated once. */
  body(): AsyncIterable<Buffer>;
  /** The whole content. @throws {RangeError} when it is larger than `maxBytes`. */
  bytes(maxBytes: number): Promise<Buffer>;
}

type Event =
  { kind: 'entry'; header: TarHeader } | { kind: 'data'; chunk: Buffer; position: number } | { kind: 'end' };

const ZEROS = Buffer.alloc(64 * 1024);

/**
 * Reads a tar stream member by member, holding no more than one input chunk. The input is read to its end (or closed
 * when the consumer stops early).
 * @throws {EngineError} `invalid-parameter` (code `bad-archive`) for a malformed or truncated archive.
 */
export async function* readTar(input: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry, void, void> {
  const events = new TarEvents(input);
  try {
    for (;;) {
      const event = await events.next();
      if (event === undefined) return;
      if (event.kind !== 'entry') continue;
      const body = new MemberBody(event.header.sizeBytes, events);
      yield { ...event.header, body: () => body.chunks(), bytes: (maxBytes) => body.whole(maxBytes) };
    }
  } finally {
    await events.close();
  }
}

/** Turns the push parser into a pull of events, one input chunk at a time. */
class TarEvents {
  #queue: Event[] = [];
  #at = 0;
  #input: AsyncIterator<Uint8Array>;
  #parser: TarParser;
  #finished = false;
  /** Counts entries, so that a body knows when it has been passed. */
  entries = 0;

  constructor(input: AsyncIterable<Uint8Array>) {
    this.#input = input[Symbol.asyncIterator]();
    this.#parser = new TarParser({
      entry: (header) => this.#queue.push({ kind: 'entry', header }),
      data: (chunk, position) => this.#queue.push({ kind: 'data', chunk, position }),
      end: () => this.#queue.push({ kind: 'end' }),
    });
  }

  async next(): Promise<Event | undefined> {
    for (;;) {
      const event = this.#queue[this.#at];
      if (event !== undefined) {
        this.#at += 1;
        if (event.kind === 'entry') this.entries += 1;
        return event;
      }
      if (this.#finished) return undefined;
      this.#queue = [];
      this.#at = 0;
      const { done, value } = await this.#input.next();
      if (done === true) {
        this.#finished = true;
        this.#parser.finish();
      } else {
        this.#parser.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
      }
    }
  }

  async close(): Promise<void> {
    if (!this.#finished) await this.#input.return?.();
    this.#finished = true;
  }
}

/** The content of one member; its events come from the shared queue, so it must be read in its turn. */
class MemberBody {
  #events: TarEvents;
  #number: number;
  #sizeBytes: number;
  #read = false;

  constructor(sizeBytes: number, events: TarEvents) {
    this.#events = events;
    this.#number = events.entries;
    this.#sizeBytes = sizeBytes;
  }

  async *chunks(): AsyncGenerator<Buffer, void, void> {
    if (this.#read || this.#events.entries !== this.#number)
      throw new Error('Cannot read tar member: already passed');
    this.#read = true;
    let position = 0;
    for (;;) {
      const event = await this.#events.next();
      if (event === undefined || event.kind !== 'data') break;
      if (event.position > position) yield* zeros(event.position - position);
      position = event.position + event.chunk.length;
      yield event.chunk;
    }
    if (this.#sizeBytes > position) yield* zeros(this.#sizeBytes - position);
  }

  async whole(maxBytes: number): Promise<Buffer> {
    if (this.#sizeBytes > maxBytes) throw new RangeError(`tar member is larger than ${maxBytes} bytes`);
    const parts: Buffer[] = [];
    for await (const chunk of this.chunks()) parts.push(chunk);
    return Buffer.concat(parts);
  }
}

function* zeros(count: number): Generator<Buffer, void, void> {
  for (let left = count; left > 0; left -= ZEROS.length)
    yield ZEROS.subarray(0, Math.min(left, ZEROS.length));
}
