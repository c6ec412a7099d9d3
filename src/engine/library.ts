import type { Builder, BuildRequest } from '../builder/index.ts';
import type { Containers } from '../containers/index.ts';
import type { EventBus } from '../events/index.ts';
import type { Images } from '../images/index.ts';
import type { Networks } from '../network/index.ts';
import type { RegistryCredentials } from '../registry/index.ts';
import type { Volumes } from '../volumes/index.ts';
import type { EngineFacts, EngineServices } from './engine.ts';
import { imageUsers } from './image-users.ts';

export type Awaitable<T> = T | Promise<T>;

/** The same methods, where a value may also be a promise of it: the engine may be in another process. */
export type Async<T> = {
  [K in keyof T]: T[K] extends (...args: infer A) => infer R
    ? (...args: A) => R extends PromiseLike<unknown> | AsyncIterable<unknown> ? R : Awaitable<R>
    : never;
};

const containerMethods = [
  'create',
  'inspect',
  'list',
  'start',
  'stop',
  'restart',
  'kill',
  'pause',
  'unpause',
  'rename',
  'update',
  'connectNetwork',
  'disconnectNetwork',
  'remove',
  'prune',
  'wait',
  'attach',
  'logs',
  'resize',
  'top',
  'changes',
  'sizes',
  'createExec',
  'startExec',
  'inspectExec',
  'resizeExec',
  'execIds',
  'statPath',
  'readArchive',
  'writeArchive',
  'commit',
  'export',
] as const satisfies (keyof Containers)[];
const imageMethods = [
  'list',
  'get',
  'has',
  'tag',
  'load',
  'save',
  'import',
  'bootstrap',
  'history',
  'pull',
  'push',
  'diskUsage',
] as const satisfies (keyof Images)[];
const volumeMethods = ['create', 'list', 'inspect', 'remove', 'prune'] as const satisfies (keyof Volumes)[];
const networkMethods = ['create', 'list', 'inspect', 'remove'] as const satisfies (keyof Networks)[];
const eventMethods = ['subscribe', 'recent'] as const satisfies (keyof EventBus)[];
const builderMethods = ['cancel'] as const satisfies (keyof Builder)[];
const registryMethods = [
  'login',
  'inspect',
  'search',
] as const satisfies (keyof EngineServices['registries'])[];

export type LibraryContainers = Async<Pick<Containers, (typeof containerMethods)[number]>>;

export interface LibraryImages extends Async<Pick<Images, (typeof imageMethods)[number]>> {
  /** As `docker rmi`: a name, or the image when it was the last; refused for what containers use, unless forced. */
  remove(
    nameOrId: string,
    options?: { force?: boolean; keepParents?: boolean },
  ): ReturnType<Images['remove']>;
  /** Removes what no container uses: images without a name, or with `all` those with one, too. */
  prune(options?: { all?: boolean }): ReturnType<Images['prune']>;
}

/** What a build is made of, here or in another process. */
export type LibraryBuildRequest = Omit<BuildRequest, 'credentials' | 'ssh'> & {
  /** By registry (`docker.io`, `example.com:5000`), for base images. */
  credentials?: Readonly<Record<string, RegistryCredentials>>;
};

export interface LibraryBuilder extends Async<Pick<Builder, (typeof builderMethods)[number]>> {
  /** @throws {EngineError} as Builder.build() */
  build(request: LibraryBuildRequest): ReturnType<Builder['build']>;
}

/** What a program gets of an engine, whether it is in the program or a daemon. Every method may be awaited. */
export interface Library {
  readonly containers: LibraryContainers;
  readonly images: LibraryImages;
  readonly volumes: Async<Pick<Volumes, (typeof volumeMethods)[number]>>;
  readonly networks: Async<Pick<Networks, (typeof networkMethods)[number]>>;
  readonly events: Async<Pick<EventBus, (typeof eventMethods)[number]>>;
  readonly builder: LibraryBuilder;
  readonly registries: Async<Pick<EngineServices['registries'], (typeof registryMethods)[number]>>;
  facts(): Awaitable<EngineFacts>;
}

/** All methods, for a caller in another process: nothing else can be called from there. */
export const libraryMethods: Readonly<Record<Exclude<keyof Library, 'facts'>, readonly string[]>> = {
  containers: containerMethods,
  images: [...imageMethods, 'remove', 'prune'],
  volumes: volumeMethods,
  networks: networkMethods,
  events: eventMethods,
  builder: [...builderMethods, 'build'],
  registries: registryMethods,
};

/** The library over an engine in this process. */
export function libraryOf(engine: EngineServices): Library {
  const { images, builder } = engine;
  const usedBy = (id: string): ReturnType<typeof imageUsers> => imageUsers(engine.containers, id);
  return {
    containers: pick(engine.containers, containerMethods),
    images: {
      ...pick(images, imageMethods),
      remove: (nameOrId, { force = false, keepParents = false } = {}) =>
        images.remove(nameOrId, { force, prune: !keepParents, usedBy }),
      prune: ({ all = false } = {}) => images.prune({ dangling: !all, matches: () => true, usedBy }),
    },
    volumes: pick(engine.volumes, volumeMethods),
    networks: pick(engine.networks, networkMethods),
    events: pick(engine.events, eventMethods),
    builder: {
      ...pick(builder, builderMethods),
      build: ({ credentials, ...request }) =>
        builder.build({
          ...request,
          ...(credentials === undefined ? {} : { credentials: (registry) => credentials[registry] }),
        }),
    },
    registries: pick(engine.registries, registryMethods),
    facts: () => engine.facts(),
  };
}

type Method = (...args: never[]) => unknown;

function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
  const methods = names.map((name) => [name, (from[name] as Method).bind(from)] as const);
  return Object.fromEntries(methods) as unknown as Pick<T, K>;
}
