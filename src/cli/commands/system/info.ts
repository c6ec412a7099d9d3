import { newestApiVersion } from '../../../client/index.ts';
import type { Cli } from '../../cli.ts';
import { noArgs, type Command } from '../../command.ts';
import { StatusError } from '../../errors.ts';
import { text } from '../../flags/flags.ts';
import { binarySize } from '../../format/units.ts';
import { clientVersion } from '../../program.ts';
import { goJson, Struct, Template, type Value } from '../../template/index.ts';
import { inspected } from '../../template/inspected.ts';

interface Info {
  [field: string]: unknown;
  DriverStatus?: [string, string][] | null;
  Plugins?: Record<string, string[] | null>;
  Runtimes?: Record<string, unknown> | null;
  SecurityOptions?: string[] | null;
  Labels?: string[] | null;
  RegistryConfig?: {
    InsecureRegistryCIDRs?: string[] | null;
    IndexConfigs?: Record<string, { Name: string; Secure: boolean }> | null;
    Mirrors?: string[] | null;
  } | null;
  DefaultAddressPools?: { Base: string; Size: number }[] | null;
  CDISpecDirs?: string[] | null;
  Warnings?: string[] | null;
}

function show(value: unknown): string {
  return typeof value === 'object' ? '' : String((value as string | number | boolean | undefined) ?? '');
}

function securityLines(options: readonly string[]): string[] {
  return options.flatMap((option) => {
    const fields = Object.fromEntries(
      option.split(',').map((part) => part.split('=', 2) as [string, string]),
    );
    const name = fields['name'] ?? option;
    return fields['profile'] === undefined
      ? [`  ${name}`]
      : [`  ${name}`, `   Profile: ${fields['profile']}`];
  });
}

function registryLines(registry: Info['RegistryConfig']): string[] {
  const insecure = [
    ...Object.values(registry?.IndexConfigs ?? {})
      .filter((index) => !index.Secure)
      .map((index) => index.Name),
    ...(registry?.InsecureRegistryCIDRs ?? []),
  ];
  const mirrors = registry?.Mirrors ?? [];
  const indexes = Object.keys(registry?.IndexConfigs ?? {}).length > 0 || insecure.length > 0;
  return [
    ...(indexes ? [' Insecure Registries:', ...insecure.map((one) => `  ${one}`)] : []),
    ...(mirrors.length > 0 ? [' Registry Mirrors:', ...mirrors.map((one) => `  ${one}`)] : []),
  ];
}

function listLines(title: string, items: readonly string[] | null | undefined): string[] {
  return items && items.length > 0 ? [` ${title}:`, ...items.map((item) => `  ${item}`)] : [];
}

