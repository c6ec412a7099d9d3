import type { Readable } from 'node:stream';
import { Authorizer, type Scope } from './authorizer.ts';
import type { RegistryCredentials } from './credentials.ts';
import type { Host } from './hosts.ts';
import { readText } from './read-body.ts';
import { RegistryError, registryError } from './registry-error.ts';
import { ConnectionError, type HttpRequest, type HttpResponse, type Transport } from './transport.ts';

const maxErrorBytes = 64 * 1024;

export interface EndpointRequest {
  method: HttpRequest['method'];
  /** Below `/v2/`, or a whole URL that the registry gave for an upload. */
  path: string | URL;
  scopes: readonly Scope[];
  headers?: Readonly<Record<string, string>>;
  body?: Uint8Array | (() => Readable);
  signal?: AbortSignal;
  label?: string;
}

/** One host of a registry, asked first how it wants to be asked. */
export class Endpoint {
  readonly host: Host;
  readonly #transport: Transport;
  readonly #authorizer: Authorizer;
  #pinged: Promise<void> | undefined;
  #hasAnswered = false;

  constructor(host: Host, transport: Transport, credentials: RegistryCredentials) {
    this.host = host;
    this.#transport = transport;
    this.#authorizer = new Authorizer(transport, {
      credentials,
      tls: host.tls,
      isSecure: host.base.protocol === 'https:' && host.tls.skipVerify !== true,
    });
  }

  /** It speaks HTTP of this scheme: a failure is the registry's, and no reason to try another scheme. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /**
   * Asks for the API's version, which tells the scheme of authorization. Once; a failure is asked again.
   * @throws {ConnectionError} when it cannot be reached
   */
  async ping(signal?: AbortSignal): Promise<void> {
    this.#pinged ??= this.#ping(signal).catch((error: unknown) => {
      this.#pinged = undefined;
      throw error;
    });
    await this.#pinged;
  }

  /**
   * Sends a request, once more with a new token when it is refused as unauthorized.
   * @returns an answer below 400; its body must be read or destroyed
   * @throws {RegistryError} for other answers
   * @throws {ConnectionError}
   */
  async send(request: EndpointRequest): Promise<HttpResponse> {
    const { signal, method, label } = request;
    await this.ping(signal);
    const url = request.path instanceof URL ? request.path : new URL(request.path, this.host.base);
    const { namespace } = this.host;
    if (namespace !== undefined && (method === 'GET' || method === 'HEAD'))
      url.searchParams.set('ns', namespace);
    // An upload can be told to go on elsewhere, where the registry's credentials have no business.
    const isHere = url.origin === this.host.base.origin;
    const verb = label ?? method.charAt(0) + method.slice(1).toLowerCase();
    const failed = (text: string, cause: unknown): Error =>
      notAuthorized(`${verb} "${url.origin}${url.pathname}": ${text}`, cause);
    for (let attempt = 0; ; attempt += 1) {
      const authorization = isHere
        ? await this.#authorizer.header(request.scopes, failed, signal)
        : undefined;
      const response = await this.#transport.send({
        method,
        url,
        headers: {
          ...(isHere ? this.host.headers : {}),
          ...request.headers,
          ...(authorization === undefined ? {} : { Authorization: authorization }),
        },
        tls: this.host.tls,
        ...(request.body === undefined ? {} : { body: request.body }),
        ...(signal === undefined ? {} : { signal }),
        ...(label === undefined ? {} : { label }),
      });
      if (response.status < 400) return response;
      const body = await readText(response.body, maxErrorBytes).catch(() => '');
      const renew = response.status === 401 && attempt === 0 && isHere;
      if (renew && this.#authorizer.challenged(response.headers['www-authenticate'])) {
        const first = authorization === undefined;
        if (first || this.#authorizer.canRenew) {
          this.#authorizer.forget();
          continue;
        }
      }
      throw registryError(response, body);
    }
  }

  /** For a login: the API's root with credentials. Gives the identity token, or ''. */
  async login(signal?: AbortSignal): Promise<string> {
    await this.ping(signal);
    const identityToken = await this.#authorizer.identityToken(signal);
    const response = await this.send({
      method: 'GET',
      path: '',
      scopes: [],
      ...(signal === undefined ? {} : { signal }),
    });
    response.body.resume();
    return identityToken;
  }

  async #ping(signal?: AbortSignal): Promise<void> {
    const { base, tls, headers } = this.host;
    const response = await this.#transport.send({
      method: 'GET',
      url: base,
      headers,
      tls,
      ...(signal === undefined ? {} : { signal }),
    });
    response.body.resume();
    this.#hasAnswered = true;
    if (response.status === 401) this.#authorizer.challenged(response.headers['www-authenticate']);
    if (response.status >= 500) throw registryError(response, '');
  }
}

/** A request that could not be authorized; what the token service said of itself decides whether to try again. */
function notAuthorized(text: string, cause: unknown): Error {
  if (cause instanceof ConnectionError) return new ConnectionError(text, cause.errno, cause);
  if (cause instanceof RegistryError) {
    return new RegistryError(cause.status, text, [], cause.retryAfterMs);
  }
  return new RegistryError(401, text);
}
