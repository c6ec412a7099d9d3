import type { Cli } from '../../cli.ts';
import { noArgs, type Command } from '../../command.ts';
import { bool, text } from '../../flags/flags.ts';
import { render, renderTemplate, rowsOf, type Listing } from '../../format/table.ts';
import { ago, ellipsis, goTime, humanSize } from '../../format/units.ts';
import { keepOrder, type Value } from '../../template/index.ts';
import { containerListing, formatUsage, type ContainerSummary } from '../container/ls.ts';
import { imageListing, imageRows, type ImageRow, type ImageSummary } from '../image/ls.ts';
import { volumeListing, type VolumeSummary } from '../volume/volume.ts';

interface CacheRecord {
  ID: string;
  Type: string;
  Size: number;
  CreatedAt: string;
  LastUsedAt: string | null;
  UsageCount: number;
  Shared: boolean;
  InUse: boolean;
  Description: string;
  Parents?: string[] | null;
}

interface DiskUsage {
  LayersSize: number;
  Images: ImageSummary[] | null;
  Containers: ContainerSummary[] | null;
  Volumes: VolumeSummary[] | null;
  BuildCache: CacheRecord[] | null;
}

interface Line {
  type: string;
  total: number;
  active: number;
  size: number;
  reclaimable: number;
  /** Whether the share of the whole is told as well. */
  share: boolean;
}

const summary: Listing<Line> = {
  typeName: '*formatter.diskUsageImagesContext',
  fields: {
    Active: ({ active }) => String(active),
    Reclaimable: ({ reclaimable, size, share }) =>
      `${humanSize(reclaimable)}${share && size > 0 ? ` (${Math.trunc((reclaimable * 100) / size)}%)` : ''}`,
    Size: ({ size }) => humanSize(size),
    TotalCount: ({ total }) => String(total),
    Type: ({ type }) => type,
  },
  headers: { Type: 'TYPE', TotalCount: 'TOTAL', Active: 'ACTIVE', Size: 'SIZE', Reclaimable: 'RECLAIMABLE' },
  table: '{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}',
  raw: 'type: {{.Type}}\ntotal: {{.TotalCount}}\nactive: {{.Active}}\nsize: {{.Size}}\nreclaimable: {{.Reclaimable}}\n',
};

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}

function summaryLines(usage: DiskUsage): Line[] {
  const images = usage.Images ?? [];
  const containers = usage.Containers ?? [];
  const volumes = usage.Volumes ?? [];
  const cache = usage.BuildCache ?? [];
  const running = (container: ContainerSummary): boolean =>
    ['running', 'paused', 'restarting'].includes(container.State);
  const usedImages = sum(images, (image) =>
    image.Containers !== 0 && image.Size !== -1 && image.SharedSize !== -1
      ? image.Size - image.SharedSize
      : 0,
  );
  const written = (container: ContainerSummary): number => container.SizeRw ?? 0;
  const volumeSize = (volume: VolumeSummary): number => Math.max(0, volume.UsageData?.Size ?? 0);
  const inUse = (volume: VolumeSummary): boolean => (volume.UsageData?.RefCount ?? 0) > 0;
  return [
    {
      type: 'Images',
      total: images.length,
      active: images.filter((image) => image.Containers > 0).length,
      size: usage.LayersSize,
      reclaimable: usage.LayersSize - usedImages,
      share: true,
    },
    {
      type: 'Containers',
      total: containers.length,
      active: containers.filter(running).length,
      size: sum(containers, written),
      reclaimable: sum(
        containers.filter((container) => !running(container)),
        written,
      ),
      share: true,
    },
    {
      type: 'Local Volumes',
      total: volumes.length,
      active: volumes.filter(inUse).length,
      size: sum(volumes, volumeSize),
      reclaimable: sum(
        volumes.filter((volume) => !inUse(volume)),
        volumeSize,
      ),
      share: true,
    },
    {
      type: 'Build Cache',
      total: cache.length,
      active: cache.filter((record) => record.InUse).length,
      size: sum(cache, (record) => (record.Shared ? 0 : record.Size)),
      reclaimable: sum(
        cache.filter((record) => !record.InUse && !record.Shared),
        (record) => record.Size,
      ),
      share: false,
    },
  ];
}

