import { noArgs, type Command } from '../../command.ts';
import { StatusError } from '../../errors.ts';
import { list, text } from '../../flags/flags.ts';
import { localRfc3339 } from '../../format/units.ts';
import { filterArgs, filtersQuery, parseFilter } from '../../opts/names.ts';
import { apiTime } from '../../opts/time.ts';
import { goJson, keepOrder, Template } from '../../template/index.ts';

interface Event {
  status?: string;
  id?: string;
  Type: string;
  Action: string;
  Actor: { ID: string; Attributes: Record<string, string> | null };
  scope?: string;
  time: number;
  timeNano: number;
}

/** Digits behind the seconds come from the text: a JavaScript number has not enough of them. */
function nanoseconds(raw: string): string {
  return /"timeNano":(\d+)/.exec(raw)?.[1]?.slice(-9) ?? '000000000';
}

function line(event: Event, nanos: string): string {
  const stamp = localRfc3339(event.time * 1000).replace(/(\d\d:\d\d:\d\d)/, `$1.${nanos}`);
  const attributes = event.Actor.Attributes ?? {};
  const shown = Object.keys(attributes)
    .toSorted()
    .map((name) => `${name}=${attributes[name]}`)
    .join(', ');
  return `${stamp} ${event.Type} ${event.Action} ${event.Actor.ID}${shown === '' ? '' : ` (${shown})`}\n`;
}

export const events: Command = {
  synopsis: '[OPTIONS]',
  flags: [
    list('filter', 'Show only what matches', { short: 'f', typeName: 'filter', parse: parseFilter }),
    text('format', 'How to print: "json" or a Go template'),
    text('since', 'Start at this time (2013-01-02T13:23:37Z) or so long ago (42m)'),
    text('until', 'End at this time (2013-01-02T13:23:37Z) or so long ago (42m)'),
  ],
  arity: noArgs,
  run: async (cli, flags) => {
    const format = flags.text('format');
    const json = format === 'json' || format === '{{json .}}';
    let template: Template | null = null;
    if (format !== '' && !json) {
      try {
        template = new Template(format);
      } catch (error) {
        throw new StatusError(64, `Error parsing format: ${(error as Error).message}`);
      }
    }
    const client = await cli.client();
    const response = await client.request('GET', '/events', {
      query: {
        since: apiTime(flags.text('since')) || undefined,
        until: apiTime(flags.text('until')) || undefined,
        filters: filtersQuery(filterArgs(flags.list('filter'))),
      },
    });
    for await (const raw of response.lines()) {
      const event = JSON.parse(raw) as Event;
      if (json) cli.out(`${raw.replace(/,"timeNano":\d+/, '') === raw ? goJson(keepOrder(event)) : raw}\n`);
      else if (template !== null) {
        const value = {
          Type: event.Type,
          Action: event.Action,
          Actor: event.Actor,
          Scope: event.scope,
          Time: event.time,
          TimeNano: event.timeNano,
          Status: event.status,
          ID: event.id,
          From: event.Actor.Attributes?.['image'],
        };
        cli.out(`${template.run(value)}\n`);
      } else cli.out(line(event, nanoseconds(raw)));
    }
  },
};
