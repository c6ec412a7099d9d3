import { isNotFound } from '../../../client/index.ts';
import { exactArgs, minArgs, noArgs, type Command } from '../../command.ts';
import { StatusError } from '../../errors.ts';
import { bool, int, list, text, type Parsed } from '../../flags/flags.ts';
import { labelMethod, labelText } from '../../format/labels.ts';
import { natural } from '../../format/natural.ts';
import { render, type Listing } from '../../format/table.ts';
import { goTime, shortId } from '../../format/units.ts';
import { keyValues } from '../../opts/csv.ts';
import { parseLabel } from '../../opts/env.ts';
import { filterArgs, filtersQuery, parseFilter, parseIp, parseLink } from '../../opts/names.ts';
import { formatUsage } from '../container/ls.ts';
import { segment } from '../each.ts';

interface NetworkSummary {
  Id: string;
  Name: string;
  Driver: string;
  Scope: string;
  Internal: boolean;
  EnableIPv4?: boolean;
  EnableIPv6: boolean;
  Created: string;
  Labels: Record<string, string> | null;
}

function listing(full: boolean): Listing<NetworkSummary> {
  return {
    typeName: '*network.networkContext',
    fields: {
      CreatedAt: (network) =>
        goTime(Date.parse(network.Created)).replace(/(:\d\d) /, `$1${fraction(network.Created)} `),
      Driver: (network) => network.Driver,
      ID: (network) => (full ? network.Id : shortId(network.Id)),
      IPv4: (network) => String(network.EnableIPv4 ?? false),
      IPv6: (network) => String(network.EnableIPv6),
      Internal: (network) => String(network.Internal),
      Label: (network) => labelMethod(network.Labels),
      Labels: (network) => labelText(network.Labels),
      Name: (network) => network.Name,
      Scope: (network) => network.Scope,
    },
    headers: {
      ID: 'NETWORK ID',
      Name: 'NAME',
      Driver: 'DRIVER',
      Scope: 'SCOPE',
      IPv4: 'IPV4',
      IPv6: 'IPV6',
      Internal: 'INTERNAL',
      Labels: 'LABELS',
      CreatedAt: 'CREATED AT',
    },
    table: '{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}',
    quiet: '{{.ID}}',
    raw: 'network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n',
  };
}

function fraction(time: string): string {
  return /(\.\d*[1-9])0*/.exec(time)?.[1] ?? '';
}

export const ls: Command = {
  synopsis: '[OPTIONS]',
  flags: [
    list('filter', 'Show only what matches', { short: 'f', typeName: 'filter', parse: parseFilter }),
    text('format', formatUsage),
    bool('no-trunc', 'Do not shorten anything'),
    bool('quiet', 'Print only the IDs', { short: 'q' }),
  ],
  arity: noArgs,
  run: async (cli, flags) => {
    const client = await cli.client();
    const networks = await client.get<NetworkSummary[]>('/networks', {
      filters: filtersQuery(filterArgs(flags.list('filter'))),
    });
    const quiet = flags.bool('quiet');
    const format = flags.text('format') || (!quiet && (await cli.config()).networksFormat) || '';
    const sorted = networks.toSorted((a, b) => natural(a.Name, b.Name));
    render(cli, listing(flags.bool('no-trunc')), sorted, { format, quiet });
  },
};

interface Pool {
  Subnet: string;
  IPRange?: string;
  Gateway?: string;
  AuxiliaryAddresses?: Record<string, string>;
}

function addressBits(address: string): { value: bigint; bits: number } | null {
  if (/^\d+(\.\d+){3}$/.test(address)) {
    return { value: address.split('.').reduce((sum, byte) => sum * 256n + BigInt(byte), 0n), bits: 32 };
  }
  if (!address.includes(':')) return null;
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [
    ...left,
    ...Array.from({ length: tail === undefined ? 0 : 8 - left.length - right.length }, () => '0'),
    ...right,
  ];
  return { value: groups.reduce((sum, group) => sum * 65536n + BigInt(`0x${group}`), 0n), bits: 128 };
}

