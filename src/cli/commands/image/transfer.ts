import { createReadStream, createWriteStream, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parseReference } from '../../opts/reference.ts';
import { minArgs, noArgs, type Arity, type Command } from '../../command.ts';
import { bool, list, text } from '../../flags/flags.ts';
import { displayProgress, type ProgressMessage } from '../../progress.ts';
import { platformsJson } from '../../opts/platform.ts';
import type { Cli } from '../../cli.ts';

/** A file to read, or standard input. */
export function openInput(path: string): AsyncIterable<Uint8Array> {
  if (path === '' || path === '-') return process.stdin;
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new Error(`open ${path}: no such file or directory`);
  if (stat.isDirectory()) throw new Error(`read ${path}: is a directory`);
  return createReadStream(path, { highWaterMark: 1 << 18 });
}

/** @throws {Error} when a file cannot be made there */
export function checkOutput(path: string, what: string): void {
  const directory = dirname(path);
  if (path === '' || statSync(directory, { throwIfNoEntry: false }) !== undefined) return;
  throw new Error(`failed to ${what}: invalid output path: stat ${directory}: no such file or directory`);
}

/** Writes a stream to a file (by way of a temporary one beside it), or to standard output. */
export async function writeOutput(
  cli: Cli,
  path: string,
  body: AsyncIterable<Uint8Array>,
  what: string,
): Promise<void> {
  if (path === '') {
    if (cli.isTerminal(1))
      throw new Error(`cowardly refusing to ${what} to a terminal. Use the -o flag or redirect`);
    for await (const chunk of body) cli.out(chunk);
    return;
  }
  const { rename, rm } = await import('node:fs/promises');
  const { pipeline } = await import('node:stream/promises');
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory())
    throw new Error(`failed to ${what} ${path === '' ? '' : `to ${path}`}: is a directory`);
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}`);
  try {
    await pipeline(body, createWriteStream(temporary));
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

export const load: Command = {
  synopsis: '[OPTIONS]',
  flags: [
    text('input', 'Read the archive from this file instead of standard input', { short: 'i' }),
    list('platform', 'Load only these platforms', { typeName: 'strings' }),
    bool('quiet', 'Do not show progress', { short: 'q' }),
  ],
  arity: noArgs,
  run: async (cli, flags) => {
    const path = flags.text('input');
    if (path === '' && cli.isTerminal(0)) throw new Error('requested load from stdin, but stdin is empty');
    const platforms = platformsJson(flags.list('platform'));
    const client = await cli.client();
    const quiet = flags.bool('quiet') || !cli.isTerminal(1);
    const response = await client.request('POST', '/images/load', {
      query: { quiet: quiet ? 1 : 0, platform: platforms },
      apiVersion: versionFor(platforms),
      body: openInput(path),
    });
    await displayProgress(cli, response.values<ProgressMessage>(), { fd: 1 });
  },
};

/** Several platforms at once are taken since 1.52. */
function versionFor(platforms: readonly string[]): string | undefined {
  return platforms.length > 1 ? '1.52' : undefined;
}

export const save: Command = {
  synopsis: '[OPTIONS] IMAGE [IMAGE...]',
  flags: [
    text('output', 'Write to this file instead of standard output', { short: 'o' }),
    list('platform', 'Save only these platforms', { typeName: 'strings' }),
  ],
  arity: minArgs(1),
  run: async (cli, flags) => {
    const path = flags.text('output');
    if (path === '' && cli.isTerminal(1))
      throw new Error('cowardly refusing to save to a terminal. Use the -o flag or redirect');
    checkOutput(path, 'save image');
    const platforms = platformsJson(flags.list('platform'));
    const client = await cli.client();
    const response = await client.request('GET', '/images/get', {
      query: { names: flags.args, platform: platforms },
      apiVersion: versionFor(platforms),
    });
    await writeOutput(cli, path, response.body, 'save');
  },
};

const importArity: Arity = { min: 1, max: Infinity };

export const importImage: Command = {
  synopsis: '[OPTIONS] file|URL|- [REPOSITORY[:TAG]]',
  flags: [
    list('change', 'Apply a Dockerfile instruction to the image', { short: 'c' }),
    text('message', 'Comment of the image', { short: 'm' }),
    text('platform', 'Platform of the image'),
  ],
  arity: importArity,
  run: async (cli, flags) => {
    const [source = '', reference = ''] = flags.args;
    if (reference !== '' && parseReference(reference) === null) throw new Error('invalid reference format');
    const remote = /^https?:\/\//.test(source);
    const client = await cli.client();
    const tagAt = reference.lastIndexOf(':') > reference.lastIndexOf('/') ? reference.lastIndexOf(':') : -1;
    const response = await client.request('POST', '/images/create', {
      query: {
        fromSrc: remote ? source : '-',
        repo: (tagAt < 0 ? reference : reference.slice(0, tagAt)) || undefined,
        tag: tagAt < 0 ? undefined : reference.slice(tagAt + 1),
        message: flags.text('message') || undefined,
        changes: flags.list('change'),
        platform: flags.text('platform') || undefined,
      },
      ...(!remote && { body: openInput(source) }),
    });
    await displayProgress(cli, response.values<ProgressMessage>(), { fd: 1 });
  },
};
