import { EngineError } from '../errors/index.ts';
import {
  parseReference,
  type Descriptor,
  type Digest,
  type Platform,
  type Reference,
} from '../spec/index.ts';
import type { RegistryCredentials } from './credentials.ts';
import { Endpoint } from './endpoint.ts';
import { hostsOf, searchHosts, type HostOptions } from './hosts.ts';
import { platformsOf } from './inspect.ts';
import { search, splitTerm, type SearchResult } from './search.ts';
import { Repository } from './repository.ts';
import { RegistryError } from './registry-error.ts';
import type { RetryOptions } from './retry.ts';
import { Transport, type TransportOptions } from './transport.ts';

export interface RegistriesOptions extends HostOptions, TransportOptions {
  retry?: RetryOptions;
  /** Layers fetched at a time by one operation. Default 3, as Docker's. */
  maxConcurrentDownloads?: number;
  /** Default 5, as Docker's. */
  maxConcurrentUploads?: number;
}

/** How one operation reaches a registry. */
export interface RegistryAccess {
  credentials?: RegistryCredentials;
  /** Plain HTTP and unknown certificates will do, whatever the configuration says of the registry. */
  isInsecure?: boolean;
}

/** All registries, as one engine reaches them. */
export class Registries implements Disposable {
  #options: RegistriesOptions;
  readonly #transport: Transport;

  constructor(options: RegistriesOptions = {}) {
    this.#options = options;
    this.#transport = new Transport(options);
  }

  /** Changes what a reload of the configuration may change; operations under way go on as they began. */
  configure(options: Pick<RegistriesOptions, 'insecureRegistries' | 'mirrors'>): void {
    this.#options = { ...this.#options, ...options };
  }

  get maxConcurrentDownloads(): number {
    return Math.max(1, this.#options.maxConcurrentDownloads ?? 3);
  }

  get maxConcurrentUploads(): number {
    return Math.max(1, this.#options.maxConcurrentUploads ?? 5);
  }

  /** A repository for one operation; nothing is sent before it is asked. */
  repository(
    reference: Reference,
    options: RegistryAccess & { actions?: 'pull' | 'pull,push' } = {},
  ): Repository {
    const { domain } = reference;
    const { insecureRegistries = [] } = this.#options;
    const reached =
      options.isInsecure === true
        ? { ...this.#options, insecureRegistries: [...insecureRegistries, domain] }
        : this.#options;
    const endpoints = hostsOf(domain, reached).map(
      // A mirror is another party: it gets no credentials of the registry.
      (host) => new Endpoint(host, this.#transport, host.isMirror ? {} : (options.credentials ?? {})),
    );
    return new Repository(reference, endpoints, {
      actions: options.actions ?? 'pull',
      retry: this.#options.retry ?? {},
    });
  }

  /**
   * Tries credentials. Gives the token to keep in place of the password, or ''.
   * @throws {EngineError} `unauthorized` with Docker's text
   */
  async login(credentials: RegistryCredentials, signal?: AbortSignal): Promise<{ identityToken: string }> {
    const domain = domainOf(credentials.serverAddress ?? '');
    const hosts = hostsOf(domain, this.#options).filter(({ isMirror }) => !isMirror);
    let last: unknown = new EngineError('unavailable', 'no endpoints found for the registry');
    for (const host of hosts) {
      const endpoint = new Endpoint(host, this.#transport, credentials);
      try {
        return { identityToken: await endpoint.login(signal) };
      } catch (error) {
        signal?.throwIfAborted();
        last = error;
        if (endpoint.hasAnswered) throw loginError(error, host.base);
      }
    }
    throw last;
  }

  /**
   * What a reference stands for now: its descriptor and bytes, and the platforms it has.
   * @throws {RegistryError}
   */
  async inspect(
    reference: Reference,
    options: RegistryAccess & { signal?: AbortSignal } = {},
  ): Promise<{ descriptor: Descriptor; bytes: Buffer; platforms: Platform[] }> {
    const { signal, ...access } = options;
    const repository = this.repository(reference, access);
    const fetched = await repository.manifest(reference.digest ?? reference.tag ?? 'latest', signal);
    return { ...fetched, platforms: await platformsOf(repository, fetched.bytes, signal) };
  }

  /**
   * Puts a manifest or an index in place.
   * @param manifest.source a repository of the registry, and the blobs that are taken over from it first
   * @throws {RegistryError}
   * @throws {EngineError} `not-found` when a blob is not to be had
   */
  async putManifest(
    reference: Reference,
    manifest: { mediaType: string; bytes: Uint8Array; source?: { path: string; blobs: readonly Digest[] } },
    options: RegistryAccess & { signal?: AbortSignal } = {},
  ): Promise<Digest> {
    const { signal, ...access } = options;
    const { mediaType, bytes, source } = manifest;
    const repository = this.repository(reference, { ...access, actions: 'pull,push' });
    for (const digest of source?.blobs ?? []) {
      if (await repository.takeOver(digest, source?.path ?? '', signal)) continue;
      throw new EngineError('not-found', `error mounting ${source?.path}@${digest} to ${reference.path}`);
    }
    return await repository.putManifest(
      reference.digest ?? reference.tag ?? 'latest',
      mediaType,
      bytes,
      signal,
    );
  }

  /**
   * Asks the search service of a registry, of the default domain when `term` names none.
   * @throws {RegistryError} also for a registry without that service, as most are
   */
  async search(
    term: string,
    options: { limit: number; credentials?: RegistryCredentials; signal?: AbortSignal },
  ): Promise<SearchResult[]> {
    const { credentials = {}, signal } = options;
    const { domain, rest } = splitTerm(term);
    return await search(
      this.#transport,
      searchHosts(domain, this.#options),
      { term: rest, limit: options.limit, credentials },
      signal,
    );
  }

  [Symbol.dispose](): void {
    this.#transport[Symbol.dispose]();
  }
}

function loginError(error: unknown, base: URL): unknown {
  if (!(error instanceof RegistryError) || error.status !== 401) return error;
  // Without diagnostics it comes from the token service, and says so.
  const text =
    error.diagnostics.length === 0
      ? error.message
      : `login attempt to ${base.href} failed with status: 401 Unauthorized`;
  return new EngineError('unauthorized', text, { cause: error });
}

/** `https://example.org/v1/` and `example.org` alike; nothing means the default domain. */
function domainOf(serverAddress: string): string {
  const host = serverAddress.replace(/^https?:\/\//, '').split('/')[0] ?? '';
  if (host === '') return parseReference('x').domain;
  return parseReference(`${host}/x/x`).domain;
}
