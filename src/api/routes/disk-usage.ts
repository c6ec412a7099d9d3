import type { Builder } from '../../builder/index.ts';
import { EngineError, isKind } from '../../errors/index.ts';
import type { ContainerRecord, Containers } from '../../containers/index.ts';
import type { Images } from '../../images/index.ts';
import type { Volumes } from '../../volumes/index.ts';
import type { ApiVersion } from '../api-version.ts';
import { flag, texts } from '../query.ts';
import { route, type Route } from '../route.ts';
import { summaryView } from '../views/container-view.ts';
import { cacheUsageView } from './build-cache.ts';
import { imageSummaryView } from '../views/image-view.ts';

/** What this route needs of the engine. */
export interface DiskUsageBackend {
  containers: Pick<Containers, 'list' | 'sizes' | 'imageName' | 'diskBytes'>;
  images: Pick<Images, 'diskBlocks'>;
  volumes: Pick<Volumes, 'list' | 'referrers' | 'diskBytes'>;
  builder: Pick<Builder, 'cacheUsage'>;
}

/** All sizes are those of the blocks really used, so that they add up to what du(1) finds. */
const objectTypes = ['container', 'image', 'volume', 'build-cache'];

export function diskUsageRoutes(backend: DiskUsageBackend): Route[] {
  return [
    route({
      method: 'GET',
      path: '/system/df',
      operation: 'SystemDataUsage',
      since: 25,
      query: { type: texts, verbose: flag },
      async handle(exchange, query) {
        const asked = exchange.version < 42 || query.type.length === 0 ? objectTypes : query.type;
        const unknown = asked.find((type) => !objectTypes.includes(type));
        if (unknown !== undefined) {
          throw new EngineError('invalid-parameter', `unknown object type: ${unknown}`);
        }
        const records = backend.containers.list({ all: true });
        const [images, containers, volumes, buildCache] = await Promise.all([
          asked.includes('image') ? imageUsage(backend, records, exchange.version) : undefined,
          asked.includes('container') ? containerUsage(backend, records, exchange.version) : undefined,
          asked.includes('volume') ? volumeUsage(backend) : undefined,
          asked.includes('build-cache') ? buildCacheUsage(backend) : undefined,
        ]);
        const legacy = {
          LayersSize: images?.totalBytes ?? 0,
          Images: images?.items ?? null,
          Containers: containers?.items ?? null,
          Volumes: volumes?.items ?? null,
          BuildCache: buildCache?.items ?? null,
          ...(exchange.version < 42 ? { BuilderSize: buildCache?.totalBytes ?? 0 } : {}),
        };
        if (exchange.version < 52) {
          exchange.json(200, legacy);
          return;
        }
        const section = (usage: Usage | undefined) => usage && currentSection(usage, query.verbose);
        exchange.json(200, {
          ...(query.verbose ? {} : legacy),
          ImageUsage: section(images),
          ContainerUsage: section(containers),
          VolumeUsage: section(volumes),
          BuildCacheUsage: section(buildCache),
        });
      },
    }),
  ];
}

interface Usage {
  items: object[];
  active: number;
  totalBytes: number;
  reclaimableBytes: number;
}

/** The shape since API 1.52. */
function currentSection(usage: Usage, verbose: boolean): object {
  return {
    ActiveCount: usage.active,
    TotalCount: usage.items.length,
    TotalSize: usage.totalBytes,
    Reclaimable: usage.reclaimableBytes,
    ...(verbose ? { Items: usage.items } : {}),
  };
}

async function containerUsage(
  { containers }: DiskUsageBackend,
  records: readonly ContainerRecord[],
  version: ApiVersion,
): Promise<Usage> {
  const usage: Usage = { items: [], active: 0, totalBytes: 0, reclaimableBytes: 0 };
  for (const record of records) {
    const found = await Promise.all([containers.sizes(record.id), containers.diskBytes(record.id)]).catch(
      (error: unknown) => {
        // Removed since it was listed.
        if (isKind(error, 'not-found')) return undefined;
        throw error;
      },
    );
    if (found === undefined) continue;
    const [sizes, diskBytes] = found;
    const active = ['running', 'paused', 'restarting'].includes(record.state.status);
    usage.items.push(
      summaryView(record, version, {
        image: containers.imageName(record.id),
        sizes: { ...sizes, sizeRwBytes: diskBytes },
      }),
    );
    usage.totalBytes += diskBytes;
    if (active) usage.active++;
    else usage.reclaimableBytes += diskBytes;
  }
  return usage;
}

/** An image's platforms count as one; what several images have counts once in the total. */
async function imageUsage(
  { images }: DiskUsageBackend,
  records: readonly ContainerRecord[],
  version: ApiVersion,
): Promise<Usage> {
  const { totalBytes, images: listed } = await images.diskBlocks();
  const usage: Usage = { items: [], active: 0, totalBytes, reclaimableBytes: 0 };
  for (const { image, ids, sizeBytes, sharedBytes } of listed) {
    const containers = records.filter((record) => (ids as string[]).includes(record.imageId)).length;
    const view = imageSummaryView({ ...image, sizeBytes }, version, {
      containers,
      sharedSizeBytes: sharedBytes,
    });
    usage.items.push(view);
    if (containers > 0) usage.active++;
    else usage.reclaimableBytes += sizeBytes - sharedBytes;
  }
  return usage;
}

async function volumeUsage({ volumes }: DiskUsageBackend): Promise<Usage> {
  const usage: Usage = { items: [], active: 0, totalBytes: 0, reclaimableBytes: 0 };
  for (const volume of volumes.list()) {
    const sizeBytes = await volumes.diskBytes(volume.Name);
    const references = volumes.referrers(volume.Name).length;
    usage.items.push({ ...volume, UsageData: { RefCount: references, Size: sizeBytes } });
    usage.totalBytes += sizeBytes;
    if (references > 0) usage.active++;
    else usage.reclaimableBytes += sizeBytes;
  }
  return usage;
}

/** What images have as well is not counted again. */
async function buildCacheUsage({ builder }: DiskUsageBackend): Promise<Usage> {
  const usage: Usage = { items: [], active: 0, totalBytes: 0, reclaimableBytes: 0 };
  for (const record of await builder.cacheUsage()) {
    usage.items.push(cacheUsageView(record));
    if (record.isInUse) usage.active++;
    if (record.isShared) continue;
    usage.totalBytes += record.sizeBytes;
    if (!record.isInUse) usage.reclaimableBytes += record.sizeBytes;
  }
  return usage;
}
