import type { BuildLimits, BuildRequest, CacheOption, NamedContext } from '../../builder/index.ts';
import { EngineError } from '../../errors/index.ts';
import { parseCredentials, type RegistryCredentials } from '../../registry/index.ts';
import type { Ulimit } from '../../spec/index.ts';
import { readOutputs, readProvenance } from './build-outputs.ts';
import { flag, flagOr, integer, text, texts, type QueryValues } from '../query.ts';

/** The parameters of `POST /build`. */
export const buildQuery = {
  dockerfile: text,
  t: texts,
  extrahosts: texts,
  remote: text,
  q: flag,
  nocache: flag,
  cachefrom: text,
  pull: flag,
  rm: flagOr(true),
  forcerm: flag,
  memory: integer,
  memswap: integer,
  cpushares: integer,
  cpusetcpus: text,
  cpusetmems: text,
  cpuperiod: integer,
  cpuquota: integer,
  buildargs: text,
  shmsize: integer,
  squash: flag,
  labels: text,
  networkmode: text,
  platform: text,
  target: text,
  outputs: text,
  version: text,
  ulimits: text,
  cgroupparent: text,
  isolation: text,
  securityopt: texts,
  buildid: text,
};

/** What `POST /coracle/build` knows besides. @see docs/dev/extensions.md */
export const extendedBuildQuery = {
  ...buildQuery,
  /** JSON: names to `docker-image://…`, URLs, or `sent:<number>`. */
  contexts: text,
  parts: flag,
  /** With SOURCE_DATE_EPOCH: of new files, too. */
  rewritetimestamp: flag,
  /** Names of stages. */
  nocachefilter: texts,
  /** JSON: where what the build knows is kept, as BuildKit's options with `type` among them. */
  cacheto: text,
  /** Entitlements of RUN steps. */
  allow: texts,
  /** Attributes of the attestation, `mode=max`; '' for none. */
  provenance: text,
  /** `check`, `outline` or `targets`: that is answered, and nothing is built. */
  call: text,
};

/** A build as its query describes it; context, secrets and listeners are the caller's. @throws {EngineError} `invalid-parameter` */
export function buildRequest(query: QueryValues<typeof buildQuery>): BuildRequest {
  // Others are of other systems.
  if (!['', 'default'].includes(query.isolation.toLowerCase())) {
    throw new EngineError('invalid-parameter', `Unsupported isolation: ${JSON.stringify(query.isolation)}`);
  }
  if (query.securityopt.length > 0) {
    throw new EngineError('invalid-parameter', 'security options are not supported on linux');
  }
  const exports = readOutputs(query.outputs);
  return {
    ...(exports.length === 0 ? {} : { exports }),
    remote: query.remote === 'client-session' ? '' : query.remote,
    dockerfile: query.dockerfile,
    tags: query.t,
    buildArgs: json(query.buildargs, 'build args', isArgs) ?? {},
    labels: json(query.labels, 'labels', isLabels) ?? {},
    target: query.target,
    platform: query.platform,
    noCache: query.nocache,
    cacheFrom: json(query.cachefrom, 'cache-from', isTexts) ?? [],
    pull: query.pull,
    quiet: query.q,
    squash: query.squash,
    removesContainers: query.rm,
    networkMode: query.networkmode,
    extraHosts: query.extrahosts.flatMap((hosts) => (hosts === '' ? [] : [hosts])),
    cgroupParent: query.cgroupparent,
    limits: limits(query),
    buildId: query.buildid,
  };
}

/** @throws {EngineError} `invalid-parameter` */
export function extendedRequest(query: QueryValues<typeof extendedBuildQuery>): BuildRequest {
  const provenance = readProvenance(query.provenance);
  const contexts = json(query.contexts, 'contexts', isLabels) ?? {};
  return {
    ...buildRequest({ ...query, cachefrom: '' }),
    hasParts: query.parts,
    rewriteTimestamps: query.rewritetimestamp,
    noCacheFilter: query.nocachefilter,
    cacheFrom: (json(query.cachefrom, 'cache-from', isCaches) ?? []).map(sentCache),
    cacheTo: json(query.cacheto, 'cacheto', isOptions) ?? [],
    allow: query.allow,
    ...(provenance === undefined ? {} : { provenance }),
    namedContexts: new Map(Object.entries(contexts).map(([name, value]) => [name, namedContext(value)])),
  };
}

