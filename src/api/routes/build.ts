import { randomBytes } from 'node:crypto';
import type { Builder, BuildLimits } from '../../builder/index.ts';
import { EngineError, isEngineError } from '../../errors/index.ts';
import { parseCredentials, type RegistryCredentials } from '../../registry/index.ts';
import type { Ulimit } from '../../spec/index.ts';
import type { Exchange } from '../exchange.ts';
import { map, string } from '../json/schema.ts';
import { ProgressStream } from '../progress-stream.ts';
import { filters, flag, flagOr, integer, text, texts, type QueryValues } from '../query.ts';
import { route, type Route } from '../route.ts';
import { parseTimestamp } from '../timestamp.ts';

const buildQuery = {
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
  buildid: text,
};

type BuildQuery = QueryValues<typeof buildQuery>;

/** How long secrets wait for their build. */
const secretsWaitMs = 60_000;

/** Secrets that were sent ahead of a build, each for one build. In memory alone. */
class BuildSecrets {
  readonly #waiting = new Map<string, ReadonlyMap<string, Uint8Array>>();

  put(secrets: ReadonlyMap<string, Uint8Array>): string {
    const ticket = randomBytes(16).toString('hex');
    this.#waiting.set(ticket, secrets);
    setTimeout(() => this.#waiting.delete(ticket), secretsWaitMs).unref();
    return ticket;
  }

  take(ticket: string | undefined): ReadonlyMap<string, Uint8Array> {
    if (ticket === undefined) return new Map();
    const secrets = this.#waiting.get(ticket);
    this.#waiting.delete(ticket);
    if (secrets === undefined) {
      throw new EngineError('invalid-parameter', 'the secrets of this build are not there: send them again');
    }
    return secrets;
  }
}

/** Building by Docker's classic protocol: the context as the body, the answer a stream. */
export function buildRoutes(builder: Builder): Route[] {
  const secrets = new BuildSecrets();
  return [
    route({
      method: 'POST',
      path: '/coracle/build/secrets',
      operation: '(BuildSecrets)',
      body: map(string()),
      handle(exchange, _query, body) {
        const contents = Object.entries(body ?? {}).map(
          ([id, content]) => [id, Buffer.from(content, 'base64')] as const,
        );
        exchange.json(200, { Ticket: secrets.put(new Map(contents)) });
      },
    }),
    route({
      method: 'POST',
      path: '/build',
      operation: 'ImageBuild',
      coverage: 'partial',
      note: 'version 1 (no BuildKit); `squash`, `outputs` and `remote` are refused, `cachefrom` has no effect',
      query: buildQuery,
      handle: (exchange, query) => build(builder, secrets, exchange, query),
    }),
    route({
      method: 'POST',
      path: '/build/cancel',
      operation: '(BuildCancel)',
      since: 38,
      query: { id: text },
      handle(exchange, query) {
        if (query.id === '') throw new EngineError('invalid-parameter', 'build ID not provided');
        builder.cancel(query.id);
        exchange.empty(204);
      },
    }),
    route({
      method: 'POST',
      path: '/build/prune',
      operation: 'BuildPrune',
      since: 31,
      coverage: 'partial',
      note: 'of the filters only `until` and `unused-for`',
      query: { all: flag, filters, 'keep-storage': integer, 'reserved-space': integer },
      async handle(exchange, query) {
        const until = query.filters.get('until')?.[0] ?? query.filters.get('unused-for')?.[0];
        const keepBytes = query['keep-storage'] ?? query['reserved-space'];
        const { ids, spaceReclaimedBytes } = await builder.prune({
          all: query.all,
          ...(until === undefined
            ? {}
            : { unusedSinceMs: Number(parseTimestamp(until, 'until') / 1_000_000n) }),
          ...(keepBytes === undefined || keepBytes === 0 ? {} : { keepBytes }),
        });
        exchange.json(200, {
          CachesDeleted: ids.length === 0 ? null : ids,
          SpaceReclaimed: spaceReclaimedBytes,
        });
      },
    }),
  ];
}

async function build(
  builder: Builder,
  waiting: BuildSecrets,
  exchange: Exchange,
  query: BuildQuery,
): Promise<void> {
  refuseUnsupported(query);
  const ticket = exchange.request.headers['x-coracle-build-secrets'];
  const secrets = waiting.take(Array.isArray(ticket) ? ticket[0] : ticket);
  const credentials = registryConfig(exchange.request.headers['x-registry-config']);
  const output = new ProgressStream(exchange);
  await output.run(async () => {
    try {
      await builder.build({
        context: exchange.request as AsyncIterable<Buffer>,
        dockerfile: query.dockerfile,
        tags: query.t,
        buildArgs: json(query.buildargs, 'build args', isArgs) ?? {},
        labels: json(query.labels, 'labels', isLabels) ?? {},
        target: query.target,
        platform: query.platform,
        noCache: query.nocache,
        pull: query.pull,
        quiet: query.q,
        removesContainers: query.rm,
        networkMode: query.networkmode,
        extraHosts: query.extrahosts.flatMap((hosts) => (hosts === '' ? [] : [hosts])),
        cgroupParent: query.cgroupparent,
        limits: limits(query),
        secrets,
        credentials,
        buildId: query.buildid,
        signal: exchange.signal,
        onMessage: (message) => output.write(message),
      });
    } catch (error) {
      if (!exchange.response.headersSent) throw error;
      const message = error instanceof Error ? error.message : String(error);
      const code = isEngineError(error) ? error.details['exitCode'] : undefined;
      output.write({ errorDetail: { ...(code === undefined ? {} : { code }), message }, error: message });
    }
  });
}

/** `X-Registry-Config`: credentials by registry, JSON in URL-safe base64; a broken one counts as none, as in Docker. */
function registryConfig(
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

function refuseUnsupported(query: BuildQuery): void {
  const refuse = (what: string): never => {
    throw new EngineError('not-implemented', `${what} is not supported by this engine yet`);
  };
  if (query.version === '2') refuse('BuildKit (set DOCKER_BUILDKIT=0)');
  if (query.remote !== '' && query.remote !== 'client-session') refuse('building from a remote context');
  if (query.squash) refuse('squashing layers');
  if (query.outputs !== '' && query.outputs !== '[]' && query.outputs !== 'null') refuse('exporting a build');
}

function limits(query: BuildQuery): BuildLimits {
  const given: [keyof BuildLimits, number | string | readonly Ulimit[] | undefined][] = [
    ['memoryBytes', query.memory],
    ['memorySwapBytes', query.memswap],
    ['cpuShares', query.cpushares],
    ['cpuPeriod', query.cpuperiod],
    ['cpuQuota', query.cpuquota],
    ['cpusetCpus', query.cpusetcpus],
    ['cpusetMems', query.cpusetmems],
    ['shmSizeBytes', query.shmsize],
    ['ulimits', json(query.ulimits, 'ulimits', isUlimits)],
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
