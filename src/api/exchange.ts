import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ApiVersion } from './api-version.ts';

/** One request and the means to answer it. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Path parameters by name, percent-decoded. */
  readonly params: Readonly<Record<string, string>>;
  /** What the client sends. Whoever stops reading leaves the connection whole; the server drops the rest. */
  readonly body: AsyncIterable<Buffer>;
  readonly version: ApiVersion;
  /** Aborts when the client goes away before the answer is complete. Made on first use. */
  readonly signal: AbortSignal;
  /** The connection itself, for endpoints that leave HTTP; undefined when the client did not ask to upgrade. */
  readonly upgraded: Duplex | undefined;

  /** A JSON answer, ended with a newline as Go's encoder ends it. */
  json(status: number, value: unknown): void;
  /** An answer without a body. */
  empty(status: number): void;
  text(status: number, body: string): void;
  /** Sends the head of an answer whose body is written as it comes. */
  open(status: number, headers: Readonly<Record<string, string>>): void;
  /**
   * Takes the raw connection out of HTTP, before anything was answered. The caller owns it from then on; the reading side
   * gives what the client sends after its request.
   */
  hijack(): Duplex;
}

export class HttpExchange implements Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly upgraded: Duplex | undefined;
  params: Readonly<Record<string, string>> = {};
  version: ApiVersion = 0;
  #controller: AbortController | undefined;
  readonly #takeConnection: () => Duplex;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    upgraded: Duplex | undefined,
    takeConnection: () => Duplex,
  ) {
    this.request = request;
    this.response = response;
    this.upgraded = upgraded;
    this.#takeConnection = takeConnection;
  }

  get body(): AsyncIterable<Buffer> {
    return this.request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController();
      this.#controller = controller;
      if (this.response.destroyed) controller.abort();
      else {
        this.response.once('close', () => {
          if (!this.response.writableFinished) controller.abort();
        });
      }
    }
    return this.#controller.signal;
  }

  json(status: number, value: unknown): void {
    const body = `${JSON.stringify(value)}\n`;
    this.response.writeHead(status, {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(body),
    });
    this.response.end(body);
  }

  empty(status: number): void {
    // Go sends Content-Length: 0 wherever a body could be; 204 and 304 cannot have one.
    this.response.writeHead(status, status === 204 || status === 304 ? {} : { 'Content-Length': 0 });
    this.response.end();
  }

  text(status: number, body: string): void {
    this.response.writeHead(status, {
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Length': Buffer.byteLength(body),
    });
    this.response.end(body);
  }

  open(status: number, headers: Readonly<Record<string, string>>): void {
    this.response.writeHead(status, headers);
    this.response.flushHeaders();
  }

  hijack(): Duplex {
    return this.#takeConnection();
  }
}