/** Directories are the client's: it sends what is in them. */
function sentCache(given: string | CacheOption): string | CacheOption {
  if (typeof given === 'string' || given.type !== 'local' || /^sent:\d{1,4}$/.test(given['src'] ?? '')) {
    return given;
  }
  throw new EngineError('invalid-parameter', 'local cache importer requires session');
}

function namedContext(value: string): NamedContext {
  const image = /^docker-image:\/\/(.+)$/.exec(value)?.[1];
  if (image !== undefined) return { kind: 'image', name: image };
  const sent = /^sent:(\d{1,4})$/.exec(value)?.[1];
  if (sent !== undefined) return { kind: 'sent', number: Number(sent) };
  return { kind: 'remote', url: value };
}

/** `X-Registry-Config`: credentials by registry, JSON in URL-safe base64; a broken one counts as none, as in Docker. */
export function registryConfig(
  header: string | string[] | undefined,
): (registry: string) => RegistryCredentials | undefined {
  const known = new Map<string, RegistryCredentials>();
  try {
    const text = Buffer.from(String(header ?? ''), 'base64url').toString('utf8');
    for (const [name, value] of Object.entries(JSON.parse(text || '{}') as Record<string, unknown>)) {
      const host = name.replace(/^https?:\/\//, '').split('/', 1)[0] ?? '';
      known.set(host === 'index.docker.io' ? 'docker.io' : host, parseCredentials(value));
    }
  } catch {
    return () => undefined;
  }
  return (registry) => known.get(registry);
}

function limits(query: QueryValues<typeof buildQuery>): BuildLimits {
  const given: [keyof BuildLimits, number | string | readonly Ulimit[] | undefined][] = [
    ['memoryBytes', query.memory],
    ['memorySwapBytes', query.memswap],
    ['cpuShares', query.cpushares],
    ['cpuPeriod', query.cpuperiod],
    ['cpuQuota', query.cpuquota],
    ['cpusetCpus', query.cpusetcpus],
    ['cpusetMems', query.cpusetmems],
    ['shmSizeBytes', query.shmsize],
    ['ulimits', json(query.ulimits, 'ulimit settings', isUlimits)],
  ];
  return Object.fromEntries(given.filter(([, value]) => value !== undefined && value !== '' && value !== 0));
}

/** A parameter that holds JSON; undefined for none. */
function json<T>(given: string, what: string, check: (value: unknown) => value is T): T | undefined {
  if (given === '' || given === 'null') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(given);
  } catch (error) {
    throw new EngineError('invalid-parameter', `error reading ${what}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (check(value)) return value;
  throw new EngineError('invalid-parameter', `error reading ${what}: unexpected JSON`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isOptions(value: unknown): value is CacheOption[] {
  return Array.isArray(value) && value.every((item) => isLabels(item) && typeof item['type'] === 'string');
}

function isCaches(value: unknown): value is (string | CacheOption)[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string' || isOptions([item]));
}

function isArgs(value: unknown): value is Record<string, string | null> {
  return isRecord(value) && Object.values(value).every((item) => typeof item === 'string' || item === null);
}

function isLabels(value: unknown): value is Record<string, string> {
  return isRecord(value) && Object.values(value).every((item) => typeof item === 'string');
}

function isUlimits(value: unknown): value is Ulimit[] {
  return (
    Array.isArray(value) &&
    value.every(
      (item) =>
        isRecord(item) &&
        typeof item['Name'] === 'string' &&
        typeof item['Soft'] === 'number' &&
        typeof item['Hard'] === 'number',
    )
  );
}
