import { ApiError, type ApiClient } from '../../client/index.ts';
import type { Cli } from '../cli.ts';
import { minArgs, type Command } from '../command.ts';
import { StatusError } from '../errors.ts';
import { bool, text } from '../flags/flags.ts';
import { indentJson } from '../format/json-indent.ts';
import { platformJson } from '../opts/platform.ts';
import { Template } from '../template/index.ts';
import { inspected } from '../template/inspected.ts';
import { segment } from './each.ts';

/** Where the things are that can be inspected, in the order in which they are looked for without a type. */
const places: Readonly<Record<string, string>> = {
  container: '/containers/NAME/json',
  image: '/images/NAME/json',
  network: '/networks/NAME',
  volume: '/volumes/NAME',
  node: '/nodes/NAME',
  service: '/services/NAME',
  task: '/tasks/NAME',
  secret: '/secrets/NAME',
  plugin: '/plugins/NAME/json',
  config: '/configs/NAME',
};

interface FetchOptions {
  /** Of containers. */
  size?: boolean;
  /** Of images, as JSON. */
  platform?: string | undefined;
}

async function fetchOne(
  client: ApiClient,
  kind: string,
  name: string,
  { size = false, platform }: FetchOptions = {},
): Promise<string> {
  const path = (places[kind] ?? '').replace(
    'NAME',
    kind === 'image' ? name.split('/').map(segment).join('/') : segment(name),
  );
  const query = { size: size && kind === 'container' ? 1 : undefined, platform };
  const response = await client.request('GET', path, { query });
  return response.text();
}

/** Tries one kind after another. @throws {StatusError} `No such object` */
async function fetchAny(client: ApiClient, name: string, size: boolean): Promise<string> {
  for (const kind of Object.keys(places)) {
    try {
      return await fetchOne(client, kind, name, { size });
    } catch (error) {
      const passable =
        error instanceof ApiError &&
        (error.status === 404 ||
          /swarm|not implemented|page not found|plugin/i.test(error.message) ||
          error.status === 501);
      if (!passable) throw error;
    }
  }
  throw new StatusError(1, `Error: No such object: ${name}`);
}

/** Prints several things as one JSON array, or each through a template; what is missing is told at the end. */
export async function inspectNames(
  cli: Cli,
  names: readonly string[],
  format: string,
  fetch: (client: ApiClient, name: string) => Promise<string>,
): Promise<number> {
  let template: Template | null = null;
  if (format !== '' && format !== 'json') {
    try {
      template = new Template(format);
    } catch (error) {
      throw new StatusError(64, `template parsing error: ${(error as Error).message}`);
    }
  }
  const client = await cli.client();
  const documents: string[] = [];
  const errors: string[] = [];
  for (const name of names) {
    let text: string;
    try {
      text = (await fetch(client, name)).trim();
    } catch (error) {
      errors.push((error as Error).message);
      continue;
    }
    if (template === null) {
      documents.push(text);
      continue;
    }
    try {
      cli.out(`${template.run(inspected(text))}\n`);
    } catch (error) {
      cli.out('\n');
      errors.push(`template parsing error: ${(error as Error).message}`);
      break;
    }
  }
  if (template === null) {
    const array = `[${documents.join(',')}]`;
    cli.out(`${format === 'json' ? array : indentJson(array)}\n`);
  }
  if (errors.length > 0) throw new StatusError(1, errors.join('\n'));
  return 0;
}

const formatFlag = text('format', 'How to print: "json" or a Go template', { short: 'f' });

/** `inspect` of one kind: `container inspect`, `network inspect`, … */
export function inspectOf(kind: string, synopsis: string, sizes = false): Command {
  return {
    synopsis,
    flags: sizes ? [formatFlag, bool('size', 'Show sizes', { short: 's' })] : [formatFlag],
    arity: minArgs(1),
    run: (cli, flags) =>
      inspectNames(cli, flags.args, flags.text('format'), (client, name) =>
        fetchOne(client, kind, name, { size: sizes && flags.bool('size') }),
      ),
  };
}

export const inspectImage: Command = {
  synopsis: '[OPTIONS] IMAGE [IMAGE...]',
  flags: [formatFlag, text('platform', 'Show this platform')],
  arity: minArgs(1),
  run: (cli, flags) => {
    const platform = platformJson(flags.text('platform'));
    return inspectNames(cli, flags.args, flags.text('format'), (client, name) =>
      fetchOne(client, 'image', name, { platform }),
    );
  },
};

export const inspect: Command = {
  synopsis: '[OPTIONS] NAME|ID [NAME|ID...]',
  flags: [
    formatFlag,
    bool('size', 'Show sizes of containers', { short: 's' }),
    text('type', 'Look only for things of this type'),
  ],
  arity: minArgs(1),
  run: async (cli, flags) => {
    const kind = flags.text('type');
    if (flags.changed('type') && kind === '')
      throw new Error(
        'type is empty: must be one of "config", "container", "image", "network", "node", "plugin", "secret", "service", "task", "volume"',
      );
    if (kind !== '' && !Object.hasOwn(places, kind)) {
      throw new Error(
        `unknown type: ${JSON.stringify(kind)}: must be one of "config", "container", "image", "network", "node", "plugin", "secret", "service", "task", "volume"`,
      );
    }
    const size = flags.bool('size');
    return inspectNames(cli, flags.args, flags.text('format'), (client, name) =>
      kind === '' ? fetchAny(client, name, size) : fetchOne(client, kind, name, { size }),
    );
  },
};
