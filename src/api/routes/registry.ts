import { EngineError } from '../../errors/index.ts';
import type { Images } from '../../images/index.ts';
import {
  decodeCredentials,
  parseCredentials,
  RegistryError,
  type Registries,
  type RegistryAccess,
  type SearchResult,
} from '../../registry/index.ts';
import {
  formatReference,
  mediaTypes,
  parseDigest,
  parseReference,
  withDefaultTag,
  withTag,
  type Reference,
} from '../../spec/index.ts';
import type { Exchange } from '../exchange.ts';
import type { Filters } from '../../containers/index.ts';
import { checkFilters } from '../filters.ts';
import { parseBoolean } from '../image-filter.ts';
import { list, optional, string, struct } from '../json/schema.ts';
import { platformSince } from '../platform-query.ts';
import { ProgressStream } from '../progress-stream.ts';
import { filters, flag, integer, text } from '../query.ts';
import { route, type Route } from '../route.ts';

/** What these routes need of the engine. */
export interface RegistryBackend {
  registries: Pick<Registries, 'login' | 'inspect' | 'putManifest' | 'search'>;
  images: Pick<Images, 'push'>;
}

interface AuthConfig {
  username?: string;
  password?: string;
  auth?: string;
  email?: string;
  serveraddress?: string;
  identitytoken?: string;
  registrytoken?: string;
}

const authConfig = struct<AuthConfig>('registry.AuthConfig', {
  username: optional(string()),
  password: optional(string()),
  auth: optional(string()),
  email: optional(string()),
  serveraddress: optional(string()),
  identitytoken: optional(string()),
  registrytoken: optional(string()),
});

interface PutManifest {
  MediaType: string;
  /** Base64. */
  Raw: string;
  /** A repository of the same registry. */
  From?: string;
  /** Digests of what is taken over from there. */
  Blobs: string[] | null;
}

const putManifest = struct<PutManifest>('PutManifest', {
  MediaType: string(),
  Raw: string(),
  From: optional(string()),
  Blobs: list(string()),
});

const maxSearchResults = 100;
const imageTypes: readonly string[] = [mediaTypes.ociManifest, mediaTypes.dockerManifest];

