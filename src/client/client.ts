import type { Socket } from 'node:net';
import type { Endpoint } from './endpoint.ts';
import { ApiError } from './errors.ts';
import { HttpConnection, openConnection, type Head, type RequestLine } from './http.ts';
import { jsonValues } from './json-lines.ts';

export type QueryValue = string | number | boolean | readonly string[] | undefined;

export interface ApiRequest {
  query?: Readonly<Record<string, QueryValue>>;
  /** For what only a newer version of the API has. */
  apiVersion?: string | undefined;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is; exclusive with `json`. */
  body?: Buffer | AsyncIterable<Uint8Array>;
  headers?: Readonly<Record<string, string>>;
}

/** An answer of the engine, its body not yet read. Read it to its end or `close()` it. */
export class ApiResponse {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: AsyncGenerator<Buffer, void, undefined>;
  readonly #connection: HttpConnection;

  constructor(head: Head, connection: HttpConnection, body: AsyncGenerator<Buffer, void, undefined>) {
    this.status = head.status;
    this.headers = head.headers;
    this.#connection = connection;
    this.body = body;
  }

  async text(): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.body) chunks.push(chunk);
    return Buffer.concat(chunks).toString('utf8');
  }

  async json<T>(): Promise<T> {
    return JSON.parse(await this.text()) as T;
  }

  /** A stream of JSON values. */
  values<T>(): AsyncGenerator<T, void, undefined> {
    return jsonValues<T>(this.body);
  }

  /** A stream of lines, without their ends; for JSON whose numbers are larger than JavaScript's. */
  async *lines(): AsyncGenerator<string, void, undefined> {
    const decoder = new TextDecoder();
    let text = '';
    for await (const chunk of this.body) {
      text += decoder.decode(chunk, { stream: true });
      const parts = text.split('\n');
      text = parts.pop() ?? '';
      for (const part of parts) if (part !== '') yield part;
    }
    if (text !== '') yield text;
  }

  close(): void {
    this.#connection.socket.destroy();
  }
}

/** A hijacked connection: bytes both ways. `end()` half-closes it towards the container. */
export interface Hijacked {
  socket: Socket;
  /** What arrived together with the head; comes before anything the socket reads. */
  rest: Buffer;
  /** True when the bytes are framed (no terminal); see `StreamDemuxer`. */
  framed: boolean;
}

export interface ApiClientOptions {
  endpoint: Endpoint;
  /** `1.41` puts `/v1.41` before every path, whatever the engine says to it. */
  apiVersion?: string | undefined;
  /** Called when nobody listens; true means: try once more. */
  onUnreachable?: (error: Error) => Promise<boolean>;
}

/** The newest API version that this client knows the answers of. */
export const newestApiVersion = '1.51';

/**
 * A client of the Docker Engine API. Idle connections are kept and used again; several requests at a time take several
 * connections. Nothing is negotiated beforehand: requests are sent in our newest version, and an engine that is older says
 * which one it has, after which that one is used.
 */
export class ApiClient {
  readonly endpoint: Endpoint;
  #version: string;
  /** False while the engine may still refuse our version. */
  #settled: boolean;
  readonly #onUnreachable: ((error: Error) => Promise<boolean>) | undefined;
  readonly #idle: HttpConnection[] = [];
  /** From the `Api-Version` header of the last answer. */
  serverApiVersion = '';

  constructor(options: ApiClientOptions) {
    this.endpoint = options.endpoint;
    this.#version = options.apiVersion ?? newestApiVersion;
    this.#settled = options.apiVersion !== undefined;
    this.#onUnreachable = options.onUnreachable;
  }

  async #connection(): Promise<HttpConnection> {
    for (;;) {
      const idle = this.#idle.pop();
      if (idle === undefined) break;
      if (!idle.socket.destroyed && idle.socket.readable) return idle;
    }
    try {
      return await openConnection(this.endpoint);
    } catch (error) {
      if (this.#onUnreachable && (await this.#onUnreachable(error as Error)))
        return openConnection(this.endpoint);
      throw error;
    }
  }

  /** Sends a request; answers of 400 and more throw. @throws {ApiError} @throws {ConnectionError} */
  async request(method: string, path: string, request: ApiRequest = {}): Promise<ApiResponse> {
    return this.#settle(request, () => this.#request(method, path, request));
  }

