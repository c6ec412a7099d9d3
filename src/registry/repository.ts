import { Readable } from 'node:stream';
import { EngineError, isEngineError } from '../errors/index.ts';
import {
  digestOf,
  isDigest,
  mediaTypes,
  parseDigest,
  type Descriptor,
  type Digest,
  type Reference,
} from '../spec/index.ts';
import type { Scope } from './authorizer.ts';
import type { Endpoint, EndpointRequest } from './endpoint.ts';
import type { Capability } from './hosts.ts';
import { readBytes } from './read-body.ts';
import { isTemporary, retry, type RetryOptions } from './retry.ts';
import { ConnectionError, type HttpResponse } from './transport.ts';
import { RegistryError } from './registry-error.ts';

/** As much as the content store reads into memory. */
const maxManifestBytes = 8 * 1024 * 1024;
const maxTagPages = 10_000;

const schema1 = 'application/vnd.docker.distribution.manifest.v1+json';
const signedSchema1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
const accepted = [
  mediaTypes.ociIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerIndex,
  mediaTypes.dockerManifest,
  signedSchema1,
  schema1,
].join(', ');

export interface FetchedManifest {
  /** Digest of the bytes; checked when it was asked for by digest. */
  descriptor: Descriptor;
  bytes: Buffer;
}

/** A blob's bytes from an offset on. */
export interface BlobStream {
  /** Where the bytes begin: 0 when the registry did not honour the range. */
  offsetBytes: number;
  body: Readable;
}

/** An upload that the registry expects bytes of. */
export interface BegunUpload {
  to: URL;
  /** How many it has. */
  offsetBytes: number;
}

/**
 * One repository of a registry, for one operation. What fails at a mirror is asked from the next host; temporary failures
 * are tried again. Reading needs the action `pull`, writing `push`.
 */
export class Repository {
  readonly reference: Reference;
  readonly #endpoints: readonly Endpoint[];
  readonly #actions: 'pull' | 'pull,push';
  readonly #retry: RetryOptions;
  /** Hosts that could not be reached; they are not asked again. */
  readonly #dead = new Set<Endpoint>();

  constructor(
    reference: Reference,
    endpoints: readonly Endpoint[],
    options: { actions: 'pull' | 'pull,push'; retry: RetryOptions },
  ) {
    this.reference = reference;
    this.#endpoints = endpoints;
    this.#actions = options.actions;
    this.#retry = options.retry;
  }

