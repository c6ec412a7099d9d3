import { EngineError } from '../../errors/index.ts';
import type { Containers, ContainerRecord } from '../../containers/index.ts';
import { hostPlatform, parsePlatform, type Image, type Images } from '../../images/index.ts';
import { decodeCredentials } from '../../registry/index.ts';
import { formatReference, isDigest, parseReference, type Reference } from '../../spec/index.ts';
import type { Exchange } from '../exchange.ts';
import { checkFilters } from '../filters.ts';
import { filterImages, parseBoolean } from '../image-filter.ts';
import { ProgressStream } from '../progress-stream.ts';
import { filters, flag, flagOr, text, texts } from '../query.ts';
import { route, type Route } from '../route.ts';
import { imageInspectView, imageSummaryView } from '../views/image-view.ts';
import { sendStream } from './archive.ts';
import { notYet, refuse } from './refuse.ts';
import { registryAuth } from './registry.ts';

/** What these routes need of the engine. */
export interface ImageBackend {
  images: Pick<
    Images,
    'list' | 'get' | 'tag' | 'remove' | 'prune' | 'load' | 'save' | 'import' | 'history' | 'pull'
  >;
  containers: Pick<Containers, 'list'>;
  storageDriver: () => string;
}

export function imageRoutes({ images, containers, storageDriver }: ImageBackend): Route[] {
  const usedBy = (imageId: string): { id: string; running: boolean }[] =>
    containers
      .list({ all: true })
      .filter((record) => record.imageId === imageId)
      .map((record) => ({ id: record.id, running: runs(record) }));
  return [
    route({
      method: 'GET',
      path: '/images/json',
      operation: 'ImageList',
      query: { all: flag, filters, filter: text, 'shared-size': flag, manifests: flag },
      coverage: 'partial',
      note: '`shared-size` and `manifests` are not computed',
      handle(exchange, query) {
        const chosen = new Map(query.filters);
        if (exchange.version < 25 && query.filter !== '' && !chosen.has('reference')) {
          chosen.set('reference', [query.filter]);
        }
        const known = query.all ? images.list() : withoutIntermediate(images.list());
        const listed = filterImages(known, chosen, (name) => images.get(name));
        exchange.json(
          200,
          listed.map((image) => imageSummaryView(image, exchange.version)),
        );
      },
    }),
    route({
      method: 'GET',
      path: '/images/{name}/json',
      operation: 'ImageInspect',
      handle: (exchange) =>
        exchange.json(
          200,
          imageInspectView(images.get(exchange.params['name'] ?? ''), exchange.version, storageDriver()),
        ),
    }),
    route({
      method: 'GET',
      path: '/images/{name}/history',
      operation: 'ImageHistory',
      handle: (exchange) =>
        exchange.json(
          200,
          images.history(exchange.params['name'] ?? '').map((entry) => ({
            Comment: entry.comment,
            Created: entry.created,
            CreatedBy: entry.createdBy,
            Id: entry.id,
            Size: entry.sizeBytes,
            Tags: entry.tags.length === 0 ? null : entry.tags,
          })),
        ),
    }),
    route({
      method: 'POST',
      path: '/images/{name}/tag',
      operation: 'ImageTag',
      query: { repo: text, tag: text },
      async handle(exchange, query) {
        await images.tag(exchange.params['name'] ?? '', query.repo, query.tag);
        exchange.empty(201);
      },
    }),
    route({
      method: 'DELETE',
      path: '/images/{name}',
      operation: 'ImageDelete',
      query: { force: flag, noprune: flag },
      async handle(exchange, query) {
        const name = exchange.params['name'] ?? '';
        if (name.trim() === '') throw new EngineError('invalid-parameter', 'image name cannot be blank');
        const removed = await images.remove(name, { force: query.force, prune: !query.noprune, usedBy });
        exchange.json(
          200,
          removed.map(({ kind, reference }) =>
            kind === 'untagged' ? { Untagged: reference } : { Deleted: reference },
          ),
        );
      },
    }),
    route({
      method: 'POST',
      path: '/images/load',
      operation: 'ImageLoad',
      query: { quiet: flagOr(true) },
      async handle(exchange, query) {
        const output = new ProgressStream(exchange);
        await output.run(async () => {
          await images.load(exchange.request as AsyncIterable<Buffer>, {
            signal: exchange.signal,
            onProgress(progress) {
              if (!query.quiet || progress.progressDetail === undefined) output.write(progress);
            },
          });
        });
      },
    }),
    route({
      method: 'POST',
      path: '/images/create',
      operation: 'ImageCreate',
      coverage: 'partial',
      note: 'no import from a URL yet',
      query: {
        fromImage: text,
        fromSrc: text,
        repo: text,
        tag: text,
        message: text,
        platform: text,
        changes: texts,
      },
      handle: (exchange, query) => create(images, exchange, query),
    }),
    refuse(
      'GET',
      '/images/{name}/attestations',
      'ImageAttestations',
      'no attestations',
      notYet('reading attestations is'),
      55,
    ),
    route({
      method: 'GET',
      path: '/images/get',
      operation: 'ImageGetAll',
      query: { names: texts },
      handle: (exchange, query) => save(images, exchange, query.names),
    }),
    route({
      method: 'GET',
      path: '/images/{name}/get',
      operation: 'ImageGet',
      handle: (exchange) => save(images, exchange, [exchange.params['name'] ?? '']),
    }),
    route({
      method: 'POST',
      path: '/images/prune',
      operation: 'ImagePrune',
      since: 25,
      query: { filters },
      handle: (exchange, query) => prune(images, exchange, query.filters, usedBy),
    }),
  ];
}

