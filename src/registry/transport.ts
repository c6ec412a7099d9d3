import http from 'node:http';
import https from 'node:https';
import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { EngineError, errorMessage } from '../errors/index.ts';
import { bypassesProxy } from './no-proxy.ts';
import { connectionText } from './connection-text.ts';

/** How an endpoint's certificate is judged, and what is shown to it. */
export interface TlsProfile {
  skipVerify?: boolean;
  /** PEM, beside the system's. */
  ca?: readonly string[];
  clientCertificates?: readonly { cert: string; key: string }[];
}

export interface HttpRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  url: URL;
  headers?: Readonly<Record<string, string>>;
  /** A source is asked anew for each attempt. */
  body?: Uint8Array | (() => Readable);
  tls?: TlsProfile;
  signal?: AbortSignal;
  /** The method in the error's text, as Docker would have sent it. */
  label?: string;
}

export interface HttpResponse {
  status: number;
  statusText: string;
  headers: http.IncomingHttpHeaders;
  /** Must be read to its end or destroyed. */
  body: http.IncomingMessage;
  /** After redirects. */
  url: URL;
}

/** A connection that failed or broke, before or in the middle of an answer. */
export class ConnectionError extends EngineError {
  /** `ECONNREFUSED` */
  readonly errno: string;

  constructor(message: string, errno: string, cause?: unknown) {
    super('unavailable', message, { code: 'connection-failed', details: { errno }, cause });
    this.name = 'ConnectionError';
    this.errno = errno;
  }
}

export interface TransportOptions {
  environment?: NodeJS.ProcessEnv;
  userAgent?: string;
  /** Silence after which a connection counts as broken. Default 60 s. */
  idleTimeoutMs?: number;
  /** Time for a name's resolution and the connection. Default 15 s. */
  connectTimeoutMs?: number;
}

const maxRedirects = 10;

/**
 * HTTP over kept connections: node:http with one agent for each TLS profile, since it streams without copies, tells
 * connection errors apart by their codes and takes the proxy from the environment.
 */
export class Transport implements Disposable {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #userAgent: string;
  readonly #idleTimeoutMs: number;
  readonly #connectTimeoutMs: number;
  readonly #agents = new Map<string, http.Agent>();

  constructor(options: TransportOptions = {}) {
    this.#environment = options.environment ?? process.env;
    this.#userAgent = options.userAgent ?? 'coracle';
    this.#idleTimeoutMs = options.idleTimeoutMs ?? 60_000;
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 15_000;
  }

  /**
   * Sends a request and follows redirects of GET and HEAD; credentials are never shown to another origin.
   * @throws {ConnectionError} with Docker's text: `Get "https://…": dial tcp …`
   */
  async send(request: HttpRequest): Promise<HttpResponse> {
    let { url } = request;
    let headers: Record<string, string> = { 'User-Agent': this.#userAgent, ...request.headers };
    for (let redirects = 0; ; redirects += 1) {
      const response = await this.#once({ ...request, url, headers, isRedirected: redirects > 0 });
      const { location } = response.headers;
      const moved = [301, 302, 303, 307, 308].includes(response.status) && location !== undefined;
      if (!moved || (request.method !== 'GET' && request.method !== 'HEAD')) return response;
      response.body.resume();
      if (redirects === maxRedirects) throw this.#failed(request, 'stopped after 10 redirects', 'ELOOP');
      const next = parseUrl(location, url);
      if (next === undefined) throw this.#failed(request, `invalid redirect location`, 'EINVAL');
      if (url.protocol === 'https:' && next.protocol !== 'https:' && request.tls?.skipVerify !== true) {
        throw this.#failed(request, `redirected from https to ${next.protocol}//${next.host}`, 'EINVAL');
      }
      if (next.origin !== url.origin) {
        const { Authorization: _, Cookie: __, ...rest } = headers;
        headers = rest;
      }
      url = next;
    }
  }

  [Symbol.dispose](): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }

