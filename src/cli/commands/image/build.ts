import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { ensureBases } from '../../base-image.ts';
import { parseCall, showAnswer } from '../../build/answer.ts';
import { parseCaches } from '../../build/caches.ts';
import { contextSource } from '../../build/context-source.ts';
import { lend } from '../../build/lend.ts';
import { imageId, writeMetadata } from '../../build/metadata.ts';
import {
  deliver,
  isImage,
  namesOf,
  parseOutputs,
  type BuiltImage,
  type Target,
} from '../../build/outputs.ts';
import { BuildProgress, progressMode } from '../../build/progress.ts';
import { buildArgs, classicQuery, ownQuery, platformsOf, query } from '../../build/query.ts';
import { sendBuild } from '../../build/send.ts';
import { requestBuild } from '../../build.ts';
import type { Cli } from '../../cli.ts';
import { exactArgs, type Command } from '../../command.ts';
import { bool, custom, int, list, text } from '../../flags/flags.ts';
import { parseEnv, parseLabel } from '../../opts/env.ts';
import { parseUlimit } from '../../opts/limits.ts';
import { parseExtraHost } from '../../opts/names.ts';
import { parseReference } from '../../opts/reference.ts';
import { parseSize, parseSwapSize } from '../../opts/size.ts';

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
  synopsis: '[OPTIONS] PATH | URL | -',
  description: 'Build an image from a Dockerfile',
  flags: [
    list('add-host', 'Add a line to the hosts file of RUN steps (name:ip)', { parse: parseExtraHost }),
    list('allow', 'Entitlements of RUN steps (network.host, security.insecure, device[=NAME])', {
      typeName: 'stringArray',
    }),
    list(
      'annotation',
      'Add an annotation to the image (KEY=VALUE, index:KEY=VALUE, manifest[linux/amd64]:KEY=VALUE)',
    ),
    list('attest', 'Attestations of the image (type=provenance,mode=max)', { typeName: 'stringArray' }),
    list('build-arg', 'Give an ARG of the Dockerfile a value', { parse: parseEnv }),
    list('build-context', 'Further contexts (name=directory, URL, docker-image://…, oci-layout://…)'),
    list('cache-from', 'Caches that are used too (NAME, type=registry,ref=NAME or type=local,src=DIR)', {
      typeName: 'stringArray',
    }),
    list(
      'cache-to',
      'Where to keep what the build knows (type=registry,ref=NAME; local,dest=DIR; inline), mode=min or max',
      { typeName: 'stringArray' },
    ),
    text('call', 'Ask instead of building: check, outline or targets (check,format=json)', {
      initial: 'build',
    }),
    bool('check', 'Check the Dockerfile instead of building (--call=check)'),
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
    text('isolation', 'How RUN steps are isolated; there is one way on Linux (default)'),
    list('label', 'Set a label of the image', { parse: parseLabel }),
    bool('load', 'Keep the image in the engine (--output type=docker)'),
    custom('memory', 'bytes', 'Limit memory of RUN steps', parseSize, { initial: 0, short: 'm' }),
    custom('memory-swap', 'bytes', 'Limit memory and swap together; -1 lifts the limit', parseSwapSize, {
      initial: 0,
    }),
    text('metadata-file', 'Write what was built to this file, as JSON'),
    text('network', 'Network of RUN steps', { initial: 'default', shownDefault: '"default"' }),
    bool('no-cache', 'Run every step again'),
    list('no-cache-filter', 'Run every step of these stages again'),
    list(
      'output',
      'Where the result goes (type=local,dest=DIR; tar, docker, oci, image, registry, cacheonly)',
      {
        short: 'o',
      },
    ),
    list('platform', 'Platforms to build for'),
    text('progress', 'How progress is shown (auto, tty, plain, rawjson, quiet)', {
      initial: 'auto',
      shownDefault: '"auto"',
    }),
    text('provenance', 'Attestation of where the image comes from (true, mode=min, mode=max)'),
    bool('pull', 'Always look for newer base images'),
    bool('push', 'Upload the image (--output type=registry)'),
    bool('quiet', 'Show nothing but the image’s ID', { short: 'q' }),
    bool('rm', 'Remove containers of RUN steps', { initial: true }),
    text('sbom', 'Attestation of what is in the image; only false is taken: no scanner is run'),
    list('secret', 'Let RUN steps see a secret (id=ID,src=FILE or id=ID,env=NAME)', { typeName: 'secret' }),
    custom('shm-size', 'bytes', 'Size of /dev/shm', parseSize, { initial: 0 }),
    list('ssh', 'Let RUN steps speak to an SSH agent (default, ID=SOCKET, or ID=KEYFILE,KEYFILE)'),
    list('tag', 'Name of the image (name:tag)', { short: 't', parse: parseTag }),
    bool('squash', 'Make one layer of all new ones'),
    text('target', 'Stage to build'),
    list('ulimit', 'Limits of processes in RUN steps', { typeName: 'ulimit', parse: parseUlimit }),
  ],
  arity: exactArgs(1),
  run: async (cli, flags) => {
    const outputs = parseOutputs(flags.list('output'), {
      push: flags.bool('push'),
      load: flags.bool('load'),
    });
    const mode = progressMode(flags.text('progress'), cli.env['BUILDKIT_PROGRESS']);
    if (flags.bool('quiet') && !['auto', 'quiet'].includes(mode)) {
      throw new Error(`progress=${mode} and quiet cannot be used together`);
    }
    const quiet = flags.bool('quiet') || mode === 'quiet';
    const call = parseCall(flags.bool('check') ? 'check' : flags.text('call'));
    const idFile = flags.text('iidfile');
    if (idFile !== '') {
      if (outputs.some(({ type }) => type === 'local' || type === 'tar')) {
        throw new Error('local and tar exporters are incompatible with image ID file');
      }
      rmSync(idFile, { force: true });
    }
    const tags = flags.list('tag');
    const classic = !(await isOurs(cli));
    const asked = { outputs, tags, platforms: platformsOf(cli, flags) };
    const sent = classic ? classicQuery(flags, asked) : ownQuery(flags, asked);
    const caches = await parseCaches(
      cli,
      { from: flags.list('cache-from'), to: flags.list('cache-to') },
      classic,
    );
    const source = await contextSource(
      cli,
      {
        path: flags.args[0] ?? '',
        file: flags.text('file'),
        contexts: flags.list('build-context'),
        caches: caches.sent,
      },
      classic,
    );
    if (source.dockerfileText !== undefined && !flags.bool('pull'))
      await ensureBases(cli, source.dockerfileText);
    const buildId = randomBytes(16).toString('hex');
    const given = {
      ...query(flags),
      ...source.query,
      ...sent,
      cachefrom: caches.cachefrom,
      cacheto: caches.cacheto,
      buildargs: buildArgs(cli, flags),
      buildid: buildId,
    };
    const body = flags.bool('compress') ? await gzipped(source.body) : source.body;
    let built: { images: readonly BuiltImage[]; targets: readonly (Target | null)[] };
    if (classic) {
      const id = await requestBuild(cli, { query: given, body }, 1, quiet);
      built = { images: [{ id, platform: '' }], targets: [] };
    } else {
      using lent = await lend(cli, {
        secrets: flags.list('secret'),
        ssh: flags.list('ssh'),
        caches: call === undefined ? caches.received : new Map(),
      });
      const progress = new BuildProgress(cli, quiet ? 'quiet' : mode);
      const request = { query: { ...given, call: call?.method }, body, headers: lent.headers };
      const answer = await sendBuild(cli, request, progress);
      if (call !== undefined) {
        showAnswer(cli, call, answer.answer);
        return;
      }
      await lent.received();
      built = answer;
    }
    const args = JSON.parse(buildArgs(cli, flags) ?? '{}') as Record<string, string | null>;
    const epochSeconds = args['SOURCE_DATE_EPOCH'] ?? undefined;
    const { images, targets } = built;
    const made = outputs.filter(isImage);
    for (const output of outputs) {
      const target = targets[made.indexOf(output)] ?? null;
      await deliver(cli, output, { images, target }, { names: namesOf(output, tags), epochSeconds });
    }
    const names = outputs.length === 0 ? tags : made.flatMap((output) => namesOf(output, tags));
    const result = { images, target: targets.at(-1) ?? null, names: [...new Set(names)], buildId };
    if (idFile !== '') writeFileSync(idFile, imageId(result));
    const metadata = flags.text('metadata-file');
    if (metadata !== '') writeMetadata(metadata, result);
    if (quiet) cli.out(`${imageId(result)}\n`);
  },
};

/** True for this project's engine, which knows more than Docker's own protocol. */
async function isOurs(cli: Cli): Promise<boolean> {
  const client = await cli.client();
  const { Platform } = await client.get<{ Platform?: { Name?: string } }>('/version');
  return Platform?.Name === 'Coracle';
}

async function gzipped(body: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const { createGzip } = await import('node:zlib');
  const { Readable } = await import('node:stream');
  return Readable.from(body, { objectMode: false }).pipe(createGzip());
}
