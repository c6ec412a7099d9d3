import { closeSync, existsSync, openSync, rmSync, writeSync } from 'node:fs';
import { isNotFound } from '../../../client/index.ts';
import { imageAuth } from '../../auth.ts';
import { bootstrapInstead } from '../../base-image.ts';
import type { Cli } from '../../cli.ts';
import type { Parsed } from '../../flags/flags.ts';
import { terminalSize } from '../../interactive/terminal.ts';
import type { CreateBody } from '../../opts/container-config.ts';
import { familiar, fullName, parseReference } from '../../opts/reference.ts';
import { displayProgress, type ProgressMessage } from '../../progress.ts';

/** @throws docker's text for a `--pull` that does not exist. */
export function checkPull(value: string): void {
  if (!['', 'always', 'missing', 'never'].includes(value)) {
    throw new Error(`invalid pull option: '${value}': must be one of "always", "missing" or "never"`);
  }
}

async function pull(cli: Cli, image: string, flags: Parsed): Promise<void> {
  const reference = parseReference(image);
  if (reference === null) throw new Error(`cannot pull ${image}: an image is pulled by name`);
  const client = await cli.client();
  const response = await client.request('POST', '/images/create', {
    query: {
      fromImage: fullName(reference),
      tag: reference.digest || reference.tag || 'latest',
      platform: flags.text('platform') || undefined,
    },
    headers: { 'X-Registry-Auth': await imageAuth(cli, image) },
  });
  await displayProgress(cli, response.values<ProgressMessage>(), { fd: 2, quiet: flags.bool('quiet') });
}

/** `linux/arm64/v8` as the API's `platform` parameter. */
function platformQuery(text: string): string | undefined {
  if (text === '') return undefined;
  return text;
}

/** Holds the id file while the container is made, and takes it away when that fails. */
class IdFile {
  readonly #path: string;
  #fd: number | null = null;

  constructor(path: string) {
    this.#path = path;
    if (path === '') return;
    if (existsSync(path)) {
      throw new Error(
        `container ID file found, make sure the other container isn't running or delete ${path}`,
      );
    }
    try {
      this.#fd = openSync(path, 'wx', 0o666);
    } catch (error) {
      throw new Error(`failed to create the container ID file: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  close(id: string | null): void {
    if (this.#fd === null) return;
    if (id !== null) writeSync(this.#fd, id);
    closeSync(this.#fd);
    if (id === null) rmSync(this.#path, { force: true });
  }
}

/** Creates the container, pulling its image when that is missing, and says the engine's warnings. Returns its id. */
export async function createContainer(cli: Cli, body: CreateBody, flags: Parsed): Promise<string> {
  const file = new IdFile(flags.text('cidfile'));
  let id: string | null = null;
  try {
    const reference = parseReference(body.Image);
    const client = await cli.client();
    if (flags.text('pull') === 'always') await pull(cli, body.Image, flags);
    body.HostConfig.ConsoleSize = terminalSize(cli);
    const query = { name: flags.text('name') || undefined, platform: platformQuery(flags.text('platform')) };
    const create = (): Promise<{ Id: string; Warnings: string[] | null }> =>
      client.post('/containers/create', { query, json: body });
    let created: { Id: string; Warnings: string[] | null };
    try {
      created = await create();
    } catch (error) {
      if (!isNotFound(error) || reference === null || flags.text('pull') !== 'missing') throw error;
      if (!flags.bool('quiet')) cli.err(`Unable to find image '${familiar(reference)}' locally\n`);
      try {
        await pull(cli, body.Image, flags);
      } catch (why) {
        await bootstrapInstead(cli, body.Image, why);
      }
      created = await create();
    }
    const warnings = [...(created.Warnings ?? [])];
    const local = body.HostConfig.Dns.find((ip) => ip.startsWith('127.') || ip === '::1');
    if (local !== undefined) warnings.push(`Localhost DNS (${local}) may fail in containers.`);
    for (const warning of warnings) cli.err(`WARNING: ${warning}\n`);
    id = created.Id;
    return id;
  } finally {
    file.close(id);
  }
}