  async #once(
    request: HttpRequest & { headers: Record<string, string>; isRedirected: boolean },
  ): Promise<HttpResponse> {
    for (let attempt = 0; ; attempt += 1) {
      const { url, method, headers, body, signal } = request;
      signal?.throwIfAborted();
      const module = url.protocol === 'https:' ? https : http;
      const length = body instanceof Uint8Array ? { 'Content-Length': String(body.length) } : {};
      const sent = module.request(url, {
        method,
        agent: this.#agent(url, request.tls),
        headers: { ...headers, ...length },
        ...(signal === undefined ? {} : { signal }),
      });
      // What breaks after the answer's head is told by its body.
      sent.on('error', () => undefined);
      const connecting = setTimeout(() => {
        if (sent.socket === null || sent.socket.connecting) {
          sent.destroy(Object.assign(new Error('i/o timeout'), { code: 'ETIMEDOUT', syscall: 'connect' }));
        }
      }, this.#connectTimeoutMs);
      sent.setTimeout(this.#idleTimeoutMs, () =>
        sent.destroy(Object.assign(new Error('i/o timeout'), { code: 'ETIMEDOUT' })),
      );
      try {
        const [response] = (await Promise.all([once(sent, 'response'), feed(sent, body)]))[0] as [
          http.IncomingMessage,
        ];
        return {
          status: response.statusCode ?? 0,
          statusText: response.statusMessage ?? '',
          headers: response.headers,
          body: response,
          url,
        };
      } catch (error) {
        sent.destroy();
        signal?.throwIfAborted();
        const code = (error as NodeJS.ErrnoException).code ?? '';
        // The server closed a kept connection just as it was used again. It may have heard an upload all the same, which
        // then must be begun anew.
        const isIdle = sent.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE');
        if (isIdle && attempt === 0 && (method === 'GET' || method === 'HEAD')) continue;
        throw this.#failed(request, connectionText(error, url), code, error);
      } finally {
        clearTimeout(connecting);
      }
    }
  }

  #failed(
    request: HttpRequest & { isRedirected?: boolean },
    text: string,
    errno: string,
    cause?: unknown,
  ): ConnectionError {
    const { label, method, url, isRedirected = false } = request;
    const verb = label ?? method.charAt(0) + method.slice(1).toLowerCase();
    // A redirect's query may carry a signature that stands for credentials.
    const shown = `${url.origin}${url.pathname}${isRedirected ? '' : url.search}`;
    return new ConnectionError(`${verb} "${shown}": ${text}`, errno, cause);
  }

  #agent(url: URL, profile: TlsProfile = {}): http.Agent {
    const proxied = !bypassesProxy(url.hostname, url.port, this.#environment);
    const secure = url.protocol === 'https:';
    const key = JSON.stringify([secure, proxied, secure ? profile : null]);
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const common = {
      keepAlive: true,
      keepAliveMsecs: 30_000,
      maxSockets: 16,
      ...(proxied ? { proxyEnv: this.#environment } : {}),
    };
    const agent = secure ? new https.Agent({ ...common, ...tlsOptions(profile) }) : new http.Agent(common);
    this.#agents.set(key, agent);
    return agent;
  }
}

/** The body goes out while the answer may come in already: a registry can refuse an upload before its end. */
async function feed(sent: http.ClientRequest, body: HttpRequest['body']): Promise<void> {
  if (body === undefined || body instanceof Uint8Array) {
    sent.end(body);
    return;
  }
  const source = body();
  sent.on('close', () => source.destroy());
  let answered = false;
  sent.once('response', () => (answered = true));
  await new Promise<void>((resolve, reject) => {
    source.on('error', (error) => (answered ? resolve() : reject(error)));
    sent.on('response', () => resolve());
    sent.on('error', (error) => (answered ? resolve() : reject(error)));
    source.pipe(sent);
  });
}

let systemAuthorities: string[] | undefined;

function tlsOptions(profile: TlsProfile): https.AgentOptions {
  systemAuthorities ??= readSystemAuthorities();
  const certificates = profile.clientCertificates ?? [];
  return {
    rejectUnauthorized: profile.skipVerify !== true,
    ca: [...systemAuthorities, ...(profile.ca ?? [])],
    minVersion: 'TLSv1.2',
    ...(certificates.length === 0
      ? {}
      : { cert: certificates.map(({ cert }) => cert), key: certificates.map(({ key }) => key) }),
  };
}

/** As Go does: the system's certificates; Node's own when there are none. */
function readSystemAuthorities(): string[] {
  try {
    const file = process.env['SSL_CERT_FILE'];
    if (file !== undefined && file !== '') return [readFileSync(file, 'utf8')];
    const system = tls.getCACertificates('system');
    if (system.length > 0) return system;
  } catch (error) {
    if (errorMessage(error) === '') throw error;
  }
  return [...tls.rootCertificates];
}

function parseUrl(text: string, base: URL): URL | undefined {
  const url = URL.parse(text, base);
  return url !== null && (url.protocol === 'http:' || url.protocol === 'https:') ? url : undefined;
}
