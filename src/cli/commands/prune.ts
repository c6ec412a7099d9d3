import type { Cli } from '../cli.ts';
import { noArgs, type Command } from '../command.ts';
import { bool, custom, list, type Flag, type Parsed } from '../flags/flags.ts';
import { humanSize } from '../format/units.ts';
import { filterArgs, filtersQuery, parseFilter } from '../opts/names.ts';
import { parseSize } from '../opts/size.ts';
import { confirm } from '../prompt.ts';

type Filters = Record<string, string[]>;

/** What a prune did: bytes, and the text that lists it ('' for nothing). */
interface Pruned {
  bytes: number;
  text: string;
}

const force = bool('force', 'Do not ask', { short: 'f' });
const filter = list('filter', 'Remove only what matches', { typeName: 'filter', parse: parseFilter });

function section(title: string, items: readonly string[] | null | undefined): string {
  return items && items.length > 0 ? `${title}:\n${items.map((item) => `${item}\n`).join('')}` : '';
}

async function containers(cli: Cli, filters: Filters): Promise<Pruned> {
  const client = await cli.client();
  const report = await client.post<{ ContainersDeleted: string[] | null; SpaceReclaimed: number }>(
    '/containers/prune',
    { query: { filters: filtersQuery(filters) } },
  );
  return { bytes: report.SpaceReclaimed, text: section('Deleted Containers', report.ContainersDeleted) };
}

async function networks(cli: Cli, filters: Filters): Promise<Pruned> {
  const client = await cli.client();
  const report = await client.post<{ NetworksDeleted: string[] | null }>('/networks/prune', {
    query: { filters: filtersQuery(filters) },
  });
  return { bytes: 0, text: section('Deleted Networks', report.NetworksDeleted) };
}

async function volumes(cli: Cli, filters: Filters): Promise<Pruned> {
  const client = await cli.client();
  const report = await client.post<{ VolumesDeleted: string[] | null; SpaceReclaimed: number }>(
    '/volumes/prune',
    { query: { filters: filtersQuery(filters) } },
  );
  return { bytes: report.SpaceReclaimed, text: section('Deleted Volumes', report.VolumesDeleted) };
}

async function images(cli: Cli, filters: Filters, all: boolean): Promise<Pruned> {
  const client = await cli.client();
  const report = await client.post<{
    ImagesDeleted: { Untagged?: string; Deleted?: string }[] | null;
    SpaceReclaimed: number;
  }>('/images/prune', {
    query: { filters: filtersQuery({ ...filters, dangling: [all ? 'false' : 'true'] }) },
  });
  const lines = (report.ImagesDeleted ?? []).map((one) =>
    one.Untagged ? `untagged: ${one.Untagged}` : `deleted: ${one.Deleted}`,
  );
  return { bytes: report.SpaceReclaimed, text: section('Deleted Images', lines) };
}

async function buildCache(
  cli: Cli,
  filters: Filters,
  all: boolean,
  space: Readonly<Record<string, number>> = {},
): Promise<Pruned> {
  const client = await cli.client();
  const report = await client.post<{ CachesDeleted: string[] | null; SpaceReclaimed: number }>(
    '/build/prune',
    {
      query: { all: all ? 1 : undefined, filters: filtersQuery(filters), ...space },
    },
  );
  return { bytes: report.SpaceReclaimed, text: section('Deleted build cache objects', report.CachesDeleted) };
}

function command(
  flags: readonly Flag[],
  warning: (flags: Parsed) => string,
  act: (cli: Cli, flags: Parsed, filters: Filters) => Promise<Pruned>,
  withBytes = true,
): Command {
  return {
    synopsis: '[OPTIONS]',
    flags: [force, filter, ...flags],
    arity: noArgs,
    run: async (cli, parsed) => {
      const filters = filterArgs(parsed.list('filter'));
      if (!parsed.bool('force'))
        await confirm(cli, `WARNING! ${warning(parsed)}\nAre you sure you want to continue?`);
      const { bytes, text } = await act(cli, parsed, filters);
      if (text !== '') cli.out(`${text}\n`);
      if (withBytes) cli.out(`Total reclaimed space: ${humanSize(bytes)}\n`);
    },
  };
}

