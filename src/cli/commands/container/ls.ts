import type { Cli } from '../../cli.ts';
import { noArgs, type Command } from '../../command.ts';
import { bool, int, list, text, type Parsed } from '../../flags/flags.ts';
import { labelMethod, labelText } from '../../format/labels.ts';
import { portText, type ListedPort } from '../../format/ports.ts';
import { render, usesField, type Listing } from '../../format/table.ts';
import { ago, ellipsis, goTime, humanSize, shortId } from '../../format/units.ts';
import { filterArgs, filtersQuery, parseFilter } from '../../opts/names.ts';
import { parseReference } from '../../opts/reference.ts';

/** An entry of `GET /containers/json`. */
export interface ContainerSummary {
  Id: string;
  Names: string[] | null;
  Image: string;
  ImageID: string;
  Command: string;
  Created: number;
  Ports: ListedPort[] | null;
  SizeRw?: number;
  SizeRootFs?: number;
  Labels: Record<string, string> | null;
  State: string;
  Status: string;
  NetworkSettings?: { Networks: Record<string, unknown> | null } | null;
  Mounts?: { Type: string; Name?: string; Source: string; Driver?: string }[] | null;
  ImageManifestDescriptor?: { platform?: { os: string; architecture: string } } | null;
}

function names(container: ContainerSummary, full: boolean): string {
  const all = (container.Names ?? []).map((name) => name.replace(/^\//, ''));
  // A name with a slash left is another container's link to this one.
  return (full ? all : all.filter((name) => !name.includes('/'))).join(',');
}

function imageName(container: ContainerSummary, full: boolean): string {
  if (container.Image === '') return '<no image>';
  if (full) return container.Image;
  if (shortId(container.ImageID) === shortId(container.Image)) return shortId(container.Image);
  try {
    const reference = parseReference(container.Image);
    // Names that carry a digest are shown without it.
    if (reference?.digest) return reference.tag ? `${reference.name}:${reference.tag}` : reference.name;
  } catch {
    return container.Image;
  }
  return container.Image;
}

function size({ SizeRw = 0, SizeRootFs = 0 }: ContainerSummary): string {
  const written = humanSize(SizeRw, 3);
  return SizeRootFs > 0 ? `${written} (virtual ${humanSize(SizeRootFs, 3)})` : written;
}

function mounts(container: ContainerSummary, full: boolean): string {
  return (container.Mounts ?? [])
    .map((mount) => mount.Name || mount.Source)
    .map((name) => (full ? name : ellipsis(name, 15)))
    .join(',');
}

/** What a container listing can show. */
export function containerListing(full: boolean, withSize: boolean): Listing<ContainerSummary> {
  return {
    typeName: '*formatter.ContainerContext',
    fields: {
      Command: (c) => JSON.stringify(full ? c.Command : ellipsis(c.Command, 20)),
      CreatedAt: (c) => goTime(c.Created * 1000),
      ID: (c) => (full ? c.Id : shortId(c.Id)),
      Image: (c) => imageName(c, full),
      Label: (c) => labelMethod(c.Labels),
      Labels: (c) => labelText(c.Labels),
      LocalVolumes: (c) => String((c.Mounts ?? []).filter((mount) => mount.Driver === 'local').length),
      Mounts: (c) => mounts(c, full),
      Names: (c) => names(c, full),
      Networks: (c) =>
        Object.keys(c.NetworkSettings?.Networks ?? {})
          .toSorted()
          .join(','),
      Platform: (c) => c.ImageManifestDescriptor?.platform ?? null,
      Ports: (c) => portText(c.Ports ?? []),
      RunningFor: (c) => ago(c.Created * 1000),
      Size: size,
      State: (c) => c.State,
      Status: (c) => c.Status,
    },
    headers: {
      ID: 'CONTAINER ID',
      Names: 'NAMES',
      Image: 'IMAGE',
      Command: 'COMMAND',
      CreatedAt: 'CREATED AT',
      RunningFor: 'CREATED',
      Ports: 'PORTS',
      State: 'STATE',
      Status: 'STATUS',
      Size: 'SIZE',
      Labels: 'LABELS',
      Mounts: 'MOUNTS',
      LocalVolumes: 'LOCAL VOLUMES',
      Networks: 'NETWORKS',
      Platform: 'PLATFORM',
    },
    table: `{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}${withSize ? '\t{{.Size}}' : ''}`,
    quiet: '{{.ID}}',
    raw:
      'container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\nstate: {{- pad .State 1 0}}\n' +
      `status: {{- pad .Status 1 0}}\nnames: {{.Names}}\nlabels: {{- pad .Labels 1 0}}\nports: {{- pad .Ports 1 0}}\n${withSize ? 'size: {{.Size}}\n' : ''}`,
  };
}

/** Tries a template out when there is no container. */
const nothing: ContainerSummary = {
  Id: '',
  Names: [],
  Image: '',
  ImageID: '',
  Command: '',
  Created: 0,
  Ports: [],
  Labels: {},
  State: '',
  Status: '',
};

async function listContainers(cli: Cli, flags: Parsed): Promise<void> {
  const client = await cli.client();
  let format = flags.text('format');
  const quiet = flags.bool('quiet');
  if (format === '') format = (!quiet && (await cli.config()).psFormat) || '';
  const last = flags.bool('latest') && flags.int('last') === -1 ? 1 : flags.int('last');
  const containers = await client.get<ContainerSummary[]>('/containers/json', {
    all: flags.bool('all') ? 1 : undefined,
    limit: last > 0 ? last : undefined,
    size:
      flags.bool('size') || usesField(format, 'Size') || /\{\{\s*json \.\s*\}\}/.test(format) ? 1 : undefined,
    filters: filtersQuery(filterArgs(flags.list('filter'))),
  });
  render(cli, containerListing(flags.bool('no-trunc'), flags.bool('size')), containers, {
    format,
    quiet,
    probe: nothing,
  });
}

export const formatUsage = 'How to print: "table", "table TEMPLATE", "json" or a Go template';

export const ls: Command = {
  synopsis: '[OPTIONS]',
  flags: [
    bool('all', 'Show stopped containers too', { short: 'a' }),
    list('filter', 'Show only what matches', { short: 'f', typeName: 'filter', parse: parseFilter }),
    text('format', formatUsage),
    int('last', 'Show the n containers created last, in any state', { short: 'n', initial: -1 }),
    bool('latest', 'Show the container created last, in any state', { short: 'l' }),
    bool('no-trunc', 'Do not shorten anything'),
    bool('quiet', 'Print only the IDs', { short: 'q' }),
    bool('size', 'Show sizes', { short: 's' }),
  ],
  arity: noArgs,
  run: listContainers,
};
