import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { ensureBases } from '../../base-image.ts';
import { dockerfileIn, requestBuild } from '../../build.ts';
import type { Cli } from '../../cli.ts';
import { exactArgs, type Command } from '../../command.ts';
import { packContext } from '../../context.ts';
import { bool, custom, int, list, text, type Parsed } from '../../flags/flags.ts';
import { parseEnv, parseLabel } from '../../opts/env.ts';
import { parseUlimit } from '../../opts/limits.ts';
import { parseExtraHost } from '../../opts/names.ts';
import { parseReference } from '../../opts/reference.ts';
import { parseSize, parseSwapSize } from '../../opts/size.ts';
import { parseCsv } from '../../opts/csv.ts';

/** Names an image: checked here, so that nothing is sent for a build that cannot be named. */
function parseTag(value: string): string {
  try {
    if (parseReference(value) === null) throw new Error('invalid reference format');
  } catch (error) {
    throw new Error(`invalid argument "${value}": ${(error as Error).message}`, { cause: error });
  }
  return value;
}

export const build: Command = {
  synopsis: '[OPTIONS] PATH | -',
  description: 'Build an image from a Dockerfile',
  flags: [
    list('add-host', 'Add a line to the hosts file of RUN steps (name:ip)', { parse: parseExtraHost }),
    list('build-arg', 'Give an ARG of the Dockerfile a value', { parse: parseEnv }),
    list('cache-from', 'Images to look for steps in; steps made here are always found', {
      typeName: 'strings',
    }),
    text('cgroup-parent', 'Cgroup that the cgroups of RUN steps are made in'),
    bool('compress', 'Compress the context on its way to the engine'),
    int('cpu-period', 'Length of a CFS scheduler period, in microseconds'),
    int('cpu-quota', 'CPU time per CFS period, in microseconds'),
    int('cpu-shares', 'Relative weight of CPU time', { short: 'c' }),
    text('cpuset-cpus', 'CPUs to run on (0-3, 0,1)'),
    text('cpuset-mems', 'Memory nodes to use (0-3, 0,1)'),
    bool('disable-content-trust', 'Accepted and without effect: images are not signed here', {
      initial: true,
    }),
    text('file', 'Dockerfile, or - for standard input (default PATH/Dockerfile)', { short: 'f' }),
    bool('force-rm', 'Accepted: nothing is left of RUN steps in any case'),
    text('iidfile', 'Write the image’s ID to this file'),
    list('label', 'Set a label of the image', { parse: parseLabel }),
    custom('memory', 'bytes', 'Limit memory of RUN steps', parseSize, { initial: 0, short: 'm' }),
    custom('memory-swap', 'bytes', 'Limit memory and swap together; -1 lifts the limit', parseSwapSize, {
      initial: 0,
    }),
    text('network', 'Network of RUN steps', { initial: 'default', shownDefault: '"default"' }),
    bool('no-cache', 'Run every step again'),
    text('platform', 'Platform to build for'),
    text('progress', 'Accepted: progress is always plain', { initial: 'auto', shownDefault: '"auto"' }),
    bool('pull', 'Always look for newer base images'),
    bool('quiet', 'Show nothing but the image’s ID', { short: 'q' }),
    bool('rm', 'Remove containers of RUN steps', { initial: true }),
    list('secret', 'Let RUN steps see a secret (id=ID,src=FILE or id=ID,env=NAME)', { typeName: 'secret' }),
    custom('shm-size', 'bytes', 'Size of /dev/shm', parseSize, { initial: 0 }),
    list('tag', 'Name of the image (name:tag)', { short: 't', parse: parseTag }),
    text('target', 'Stage to build'),
    list('ulimit', 'Limits of processes in RUN steps', { typeName: 'ulimit', parse: parseUlimit }),
  ],
  arity: exactArgs(1),
  run: async (cli, flags) => {
    const context = await contextOf(flags.args[0] ?? '', flags.text('file'));
    if (context.dockerfileText !== undefined && !flags.bool('pull'))
      await ensureBases(cli, context.dockerfileText);
    const idFile = flags.text('iidfile');
    if (idFile !== '') rmSync(idFile, { force: true });
    const quiet = flags.bool('quiet');
    const secrets = await sendSecrets(cli, flags.list('secret'));
    const compress = flags.bool('compress');
    const id = await requestBuild(
      cli,
      {
        query: { ...query(flags), dockerfile: context.dockerfile },
        body: compress ? await gzipped(context.body) : context.body,
        headers: secrets === '' ? {} : { 'X-Coracle-Build-Secrets': secrets },
      },
      1,
      quiet,
    );
    if (idFile !== '') writeFileSync(idFile, id);
    if (quiet) cli.out(`${id}\n`);
  },
};

interface Context {
  body: AsyncIterable<Uint8Array>;
  dockerfile: string | undefined;
  /** Undefined when it is somewhere in a stream. */
  dockerfileText: string | undefined;
}