  /**
   * @param tagOrDigest `latest` or `sha256:…`
   * @throws {RegistryError} `not-found`
   * @throws {EngineError} `data-loss` when the bytes do not have the digest asked for
   */
  async manifest(tagOrDigest: string, signal?: AbortSignal): Promise<FetchedManifest> {
    return await this.#ask('resolve', signal, async (send) => {
      const response = await send({
        method: 'GET',
        path: `${this.reference.path}/manifests/${tagOrDigest}`,
        headers: { Accept: accepted },
        // Docker asks for a tag with HEAD first, and says so in its errors.
        ...(isDigest(tagOrDigest) ? {} : { label: 'Head' }),
      });
      const bytes = await readBytes(response.body, maxManifestBytes).catch((error: unknown) => {
        signal?.throwIfAborted();
        throw isEngineError(error) ? error : broken(response, error);
      });
      checkLength(response, bytes.length);
      const digest = digestOf(bytes);
      if (isDigest(tagOrDigest) && digest !== tagOrDigest) {
        throw new EngineError('data-loss', `manifest verification failed for digest ${tagOrDigest}`, {
          code: 'digest-mismatch',
        });
      }
      const { 'docker-content-digest': stated } = response.headers;
      if (typeof stated === 'string' && isDigest(stated) && digest !== stated) {
        // Nothing else tells that the bytes of a tag's manifest went wrong on the way.
        throw new ConnectionError(`manifest verification failed for digest ${stated}`, 'EBADMSG');
      }
      return asManifest(bytes, digest, mediaTypeOf(response));
    });
  }

  /** Digest, type and size of a tag's manifest without its bytes; undefined when the registry does not say. */
  async resolve(tag: string, signal?: AbortSignal): Promise<Descriptor | undefined> {
    return await this.#ask('resolve', signal, async (send) => {
      const response = await send({
        method: 'HEAD',
        path: `${this.reference.path}/manifests/${tag}`,
        headers: { Accept: accepted },
      });
      response.body.resume();
      const { 'docker-content-digest': digest, 'content-length': length } = response.headers;
      if (typeof digest !== 'string' || !isDigest(digest) || length === undefined) return undefined;
      return { mediaType: mediaTypeOf(response), digest, size: Number(length) };
    });
  }

  /** All tags, in the registry's order. */
  async tags(signal?: AbortSignal): Promise<string[]> {
    return await this.#ask('resolve', signal, async (send) => {
      const tags: string[] = [];
      let path: string | URL = `${this.reference.path}/tags/list`;
      for (let page = 0; page < maxTagPages; page += 1) {
        const response = await send({ method: 'GET', path });
        const value = JSON.parse((await readBytes(response.body, maxManifestBytes)).toString('utf8')) as {
          tags?: unknown;
        } | null;
        const list: unknown = value?.tags ?? [];
        if (Array.isArray(list)) tags.push(...(list as unknown[]).filter((tag) => typeof tag === 'string'));
        const next = /<([^>]+)>\s*;\s*rel="?next"?/.exec(String(response.headers['link'] ?? ''))?.[1];
        if (next === undefined) return tags;
        path = new URL(next, response.url);
      }
      throw new EngineError('data-loss', 'the list of tags has no end');
    });
  }

  /**
   * Opens a blob for reading; not retried, since the reader goes on where it was.
   * @param offsetBytes asked for with Range; the answer may begin at 0 all the same
   */
  async blob(descriptor: Descriptor, offsetBytes: number, signal?: AbortSignal): Promise<BlobStream> {
    const response = await this.#once('pull', signal, (send) =>
      send({
        method: 'GET',
        path: `${this.reference.path}/blobs/${descriptor.digest}`,
        headers: {
          'Accept-Encoding': 'identity',
          ...(offsetBytes === 0 ? {} : { Range: `bytes=${offsetBytes}-` }),
        },
      }),
    );
    if (response.status !== 206) return { offsetBytes: 0, body: response.body };
    const start = /^bytes (\d+)-/.exec(response.headers['content-range'] ?? '')?.[1];
    if (Number(start) !== offsetBytes) {
      response.body.destroy();
      throw new ConnectionError('the registry answered another range than was asked for', 'EPROTO');
    }
    return { offsetBytes, body: response.body };
  }

  /** A small blob in memory, verified: configs. */
  async blobBytes(descriptor: Descriptor, signal?: AbortSignal): Promise<Buffer> {
    if (descriptor.size > maxManifestBytes) {
      throw new EngineError(
        'invalid-parameter',
        `blob ${descriptor.digest} is too large for a configuration`,
      );
    }
    return await retry(
      async () => {
        const { body } = await this.blob(descriptor, 0, signal);
        const bytes = await readBytes(body, descriptor.size).catch((error: unknown) => {
          signal?.throwIfAborted();
          throw isEngineError(error) ? error : new ConnectionError('unexpected EOF', 'ECONNRESET', error);
        });
        if (bytes.length < descriptor.size) throw new ConnectionError('unexpected EOF', 'ECONNRESET');
        if (digestOf(bytes) !== descriptor.digest) {
          throw new EngineError(
            'data-loss',
            `filesystem layer verification failed for digest ${descriptor.digest}`,
            {
              code: 'digest-mismatch',
            },
          );
        }
        return bytes;
      },
      signal,
      this.#retry,
    );
  }

  get retryOptions(): RetryOptions {
    return this.#retry;
  }

  async hasBlob(digest: Digest, signal?: AbortSignal): Promise<boolean> {
    try {
      return await this.#ask('push', signal, async (send) => {
        const response = await send({ method: 'HEAD', path: `${this.reference.path}/blobs/${digest}` });
        response.body.resume();
        return true;
      });
    } catch (error) {
      if (error instanceof RegistryError && error.status === 404) return false;
      throw error;
    }
  }

  async hasManifest(digest: Digest, signal?: AbortSignal): Promise<boolean> {
    try {
      return (await this.resolve(digest, signal)) !== undefined;
    } catch (error) {
      if (error instanceof RegistryError && error.status === 404) return false;
      throw error;
    }
  }

  /** Sees to it that the blob is here, if another repository of the registry has it; false when it cannot be had. */
  async takeOver(digest: Digest, from: string, signal?: AbortSignal): Promise<boolean> {
    return (await this.hasBlob(digest, signal)) || (await this.mount(digest, from, signal));
  }

  /** Has the registry take the blob over from another of its repositories; false when it does not. */
  async mount(digest: Digest, from: string, signal?: AbortSignal): Promise<boolean> {
    try {
      const query = new URLSearchParams({ mount: digest, from }).toString();
      const begun = await this.#begin(`?${query}`, [`repository:${from}:pull`], signal);
      // It offers an upload instead, which nobody wants.
      if (begun !== null) await this.#cancel(begun, signal);
      return begun === null;
    } catch (error) {
      if (error instanceof RegistryError && !error.isTemporary) return false;
      throw error;
    }
  }

  /** @returns where to upload to */
  async beginUpload(signal?: AbortSignal): Promise<URL> {
    const begun = await this.#begin('', [], signal);
    if (begun === null) throw new ConnectionError('the registry gave no location for the upload', 'EPROTO');
    return begun;
  }

  /** Null: there is nothing to upload any more. */
  async #begin(query: string, scopes: Scope[], signal?: AbortSignal): Promise<URL | null> {
    return await this.#ask('push', signal, async (send) => {
      const response = await send({
        method: 'POST',
        path: `${this.reference.path}/blobs/uploads/${query}`,
        scopes,
        body: new Uint8Array(),
      });
      response.body.resume();
      return response.status === 201 ? null : location(response);
    });
  }

  async #cancel(upload: URL, signal?: AbortSignal): Promise<void> {
    try {
      const response = await this.#once('push', signal, (send) => send({ method: 'DELETE', path: upload }));
      response.body.resume();
    } catch {
      // The registry forgets it by itself in time.
      signal?.throwIfAborted();
    }
  }

  /** What the registry has of an upload whose connection broke; undefined when it does not go on with it. */
  async uploadStatus(upload: URL, signal?: AbortSignal): Promise<BegunUpload | undefined> {
    try {
      const response = await this.#once('push', signal, (send) => send({ method: 'GET', path: upload }));
      response.body.resume();
      const last = Number(/^(?:bytes=)?0-(\d+)$/.exec(response.headers.range ?? '')?.[1] ?? 0);
      // `0-0` stands for nothing, too.
      if (response.status !== 204 || last === 0) return undefined;
      const to = response.headers.location === undefined ? upload : location(response);
      return { to, offsetBytes: last + 1 };
    } catch {
      signal?.throwIfAborted();
      return undefined;
    }
  }

  /** What is missing of a blob in one request; `open` gives its bytes. Not retried. */
  async upload(
    { to, offsetBytes }: BegunUpload,
    blob: { digest: Digest; sizeBytes: number; open: (offsetBytes: number) => Readable },
    signal?: AbortSignal,
  ): Promise<void> {
    const { sizeBytes } = blob;
    const url = new URL(to);
    url.searchParams.set('digest', blob.digest);
    const response = await this.#once('push', signal, (send) =>
      send({
        method: 'PUT',
        path: url,
        headers: {
          'Content-Type': 'application/octet-stream',
          'Content-Length': String(sizeBytes - offsetBytes),
          ...(offsetBytes === 0 || offsetBytes === sizeBytes
            ? {}
            : { 'Content-Range': `${offsetBytes}-${sizeBytes - 1}` }),
        },
        body: () => blob.open(offsetBytes),
      }),
    );
    response.body.resume();
  }

  /**
   * A blob of which nobody knows the digest before `open`'s bytes have been read to their end: they are sent in pieces,
   * then `digest` is asked. Not retried.
   */
  async uploadUnknown(
    to: URL,
    blob: { open: () => Readable; digest: () => Digest },
    signal?: AbortSignal,
  ): Promise<void> {
    const sent = await this.#once('push', signal, (send) =>
      send({
        method: 'PATCH',
        path: to,
        headers: { 'Content-Type': 'application/octet-stream' },
        body: blob.open,
      }),
    );
    sent.body.resume();
    const end = { digest: blob.digest(), sizeBytes: 0, open: () => Readable.from([]) };
    await this.upload({ to: location(sent), offsetBytes: 0 }, end, signal);
  }

  /** @returns the digest that the registry gave it */
  async putManifest(
    tagOrDigest: string,
    mediaType: string,
    bytes: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Digest> {
    return await this.#ask('push', signal, async (send) => {
      const response = await send({
        method: 'PUT',
        path: `${this.reference.path}/manifests/${tagOrDigest}`,
        headers: { 'Content-Type': mediaType },
        body: bytes,
      });
      response.body.resume();
      const given = response.headers['docker-content-digest'];
      return typeof given === 'string' ? parseDigest(given) : digestOf(bytes);
    });
  }

  async #ask<T>(
    capability: Capability,
    signal: AbortSignal | undefined,
    body: (send: Send) => Promise<T>,
  ): Promise<T> {
    return await retry(() => this.#once(capability, signal, body), signal, this.#retry);
  }

  /** Asks one host after the other; the last one's error counts, as Docker has it. */
  async #once<T>(
    capability: Capability,
    signal: AbortSignal | undefined,
    body: (send: Send) => Promise<T>,
  ): Promise<T> {
    const able = this.#endpoints.filter(({ host }) => host.capabilities.includes(capability));
    const alive = able.filter((endpoint) => !this.#dead.has(endpoint));
    const candidates = alive.length > 0 ? alive : able;
    let last: unknown = new EngineError('unavailable', 'no endpoints found for the registry');
    for (const endpoint of candidates) {
      try {
        const result = await body((request) =>
          endpoint.send({
            ...request,
            scopes: [this.#scope(), ...(request.scopes ?? [])],
            ...(signal === undefined ? {} : { signal }),
          }),
        );
        // The scheme that answered is the one: no more guesses between https and http.
        this.#settle(endpoint);
        return result;
      } catch (error) {
        signal?.throwIfAborted();
        last = error;
        if (endpoint.hasAnswered) this.#settle(endpoint);
        else if (!isTemporary(error)) this.#dead.add(endpoint);
        if (endpoint.hasAnswered && !endpoint.host.isMirror) throw error;
      }
    }
    throw last;
  }

  /** The other schemes of the same registry need not be tried any more. */
  #settle(endpoint: Endpoint): void {
    if (endpoint.host.isMirror) return;
    for (const other of this.#endpoints) {
      if (other !== endpoint && !other.host.isMirror) this.#dead.add(other);
    }
  }

  #scope(): Scope {
    return `repository:${this.reference.path}:${this.#actions}`;
  }
}