const cacheListing = (full: boolean): Listing<CacheRecord> => ({
  typeName: '*formatter.buildCacheContext',
  fields: {
    CacheType: ({ Type }) => Type,
    CreatedAt: ({ CreatedAt }) => goTime(Date.parse(CreatedAt)),
    CreatedSince: ({ CreatedAt }) => ago(Date.parse(CreatedAt)),
    Description: ({ Description }) => Description,
    ID: ({ ID, InUse }) => `${full ? ID : ellipsis(ID, 12)}${InUse ? '*' : ''}`,
    InUse: ({ InUse }) => String(InUse),
    LastUsedAt: ({ LastUsedAt }) => (LastUsedAt === null ? '' : goTime(Date.parse(LastUsedAt))),
    LastUsedSince: ({ LastUsedAt }) => (LastUsedAt === null ? '' : ago(Date.parse(LastUsedAt))),
    Parent: ({ Parents }) => (Parents ?? []).join(', '),
    Shared: ({ Shared }) => String(Shared),
    Size: ({ Size }) => humanSize(Size, 3),
    UsageCount: ({ UsageCount }) => String(UsageCount),
  },
  headers: {
    ID: 'CACHE ID',
    CacheType: 'CACHE TYPE',
    Size: 'SIZE',
    CreatedSince: 'CREATED',
    LastUsedSince: 'LAST USED',
    UsageCount: 'USAGE',
    Shared: 'SHARED',
  },
  table:
    '{{.ID}}\t{{.CacheType}}\t{{.Size}}\t{{.CreatedSince}}\t{{.LastUsedSince}}\t{{.UsageCount}}\t{{.Shared}}',
});

/** The first name of each image. */
function imagesOf({ Images }: DiskUsage): ImageRow[] {
  return (Images ?? []).flatMap((image) => imageRows([image], false).slice(0, 1));
}

/** Without the size of the image, which is told with the image. */
function containersOf({ Containers }: DiskUsage): ContainerSummary[] {
  return (Containers ?? []).map((container) => ({ ...container, SizeRootFs: 0 }));
}

/** What templates of `--verbose` see. */
function everything(usage: DiskUsage): Value {
  return keepOrder({
    Images: rowsOf(
      imageListing(true, false),
      imagesOf(usage).map((row) => ({ ...row, digest: '' })),
    ),
    Containers: rowsOf(containerListing(true, false), containersOf(usage)),
    Volumes: rowsOf(volumeListing, usage.Volumes ?? []),
    BuildCache: rowsOf(cacheListing(true), usage.BuildCache ?? []),
  });
}

function verbose(cli: Cli, usage: DiskUsage): void {
  const table = <T>(listing: Listing<T>, items: readonly T[], format: string): void =>
    render(cli, listing, items, { format: `table ${format}` });
  cli.out('Images space usage:\n\n');
  table(
    imageListing(false, false),
    imagesOf(usage),
    '{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}',
  );
  cli.out('\nContainers space usage:\n\n');
  table(
    containerListing(false, false),
    containersOf(usage),
    '{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}',
  );
  cli.out('\nLocal Volumes space usage:\n\n');
  table(volumeListing, usage.Volumes ?? [], '{{.Name}}\t{{.Links}}\t{{.Size}}');
  const cache = usage.BuildCache ?? [];
  cli.out(`\nBuild cache usage: ${humanSize(sum(cache, (record) => (record.Shared ? 0 : record.Size)))}\n\n`);
  render(cli, cacheListing(false), cache, { format: '' });
}

export const df: Command = {
  synopsis: '[OPTIONS]',
  flags: [text('format', formatUsage), bool('verbose', 'List every thing', { short: 'v' })],
  arity: noArgs,
  run: async (cli, flags) => {
    const client = await cli.client();
    const usage = await client.get<DiskUsage>('/system/df');
    const format = flags.text('format');
    if (flags.bool('verbose')) {
      if (format === '' || format === 'table') verbose(cli, usage);
      else cli.out(renderTemplate(format, everything(usage)).slice(0, -1));
    } else render(cli, summary, summaryLines(usage), { format });
  },
};
