import { EngineError } from '../../errors/index.ts';
import type { Containers, Filters } from '../../containers/index.ts';
import { imageUsers } from '../../engine/index.ts';
import type { Image, Images } from '../../images/index.ts';
import type { Exchange } from '../exchange.ts';
import { checkFilters, untilOf } from '../filters.ts';
import { filterImages, parseBoolean } from '../image-filter.ts';
import { platformSince, platformsSince } from '../platform-query.ts';
import { filters, flag, text, texts } from '../query.ts';
import { route, type Route } from '../route.ts';
import { identityView, imageInspectView, imageSummaryView } from '../views/image-view.ts';
import { manifestView } from '../views/manifest-view.ts';

/** What these routes need of the engine. */
export interface ImageBackend {
  images: Pick<
    Images,
    | 'list'
    | 'get'
    | 'platforms'
    | 'variants'
    | 'target'
    | 'attestations'
    | 'tag'
    | 'remove'
    | 'prune'
    | 'history'
    | 'diskUsage'
  >;
  containers: Pick<Containers, 'list'>;
  storageDriver: () => string;
}

export function imageRoutes(backend: ImageBackend): Route[] {
  const { images } = backend;
  const usedBy = (imageId: string): ReturnType<typeof imageUsers> => imageUsers(backend.containers, imageId);
  return [
    route({
      method: 'GET',
      path: '/images/json',
      operation: 'ImageList',
      query: { all: flag, filters, filter: text, 'shared-size': flag, manifests: flag, identity: flag },
      handle: (exchange, query) => list(backend, exchange, query),
    }),
    route({
      method: 'GET',
      path: '/images/{name}/json',
      operation: 'ImageInspect',
      query: { manifests: flag, platform: text },
      handle: (exchange, query) => inspect(backend, exchange, query),
    }),
    route({
      method: 'GET',
      path: '/images/{name}/history',
      operation: 'ImageHistory',
      query: { platform: text },
      handle(exchange, query) {
        const { platform } = platformSince(exchange.version, 48, query.platform);
        const entries = images.history(exchange.params['name'] ?? '', platform);
        exchange.json(
          200,
          entries.map((entry) => ({
            Comment: entry.comment,
            Created: entry.created,
            CreatedBy: entry.createdBy,
            Id: entry.id,
            Size: entry.sizeBytes,
            Tags: entry.tags.length === 0 ? null : entry.tags,
          })),
        );
      },
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
      query: { force: flag, noprune: flag, platforms: texts },
      async handle(exchange, query) {
        const name = exchange.params['name'] ?? '';
        if (name.trim() === '') throw new EngineError('invalid-parameter', 'image name cannot be blank');
        const removed = await images.remove(name, {
          force: query.force,
          prune: !query.noprune,
          platforms: platformsSince(exchange.version, 50, query.platforms),
          usedBy,
        });
        exchange.json(
          200,
          removed.map(({ kind, reference }) =>
            kind === 'untagged' ? { Untagged: reference } : { Deleted: reference },
          ),
        );
      },
    }),
    route({
      method: 'GET',
      path: '/images/{name}/attestations',
      operation: 'ImageAttestations',
      since: 55,
      query: { platform: texts, type: texts, statement: flag },
      async handle(exchange, query) {
        if (query.platform.length > 1) {
          throw new EngineError('invalid-parameter', 'only one platform value is currently supported');
        }
        const found = await images.attestations(exchange.params['name'] ?? '', {
          ...platformSince(exchange.version, 55, query.platform[0] ?? ''),
          types: query.type.map((type) => type.trim()).filter((type) => type !== ''),
          withStatement: query.statement,
        });
        exchange.json(
          200,
          found.map(({ descriptor, predicateType, statement }) => ({
            Descriptor: descriptor,
            PredicateType: predicateType,
            ...(statement === undefined ? {} : { Statement: statement }),
          })),
        );
      },
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

interface ListQuery {
  all: boolean;
  filters: Filters;
  filter: string;
  'shared-size': boolean;
  manifests: boolean;
  identity: boolean;
}

async function list(
  { images, containers }: ImageBackend,
  exchange: Exchange,
  query: ListQuery,
): Promise<void> {
  const { version } = exchange;
  const wantsManifests = version >= 47 && query.manifests;
  const wantsIdentity = version >= 54 && query.identity;
  if (wantsIdentity && !wantsManifests) {
    throw new EngineError('invalid-parameter', 'conflicting options: identity requires manifests=1');
  }
  const chosen = new Map(query.filters);
  if (version < 25 && query.filter !== '' && !chosen.has('reference')) {
    chosen.set('reference', [query.filter]);
  }
  const known = query.all ? images.list() : withoutIntermediate(images.list());
  const listed = filterImages(known, chosen, (name) => images.get(name));
  const shared =
    version >= 42 && query['shared-size']
      ? new Map(images.diskUsage().images.map(({ image, sharedSizeBytes }) => [image.id, sharedSizeBytes]))
      : undefined;
  const users = Map.groupBy(containers.list({ all: true }), (record) => record.imageId);
  const containersOf = (id: string): string[] => (users.get(id) ?? []).map((record) => record.id);
  const views = await Promise.all(
    listed.map(async (image) => {
      const name = image.id;
      const summary = imageSummaryView(image, version, {
        sharedSizeBytes: shared?.get(image.id) ?? -1,
        containers: version >= 51 ? images.platforms(name).flatMap(containersOf).length : -1,
      });
      return {
        ...summary,
        ...(version >= 48 ? { Descriptor: images.target(name) } : {}),
        ...(wantsManifests
          ? {
              Manifests: await manifests(
                images,
                name,
                containersOf,
                wantsIdentity ? identityView(image, images.target(name).digest) : {},
              ),
            }
          : {}),
      };
    }),
  );
  exchange.json(200, views);
}

async function inspect(
  { images, containers, storageDriver }: ImageBackend,
  exchange: Exchange,
  query: { manifests: boolean; platform: string },
): Promise<void> {
  const { version, params } = exchange;
  const { platform } = platformSince(version, 49, query.platform);
  const wantsManifests = version >= 48 && query.manifests;
  if (wantsManifests && platform !== undefined) {
    throw new EngineError(
      'invalid-parameter',
      'conflicting options: manifests and platform options cannot both be set',
    );
  }
  const name = params['name'] ?? '';
  const image = images.get(name, platform);
  const view = imageInspectView(image, version, storageDriver());
  const usersOf = (id: string): string[] => imageUsers(containers, id).map((user) => user.id);
  exchange.json(200, {
    ...view,
    ...(version >= 48 ? { Descriptor: images.target(name, platform) } : {}),
    ...(wantsManifests ? { Manifests: await manifests(images, name, usersOf) } : {}),
    ...(version >= 53 ? identityView(image, images.target(name).digest) : {}),
  });
}

async function manifests(
  images: ImageBackend['images'],
  name: string,
  usersOf: (imageId: string) => string[],
  identity: { Identity?: object } = {},
): Promise<object[]> {
  return (await images.variants(name)).map((variant) => manifestView(variant, usersOf, identity));
}

/** Images without a name that others were made from: the steps of builds. */
function withoutIntermediate(all: readonly Image[]): Image[] {
  const parents = new Set(all.map((image) => image.parent));
  return all.filter(({ id, tags, digests }) => tags.length + digests.length > 0 || !parents.has(id));
}

/** Removes what no tag names and no container uses; with `dangling=false` also unused tagged images. */
async function prune(
  images: ImageBackend['images'],
  exchange: Exchange,
  asked: ReadonlyMap<string, readonly string[]>,
  usedBy: (imageId: string) => { id: string; running: boolean }[],
): Promise<void> {
  checkFilters(asked, ['dangling', 'label', 'label!', 'until']);
  untilOf(asked);
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
