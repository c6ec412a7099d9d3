import { hostPlatform, parsePlatform } from '../../spec/index.ts';
import { EngineError, isKind } from '../../errors/index.ts';
import type { Containers, WaitCondition } from '../../containers/index.ts';
import { prepareCreate, type CreateDefaults } from '../container-defaults.ts';
import type { Exchange } from '../exchange.ts';
import { nullable } from '../json/schema.ts';
import { dimension, filters, flag, flagOr, integer, text, texts } from '../query.ts';
import { route, type Route } from '../route.ts';
import { containerConfig, createBody, updateBody } from '../schemas/container.ts';
import { inspectView, summaryView } from '../views/container-view.ts';

/** What these routes need of the engine. */
export type ContainerBackend = Pick<
  Containers,
  | 'create'
  | 'inspect'
  | 'list'
  | 'start'
  | 'stop'
  | 'restart'
  | 'kill'
  | 'pause'
  | 'unpause'
  | 'rename'
  | 'update'
  | 'remove'
  | 'prune'
  | 'wait'
  | 'resize'
  | 'top'
  | 'changes'
  | 'sizes'
  | 'imageName'
  | 'imageManifest'
  | 'execIds'
  | 'commit'
>;

const changeKinds = { modified: 0, added: 1, deleted: 2 } as const;