function serverLines(info: Info): string[] {
  const line = (label: string, key: string): string => ` ${label}: ${show(info[key])}`;
  const filled = (label: string, key: string): string[] => (show(info[key]) === '' ? [] : [line(label, key)]);
  const commit = (key: string): string => show((info[key] as { ID?: string } | undefined)?.ID);
  const plugins = info.Plugins ?? {};
  const plugin = (key: string): string => (plugins[key] ?? []).join(' ');
  const swarm = info['Swarm'] as { LocalNodeState?: string } | undefined;
  const runtimes = Object.keys(info.Runtimes ?? {}).toSorted();
  return [
    line('Containers', 'Containers'),
    `  Running: ${show(info['ContainersRunning'])}`,
    `  Paused: ${show(info['ContainersPaused'])}`,
    `  Stopped: ${show(info['ContainersStopped'])}`,
    line('Images', 'Images'),
    ...filled('Server Version', 'ServerVersion'),
    ...filled('Storage Driver', 'Driver'),
    ...(info.DriverStatus ?? []).map(([key, value]) => `  ${key}: ${value}`),
    ...filled('Logging Driver', 'LoggingDriver'),
    ...filled('Cgroup Driver', 'CgroupDriver'),
    ...filled('Cgroup Version', 'CgroupVersion'),
    ' Plugins:',
    `  Volume: ${plugin('Volume')}`,
    `  Network: ${plugin('Network')}`,
    ...((plugins['Authorization'] ?? []).length > 0 ? [`  Authorization: ${plugin('Authorization')}`] : []),
    `  Log: ${plugin('Log')}`,
    ...listLines('CDI spec directories', info.CDISpecDirs),
    ` Swarm: ${show(swarm?.LocalNodeState)}`,
    ...(runtimes.length > 0
      ? [` Runtimes: ${runtimes.join(' ')}`, line('Default Runtime', 'DefaultRuntime')]
      : []),
    ...(info['OSType'] === 'linux'
      ? [
          line('Init Binary', 'InitBinary'),
          ` containerd version: ${commit('ContainerdCommit')}`,
          ` runc version: ${commit('RuncCommit')}`,
          ` init version: ${commit('InitCommit')}`,
          ...((info.SecurityOptions ?? []).length > 0
            ? [' Security Options:', ...securityLines(info.SecurityOptions ?? [])]
            : []),
        ]
      : []),
    ...filled('Kernel Version', 'KernelVersion'),
    ...filled('Operating System', 'OperatingSystem'),
    ...filled('OSType', 'OSType'),
    ...filled('Architecture', 'Architecture'),
    line('CPUs', 'NCPU'),
    ` Total Memory: ${binarySize(Number(info['MemTotal'] ?? 0))}`,
    ...filled('Name', 'Name'),
    ...filled('ID', 'ID'),
    line('Docker Root Dir', 'DockerRootDir'),
    line('Debug Mode', 'Debug'),
    ...(info['Debug'] === true
      ? [
          `  File Descriptors: ${show(info['NFd'])}`,
          `  Goroutines: ${show(info['NGoroutines'])}`,
          `  System Time: ${show(info['SystemTime'])}`,
          `  EventsListeners: ${show(info['NEventsListener'])}`,
        ]
      : []),
    ...filled('HTTP Proxy', 'HttpProxy'),
    ...filled('HTTPS Proxy', 'HttpsProxy'),
    ...filled('No Proxy', 'NoProxy'),
    ...listLines('Labels', info.Labels),
    line('Experimental', 'ExperimentalBuild'),
    ...registryLines(info.RegistryConfig),
    line('Live Restore Enabled', 'LiveRestoreEnabled'),
    ...filled('Product License', 'ProductLicense'),
    ...((info.DefaultAddressPools ?? []).length > 0
      ? [
          ' Default Address Pools:',
          ...(info.DefaultAddressPools ?? []).map(({ Base, Size }) => `   Base: ${Base}, Size: ${Size}`),
        ]
      : []),
    '',
  ];
}

/** The engine's information with ours beside it, as templates see it. */
class InfoStruct extends Struct {
  readonly typeName = 'system.dockerInfo';
  readonly #server: Struct;
  readonly #client: Record<string, Value>;

  constructor(server: Struct, client: Record<string, Value>) {
    super();
    this.#server = server;
    this.#client = client;
  }

  field(name: string): { value: Value } | undefined {
    return name === 'ClientInfo' ? { value: this.#client } : this.#server.field(name);
  }

  values(): readonly Value[] {
    return [...this.#server.values(), this.#client];
  }

  toJSON(): unknown {
    return { ...(this.#server.toJSON() as object), ClientInfo: this.#client };
  }
}

async function clientInfo(cli: Cli): Promise<Record<string, Value>> {
  const { context } = await cli.endpoint();
  return {
    Debug: cli.options.debug,
    Version: clientVersion,
    DefaultAPIVersion: newestApiVersion,
    Os: 'linux',
    Context: context,
    Plugins: [],
    Warnings: null,
  };
}

export const info: Command = {
  synopsis: '[OPTIONS]',
  flags: [text('format', 'How to print: "json" or a Go template', { short: 'f' })],
  arity: noArgs,
  run: async (cli, flags) => {
    const format = flags.text('format');
    const client = await clientInfo(cli);
    const answer = (async () => (await (await cli.client()).request('GET', '/info')).text())();
    if (format !== '') {
      const value = new InfoStruct(inspected(await answer) as Struct, client);
      if (format === 'json' || format === '{{json .}}') {
        cli.out(`${goJson(value)}\n`);
        return;
      }
      let template: Template;
      try {
        template = new Template(format);
      } catch (error) {
        throw new StatusError(64, `template parsing error: ${(error as Error).message}`);
      }
      let text = '';
      try {
        text = template.run(value);
      } finally {
        cli.out(`${text}\n`);
      }
      return;
    }
    cli.out(
      `Client:\n Version:    ${clientVersion}\n Context:    ${String(client['Context'])}\n Debug Mode: ${cli.options.debug}\n\nServer:\n`,
    );
    const server = JSON.parse(await answer) as Info;
    cli.out(`${serverLines(server).join('\n')}\n`);
    for (const warning of server.Warnings ?? []) cli.err(`${warning}\n`);
  },
};
