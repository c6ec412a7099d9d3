import { isNotFound } from '../../../client/index.ts';
import { exactArgs, minArgs, type Command } from '../../command.ts';
import { StatusError } from '../../errors.ts';
import { bool, int, text, type Parsed } from '../../flags/flags.ts';
import { forEachName, segment, throwJoined } from '../each.ts';

const many = { synopsis: 'CONTAINER [CONTAINER...]', flags: [], arity: minArgs(1) };
const manyWithOptions = { synopsis: '[OPTIONS] CONTAINER [CONTAINER...]', arity: minArgs(1) };
const signal = text('signal', 'Signal to send to the container', { short: 's' });
const stopFlags = [
  signal,
  int('timeout', 'Seconds to wait before the container is killed', { short: 't' }),
  int('time', 'The same as --timeout', { hidden: true }),
];

function simple(action: string): Command {
  return {
    ...many,
    run: async (cli, { args }) => {
      const client = await cli.client();
      await forEachName(cli, args, (name) => client.post(`/containers/${segment(name)}/${action}`));
    },
  };
}

export const pause = simple('pause');
export const unpause = simple('unpause');

function stopQuery(parsed: Parsed): Record<string, string | number | undefined> {
  if (parsed.changed('time') && parsed.changed('timeout')) {
    throw new StatusError(1, 'conflicting options: cannot specify both --timeout and --time');
  }
  const name = parsed.changed('timeout') ? 'timeout' : parsed.changed('time') ? 'time' : undefined;
  return { signal: parsed.text('signal') || undefined, t: name === undefined ? undefined : parsed.int(name) };
}

function stopLike(action: 'stop' | 'restart', parallel: boolean): Command {
  return {
    ...manyWithOptions,
    flags: stopFlags,
    run: async (cli, parsed) => {
      const query = stopQuery(parsed);
      if (parsed.changed('time')) cli.err('Flag --time has been deprecated, use --timeout instead\n');
      const client = await cli.client();
      await forEachName(
        cli,
        parsed.args,
        (name) => client.post(`/containers/${segment(name)}/${action}`, { query }),
        {
          parallel,
        },
      );
    },
  };
}

export const stop = stopLike('stop', true);
export const restart = stopLike('restart', false);

export const kill: Command = {
  ...manyWithOptions,
  flags: [signal],
  run: async (cli, parsed) => {
    const client = await cli.client();
    const query = { signal: parsed.text('signal') || undefined };
    await forEachName(cli, parsed.args, (name) =>
      client.post(`/containers/${segment(name)}/kill`, { query }),
    );
  },
};

export const rm: Command = {
  ...manyWithOptions,
  flags: [
    bool('force', 'Remove a running container too (SIGKILL)', { short: 'f' }),
    bool('link', 'Remove this link', { short: 'l' }),
    bool('volumes', 'Remove the container’s anonymous volumes as well', { short: 'v' }),
  ],
  run: async (cli, parsed) => {
    const client = await cli.client();
    const force = parsed.bool('force');
    const query = {
      v: parsed.bool('volumes') ? 1 : undefined,
      link: parsed.bool('link') ? 1 : undefined,
      force: force ? 1 : undefined,
    };
    const remove = async (given: string): Promise<unknown> => {
      const name = given.replace(/^\/+|\/+$/g, '');
      if (name === '') throw new Error('container name cannot be empty');
      return client.delete(`/containers/${segment(name)}`, query);
    };
    await forEachName(cli, parsed.args, remove, { tolerate: (error) => force && isNotFound(error) });
  },
};

export const rename: Command = {
  synopsis: 'CONTAINER NEW_NAME',
  flags: [],
  arity: exactArgs(2),
  run: async (cli, { args }) => {
    const [from = '', to = ''] = args.map((name) => name.trim());
    if (from === '' || to === '') throw new Error('Error: Neither old nor new names may be empty');
    const client = await cli.client();
    try {
      await client.post(`/containers/${segment(from)}/rename`, { query: { name: to } });
    } catch (error) {
      cli.err(`${(error as Error).message}\n`);
      throw new StatusError(1, `Error: failed to rename container named ${from}`);
    }
  },
};

export const wait: Command = {
  ...many,
  run: async (cli, { args }) => {
    const client = await cli.client();
    const errors: unknown[] = [];
    for (const name of args) {
      try {
        const result = await client.post<{ StatusCode: number }>(`/containers/${segment(name)}/wait`);
        cli.out(`${result.StatusCode}\n`);
      } catch (error) {
        errors.push(error);
      }
    }
    throwJoined(errors);
  },
};