/** Images without a name that others were made from: the steps of builds. */
function withoutIntermediate(all: readonly Image[]): Image[] {
  const parents = new Set(all.map((image) => image.parent));
  return all.filter(({ id, tags, digests }) => tags.length + digests.length > 0 || !parents.has(id));
}

function runs(record: ContainerRecord): boolean {
  return ['running', 'paused', 'restarting'].includes(record.state.status);
}

function save(images: ImageBackend['images'], exchange: Exchange, names: readonly string[]): Promise<void> {
  for (const name of names) images.get(name);
  return sendStream(exchange, images.save(names, { signal: exchange.signal }), 'application/x-tar', false);
}

interface CreateQuery {
  fromImage: string;
  platform: string;
  fromSrc: string;
  repo: string;
  tag: string;
  message: string;
  changes: string[];
}

async function create(images: ImageBackend['images'], exchange: Exchange, query: CreateQuery): Promise<void> {
  if (query.fromImage !== '') {
    await pull(images, exchange, query);
    return;
  }
  if (query.fromSrc !== '-') {
    throw new EngineError(
      'not-implemented',
      `Cannot import from ${JSON.stringify(query.fromSrc)}: only the request body can be imported yet`,
    );
  }
  const output = new ProgressStream(exchange);
  await output.run(async () => {
    const image = await images.import(exchange.request as AsyncIterable<Buffer>, {
      ...(query.repo === ''
        ? {}
        : { reference: query.tag === '' ? query.repo : `${query.repo}:${query.tag}` }),
      message: query.message === '' ? `Imported from ${query.fromSrc}` : query.message,
      changes: query.changes,
      signal: exchange.signal,
      source: query.fromSrc,
    });
    output.write({ status: image.id });
  });
}

/** Without a tag or digest: all tags of the repository. */
async function pull(
  images: ImageBackend['images'],
  exchange: Exchange,
  { fromImage, tag, platform }: CreateQuery,
): Promise<void> {
  // `pull -a` of old clients ends the name with a colon.
  const name = fromImage.replace(/:$/, '');
  const named = parseReference(name);
  const { domain, path } = named;
  const asked: Reference =
    tag === '' ? named : isDigest(tag) ? { domain, path, digest: tag } : { domain, path, tag };
  const text = formatReference(asked);
  parseReference(text);
  const output = new ProgressStream(exchange);
  await output.run(async () => {
    await images.pull(text, {
      allTags: true,
      ...(platform === '' ? {} : { platform: parsePlatform(platform, hostPlatform()) }),
      credentials: decodeCredentials(registryAuth(exchange)),
      signal: exchange.signal,
      onProgress: (progress) => output.write(progress),
    });
  });
}

/** Removes what no tag names and no container uses; with `dangling=false` also unused tagged images. */
async function prune(
  images: ImageBackend['images'],
  exchange: Exchange,
  asked: ReadonlyMap<string, readonly string[]>,
  usedBy: (imageId: string) => { id: string; running: boolean }[],
): Promise<void> {
  checkFilters(asked, ['dangling', 'label', 'label!', 'until']);
  const { dangling, rest } = splitDangling(asked);
  const matching = new Set(filterImages(images.list(), rest, (name) => images.get(name)).map(({ id }) => id));
  const { removed, spaceReclaimedBytes } = await images.prune({
    dangling,
    matches: (image) => matching.has(image.id),
    usedBy,
  });
  const deleted = removed.map(({ kind, reference }) =>
    kind === 'untagged' ? { Untagged: reference } : { Deleted: reference },
  );
  exchange.json(200, {
    ImagesDeleted: deleted.length === 0 ? null : deleted,
    SpaceReclaimed: spaceReclaimedBytes,
  });
}

function splitDangling(asked: ReadonlyMap<string, readonly string[]>): {
  dangling: boolean;
  rest: Map<string, readonly string[]>;
} {
  const rest = new Map(asked);
  const value = rest.get('dangling')?.[0];
  rest.delete('dangling');
  return { dangling: value === undefined || parseBoolean('dangling', value), rest };
}
