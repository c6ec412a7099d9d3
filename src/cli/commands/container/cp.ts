import { lstatSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, posix } from 'node:path';
import type { ApiClient } from '../../../client/index.ts';
import type { Cli } from '../../cli.ts';
import { exactArgs, type Command } from '../../command.ts';
import { absolute, packPath, splitPath, unpack, wantsDirectory } from '../../copy.ts';
import { bool, type Parsed } from '../../flags/flags.ts';
import { humanSize } from '../../format/units.ts';
import { program } from '../../program.ts';
import { segment } from '../each.ts';

interface PathStat {
  name: string;
  size: number;
  /** Go's os.FileMode. */
  mode: number;
  linkTarget: string;
}

const goDirectory = 0x80000000;
const goSymlink = 0x08000000;

function hasBit(mode: number, bit: number): boolean {
  return Math.floor(mode / bit) % 2 === 1;
}

/** Splits `container:path`; a path that begins with `/` or `.` is local. */
function splitArgument(argument: string): { container: string; path: string } {
  const colon = argument.indexOf(':');
  if (isAbsolute(argument) || colon < 0 || argument.startsWith('.')) return { container: '', path: argument };
  return { container: argument.slice(0, colon), path: argument.slice(colon + 1) };
}

function decodeStat(header: string | undefined): PathStat {
  return JSON.parse(Buffer.from(header ?? '', 'base64').toString()) as PathStat;
}

async function statIn(client: ApiClient, container: string, path: string): Promise<PathStat | null> {
  try {
    const response = await client.request('HEAD', `/containers/${segment(container)}/archive`, {
      query: { path },
    });
    await response.text();
    return decodeStat(response.headers.get('x-docker-container-path-stat'));
  } catch {
    return null;
  }
}

async function* counted(
  body: AsyncIterable<Uint8Array>,
  count: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    count(chunk.length);
    yield chunk;
  }
}

async function fromContainer(
  cli: Cli,
  flags: Parsed,
  container: string,
  givenPath: string,
  to: string,
  quiet: boolean,
): Promise<void> {
  const client = await cli.client();
  let path = givenPath;
  let rename: string | null = null;
  if (flags.bool('follow-link')) {
    const stat = await statIn(client, container, path);
    if (stat !== null && hasBit(stat.mode, goSymlink)) {
      rename = splitPath(path)[1];
      path = posix.isAbsolute(stat.linkTarget)
        ? stat.linkTarget
        : posix.join(splitPath(path)[0], stat.linkTarget);
    }
  }
  const destination = to === '-' ? '-' : absolute(to);
  if (destination !== '-') checkOutput(destination);
  const response = await client.request('GET', `/containers/${segment(container)}/archive`, {
    query: { path },
  });
  if (destination === '-') {
    for await (const chunk of response.body) cli.out(chunk);
    return;
  }
  const stat = decodeStat(response.headers.get('x-docker-container-path-stat'));
  const isDirectory = hasBit(stat.mode, goDirectory);
  const sourceName = splitPath(path)[1];
  const contentsOnly = isDirectory && /(^|\/)\.$/.test(path);
  const local = statSync(destination, { throwIfNoEntry: false });
  let directory: string;
  let name: string;
  if (local?.isDirectory()) {
    directory = realpathSync(destination);
    name = contentsOnly ? '' : (rename ?? (sourceName === '/' ? '' : sourceName));
  } else {
    if (local !== undefined && isDirectory) throw new Error('cannot copy directory');
    if (local === undefined && !isDirectory && wantsDirectory(destination)) {
      throw new Error('no such directory');
    }
    if (local !== undefined && wantsDirectory(destination)) throw new Error('not a directory');
    [directory, name] = splitPath(destination);
    directory = realpathSync(directory);
  }
  let bytes = 0;
  await unpack(
    counted(response.body, (count) => (bytes += count)),
    { directory, from: sourceName, to: name, owners: flags.bool('archive') },
  );
  if (!quiet) cli.err(`Successfully copied ${humanSize(bytes, 3)} to ${destination}\n`);
}