/** True when an address, or the start of a range, lies in a subnet. */
function contains(subnet: string, address: string): boolean {
  const [base = '', prefix = ''] = subnet.split('/');
  const a = addressBits(base);
  const b = addressBits(address.split('/')[0] ?? '');
  if (a === null || b === null || a.bits !== b.bits) return false;
  const shift = BigInt(a.bits - Number(prefix));
  return a.value >> shift === b.value >> shift;
}

function pools(flags: Parsed): Pool[] {
  const values = (name: string): string[] => flags.list(name).flatMap((value) => value.split(','));
  const subnets = values('subnet');
  const ranges = values('ip-range');
  const gateways = values('gateway');
  if (subnets.length < ranges.length || subnets.length < gateways.length) {
    throw new Error('every ip-range or gateway must have a corresponding subnet');
  }
  const result: Pool[] = [];
  for (const subnet of subnets) {
    if (result.some((pool) => contains(pool.Subnet, subnet) || contains(subnet, pool.Subnet))) {
      throw new Error('multiple overlapping subnet configuration is not supported');
    }
    result.push({ Subnet: subnet });
  }
  for (const range of ranges) {
    const pool = result.find((one) => contains(one.Subnet, range));
    if (pool === undefined) throw new Error(`no matching subnet for range ${range}`);
    if (pool.IPRange)
      throw new Error(
        `cannot configure multiple ranges (${range}, ${pool.IPRange}) on the same subnet (${pool.Subnet})`,
      );
    pool.IPRange = range;
  }
  for (const gateway of gateways) {
    const pool = result.find((one) => contains(one.Subnet, gateway));
    if (pool === undefined) throw new Error(`no matching subnet for gateway ${gateway}`);
    if (pool.Gateway)
      throw new Error(
        `cannot configure multiple gateways (${gateway}, ${pool.Gateway}) for the same subnet (${pool.Subnet})`,
      );
    pool.Gateway = gateway;
  }
  for (const [name, address] of Object.entries(keyValues(flags.list('aux-address')))) {
    const pool = result.find((one) => contains(one.Subnet, address));
    if (pool === undefined) throw new Error(`no matching subnet for aux-address ${address}`);
    (pool.AuxiliaryAddresses ??= {})[name] = address;
  }
  return result;
}

export const create: Command = {
  synopsis: '[OPTIONS] NETWORK',
  flags: [
    bool('attachable', 'Containers can be attached by hand'),
    list('aux-address', 'Address that others use (name=ip)', { typeName: 'map', shownDefault: 'map[]' }),
    text('config-from', 'Network that the configuration is taken from'),
    bool('config-only', 'Make a configuration, not a network'),
    text('driver', 'Network driver', { short: 'd', initial: 'bridge' }),
    list('gateway', 'Gateway of a subnet', { typeName: 'strings' }),
    bool('ingress', 'Make the routing mesh of a swarm'),
    bool('internal', 'No way out of the network'),
    list('ip-range', 'Part of a subnet that containers get addresses from', { typeName: 'strings' }),
    text('ipam-driver', 'Driver of address management', { initial: 'default' }),
    list('ipam-opt', 'Option of the address management driver', { typeName: 'map', shownDefault: 'map[]' }),
    bool('ipv4', 'Give containers IPv4 addresses', { initial: true }),
    bool('ipv6', 'Give containers IPv6 addresses'),
    list('label', 'Set a label', { parse: parseLabel }),
    list('opt', 'Option of the driver', { short: 'o', typeName: 'map', shownDefault: 'map[]' }),
    text('scope', 'Scope of the network'),
    list('subnet', 'Subnet in CIDR form', { typeName: 'strings' }),
  ],
  arity: exactArgs(1),
  run: async (cli, flags) => {
    const ipam = {
      Driver: flags.text('ipam-driver'),
      Config: pools(flags),
      Options: keyValues(flags.list('ipam-opt')),
    };
    const client = await cli.client();
    const { Id, Warning } = await client.post<{ Id: string; Warning?: string }>('/networks/create', {
      json: {
        Name: flags.args[0],
        Driver: flags.text('driver'),
        Options: keyValues(flags.list('opt')),
        IPAM: ipam,
        Internal: flags.bool('internal'),
        ...(flags.changed('ipv4') && { EnableIPv4: flags.bool('ipv4') }),
        ...(flags.changed('ipv6') && { EnableIPv6: flags.bool('ipv6') }),
        Attachable: flags.bool('attachable'),
        Ingress: flags.bool('ingress'),
        ...(flags.text('scope') && { Scope: flags.text('scope') }),
        ConfigOnly: flags.bool('config-only'),
        ...(flags.text('config-from') && { ConfigFrom: { Network: flags.text('config-from') } }),
        Labels: keyValues(flags.list('label')),
        CheckDuplicate: true,
      },
    });
    if (Warning) cli.err(`WARNING: ${Warning}\n`);
    cli.out(`${Id}\n`);
  },
};

