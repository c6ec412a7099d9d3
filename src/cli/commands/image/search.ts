import { searchAuth } from '../../auth.ts';
import { exactArgs, type Command } from '../../command.ts';
import { bool, int, list, text } from '../../flags/flags.ts';
import { render, type Listing } from '../../format/table.ts';
import { ellipsis } from '../../format/units.ts';
import { filterArgs, filtersQuery, parseFilter } from '../../opts/names.ts';
import { formatUsage } from '../container/ls.ts';

interface Result {
  name: string;
  description: string;
  star_count: number;
  is_official: boolean;
  is_automated?: boolean;
}

function listing(full: boolean): Listing<Result> {
  return {
    typeName: '*registry.searchContext',
    fields: {
      Description: ({ description }) => {
        const text = description.replace(/[\r\n]/g, ' ');
        return full ? text : ellipsis(text, 45);
      },
      IsAutomated: ({ is_automated }) => (is_automated ? '[OK]' : ''),
      IsOfficial: ({ is_official }) => (is_official ? '[OK]' : ''),
      Name: ({ name }) => name,
      StarCount: ({ star_count }) => String(star_count),
    },
    headers: {
      Name: 'NAME',
      Description: 'DESCRIPTION',
      StarCount: 'STARS',
      IsOfficial: 'OFFICIAL',
      IsAutomated: 'AUTOMATED',
    },
    table: '{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}',
  };
}

export const search: Command = {
  synopsis: '[OPTIONS] TERM',
  flags: [
    list('filter', 'Show only what matches', { short: 'f', typeName: 'filter', parse: parseFilter }),
    text('format', formatUsage),
    int('limit', 'Number of results'),
    bool('no-trunc', 'Do not shorten anything'),
  ],
  arity: exactArgs(1),
  run: async (cli, flags) => {
    const client = await cli.client();
    const term = flags.args[0] ?? '';
    const response = await client.request('GET', '/images/search', {
      query: {
        term,
        limit: flags.int('limit') || undefined,
        filters: filtersQuery(filterArgs(flags.list('filter'))),
      },
      headers: { 'X-Registry-Auth': await searchAuth(cli, term) },
    });
    const results = await response.json<Result[]>();
    render(cli, listing(flags.bool('no-trunc')), results, { format: flags.text('format') });
  },
};