function checkOutput(path: string): void {
  const [directory] = splitPath(path);
  if (statSync(directory, { throwIfNoEntry: false }) === undefined) {
    throw new Error(`invalid output path: directory ${JSON.stringify(directory)} does not exist`);
  }
}

async function toContainer(
  cli: Cli,
  flags: Parsed,
  from: string,
  container: string,
  to: string,
  quiet: boolean,
): Promise<void> {
  const client = await cli.client();
  let path = to;
  let target = await statIn(client, container, path);
  if (target !== null && hasBit(target.mode, goSymlink)) {
    path = posix.isAbsolute(target.linkTarget)
      ? target.linkTarget
      : posix.join(splitPath(path)[0], target.linkTarget);
    target = await statIn(client, container, path);
  }
  const targetIsDirectory = target !== null && hasBit(target.mode, goDirectory);
  let body: AsyncIterable<Uint8Array>;
  let directory: string;
  if (from === '-') {
    if (!targetIsDirectory) throw new Error(`destination "${container}:${to}" must be a directory`);
    directory = path;
    body = process.stdin;
  } else {
    const source = absolute(from);
    const plain = flags.bool('follow-link') ? realpathSync(source) : source.replace(/(\/\.?)+$/, '') || '/';
    const stat = lstatSync(plain, { throwIfNoEntry: false });
    if (stat === undefined) throw new Error(`lstat ${plain}: no such file or directory`);
    const isDirectory = stat.isDirectory();
    if (!isDirectory && wantsDirectory(source)) throw new Error('not a directory');
    let name: string;
    if (targetIsDirectory) {
      directory = path;
      name = isDirectory && /(^|\/)\.$/.test(source) ? '.' : splitPath(source)[1];
    } else {
      if (target !== null && isDirectory) throw new Error('cannot copy directory');
      if (target === null && !isDirectory && wantsDirectory(path)) throw new Error('no such directory');
      if (target !== null && wantsDirectory(path)) throw new Error('not a directory');
      [directory, name] = splitPath(path);
    }
    body = packPath(plain, name);
  }
  let bytes = 0;
  const response = await client.request('PUT', `/containers/${segment(container)}/archive`, {
    query: {
      path: directory,
      noOverwriteDirNonDir: true,
      copyUIDGID: flags.bool('archive') ? true : undefined,
    },
    body: counted(body, (count) => (bytes += count)),
  });
  await response.text();
  if (!quiet) cli.err(`Successfully copied ${humanSize(bytes, 3)} to ${container}:${path}\n`);
}

export const cp: Command = {
  synopsis: `[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\t${program} cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH`,
  description:
    "Copy files between a container and this machine\n\nA source '-' reads a tar archive from standard input and unpacks it into a directory of the\ncontainer. A destination '-' writes a tar archive to standard output.",
  flags: [
    bool('archive', 'Copy owners too', { short: 'a' }),
    bool('follow-link', 'Copy what a symbolic link at the source leads to', { short: 'L' }),
    bool('quiet', 'Do not say what was copied', { short: 'q' }),
  ],
  arity: exactArgs(2),
  run: async (cli, flags) => {
    const [from = '', to = ''] = flags.args;
    if (from === '') throw new Error('source can not be empty');
    if (to === '') throw new Error('destination can not be empty');
    const quiet = flags.changed('quiet') ? flags.bool('quiet') : !cli.isTerminal(1);
    const source = splitArgument(from);
    const target = splitArgument(to);
    if (source.container !== '' && target.container !== '')
      throw new Error('copying between containers is not supported');
    if (source.container !== '') return fromContainer(cli, flags, source.container, source.path, to, quiet);
    if (target.container !== '') return toContainer(cli, flags, from, target.container, target.path, quiet);
    throw new Error('must specify at least one container source');
  },
};
