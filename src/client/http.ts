import { connect, type Socket } from 'node:net';
import type { Endpoint } from './endpoint.ts';
import { ConnectionError } from './errors.ts';

/** The head of an answer. Header names are lower case; of repeated headers the last one counts. */
export interface Head {
  status: number;
  headers: ReadonlyMap<string, string>;
}

export interface RequestLine {
  method: string;
  /** Path and query as they go on the wire. */
  path: string;
  headers?: Readonly<Record<string, string>>;
  body?: string | Buffer | AsyncIterable<Uint8Array> | undefined;
}

/**
 * One HTTP/1.1 connection, written on `node:net` because `node:http` alone costs a short-lived client 15 ms.
 * It carries one exchange at a time; after `end` of a body with a known length it can be used again.
 */
export class HttpConnection {
  readonly socket: Socket;
  #buffered: Buffer = Buffer.alloc(0);
  #ended = false;
  #failure: Error | null = null;
  #wake: (() => void) | null = null;
  reusable = true;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('close', this.#onEnd);
    socket.on('error', this.#onError);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#buffered = this.#buffered.length === 0 ? chunk : Buffer.concat([this.#buffered, chunk]);
    // The reader takes what there is before more is read: memory stays bounded by one chunk.
    this.socket.pause();
    this.#notify();
  };
  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#notify();
  };
  readonly #onError = (error: Error): void => {
    this.#failure = error;
    this.#notify();
  };

  #notify(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  /** Waits for more bytes; false at the end of the stream. */
  async #more(): Promise<boolean> {
    const before = this.#buffered.length;
    while (this.#buffered.length === before) {
      if (this.#failure) throw this.#failure;
      if (this.#ended) return false;
      this.socket.resume();
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return true;
  }

  /** Sends a request and reads the head of its answer. A streamed body is still being sent when an early answer comes. */
  async exchange(request: RequestLine, host: string): Promise<Head> {
    const { body } = request;
    const streamed = body !== undefined && typeof body === 'object' && !Buffer.isBuffer(body);
    let head = `${request.method} ${request.path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: coracle-cli\r\n`;
    for (const [name, value] of Object.entries(request.headers ?? {})) head += `${name}: ${value}\r\n`;
    if (streamed) head += 'Transfer-Encoding: chunked\r\n';
    else if (body !== undefined) head += `Content-Length: ${Buffer.byteLength(body)}\r\n`;
    else if (request.method !== 'GET' && request.method !== 'HEAD') head += 'Content-Length: 0\r\n';
    head += '\r\n';
    if (body === undefined || streamed) this.socket.write(head);
    else if (typeof body === 'string') this.socket.write(head + body);
    else {
      this.socket.cork();
      this.socket.write(head);
      this.socket.write(body);
      this.socket.uncork();
    }
    if (streamed) {
      this.reusable = false;
      this.#send(body).catch((error: unknown) => {
        this.#failure ??= error instanceof Error ? error : new Error(String(error));
        this.#notify();
      });
    }
    for (;;) {
      const answer = await this.#readHead();
      if (answer.status >= 200 || answer.status === 101) return answer;
    }
  }

  async #send(body: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const chunk of body) {
      if (chunk.length === 0) continue;
      if (this.socket.destroyed || this.#ended) return;
      this.socket.cork();
      this.socket.write(`${chunk.length.toString(16)}\r\n`);
      this.socket.write(chunk);
      const room = this.socket.write('\r\n');
      this.socket.uncork();
      if (!room) await drained(this.socket);
    }
    this.socket.write('0\r\n\r\n');
  }

  async #readHead(): Promise<Head> {
    let end: number;
    while ((end = this.#buffered.indexOf('\r\n\r\n')) < 0) {
      if (!(await this.#more())) throw new ConnectionError('ECONNRESET', 'unexpected EOF');
    }
    const lines = this.#buffered.toString('latin1', 0, end).split('\r\n');
    this.#buffered = this.#buffered.subarray(end + 4);
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(lines[0] ?? '')?.[1]);
    if (!status)
      throw new ConnectionError('EPROTO', `malformed HTTP response ${JSON.stringify(lines[0] ?? '')}`);
    const headers = new Map<string, string>();
    for (const line of lines.slice(1)) {
      const colon = line.indexOf(':');
      if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
    }
    if (headers.get('connection')?.toLowerCase() === 'close') this.reusable = false;
    return { status, headers };
  }

  /** The body of the answer whose head was just read. Leaving the loop early makes the connection useless: destroy it. */
  async *body(head: Head, method: string): AsyncGenerator<Buffer, void, undefined> {
    if (method === 'HEAD' || head.status === 204 || head.status === 304) return;
    if (head.headers.get('transfer-encoding')?.toLowerCase() === 'chunked') {
      yield* this.#chunked();
      return;
    }
    const length = head.headers.get('content-length');
    if (length === undefined) {
      this.reusable = false;
      do {
        if (this.#buffered.length > 0) yield this.#take(this.#buffered.length);
      } while (await this.#more());
      return;
    }
    let left = Number(length);
    while (left > 0) {
      if (this.#buffered.length === 0 && !(await this.#more()))
        throw new ConnectionError('ECONNRESET', 'unexpected EOF');
      const chunk = this.#take(Math.min(left, this.#buffered.length));
      left -= chunk.length;
      yield chunk;
    }
  }

  async *#chunked(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const size = Number.parseInt(await this.#line(), 16);
      if (Number.isNaN(size)) throw new ConnectionError('EPROTO', 'malformed chunked encoding');
      if (size === 0) break;
      let left = size;
      while (left > 0) {
        if (this.#buffered.length === 0 && !(await this.#more()))
          throw new ConnectionError('ECONNRESET', 'unexpected EOF');
        const chunk = this.#take(Math.min(left, this.#buffered.length));
        left -= chunk.length;
        yield chunk;
      }
      await this.#line();
    }
    while ((await this.#line()) !== '');
  }

  async #line(): Promise<string> {
    let end: number;
    while ((end = this.#buffered.indexOf('\r\n')) < 0) {
      if (!(await this.#more())) throw new ConnectionError('ECONNRESET', 'unexpected EOF');
    }
    const line = this.#buffered.toString('latin1', 0, end);
    this.#buffered = this.#buffered.subarray(end + 2);
    return line;
  }

  #take(count: number): Buffer {
    const chunk = this.#buffered.subarray(0, count);
    this.#buffered = this.#buffered.subarray(count);
    return chunk;
  }

  /** Hands over the raw socket after an upgrade; `rest` is what the peer has sent behind the head. The socket is paused. */
  detach(): { socket: Socket; rest: Buffer } {
    this.reusable = false;
    this.socket.off('data', this.#onData);
    this.socket.off('end', this.#onEnd);
    this.socket.off('close', this.#onEnd);
    this.socket.off('error', this.#onError);
    this.socket.pause();
    const rest = this.#buffered;
    this.#buffered = Buffer.alloc(0);
    return { socket: this.socket, rest };
  }
}

/** Resolves when the socket takes more bytes, or is gone. */
export function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}

/** Opens a connection. @throws {ConnectionError} when nobody listens there. */
export async function openConnection(endpoint: Endpoint): Promise<HttpConnection> {
  const { address } = endpoint;
  const tls = address.kind === 'tcp' && address.tls !== null ? await import('node:tls') : null;
  return new Promise((resolve, reject) => {
    let socket: Socket;
    if (address.kind === 'unix') socket = connect({ path: address.path, allowHalfOpen: true });
    else if (tls !== null && address.tls !== null) {
      const { verify, ...material } = address.tls;
      socket = tls.connect({
        host: address.host,
        port: address.port,
        ...material,
        rejectUnauthorized: verify,
      });
    } else socket = connect({ host: address.host, port: address.port, allowHalfOpen: true, noDelay: true });
    const failed = (error: NodeJS.ErrnoException): void => {
      reject(new ConnectionError(error.code ?? 'EIO', connectionMessage(endpoint.url, error), error));
    };
    socket.once('error', failed);
    socket.once(tls === null ? 'connect' : 'secureConnect', () => {
      socket.off('error', failed);
      resolve(new HttpConnection(socket));
    });
  });
}

function connectionMessage(url: string, error: NodeJS.ErrnoException): string {
  if (error.code === 'EACCES') {
    return `permission denied while trying to connect to the Coracle daemon socket at ${url}: dial ${url.replace('://', ' ')}: connect: permission denied`;
  }
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') {
    return `Cannot connect to the Coracle daemon at ${url}. Is the coracle daemon running?`;
  }
  return `error during connect: ${url}: ${error.message}`;
}
