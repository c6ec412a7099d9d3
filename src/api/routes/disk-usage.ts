import { EngineError } from '../../errors/index.ts';
import type { ContainerRecord, Containers } from '../../containers/index.ts';
import type { Image, Images } from '../../images/index.ts';
import { chainIds } from '../../spec/index.ts';
import type { Volumes } from '../../volumes/index.ts';
import type { ApiVersion } from '../api-version.ts';
import { flag, texts } from '../query.ts';
import { route, type Route } from '../route.ts';
import { summaryView } from '../views/container-view.ts';
import { imageSummaryView } from '../views/image-view.ts';

/** What this route needs of the engine. */
export interface DiskUsageBackend {
  containers: Pick<Containers, 'list' | 'sizes'>;
  images: Pick<Images, 'list' | 'history'>;
  volumes: Pick<Volumes, 'list' | 'referrers' | 'usageBytes'>;
}

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
        const images = asked.includes('image') ? imageUsage(backend, records, exchange.version) : undefined;
        const [containers, volumes] = await Promise.all([
          asked.includes('container') ? containerUsage(backend, records, exchange.version) : undefined,
          asked.includes('volume') ? volumeUsage(backend) : undefined,
        ]);
        const buildCache = asked.includes('build-cache') ? [] : undefined;
        const legacy = {
          LayersSize: images?.totalBytes ?? 0,
          Images: images?.items ?? null,
          Containers: containers?.items ?? null,
          Volumes: volumes?.items ?? null,
          BuildCache: buildCache ?? null,
          ...(exchange.version < 42 ? { BuilderSize: 0 } : {}),
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
          BuildCacheUsage:
            buildCache && section({ items: [], active: 0, totalBytes: 0, reclaimableBytes: 0 }),
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
    const sizes = await containers.sizes(record.id);
    const active = ['running', 'paused', 'restarting'].includes(record.state.status);
    usage.items.push(summaryView(record, version, sizes));
    usage.totalBytes += sizes.sizeRwBytes;
    if (active) usage.active++;
    else usage.reclaimableBytes += sizes.sizeRwBytes;
  }
  return usage;
}

function imageUsage(
  { images }: DiskUsageBackend,
  records: readonly ContainerRecord[],
  version: ApiVersion,
): Usage {
  const listed = images.list();
  const layers = new Map<string, { sizeBytes: number; images: number; used: boolean }>();
  const usedIds = new Set<string>(records.map((record) => record.imageId));
  const layersOf = new Map(listed.map((image) => [image.id, layerSizes(image, images)]));
  for (const image of listed) {
    for (const { chainId, sizeBytes } of layersOf.get(image.id) ?? []) {
      const layer = layers.get(chainId) ?? { sizeBytes, images: 0, used: false };
      layer.images++;
      layer.used ||= usedIds.has(image.id);
      layers.set(chainId, layer);
    }
  }
  const sum = (chosen: Iterable<{ sizeBytes: number }>): number =>
    [...chosen].reduce((total, layer) => total + layer.sizeBytes, 0);
  const items = listed.map((image) =>
    imageSummaryView(image, version, {
      containers: records.filter((record) => record.imageId === image.id).length,
      sharedSizeBytes: sum(
        (layersOf.get(image.id) ?? []).filter(({ chainId }) => (layers.get(chainId)?.images ?? 0) > 1),
      ),
    }),
  );
  return {
    items,
    active: listed.filter((image) => usedIds.has(image.id)).length,
    totalBytes: sum(layers.values()),
    reclaimableBytes: sum([...layers.values()].filter((layer) => !layer.used)),
  };
}

/** Layers by chain id with their sizes, which the history tells where it says which entries made a layer. */
function layerSizes(image: Image, images: Pick<Images, 'history'>): { chainId: string; sizeBytes: number }[] {
  const chain = chainIds(image.config.rootfs.diff_ids);
  const entries = image.config.history ?? [];
  const sizes = images
    .history(image.id)
    .toReversed()
    .filter((_entry, at) => entries[at]?.empty_layer !== true)
    .map((entry) => entry.sizeBytes);
  if (sizes.length !== chain.length) return [{ chainId: image.id, sizeBytes: image.sizeBytes }];
  return chain.map((chainId, at) => ({ chainId, sizeBytes: sizes[at] ?? 0 }));
}

async function volumeUsage({ volumes }: DiskUsageBackend): Promise<Usage> {
  const usage: Usage = { items: [], active: 0, totalBytes: 0, reclaimableBytes: 0 };
  for (const volume of volumes.list()) {
    const sizeBytes = await volumes.usageBytes(volume.Name);
    const references = volumes.referrers(volume.Name).length;
    usage.items.push({ ...volume, UsageData: { RefCount: references, Size: sizeBytes } });
    usage.totalBytes += sizeBytes;
    if (references > 0) usage.active++;
    else usage.reclaimableBytes += sizeBytes;
  }
  return usage;
}