  async #request(method: string, path: string, request: ApiRequest): Promise<ApiResponse> {
    const connection = await this.#connection();
    const head = await this.#exchange(connection, method, path, request);
    const release = (): void => {
      if (connection.reusable) this.#idle.push(connection);
      else connection.socket.destroy();
    };
    const body = (async function* (): AsyncGenerator<Buffer, void, undefined> {
      yield* connection.body(head, method);
      release();
    })();
    const response = new ApiResponse(head, connection, body);
    if (head.status >= 400) throw new ApiError(head.status, await errorText(response));
    return response;
  }

  /** Does it again in the engine's version when ours is too new for it. A stream cannot be sent twice, so that asks first. */
  async #settle<T>(request: ApiRequest, act: () => Promise<T>): Promise<T> {
    if (this.#settled) return act();
    if (request.body !== undefined && !Buffer.isBuffer(request.body))
      await this.request('GET', '/version').then((r) => r.text());
    try {
      const result = await act();
      this.#settled = true;
      return result;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const older = /is too new\. Maximum supported API version is (\d+\.\d+)/.exec(error.message)?.[1];
      this.#settled = true;
      if (older === undefined) throw error;
      this.#version = older;
      return act();
    }
  }

  async #exchange(
    connection: HttpConnection,
    method: string,
    path: string,
    request: ApiRequest,
  ): Promise<Head> {
    const headers: Record<string, string> = { ...request.headers };
    let body: RequestLine['body'] = request.body;
    if (request.json !== undefined) {
      body = JSON.stringify(request.json);
      headers['Content-Type'] = 'application/json';
    } else if (body !== undefined) headers['Content-Type'] ??= 'application/x-tar';
    const { address } = this.endpoint;
    const host = address.kind === 'unix' ? 'coracle' : `${address.host}:${address.port}`;
    const target = `/v${request.apiVersion ?? this.#version}${path}${queryString(request.query)}`;
    const line: RequestLine = { method, path: target, headers, body };
    const head = await connection.exchange(line, host);
    this.serverApiVersion = head.headers.get('api-version') ?? this.serverApiVersion;
    return head;
  }

  async get<T>(path: string, query?: ApiRequest['query']): Promise<T> {
    return (await this.request('GET', path, query ? { query } : {})).json<T>();
  }

  /** A POST whose answer is JSON, or nothing (then the result is undefined). */
  async post<T>(path: string, request: ApiRequest = {}): Promise<T> {
    const text = await (await this.request('POST', path, request)).text();
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  async delete<T>(path: string, query?: ApiRequest['query']): Promise<T> {
    const text = await (await this.request('DELETE', path, query ? { query } : {})).text();
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  /** Asks for a raw connection (attach, exec start). @throws {ApiError} when the engine answers an error instead. */
  async hijack(path: string, request: ApiRequest = {}): Promise<Hijacked> {
    return this.#settle(request, () => this.#hijack(path, request));
  }

  async #hijack(path: string, request: ApiRequest): Promise<Hijacked> {
    const connection = await this.#connection();
    const head = await this.#exchange(connection, 'POST', path, {
      ...request,
      headers: { ...request.headers, Connection: 'Upgrade', Upgrade: 'tcp' },
    });
    if (head.status !== 101 && head.status !== 200) {
      const response = new ApiResponse(head, connection, connection.body(head, 'POST'));
      throw new ApiError(head.status, await errorText(response));
    }
    const { socket, rest } = connection.detach();
    // Engines before API 1.42 say raw-stream in both cases, so only the newer value decides.
    const framed = head.headers.get('content-type') === 'application/vnd.docker.multiplexed-stream';
    return { socket, rest, framed };
  }

  /** Closes what is idle. */
  close(): void {
    for (const connection of this.#idle.splice(0)) connection.socket.destroy();
  }
}

async function errorText(response: ApiResponse): Promise<string> {
  const text = (await response.text()).trim();
  if (response.headers.get('content-type')?.startsWith('application/json')) {
    try {
      const { message } = JSON.parse(text) as { message?: string };
      if (message) return message.trim();
    } catch {
      // Not JSON after all: the text itself has to do.
    }
  }
  return (
    text ||
    `request returned ${response.status} for API route and version, check if the server supports the requested API version`
  );
}

function queryString(query: ApiRequest['query']): string {
  if (query === undefined) return '';
  const parts: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    const values =
      typeof value === 'object' ? value : [value === true ? '1' : value === false ? '0' : String(value)];
    for (const one of values) parts.push(`${name}=${encodeURIComponent(one)}`);
  }
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}