/** Operations that talk to registries, but for the pull, which is `/images/create`. */
export function registryRoutes({ registries, images }: RegistryBackend): Route[] {
  return [
    route({
      method: 'POST',
      path: '/auth',
      operation: 'SystemAuth',
      body: authConfig,
      async handle(exchange, _query, body) {
        const { identityToken } = await registries.login(parseCredentials(body), exchange.signal);
        exchange.json(200, { Status: 'Login Succeeded', IdentityToken: identityToken });
      },
    }),
    route({
      method: 'POST',
      path: '/images/{name}/push',
      operation: 'ImagePush',
      query: { tag: text, platform: text, force: flag },
      async handle(exchange, query) {
        const platform = platformSince(exchange.version, 46, query.platform);
        const reference = parseReference(exchange.params['name'] ?? '');
        const named = query.tag === '' ? reference : withTag(reference, query.tag);
        const output = new ProgressStream(exchange);
        await output.run(async () => {
          await images.push(formatReference(named), {
            allTags: true,
            ...platform,
            credentials: decodeCredentials(registryAuth(exchange)),
            signal: exchange.signal,
            onProgress: (progress) => output.write(progress),
          });
        });
      },
    }),
    route({
      method: 'GET',
      path: '/distribution/{name}/json',
      operation: 'DistributionInspect',
      since: 30,
      async handle(exchange) {
        const { descriptor, platforms } = await registries
          .inspect(namedReference(exchange), registryAccess(exchange, false))
          .catch((error: unknown) => {
            throw inspectError(error);
          });
        exchange.json(200, { Descriptor: descriptor, Platforms: platforms });
      },
    }),
    route({
      method: 'GET',
      path: '/coracle/distribution/{name}/manifest',
      operation: '(ManifestGet)',
      query: { insecure: flag },
      async handle(exchange, query) {
        const found = await registries
          .inspect(namedReference(exchange), registryAccess(exchange, query.insecure))
          .catch((error: unknown) => {
            throw inspectError(error);
          });
        const { descriptor, bytes, platforms } = found;
        const isImage = imageTypes.includes(descriptor.mediaType) && platforms.length === 1;
        exchange.json(200, {
          Descriptor: { ...descriptor, ...(isImage ? { platform: platforms[0] } : {}) },
          Raw: bytes.toString('base64'),
        });
      },
    }),
    route({
      method: 'POST',
      path: '/coracle/distribution/{name}/manifest',
      operation: '(ManifestPut)',
      query: { insecure: flag },
      body: putManifest,
      async handle(exchange, query, { MediaType, Raw, From, Blobs }) {
        const digest = await registries
          .putManifest(
            namedReference(exchange),
            {
              mediaType: MediaType,
              bytes: Buffer.from(Raw, 'base64'),
              ...(From === undefined
                ? {}
                : { source: { path: parseReference(From).path, blobs: (Blobs ?? []).map(parseDigest) } }),
            },
            registryAccess(exchange, query.insecure),
          )
          .catch((error: unknown) => {
            throw inspectError(error);
          });
        exchange.json(201, { Digest: digest });
      },
    }),
    route({
      method: 'GET',
      path: '/images/search',
      operation: 'ImageSearch',
      query: { term: text, limit: integer, filters },
      async handle(exchange, query) {
        const { limit = 25 } = query;
        if (limit < 0 || limit > maxSearchResults) {
          throw new EngineError(
            'invalid-parameter',
            `limit ${limit} is outside the range of [1, ${maxSearchResults}]`,
          );
        }
        checkFilters(query.filters, ['is-official', 'is-automated', 'stars']);
        const keep = searchFilter(query.filters);
        const found = await registries.search(query.term, {
          limit: limit === 0 ? 25 : limit,
          credentials: decodeCredentials(registryAuth(exchange)),
          signal: exchange.signal,
        });
        exchange.json(200, found.filter(keep));
      },
    }),
  ];
}

function namedReference(exchange: Exchange): Reference {
  return withDefaultTag(parseReference(exchange.params['name'] ?? ''));
}

function registryAccess(exchange: Exchange, isInsecure: boolean): RegistryAccess & { signal: AbortSignal } {
  const credentials = decodeCredentials(registryAuth(exchange));
  return { credentials, isInsecure, signal: exchange.signal };
}

/** The header with credentials for the one registry a request is about. */
export function registryAuth(exchange: Exchange): string | undefined {
  const header = exchange.request.headers['x-registry-auth'];
  return Array.isArray(header) ? header[0] : header;
}

/** Docker answers 403 for what may not be seen or is not there, to say neither. */
function inspectError(error: unknown): unknown {
  if (!(error instanceof RegistryError)) return error;
  if (error.status === 401) return new EngineError('unauthorized', error.message, { cause: error });
  if (error.status === 403) return new EngineError('forbidden', error.message, { cause: error });
  return error;
}

function searchFilter(given: Filters): (result: SearchResult) => boolean {
  const boolean = (name: string): boolean | undefined => {
    const value = given.get(name)?.[0];
    return value === undefined ? undefined : parseBoolean(name, value);
  };
  const isOfficial = boolean('is-official');
  const wantsAutomated = boolean('is-automated') === true;
  const stars = (given.get('stars') ?? []).map((value) => {
    if (/^[+-]?\d+$/.test(value)) return Number(value);
    const why = `strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`;
    throw new EngineError('invalid-parameter', `invalid filter 'stars=${value}': ${why}`);
  });
  const least = Math.max(0, ...stars);
  return (result) =>
    (isOfficial === undefined || result.is_official === isOfficial) &&
    (!wantsAutomated || result.is_automated) &&
    result.star_count >= least;
}