export const rm: Command = {
  synopsis: 'NETWORK [NETWORK...]',
  flags: [bool('force', 'Do not mind networks that do not exist', { short: 'f' })],
  arity: minArgs(1),
  run: async (cli, flags) => {
    const client = await cli.client();
    let failed = false;
    for (const name of flags.args) {
      try {
        await client.delete(`/networks/${segment(name)}`);
        cli.out(`${name}\n`);
      } catch (error) {
        if (flags.bool('force') && isNotFound(error)) continue;
        cli.err(`${(error as Error).message}\n`);
        failed = true;
      }
    }
    if (failed) throw new StatusError(1, 'exit status 1');
  },
};

export const connect: Command = {
  synopsis: '[OPTIONS] NETWORK CONTAINER',
  flags: [
    list('alias', 'Another name of the container on the network', { typeName: 'strings' }),
    list('driver-opt', 'Option of the network driver', { typeName: 'strings' }),
    int('gw-priority', 'The network with the highest priority gives the default gateway'),
    text('ip', 'IPv4 address of the container'),
    text('ip6', 'IPv6 address of the container'),
    list('link', 'Add a link to another container', { parse: parseLink }),
    list('link-local-ip', 'Link-local address of the container', { typeName: 'strings', parse: parseIp }),
  ],
  arity: exactArgs(2),
  run: async (cli, flags) => {
    const [network = '', container = ''] = flags.args;
    const client = await cli.client();
    const driverOpts = flags.list('driver-opt');
    await client.post(`/networks/${segment(network)}/connect`, {
      json: {
        Container: container,
        EndpointConfig: {
          IPAMConfig: {
            IPv4Address: flags.text('ip'),
            IPv6Address: flags.text('ip6'),
            LinkLocalIPs: flags.list('link-local-ip'),
          },
          Links: flags.list('link'),
          Aliases: flags.list('alias').flatMap((value) => value.split(',')),
          ...(driverOpts.length > 0 && { DriverOpts: keyValues(driverOpts) }),
          ...(flags.int('gw-priority') !== 0 && { GwPriority: flags.int('gw-priority') }),
        },
      },
    });
  },
};

export const disconnect: Command = {
  synopsis: '[OPTIONS] NETWORK CONTAINER',
  flags: [bool('force', 'Take the container off the network whatever it does', { short: 'f' })],
  arity: exactArgs(2),
  run: async (cli, flags) => {
    const [network = '', container = ''] = flags.args;
    const client = await cli.client();
    await client.post(`/networks/${segment(network)}/disconnect`, {
      json: { Container: container, Force: flags.bool('force') },
    });
  },
};
