import { createServer, ServerResponse, type IncomingMessage, type Server } from 'node:http';
import type https from 'node:https';
import type { ServerOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SecureContextOptions, TlsOptions } from 'node:tls';
import { EngineError } from '../errors/index.ts';
import { formatApiVersion, maximumApiVersion, negotiate, type ApiVersion } from './api-version.ts';
import { detachFromHttp } from './connection.ts';
import { errorResponse } from './error-response.ts';
import { HttpExchange } from './exchange.ts';
import { Router } from './router.ts';
import type { Route } from './route.ts';

export interface ApiServerOptions {
  routes: readonly Route[];
  /** For the `Server` header. */
  serverVersion: string;
  /** Told of answers with status 500 and above, and of every request when set. */
  log?: ApiLog;
  tls?: SecureContextOptions & TlsOptions;
  /** The lowest API version that is served. */
  minimumVersion: ApiVersion;
}

export interface ApiLog {
  request?(method: string, url: string): void;
  failure(method: string, url: string, status: number, error: unknown): void;
}

/**
 * The Engine API on an HTTP server that is not listening yet. The caller listens on sockets of its choice, any number
 * of them through further servers, and closes them.
 */
export function createApiServer(options: ApiServerOptions): Server {
  const router = new Router(options.routes);
  const settings = {
    // Go's limits: headers up to 1 MiB (registry tokens are long), no limit in time.
    maxHeaderSize: 1 << 20,
    requestTimeout: 0,
    headersTimeout: 0,
    keepAliveTimeout: 0,
    noDelay: true,
    // node:http has this by default, node:https does not: a client's FIN must not end the container's output.
    allowHalfOpen: true,
    // Other upgrades (h2c and the like) are answered as plain requests, as HTTP says of unknown ones.
    shouldUpgradeCallback: (request: IncomingMessage): boolean =>
      router.find(request.method ?? '', pathOf(request))?.route.upgrades === true,
  } satisfies ServerOptions;
  const api = new Api(router, options);
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    void api.serve(request, response, undefined);
  };
  const server =
    options.tls === undefined
      ? createServer(settings, onRequest)
      : tlsModule().createServer({ ...settings, ...options.tls }, onRequest);
  const sockets = new Set<Socket>();
  openSockets.set(server, sockets);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (request: IncomingMessage, connection: Duplex, head: Buffer) => {
    connection.on('error', () => connection.destroy());
    if (head.length > 0) connection.unshift(head);
    // Answers other than the hijack (errors mostly) still go out as HTTP.
    const response = new ServerResponse(request);
    response.assignSocket(connection as Socket);
    response.shouldKeepAlive = false;
    response.once('finish', () => {
      response.detachSocket(connection as Socket);
      connection.end();
      connection.resume();
    });
    void api.serve(request, response, connection);
  });
  return server;
}

const openSockets = new WeakMap<Server, Set<Socket>>();

/** Stops listening and cuts every connection, hijacked ones too, which node:http no longer knows. */
export function closeApiServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of openSockets.get(server) ?? []) socket.destroy();
  });
}

/** TLS costs 5 MB of memory, so it is loaded by those who use it. */
function tlsModule(): typeof https {
  return process.getBuiltinModule('node:https');
}

function pathOf(request: IncomingMessage): string {
  const url = request.url ?? '/';
  const mark = url.indexOf('?');
  return mark < 0 ? url : url.slice(0, mark);
}

const discardMaxMs = 10_000;

/**
 * Reads and drops what is left of a body: a client that is still sending must get to the answer, and the rest is no next
 * request. One that does not come to an end loses its connection.
 */
function discardRest(request: IncomingMessage): void {
  const { socket } = request;
  const timer = setTimeout(() => socket.destroy(), discardMaxMs).unref();
  request.once('close', () => clearTimeout(timer));
  request.resume();
}

class Api {
  readonly #router: Router;
  readonly #options: ApiServerOptions;

  constructor(router: Router, options: ApiServerOptions) {
    this.#router = router;
    this.#options = options;
  }

  async serve(
    request: IncomingMessage,
    response: ServerResponse,
    upgraded: Duplex | undefined,
  ): Promise<void> {
    let isHttp = upgraded === undefined;
    const exchange = new HttpExchange(request, response, upgraded, () => {
      isHttp = false;
      if (upgraded === undefined) return detachFromHttp(response);
      response.detachSocket(upgraded as Socket);
      return upgraded;
    });
    this.#options.log?.request?.(request.method ?? '', request.url ?? '');
    let askedVersion: string | undefined;
    try {
      const match = this.#router.find(request.method ?? '', pathOf(request));
      if (match === undefined) {
        if (request.method === 'OPTIONS') {
          this.#setCommonHeaders(response);
          exchange.empty(200);
          return;
        }
        exchange.json(404, { message: 'page not found' });
        return;
      }
      askedVersion = match.askedVersion;
      this.#setCommonHeaders(response);
      exchange.version = negotiate(askedVersion, this.#options.minimumVersion);
      exchange.params = match.params;
      const since = match.route.since ?? 0;
      if (exchange.version < since) {
        exchange.json(404, { message: 'page not found' });
        return;
      }
      await match.route.handle(exchange);
    } catch (error) {
      this.#answerError(exchange, error, askedVersion);
    }
    if (isHttp && !request.complete && !request.destroyed) discardRest(request);
  }

  #setCommonHeaders(response: ServerResponse): void {
    response.setHeader('Api-Version', formatApiVersion(maximumApiVersion));
    response.setHeader('Docker-Experimental', 'false');
    response.setHeader('Ostype', 'linux');
    response.setHeader('Server', `Coracle/${this.#options.serverVersion} (linux)`);
  }

  #answerError(exchange: HttpExchange, error: unknown, askedVersion: string | undefined): void {
    const { request, response } = exchange;
    const { status, message } = errorResponse(error);
    if (status >= 500) {
      this.#options.log?.failure(request.method ?? '', request.url ?? '', status, error);
    }
    // Once the body has begun the only honest sign is a broken answer.
    if (response.headersSent || response.socket === null) {
      response.destroy();
      return;
    }
    const tooOld = error instanceof EngineError && error.code === 'version-too-old';
    if (status === 304) exchange.empty(304);
    else if (tooOld && askedVersion !== undefined) exchange.text(status, `${message}\n`);
    else exchange.json(status, { message });
  }
}