async function contextOf(path: string, file: string): Promise<Context> {
  if (path === '-') {
    if (file === '-')
      throw new Error('invalid argument: can’t use stdin for both build context and dockerfile');
    return { body: process.stdin, dockerfile: file || undefined, dockerfileText: undefined };
  }
  if (/^(?:https?|git|ssh):\/\/|^git@|^github\.com\//.test(path)) {
    throw new Error(`cannot build ${path}: remote contexts are not supported yet, clone it first`);
  }
  const directory = resolve(path);
  const stat = statSync(directory, { throwIfNoEntry: false });
  if (stat === undefined)
    throw new Error(`unable to prepare context: path ${JSON.stringify(path)} not found`);
  if (!stat.isDirectory()) {
    throw new Error(`unable to prepare context: context must be a directory: ${directory}`);
  }
  const given = file === '' || file === '-' ? undefined : resolveDockerfile(directory, file);
  const inside = given === undefined ? undefined : relative(directory, given);
  if (file === '-' || (inside !== undefined && (inside.startsWith('..') || isAbsolute(inside)))) {
    const content = given === undefined ? await standardInput() : readFileSync(given);
    const name = `.dockerfile.${randomBytes(10).toString('hex')}`;
    return {
      body: packContext(directory, name, [{ name, content }]),
      dockerfile: name,
      dockerfileText: content.toString('utf8'),
    };
  }
  const name = inside ?? dockerfileIn(directory);
  if (name === undefined) {
    throw new Error(
      `unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat ${join(directory, 'Dockerfile')}: no such file or directory`,
    );
  }
  return {
    body: packContext(directory, name),
    dockerfile: name,
    dockerfileText: readFileSync(join(directory, name), 'utf8'),
  };
}

/** As docker: relative to where we are, else to the context. */
function resolveDockerfile(directory: string, file: string): string {
  const here = resolve(file);
  if (existsSync(here)) return here;
  const there = resolve(directory, file);
  if (existsSync(there)) return there;
  throw new Error(
    `unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat ${here}: no such file or directory`,
  );
}

async function standardInput(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function gzipped(body: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const { createGzip } = await import('node:zlib');
  const { Readable } = await import('node:stream');
  return Readable.from(body, { objectMode: false }).pipe(createGzip());
}

function query(flags: Parsed): Record<string, string | number | readonly string[] | undefined> {
  const number = (name: string): number | undefined => flags.value<number>(name) || undefined;
  const given = (name: string): string | undefined => flags.text(name) || undefined;
  const flag = (name: string): 1 | undefined => (flags.bool(name) ? 1 : undefined);
  const pairs = (name: string): [string, string | null][] =>
    flags.list(name).map((entry) => {
      const equals = entry.indexOf('=');
      return equals === -1 ? [entry, null] : [entry.slice(0, equals), entry.slice(equals + 1)];
    });
  const args = pairs('build-arg');
  const labels = pairs('label').map(([name, value]) => [name, value ?? '']);
  const ulimits = flags.list<unknown>('ulimit');
  return {
    t: flags.list('tag'),
    extrahosts: flags.list('add-host'),
    q: flag('quiet'),
    nocache: flag('no-cache'),
    pull: flag('pull'),
    rm: flags.bool('rm') ? 1 : 0,
    forcerm: flag('force-rm'),
    memory: number('memory'),
    memswap: number('memory-swap'),
    cpushares: number('cpu-shares'),
    cpuperiod: number('cpu-period'),
    cpuquota: number('cpu-quota'),
    cpusetcpus: given('cpuset-cpus'),
    cpusetmems: given('cpuset-mems'),
    shmsize: number('shm-size'),
    cgroupparent: given('cgroup-parent'),
    networkmode: given('network'),
    platform: given('platform'),
    target: given('target'),
    buildargs: args.length === 0 ? undefined : JSON.stringify(Object.fromEntries(args)),
    labels: labels.length === 0 ? undefined : JSON.stringify(Object.fromEntries(labels)),
    cachefrom: flags.list('cache-from').length === 0 ? undefined : JSON.stringify(flags.list('cache-from')),
    ulimits: ulimits.length === 0 ? undefined : JSON.stringify(ulimits),
  };
}

/** Hands secrets over apart from the build, so that they are in no URL and no log. @returns a ticket for them, '' for none */
async function sendSecrets(cli: Cli, specifications: readonly string[]): Promise<string> {
  if (specifications.length === 0) return '';
  const secrets: Record<string, string> = {};
  for (const specification of specifications) {
    const fields = new Map(
      parseCsv(specification).map((field) => {
        const equals = field.indexOf('=');
        return [field.slice(0, equals), field.slice(equals + 1)] as const;
      }),
    );
    const id = fields.get('id') ?? '';
    if (id === '') throw new Error(`invalid secret ${specification}: it has no id`);
    const path = fields.get('src') ?? fields.get('source');
    const variable = fields.get('env') ?? (path === undefined ? id : undefined);
    if (variable !== undefined && cli.env[variable] !== undefined) {
      secrets[id] = Buffer.from(cli.env[variable]).toString('base64');
    } else {
      const file = path ?? id;
      if (!existsSync(file)) throw new Error(`failed to stat ${file}: no such file or directory`);
      secrets[id] = readFileSync(file).toString('base64');
    }
  }
  const client = await cli.client();
  const { Ticket } = await client.post<{ Ticket: string }>('/coracle/build/secrets', { json: secrets });
  return Ticket;
}
