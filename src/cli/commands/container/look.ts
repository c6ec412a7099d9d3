import type { PortBinding } from '../../../spec/index.ts';
import { exactArgs, minArgs, type Command } from '../../command.ts';
import { natural } from '../../format/natural.ts';
import { tabulate } from '../../format/tabwriter.ts';
import { segment } from '../each.ts';

export const top: Command = {
  synopsis: 'CONTAINER [ps OPTIONS]',
  flags: [],
  interspersed: false,
  arity: minArgs(1),
  run: async (cli, { args }) => {
    const [name = '', ...options] = args;
    const client = await cli.client();
    const { Titles, Processes } = await client.get<{ Titles: string[]; Processes: string[][] | null }>(
      `/containers/${segment(name)}/top`,
      options.length > 0 ? { ps_args: options.join(' ') } : undefined,
    );
    cli.out(tabulate([Titles, ...(Processes ?? [])].map((row) => `${row.join('\t')}\n`).join(''), 20, 3));
  },
};

export const diff: Command = {
  synopsis: 'CONTAINER',
  flags: [],
  arity: exactArgs(1),
  run: async (cli, { args }) => {
    if (args[0] === '') throw new Error('Container name cannot be empty');
    const client = await cli.client();
    const changes = await client.get<{ Kind: number; Path: string }[] | null>(
      `/containers/${segment(args[0] ?? '')}/changes`,
    );
    cli.out((changes ?? []).map(({ Kind, Path }) => `${'CAD'[Kind] ?? ''} ${Path}\n`).join(''));
  },
};

function joinHostPort({ HostIp, HostPort }: PortBinding): string {
  return HostIp.includes(':') ? `[${HostIp}]:${HostPort}` : `${HostIp}:${HostPort}`;
}

export const port: Command = {
  synopsis: 'CONTAINER [PRIVATE_PORT[/PROTO]]',
  flags: [],
  arity: { min: 1, max: 2 },
  run: async (cli, { args }) => {
    const [name = '', wanted] = args;
    const client = await cli.client();
    const { NetworkSettings } = await client.get<{
      NetworkSettings: { Ports: Record<string, PortBinding[] | null> | null };
    }>(`/containers/${segment(name)}/json`);
    const ports = NetworkSettings.Ports ?? {};
    let lines: string[];
    if (wanted === undefined) {
      lines = Object.entries(ports).flatMap(([from, bindings]) =>
        (bindings ?? []).map((one) => `${from} -> ${joinHostPort(one)}`),
      );
    } else {
      const [number = '', protocol] = wanted.split('/');
      if (!/^\d+$/.test(number)) {
        throw new Error(
          `Error: invalid port (${number}): strconv.ParseUint: parsing ${JSON.stringify(number)}: invalid syntax`,
        );
      }
      const bindings = ports[`${number}/${protocol || 'tcp'}`] ?? [];
      if (bindings.length === 0) throw new Error(`Error: No public port '${wanted}' published for ${name}`);
      lines = bindings.map(joinHostPort);
    }
    if (lines.length > 0) cli.out(`${lines.toSorted(natural).join('\n')}\n`);
  },
};
