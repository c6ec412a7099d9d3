import { EngineError } from '../../errors/index.ts';
import type { Volumes } from '../../volumes/index.ts';
import { map, string, struct } from '../json/schema.ts';
import { filters, flag } from '../query.ts';
import { route, type Route } from '../route.ts';
import { refuse } from './refuse.ts';

/** What these routes need of the engine. */
export type VolumeBackend = Pick<Volumes, 'create' | 'list' | 'inspect' | 'remove' | 'prune'>;

interface VolumeCreateBody {
  Name: string;
  Driver: string;
  DriverOpts: Record<string, string> | null;
  Labels: Record<string, string> | null;
}

const createBody = struct<VolumeCreateBody>('volume.CreateOptions', {
  Name: string(),
  Driver: string(),
  DriverOpts: map(string()),
  Labels: map(string()),
});

export function volumeRoutes(volumes: VolumeBackend): Route[] {
  return [
    route({
      method: 'GET',
      path: '/volumes',
      operation: 'VolumeList',
      query: { filters },
      handle: (exchange, query) =>
        exchange.json(200, { Volumes: volumes.list(query.filters), Warnings: null }),
    }),
    route({
      method: 'POST',
      path: '/volumes/create',
      operation: 'VolumeCreate',
      body: createBody,
      async handle(exchange, _query, body) {
        const volume = await volumes.create({
          ...(body.Name === '' ? { anonymous: true } : { name: body.Name }),
          ...(body.Driver === '' ? {} : { driver: body.Driver }),
          ...(body.DriverOpts === null ? {} : { options: body.DriverOpts }),
          ...(body.Labels === null ? {} : { labels: body.Labels }),
        });
        exchange.json(201, volume);
      },
    }),
    route({
      method: 'GET',
      path: '/volumes/{name}',
      operation: 'VolumeInspect',
      handle: (exchange) => exchange.json(200, volumes.inspect(exchange.params['name'] ?? '')),
    }),
    route({
      method: 'DELETE',
      path: '/volumes/{name}',
      operation: 'VolumeDelete',
      query: { force: flag },
      async handle(exchange, query) {
        await volumes.remove(exchange.params['name'] ?? '', query.force);
        exchange.empty(204);
      },
    }),
    route({
      method: 'POST',
      path: '/volumes/prune',
      operation: 'VolumePrune',
      since: 25,
      query: { filters },
      async handle(exchange, query) {
        const chosen = new Map(query.filters);
        // Before 1.42 named volumes were pruned as well.
        if (exchange.version < 42) chosen.set('all', ['true']);
        const { names, spaceReclaimedBytes } = await volumes.prune(chosen);
        exchange.json(200, { VolumesDeleted: names, SpaceReclaimed: spaceReclaimedBytes });
      },
    }),
    refuse('PUT', '/volumes/{name}', 'VolumeUpdate', 'cluster volumes need Swarm', () => {
      throw new EngineError(
        'unavailable',
        'volume update only valid for cluster volumes, but swarm is unavailable',
      );
    }),
  ];
}
