import { StreamDemuxer } from '../../../client/index.ts';
import { exactArgs, type Command } from '../../command.ts';
import { bool, text, type Parsed } from '../../flags/flags.ts';
import { apiTime } from '../../opts/time.ts';
import { segment } from '../each.ts';

function timeOf(flags: Parsed, name: string): string {
  try {
    return apiTime(flags.text(name));
  } catch (error) {
    throw new Error(`invalid value for ${JSON.stringify(name)}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

export const logs: Command = {
  synopsis: '[OPTIONS] CONTAINER',
  flags: [
    bool('details', 'Show what the log driver adds'),
    bool('follow', 'Go on with what is logged from now on', { short: 'f' }),
    text('since', 'Start at this time (2013-01-02T13:23:37Z) or so long ago (42m)'),
    text('tail', 'Number of lines from the end', { short: 'n', initial: 'all' }),
    bool('timestamps', 'Put the time before every line', { short: 't' }),
    text('until', 'End at this time (2013-01-02T13:23:37Z) or so long ago (42m)'),
  ],
  arity: exactArgs(1),
  run: async (cli, flags) => {
    const client = await cli.client();
    const path = `/containers/${segment(flags.args[0] ?? '')}`;
    // Only the container knows whether its log is framed.
    const { Config } = await client.get<{ Config: { Tty: boolean } }>(`${path}/json`);
    const response = await client.request('GET', `${path}/logs`, {
      query: {
        stdout: 1,
        stderr: 1,
        since: timeOf(flags, 'since') || undefined,
        until: timeOf(flags, 'until') || undefined,
        timestamps: flags.bool('timestamps') ? 1 : undefined,
        follow: flags.bool('follow') ? 1 : undefined,
        details: flags.bool('details') ? 1 : undefined,
        tail: flags.text('tail'),
      },
    });
    const demuxer = new StreamDemuxer((kind, payload) =>
      kind === 2 || kind === 3 ? cli.err(payload) : cli.out(payload),
    );
    for await (const chunk of response.body) {
      if (Config.Tty) cli.out(chunk);
      else demuxer.write(chunk);
    }
  },
};