export function containerRoutes(
  containers: ContainerBackend,
  defaults: () => CreateDefaults & { storageDriver: string },
): Route[] {
  /** A verb that answers 204. */
  const done = async (exchange: Exchange, work: Promise<unknown> | undefined | void): Promise<void> => {
    await work;
    exchange.empty(204);
  };
  return [
    route({
      method: 'GET',
      path: '/containers/json',
      operation: 'ContainerList',
      query: { all: flag, size: flag, limit: integer, filters },
      async handle(exchange, query) {
        const limit = query.limit !== undefined && query.limit > 0 ? { limit: query.limit } : {};
        const records = containers.list({ all: query.all, ...limit, filters: query.filters });
        const views = records.map(async (record) =>
          summaryView(record, exchange.version, {
            image: containers.imageName(record.id),
            manifest: containers.imageManifest(record.id),
            ...(query.size ? { sizes: await containers.sizes(record.id) } : {}),
          }),
        );
        exchange.json(200, await Promise.all(views));
      },
    }),
    route({
      method: 'POST',
      path: '/containers/create',
      operation: 'ContainerCreate',
      query: { name: text, platform: text },
      body: createBody,
      bodyRequired: true,
      async handle(exchange, query, body) {
        if (isEmptyConfig(body)) {
          throw new EngineError('invalid-parameter', 'config cannot be empty in order to create a container');
        }
        const { request, warnings } = prepareCreate(body, exchange.version, defaults());
        const name = query.name.replace(/^\//, '');
        const created = await containers.create({
          ...request,
          ...(name === '' ? {} : { name }),
          ...(exchange.version < 41 || query.platform === ''
            ? {}
            : { platform: parsePlatform(query.platform, hostPlatform()) }),
        });
        exchange.json(201, { Id: created.id, Warnings: [...created.warnings, ...warnings] });
      },
    }),
    route({
      method: 'GET',
      path: '/containers/{id}/json',
      operation: 'ContainerInspect',
      query: { size: flag },
      async handle(exchange, query) {
        const record = containers.inspect(exchange.params['id'] ?? '');
        exchange.json(
          200,
          inspectView(record, {
            version: exchange.version,
            storageDriver: defaults().storageDriver,
            execIds: containers.execIds(record.id),
            manifest: containers.imageManifest(record.id),
            ...(query.size ? { sizes: await containers.sizes(record.id) } : {}),
          }),
        );
      },
    }),
    route({
      method: 'POST',
      path: '/containers/{id}/start',
      operation: 'ContainerStart',
      query: { detachKeys: text, checkpoint: text },
      async handle(exchange, query) {
        // Any JSON object that says something has more than seven characters.
        const sent = exchange.request.headers;
        if (sent['transfer-encoding'] !== undefined || Number(sent['content-length'] ?? 0) > 7) {
          throw new EngineError(
            'invalid-parameter',
            'starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24',
          );
        }
        if (query.checkpoint !== '') {
          throw new EngineError('not-implemented', 'checkpoints are not supported by this engine yet');
        }
        const options = query.detachKeys === '' ? {} : { detachKeys: query.detachKeys };
        await done(exchange, containers.start(exchange.params['id'] ?? '', options));
      },
    }),
    route({
      method: 'POST',
      path: '/containers/{id}/stop',
      operation: 'ContainerStop',
      query: { signal: text, t: integer },
      handle: (exchange, query) =>
        done(exchange, containers.stop(exchange.params['id'] ?? '', stopOptions(exchange, query))),
    }),
    route({
      method: 'POST',
      path: '/containers/{id}/restart',
      operation: 'ContainerRestart',
      query: { signal: text, t: integer },
      handle: (exchange, query) =>
        done(exchange, containers.restart(exchange.params['id'] ?? '', stopOptions(exchange, query))),
    }),
    route({
      method: 'POST',
      path: '/containers/{id}/kill',
      operation: 'ContainerKill',
      query: { signal: text },
      async handle(exchange, query) {
        const id = exchange.params['id'] ?? '';
        await containers.kill(id, query.signal === '' ? 'SIGKILL' : query.signal);
        exchange.empty(204);
      },
    }),
    route({
      method: 'POST',
      path: '/containers/{id}/pause',
      operation: 'ContainerPause',
      handle: (exchange) => done(exchange, containers.pause(exchange.params['id'] ?? '')),
    }),
    route({
      method: 'POST',
      path: '/containers/{id}/unpause',
      operation: 'ContainerUnpause',
      handle: (exchange) => done(exchange, containers.unpause(exchange.params['id'] ?? '')),
    }),
    route({
      method: 'POST',
      path: '/containers/{id}/rename',
      operation: 'ContainerRename',
      query: { name: text },
      handle(exchange, query) {
        containers.rename(exchange.params['id'] ?? '', query.name.replace(/^\//, ''));
        exchange.empty(204);
      },
    }),
    route({
      method: 'POST',
      path: '/containers/{id}/update',
      operation: 'ContainerUpdate',
      body: updateBody,
      async handle(exchange, _query, body) {
        const change = { ...body };
        if (exchange.version < 40) change.PidsLimit = null;
        if (change.PidsLimit !== null && change.PidsLimit <= 0) change.PidsLimit = 0;
        const { warnings } = await containers.update(exchange.params['id'] ?? '', change);
        exchange.json(200, { Warnings: warnings.length === 0 ? null : warnings });
      },
    }),
    route({
      method: 'POST',
      path: '/containers/{id}/wait',
      operation: 'ContainerWait',
      query: { condition: text },
      handle: (exchange, query) => wait(containers, exchange, query.condition),
    }),
    route({
      method: 'POST',
      path: '/containers/{id}/resize',
      operation: 'ContainerResize',
      query: { h: dimension('height'), w: dimension('width') },
      async handle(exchange, query) {
        await containers.resize(exchange.params['id'] ?? '', query.h, query.w);
        exchange.empty(200);
      },
    }),
    route({
      method: 'GET',
      path: '/containers/{id}/top',
      operation: 'ContainerTop',
      query: { ps_args: text },
      async handle(exchange, query) {
        const psArguments = query.ps_args === '' ? '-ef' : query.ps_args;
        const { titles, processes } = await containers.top(exchange.params['id'] ?? '', psArguments);
        exchange.json(200, { Titles: titles, Processes: processes });
      },
    }),
    route({
      method: 'GET',
      path: '/containers/{id}/changes',
      operation: 'ContainerChanges',
      async handle(exchange) {
        const changes = await containers.changes(exchange.params['id'] ?? '');
        const views = changes.map(({ path, kind }) => ({ Path: path, Kind: changeKinds[kind] }));
        exchange.json(200, views.length === 0 ? null : views);
      },
    }),
    route({
      method: 'DELETE',
      path: '/containers/{id}',
      operation: 'ContainerDelete',
      query: { force: flag, v: flag, link: flag },
      handle: (exchange, query) =>
        done(
          exchange,
          containers.remove(exchange.params['id'] ?? '', {
            force: query.force,
            volumes: query.v,
            link: query.link,
          }),
        ),
    }),
    route({
      method: 'POST',
      path: '/containers/prune',
      operation: 'ContainerPrune',
      since: 25,
      query: { filters },
      async handle(exchange, query) {
        const { ids, spaceReclaimedBytes } = await containers.prune(query.filters);
        exchange.json(200, {
          ContainersDeleted: ids.length === 0 ? null : ids,
          SpaceReclaimed: spaceReclaimedBytes,
        });
      },
    }),
    route({
      method: 'POST',
      path: '/commit',
      operation: 'ImageCommit',
      query: {
        container: text,
        repo: text,
        tag: text,
        comment: text,
        author: text,
        changes: texts,
        pause: flagOr(true),
      },
      body: nullable(containerConfig),
      async handle(exchange, query, body) {
        const id = await containers.commit(query.container, {
          repository: query.repo,
          tag: query.tag,
          message: query.comment,
          author: query.author,
          changes: query.changes,
          pause: query.pause,
          ...(body === null ? {} : { config: body }),
        });
        exchange.json(201, { Id: id });
      },
    }),
  ];
}

function isEmptyConfig(body: { Image: string; Cmd: unknown; Entrypoint: unknown; Env: unknown }): boolean {
  return body.Image === '' && body.Cmd === null && body.Entrypoint === null && body.Env === null;
}

function stopOptions(
  exchange: Exchange,
  query: { signal: string; t: number | undefined },
): { signal?: string; timeoutSeconds?: number } {
  return {
    ...(exchange.version >= 42 && query.signal !== '' ? { signal: query.signal } : {}),
    ...(query.t === undefined ? {} : { timeoutSeconds: query.t }),
  };
}

const conditions: readonly string[] = ['not-running', 'next-exit', 'removed'] satisfies WaitCondition[];

/** Answers the head at once, because clients start the container only when they have it, and the body at the end. */
async function wait(containers: ContainerBackend, exchange: Exchange, asked: string): Promise<void> {
  const condition = exchange.version < 30 || asked === '' ? 'not-running' : asked;
  if (!conditions.includes(condition)) {
    throw new EngineError('invalid-parameter', `invalid condition: ${JSON.stringify(condition)}`);
  }
  const waiting = containers.wait(exchange.params['id'] ?? '', condition as WaitCondition);
  const { signal } = exchange;
  const cancel = (): void => waiting.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  if (exchange.version >= 30) exchange.open(200, { 'Content-Type': 'application/json' });
  let answer: { StatusCode: number; Error?: { Message: string } };
  try {
    const { exitCode, error } = await waiting.result;
    answer = { StatusCode: exitCode, ...(error === undefined ? {} : { Error: { Message: error } }) };
  } catch (error) {
    if (signal.aborted || isKind(error, 'cancelled')) return;
    if (!exchange.response.headersSent) throw error;
    answer = { StatusCode: -1, Error: { Message: (error as Error).message } };
  } finally {
    signal.removeEventListener('abort', cancel);
  }
  if (exchange.response.headersSent) exchange.response.end(`${JSON.stringify(answer)}\n`);
  else exchange.json(200, answer);
}
