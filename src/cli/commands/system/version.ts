import { newestApiVersion } from '../../../client/index.ts';
import type { Cli } from '../../cli.ts';
import { noArgs, type Command } from '../../command.ts';
import { text } from '../../flags/flags.ts';
import { ansiTime } from '../../format/units.ts';
import { tabulate } from '../../format/tabwriter.ts';
import { renderTemplate } from '../../format/table.ts';
import { clientVersion } from '../../program.ts';
import { keepOrder } from '../../template/index.ts';

interface ServerVersion {
  Platform?: { Name: string };
  Components?: { Name: string; Version: string; Details?: Record<string, string> | null }[] | null;
  Version: string;
  ApiVersion: string;
  MinAPIVersion?: string;
  GitCommit: string;
  GoVersion: string;
  Os: string;
  Arch: string;
  KernelVersion?: string;
  Experimental?: boolean;
  BuildTime?: string;
}

/** The machine's architecture in Go's words. */
function architecture(): string {
  return { x64: 'amd64', ia32: '386' }[process.arch as string] ?? process.arch;
}

function lower(a: string, b: string): string {
  const [majorA = 0, minorA = 0] = a.split('.').map(Number);
  const [majorB = 0, minorB = 0] = b.split('.').map(Number);
  return majorA - majorB || minorA - minorB
    ? majorA < majorB || (majorA === majorB && minorA < minorB)
      ? a
      : b
    : a;
}

async function clientInfo(cli: Cli, serverApi: string): Promise<Record<string, unknown>> {
  const { context } = await cli.endpoint();
  return keepOrder({
    Version: clientVersion,
    ApiVersion: serverApi === '' ? newestApiVersion : lower(newestApiVersion, serverApi),
    DefaultAPIVersion: newestApiVersion,
    NodeVersion: process.version,
    Os: 'linux',
    Arch: architecture(),
    Context: context,
  });
}

function clientText(client: Record<string, unknown>): string {
  const api = String(client['ApiVersion']);
  const downgraded = api === newestApiVersion ? '' : ` (downgraded from ${newestApiVersion})`;
  return (
    `Client:\n Version:\t${clientVersion}\n API version:\t${api}${downgraded}\n Node version:\t${process.version}\n` +
    ` OS/Arch:\tlinux/${architecture()}\n Context:\t${String(client['Context'])}\n`
  );
}

function serverText(server: ServerVersion): string {
  const name = server.Platform?.Name ?? '';
  let result = `\nServer:${name === '' ? '' : ` ${name}`}\n`;
  const components = server.Components ?? [
    {
      Name: 'Engine',
      Version: server.Version,
      Details: { ...(server as unknown as Record<string, string>) },
    },
  ];
  for (const { Name, Version, Details } of components) {
    const details = Details ?? {};
    result += ` ${Name}:\n  Version:\t${Version}\n`;
    if (Name === 'Engine') {
      result +=
        `  API version:\t${details['ApiVersion']} (minimum version ${details['MinAPIVersion']})\n` +
        `  Go version:\t${details['GoVersion']}\n  Git commit:\t${details['GitCommit']}\n  Built:\t${details['BuildTime']}\n` +
        `  OS/Arch:\t${details['Os']}/${details['Arch']}\n  Experimental:\t${details['Experimental']}\n`;
    } else for (const key of Object.keys(details).toSorted()) result += `  ${key}:\t${details[key]}\n`;
  }
  return result;
}

export const version: Command = {
  synopsis: '[OPTIONS]',
  flags: [text('format', 'How to print: "json" or a Go template', { short: 'f' })],
  arity: noArgs,
  run: async (cli, flags) => {
    let server: ServerVersion | null = null;
    let problem: Error | null = null;
    try {
      server = await (await cli.client()).get<ServerVersion>('/version');
      const built = Date.parse(server.BuildTime ?? '');
      const engine = server.Components?.find((component) => component.Name === 'Engine')?.Details;
      if (engine?.['BuildTime'] && !Number.isNaN(built)) engine['BuildTime'] = ansiTime(built);
    } catch (error) {
      problem = error as Error;
    }
    const client = await clientInfo(cli, server?.ApiVersion ?? '');
    const format = flags.text('format');
    if (format !== '') cli.out(renderTemplate(format, keepOrder({ Client: client, Server: server })));
    else {
      // Columns are as wide as the widest name, at least 20 with the indent.
      const shown = clientText(client) + (server === null ? '' : serverText(server));
      cli.out(tabulate(shown, 20, 1));
    }
    if (problem !== null) throw problem;
  },
};
