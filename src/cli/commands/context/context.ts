import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { defaultHost } from '../../../client/index.ts';
import type { Cli } from '../../cli.ts';
import { exactArgs, noArgs, type Command } from '../../command.ts';
import { bool, text } from '../../flags/flags.ts';
import { natural } from '../../format/natural.ts';
import { render, type Listing } from '../../format/table.ts';
import { formatUsage } from '../container/ls.ts';

interface ContextLine {
  name: string;
  description: string;
  endpoint: string;
  current: boolean;
  error: string;
}

function environmentHost(cli: Cli): string | undefined {
  return cli.options.host ?? (cli.env['CORACLE_HOST'] || cli.env['DOCKER_HOST'] || undefined);
}

async function currentName(cli: Cli): Promise<string> {
  if (cli.options.context) return cli.options.context;
  if (environmentHost(cli) !== undefined) return 'default';
  return cli.env['DOCKER_CONTEXT'] || (await cli.config()).currentContext || 'default';
}

function metaPath(cli: Cli, name: string): string {
  return `${cli.configDir}/contexts/meta/${createHash('sha256').update(name).digest('hex')}/meta.json`;
}

function storedContexts(cli: Cli, current: string): ContextLine[] {
  const dir = `${cli.configDir}/contexts/meta`;
  if (!existsSync(dir)) return [];
  return readdirSync(dir).flatMap((entry) => {
    try {
      const meta = JSON.parse(readFileSync(`${dir}/${entry}/meta.json`, 'utf8')) as {
        Name: string;
        Metadata?: { Description?: string };
        Endpoints?: { docker?: { Host?: string } };
      };
      return [
        {
          name: meta.Name,
          description: meta.Metadata?.Description ?? '',
          endpoint: meta.Endpoints?.docker?.Host ?? '',
          current: meta.Name === current,
          error: '',
        },
      ];
    } catch {
      return [];
    }
  });
}

const listing: Listing<ContextLine> = {
  typeName: '*formatter.clientContextContext',
  fields: {
    Current: ({ current }) => current,
    Description: ({ description }) => description,
    DockerEndpoint: ({ endpoint }) => endpoint,
    Error: ({ error }) => error,
    Name: ({ name }) => name,
  },
  headers: {
    Name: 'NAME',
    Description: 'DESCRIPTION',
    DockerEndpoint: 'DOCKER ENDPOINT',
    Error: 'ERROR',
    Current: 'CURRENT',
  },
  table: '{{.Name}}{{if .Current}} *{{end}}\t{{.Description}}\t{{.DockerEndpoint}}\t{{.Error}}',
  quiet: '{{.Name}}',
};

export const ls: Command = {
  synopsis: '[OPTIONS]',
  flags: [text('format', formatUsage), bool('quiet', 'Print only the names', { short: 'q' })],
  arity: noArgs,
  run: async (cli, flags) => {
    const current = await currentName(cli);
    const host = environmentHost(cli);
    const lines = [
      {
        name: 'default',
        description: host === undefined ? 'The default socket' : 'Current DOCKER_HOST based configuration',
        endpoint: host ?? defaultHost,
        current: current === 'default',
        error: '',
      },
      ...storedContexts(cli, current),
    ].toSorted((a, b) => natural(a.name, b.name));
    render(cli, listing, lines, { format: flags.text('format'), quiet: flags.bool('quiet') });
  },
};

export const show: Command = {
  synopsis: '',
  flags: [],
  arity: noArgs,
  run: async (cli) => {
    cli.out(`${await currentName(cli)}\n`);
  },
};

export const use: Command = {
  synopsis: 'CONTEXT',
  flags: [],
  arity: exactArgs(1),
  run: async (cli, { args }) => {
    const name = args[0] ?? '';
    const path = metaPath(cli, name);
    if (name !== 'default' && !existsSync(path)) {
      throw new Error(
        `context ${JSON.stringify(name)}: context not found: open ${path}: no such file or directory`,
      );
    }
    await cli.changeConfig((config) => {
      const { currentContext: _, ...others } = config;
      return name === 'default' ? others : { ...others, currentContext: name };
    });
    cli.out(`${name}\n`);
    cli.err(`Current context is now ${JSON.stringify(name)}\n`);
  },
};
