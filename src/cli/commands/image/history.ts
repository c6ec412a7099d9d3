import { exactArgs, type Command } from '../../command.ts';
import { bool, text } from '../../flags/flags.ts';
import { render, type Listing } from '../../format/table.ts';
import { ago, ellipsis, humanSize, localRfc3339, shortId } from '../../format/units.ts';
import { platformJson } from '../../opts/platform.ts';
import { formatUsage } from '../container/ls.ts';
import { imagePath } from './names.ts';

interface Layer {
  Id: string;
  Created: number;
  CreatedBy: string;
  Tags: string[] | null;
  Size: number;
  Comment: string;
}

function listing(full: boolean, human: boolean): Listing<Layer> {
  return {
    typeName: '*image.historyContext',
    fields: {
      Comment: (layer) => layer.Comment,
      CreatedAt: (layer) => localRfc3339(layer.Created * 1000),
      CreatedBy: (layer) => {
        const by = layer.CreatedBy.replaceAll('\t', ' ');
        return full ? by : ellipsis(by, 45);
      },
      CreatedSince: (layer) =>
        human ? (layer.Created <= 0 ? 'N/A' : ago(layer.Created * 1000)) : localRfc3339(layer.Created * 1000),
      ID: (layer) => (full ? layer.Id : shortId(layer.Id)),
      Size: (layer) => (human ? humanSize(layer.Size, 3) : String(layer.Size)),
    },
    headers: {
      ID: 'IMAGE',
      CreatedSince: 'CREATED',
      CreatedAt: 'CREATED AT',
      CreatedBy: 'CREATED BY',
      Size: 'SIZE',
      Comment: 'COMMENT',
    },
    table: human
      ? '{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}'
      : '{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}',
    quiet: '{{.ID}}',
  };
}

export const history: Command = {
  synopsis: '[OPTIONS] IMAGE',
  flags: [
    text('format', formatUsage),
    bool('human', 'Print sizes and dates for people', { short: 'H', initial: true }),
    bool('no-trunc', 'Do not shorten anything'),
    text('platform', 'Show this platform'),
    bool('quiet', 'Print only the IDs', { short: 'q' }),
  ],
  arity: exactArgs(1),
  run: async (cli, flags) => {
    const platform = platformJson(flags.text('platform'));
    const client = await cli.client();
    const layers = await client.get<Layer[]>(`/images/${imagePath(flags.args[0] ?? '')}/history`, {
      platform,
    });
    render(cli, listing(flags.bool('no-trunc'), flags.bool('human')), layers, {
      format: flags.text('format'),
      quiet: flags.bool('quiet'),
    });
  },
};
