import { errorMessage } from '../errors/index.ts';
import { parseChallenges, type Challenge } from './challenge.ts';
import type { RegistryCredentials } from './credentials.ts';
import { registryError } from './registry-error.ts';
import { readText } from './read-body.ts';
import { ConnectionError, type TlsProfile, type Transport } from './transport.ts';

const clientId = 'docker';
/** The token specification's default for a token that does not say. */
const defaultLifetimeMs = 60_000;
const maxTokenAnswerBytes = 1024 * 1024;

interface Token {
  value: string;
  expiresAtMs: number;
}

/** `repository:library/busybox:pull` */
export type Scope = string;

/** Proves to one endpoint who is asking: Basic, or Bearer tokens that are kept while they are valid. */
export class Authorizer {
  readonly #transport: Transport;
  readonly #credentials: RegistryCredentials;
  readonly #tls: TlsProfile;
  readonly #isSecure: boolean;
  readonly #tokens = new Map<string, Promise<Token>>();
  #challenge: Challenge | undefined;

  constructor(
    transport: Transport,
    endpoint: { credentials: RegistryCredentials; tls: TlsProfile; isSecure: boolean },
  ) {
    this.#transport = transport;
    this.#credentials = endpoint.credentials;
    this.#tls = endpoint.tls;
    this.#isSecure = endpoint.isSecure;
  }

  /** Takes the challenge of a 401 answer; false when it has none that is known here. */
  challenged(header: unknown): boolean {
    const challenges = parseChallenges(header);
    const found =
      challenges.find(({ scheme }) => scheme === 'bearer') ??
      challenges.find(({ scheme }) => scheme === 'basic');
    if (found !== undefined) this.#challenge = found;
    return found !== undefined;
  }

  /** Whether a 401 could be answered with something else than what was sent. */
  get canRenew(): boolean {
    return this.#challenge?.scheme === 'bearer' && this.#credentials.registryToken === undefined;
  }

  /** Forgets the tokens, since one was refused. */
  forget(): void {
    this.#tokens.clear();
  }

  /**
   * The Authorization header for requests that need these scopes; undefined while nothing was asked for.
   * @param failed makes the error of a request that cannot be authorized
   */
  async header(
    scopes: readonly Scope[],
    failed: (text: string, cause: unknown) => Error,
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    const { registryToken, username, password } = this.#credentials;
    if (registryToken !== undefined) return `Bearer ${registryToken}`;
    const challenge = this.#challenge;
    if (challenge === undefined) return undefined;
    if (challenge.scheme === 'basic') {
      if (username === undefined) throw failed('no basic auth credentials', undefined);
      return basic(username, password ?? '');
    }
    try {
      return `Bearer ${(await this.#token(challenge, scopes, signal)).value}`;
    } catch (error) {
      signal?.throwIfAborted();
      throw failed(errorMessage(error), error);
    }
  }

  /** Asks for a refresh token in place of the password; '' when the service gives none, or there is no service. */
  async identityToken(signal?: AbortSignal): Promise<string> {
    const challenge = this.#challenge;
    if (challenge?.scheme !== 'bearer') return '';
    const answer = await this.#ask(challenge, [], true, signal);
    return answer.refreshToken;
  }

  async #token(challenge: Challenge, scopes: readonly Scope[], signal?: AbortSignal): Promise<Token> {
    const key = scopes.toSorted().join(' ');
    const known = this.#tokens.get(key);
    if (known !== undefined) {
      const token = await known.catch(() => undefined);
      if (token !== undefined && token.expiresAtMs > Date.now()) return token;
      if (this.#tokens.get(key) === known) this.#tokens.delete(key);
    }
    const asked = this.#tokens.get(key) ?? this.#ask(challenge, scopes, false, signal);
    this.#tokens.set(key, asked);
    return await asked;
  }

  async #ask(
    challenge: Challenge,
    scopes: readonly Scope[],
    offline: boolean,
    signal?: AbortSignal,
  ): Promise<Token & { refreshToken: string }> {
    const { realm = '', service = '' } = challenge.parameters;
    const url = URL.parse(realm);
    if (url === null || !/^https?:$/.test(url.protocol)) {
      throw new ConnectionError(`no token: invalid realm ${JSON.stringify(realm)}`, 'EINVAL');
    }
    const { username, password, identityToken } = this.#credentials;
    const hasSecret = username !== undefined || identityToken !== undefined;
    if (hasSecret && this.#isSecure && url.protocol !== 'https:') {
      throw new ConnectionError(`no token: the realm ${realm} is not secure`, 'EINVAL');
    }
    const wanted = [...new Set([...(challenge.parameters['scope']?.split(' ') ?? []), ...scopes])].filter(
      (scope) => scope !== '',
    );
    const common = { tls: this.#tls, ...(signal === undefined ? {} : { signal }) };
    const response =
      identityToken === undefined
        ? await this.#transport.send({
            ...common,
            method: 'GET',
            url: withQuery(url, service, wanted, offline, username),
            headers: username === undefined ? {} : { Authorization: basic(username, password ?? '') },
          })
        : await this.#transport.send({
            ...common,
            method: 'POST',
            url,
            headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
            body: form({
              grant_type: 'refresh_token',
              refresh_token: identityToken,
              service,
              client_id: clientId,
              scope: wanted.join(' '),
              ...(offline ? { access_type: 'offline' } : {}),
            }),
          });
    const text = await readText(response.body, maxTokenAnswerBytes);
    if (response.status >= 400) throw registryError(response, text);
    return parseToken(text);
  }
}

function withQuery(
  realm: URL,
  service: string,
  scopes: readonly Scope[],
  offline: boolean,
  account: string | undefined,
): URL {
  const url = new URL(realm);
  if (service !== '') url.searchParams.set('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  if (account !== undefined) url.searchParams.set('account', account);
  if (offline) {
    url.searchParams.set('offline_token', 'true');
    url.searchParams.set('client_id', clientId);
  }
  return url;
}

function form(members: Readonly<Record<string, string>>): Buffer {
  return Buffer.from(new URLSearchParams(members).toString());
}

function parseToken(text: string): Token & { refreshToken: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ConnectionError(`unable to decode token response: ${errorMessage(error)}`, 'EPROTO', error);
  }
  const answer = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const member = (name: string): string => (typeof answer[name] === 'string' ? answer[name] : '');
  const token = member('token') === '' ? member('access_token') : member('token');
  if (token === '')
    throw new ConnectionError('authorization server did not include a token in the response', 'EPROTO');
  const seconds = answer['expires_in'];
  const lifetimeMs = typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : defaultLifetimeMs;
  // A little early, so that it is still valid when it arrives.
  return {
    value: token,
    expiresAtMs: Date.now() + lifetimeMs * 0.9,
    refreshToken: member('refresh_token'),
  };
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
