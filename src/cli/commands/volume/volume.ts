import type { Cli } from '../../cli.ts';
import { maxArgs, minArgs, noArgs, type Command } from '../../command.ts';
import { bool, list, text } from '../../flags/flags.ts';
import { labelMethod, labelText } from '../../format/labels.ts';
import { natural } from '../../format/natural.ts';
import { render, type Listing } from '../../format/table.ts';
import { humanSize } from '../../format/units.ts';
import { keyValues } from '../../opts/csv.ts';
import { parseLabel } from '../../opts/env.ts';
import { filterArgs, filtersQuery, parseFilter } from '../../opts/names.ts';
import { isNotFound } from '../../../client/index.ts';
import { formatUsage } from '../container/ls.ts';
import { forEachName, segment } from '../each.ts';

export interface VolumeSummary {
  Name: string;
  Driver: string;
  Mountpoint: string;
  Scope: string;
  Labels: Record<string, string> | null;
  UsageData?: { Size: number; RefCount: number } | null;
}

/** What a volume listing can show. */
export const volumeListing: Listing<VolumeSummary> = {
  typeName: '*formatter.volumeContext',
  fields: {
    Availability: () => 'N/A',
    Driver: (volume) => volume.Driver,
    Group: () => 'N/A',
    Label: (volume) => labelMethod(volume.Labels),
    Labels: (volume) => labelText(volume.Labels),
    Links: (volume) => (volume.UsageData ? String(volume.UsageData.RefCount) : 'N/A'),
    Mountpoint: (volume) => volume.Mountpoint,
    Name: (volume) => volume.Name,
    Scope: (volume) => volume.Scope,
    Size: (volume) => (volume.UsageData ? humanSize(volume.UsageData.Size) : 'N/A'),
    Status: () => 'N/A',
  },
  headers: {
    Name: 'VOLUME NAME',
    Driver: 'DRIVER',
    Scope: 'SCOPE',
    Availability: 'AVAILABILITY',
    Mountpoint: 'MOUNTPOINT',
    Labels: 'LABELS',
    Links: 'LINKS',
    Size: 'SIZE',
    Group: 'GROUP',
    Status: 'STATUS',
  },
  table: '{{.Driver}}\t{{.Name}}',
  quiet: '{{.Name}}',
  raw: 'name: {{.Name}}\ndriver: {{.Driver}}\n',
};

export const ls: Command = {
  synopsis: '[OPTIONS]',
  flags: [
    list('filter', 'Show only what matches', { short: 'f', typeName: 'filter', parse: parseFilter }),
    text('format', formatUsage),
    bool('quiet', 'Print only the names', { short: 'q' }),
  ],
  arity: noArgs,
  run: async (cli, flags) => {
    const client = await cli.client();
    const { Volumes } = await client.get<{ Volumes: VolumeSummary[] | null }>('/volumes', {
      filters: filtersQuery(filterArgs(flags.list('filter'))),
    });
    const quiet = flags.bool('quiet');
    const format = flags.text('format') || (!quiet && (await cli.config()).volumesFormat) || '';
    render(
      cli,
      volumeListing,
      (Volumes ?? []).toSorted((a, b) => natural(a.Name, b.Name)),
      { format, quiet },
    );
  },
};

export const create: Command = {
  synopsis: '[OPTIONS] [VOLUME]',
  flags: [
    text('driver', 'Volume driver', { short: 'd', initial: 'local' }),
    list('label', 'Set a label', { parse: parseLabel }),
    text('name', 'Name of the volume', { hidden: true }),
    list('opt', 'Option of the driver', { short: 'o', typeName: 'map', shownDefault: 'map[]' }),
  ],
  arity: maxArgs(1),
  run: async (cli: Cli, flags) => {
    const name = flags.args[0] ?? flags.text('name');
    if (flags.args.length > 0 && flags.text('name') !== '') {
      throw new Error(
        'conflicting options: cannot specify a volume-name through both --name and as a positional arg',
      );
    }
    const client = await cli.client();
    const volume = await client.post<VolumeSummary>('/volumes/create', {
      json: {
        Name: name,
        Driver: flags.text('driver'),
        // Empty ones are left out: the volume then says null, as docker's do.
        ...(flags.list('opt').length > 0 && { DriverOpts: keyValues(flags.list('opt')) }),
        ...(flags.list('label').length > 0 && { Labels: keyValues(flags.list('label')) }),
      },
    });
    cli.out(`${volume.Name}\n`);
  },
};

export const rm: Command = {
  synopsis: '[OPTIONS] VOLUME [VOLUME...]',
  flags: [bool('force', 'Do not mind volumes that do not exist', { short: 'f' })],
  arity: minArgs(1),
  run: async (cli, flags) => {
    const client = await cli.client();
    const force = flags.bool('force');
    await forEachName(
      cli,
      flags.args,
      (name) => client.delete(`/volumes/${segment(name)}`, force ? { force: 1 } : undefined),
      {
        parallel: false,
        tolerate: (error) => force && isNotFound(error),
      },
    );
  },
};