type Send = (
  request: Omit<EndpointRequest, 'scopes' | 'signal'> & { scopes?: Scope[] },
) => Promise<HttpResponse>;

function location(response: HttpResponse): URL {
  const url = URL.parse(response.headers.location ?? '', response.url);
  if (url === null) throw new ConnectionError('the registry gave no location for the upload', 'EPROTO');
  return url;
}

/** A proxy may cut a body short without breaking the connection's framing. */
function checkLength(response: HttpResponse, length: number): void {
  const promised = response.headers['content-length'];
  if (promised !== undefined && Number(promised) !== length) {
    throw broken(response, new Error('unexpected EOF'));
  }
}

function broken(response: HttpResponse, cause: unknown): ConnectionError {
  return new ConnectionError(
    `Get "${response.url.origin}${response.url.pathname}": unexpected EOF`,
    'ECONNRESET',
    cause,
  );
}

function mediaTypeOf(response: HttpResponse): string {
  return (response.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

/**
 * A document as a manifest or an index.
 * @param stated its media type, as somebody says
 */
export function asManifest(bytes: Buffer, digest: Digest, stated: string): FetchedManifest {
  return { descriptor: { mediaType: manifestType(bytes, stated), digest, size: bytes.length }, bytes };
}

/** The document's own word counts, so that a header cannot make one kind of manifest be read as another. */
function manifestType(bytes: Buffer, stated: string): string {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    return stated;
  }
  if (typeof value !== 'object' || value === null) return stated;
  const { mediaType, schemaVersion, manifests, config } = value as Record<string, unknown>;
  if (schemaVersion === 1) return schema1;
  if (typeof mediaType === 'string' && mediaType !== '') return mediaType;
  if (Array.isArray(manifests)) return mediaTypes.ociIndex;
  return config === undefined ? stated : mediaTypes.ociManifest;
}

/** True for the manifests of Docker before 1.10. */
export function isSchema1(mediaType: string): boolean {
  return mediaType === schema1 || mediaType === signedSchema1;
}