export const containerPrune = command(
  [],
  () => 'This will remove all stopped containers.',
  (cli, _flags, filters) => containers(cli, filters),
);
export const networkPrune = command(
  [],
  () => 'This will remove all custom networks not used by at least one container.',
  (cli, _flags, filters) => networks(cli, filters),
  false,
);
export const volumePrune = command(
  [bool('all', 'Remove named volumes too, not just anonymous ones', { short: 'a' })],
  (flags) =>
    `This will remove ${flags.bool('all') ? 'all' : 'anonymous'} local volumes not used by at least one container.`,
  (cli, flags, filters) => volumes(cli, flags.bool('all') ? { ...filters, all: ['true'] } : filters),
);
export const imagePrune = command(
  [bool('all', 'Remove every image without a container, not just untagged ones', { short: 'a' })],
  (flags) =>
    `This will remove all ${flags.bool('all') ? 'images without at least one container associated to them' : 'dangling images'}.`,
  (cli, flags, filters) => images(cli, filters, flags.bool('all')),
);
/** Parameters of the same names. */
const spaceFlags = [
  ['keep-storage', 'The older name of --reserved-space'],
  ['max-used-space', 'Remove until no more than this is used'],
  ['min-free-space', 'Remove until the disk has this much free'],
  ['reserved-space', 'Keep this much in any case'],
] as const;

export const builderPrune = command(
  [
    bool('all', 'Remove the whole build cache', { short: 'a' }),
    ...spaceFlags.map(([name, help]) => custom(name, 'bytes', help, parseSize, { initial: 0 })),
  ],
  (flags) => `This will remove all ${flags.bool('all') ? '' : 'dangling '}build cache.`,
  (cli, flags, filters) => {
    const given = spaceFlags.map(([name]) => [name, flags.value<number>(name) ?? 0] as const);
    const space = Object.fromEntries(given.filter(([, bytes]) => bytes > 0));
    return buildCache(cli, filters, flags.bool('all'), space);
  },
);

function systemWarning(flags: Parsed, filters: readonly string[]): string {
  const all = flags.bool('all');
  const things = [
    'all stopped containers',
    'all networks not used by at least one container',
    ...(flags.bool('volumes') ? ['all anonymous volumes not used by at least one container'] : []),
    all ? 'all images without at least one container associated to them' : 'all dangling images',
    all ? 'all build cache' : 'unused build cache',
  ];
  const lines = (items: readonly string[]): string => items.map((item) => `\n  - ${item}`).join('');
  const filtered =
    filters.length === 0 ? '' : `\n  Items to be pruned will be filtered with:${lines(filters.toSorted())}\n`;
  return `WARNING! This will remove:${lines(things)}\n${filtered}\nAre you sure you want to continue?`;
}

export const systemPrune: Command = {
  synopsis: '[OPTIONS]',
  flags: [
    force,
    filter,
    bool('all', 'Remove every image without a container, not just untagged ones', { short: 'a' }),
    bool('volumes', 'Remove anonymous volumes too'),
  ],
  arity: noArgs,
  run: async (cli, flags) => {
    const filters = filterArgs(flags.list('filter'));
    if (flags.bool('volumes') && filters['until'] !== undefined) {
      throw new Error('ERROR: The "until" filter is not supported with "--volumes"');
    }
    if (!flags.bool('force')) await confirm(cli, systemWarning(flags, flags.list('filter')));
    const all = flags.bool('all');
    let bytes = 0;
    for (const act of [
      () => containers(cli, filters),
      () => networks(cli, filters),
      ...(flags.bool('volumes') ? [() => volumes(cli, filters)] : []),
      () => images(cli, filters, all),
      () => buildCache(cli, filters, all),
    ]) {
      const pruned = await act();
      bytes += pruned.bytes;
      if (pruned.text !== '') cli.out(`${pruned.text}\n`);
    }
    cli.out(`Total reclaimed space: ${humanSize(bytes)}\n`);
  },
};
