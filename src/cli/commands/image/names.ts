import { isNotFound } from '../../../client/index.ts';
import { imageAuth } from '../../auth.ts';
import type { Cli } from '../../cli.ts';
import { exactArgs, minArgs, type Command } from '../../command.ts';
import { bool, list, text } from '../../flags/flags.ts';
import { platformJson, platformsJson } from '../../opts/platform.ts';
import { familiar, fullName, parseReference } from '../../opts/reference.ts';
import { displayProgress, type ProgressMessage } from '../../progress.ts';
import { segment, throwJoined } from '../each.ts';

/** An image's name in a path: its slashes stay. */
export function imagePath(name: string): string {
  return name.split('/').map(segment).join('/');
}

export const rm: Command = {
  synopsis: '[OPTIONS] IMAGE [IMAGE...]',
  flags: [
    bool('force', 'Remove the image even if containers use it', { short: 'f' }),
    bool('no-prune', 'Keep untagged parents'),
    list('platform', 'Remove only these platforms', { typeName: 'strings' }),
  ],
  arity: minArgs(1),
  run: async (cli, flags) => {
    const platforms = platformsJson(flags.list('platform'));
    const client = await cli.client();
    const errors: unknown[] = [];
    let missing = true;
    for (const name of flags.args) {
      try {
        const removed = await client.delete<{ Untagged?: string; Deleted?: string }[]>(
          `/images/${imagePath(name)}`,
          {
            force: flags.bool('force') ? 1 : undefined,
            noprune: flags.bool('no-prune') ? 1 : undefined,
            platforms,
          },
        );
        for (const one of removed)
          cli.out(one.Deleted ? `Deleted: ${one.Deleted}\n` : `Untagged: ${one.Untagged}\n`);
        missing = false;
      } catch (error) {
        if (!isNotFound(error)) missing = false;
        errors.push(error);
      }
    }
    if (errors.length > 0 && flags.bool('force') && missing) {
      // Nothing was there: with --force that is as good as removed.
      cli.err(`${errors.map((error) => (error as Error).message).join('\n')}\n`);
      return;
    }
    throwJoined(errors);
  },
};

export const tag: Command = {
  synopsis: 'SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]',
  flags: [],
  interspersed: false,
  arity: exactArgs(2),
  run: async (cli, { args }) => {
    const [source = '', target = ''] = args;
    let reference;
    try {
      reference = parseReference(target);
    } catch (error) {
      throw new Error(
        `Error parsing reference: ${JSON.stringify(target)} is not a valid repository/tag: ${(error as Error).message}`,
        { cause: error },
      );
    }
    if (reference === null || reference.digest)
      throw new Error('refusing to create a tag with a digest reference');
    const client = await cli.client();
    await client.post(`/images/${imagePath(source)}/tag`, {
      query: { repo: reference.name, tag: reference.tag || 'latest' },
    });
  },
};

export const pull: Command = {
  synopsis: '[OPTIONS] NAME[:TAG|@DIGEST]',
  flags: [
    bool('all-tags', 'Download every tag of the repository', { short: 'a' }),
    bool('disable-content-trust', 'Accepted and without effect: images are not signed here', {
      initial: true,
    }),
    text('platform', 'Platform of the image, where it has several'),
    bool('quiet', 'Do not show progress', { short: 'q' }),
  ],
  arity: exactArgs(1),
  run: async (cli, flags) => {
    const name = flags.args[0] ?? '';
    const reference = parseReference(name);
    if (reference === null) throw new Error('invalid reference format');
    const all = flags.bool('all-tags');
    if (all && (reference.tag || reference.digest)) throw new Error("tag can't be used with --all-tags/-a");
    const quiet = flags.bool('quiet');
    if (!all && !reference.tag && !reference.digest && !quiet) cli.out('Using default tag: latest\n');
    const client = await cli.client();
    const response = await client.request('POST', '/images/create', {
      query: {
        fromImage: fullName(reference),
        tag: all ? undefined : reference.digest || reference.tag || 'latest',
        platform: flags.text('platform') || undefined,
      },
      headers: { 'X-Registry-Auth': await imageAuth(cli, name) },
    });
    await displayProgress(cli, response.values<ProgressMessage>(), { fd: 1, quiet });
    cli.out(`${all ? fullName(reference) : familiar({ ...reference, name: fullName(reference) })}\n`);
  },
};

const platformNote =
  'With --platform only the manifest of that platform is pushed, and nothing of what else the index has.\nTo push all of the image, leave the flag out.';

/** What an engine tells when it could not push the whole index. */
function substitutionNote(aux: unknown): string[] {
  const { manifestPushedInsteadOfIndex, originalIndex, selectedManifest } = aux as {
    manifestPushedInsteadOfIndex?: boolean;
    originalIndex?: { digest?: string };
    selectedManifest?: { digest?: string };
  };
  if (manifestPushedInsteadOfIndex !== true) return [];
  return [
    `Not all platforms are here, so that only one of them was pushed\n${originalIndex?.digest} -> ${selectedManifest?.digest}`,
  ];
}

function note(cli: Cli, text: string): void {
  const [first = '', ...more] = text.split('\n');
  cli.out(`\n i Info → ${first}\n${more.map((line) => `          ${line}\n`).join('')}\n`);
}

export const push: Command = {
  synopsis: '[OPTIONS] NAME[:TAG]',
  flags: [
    bool('all-tags', 'Upload every tag of the repository', { short: 'a' }),
    bool('disable-content-trust', 'Accepted and without effect: images are not signed here', {
      initial: true,
    }),
    text('platform', 'Upload only this platform'),
    bool('quiet', 'Do not show progress', { short: 'q' }),
  ],
  arity: exactArgs(1),
  run: async (cli, flags) => {
    const name = flags.args[0] ?? '';
    const reference = parseReference(name);
    if (reference === null) throw new Error('invalid reference format');
    const all = flags.bool('all-tags');
    const quiet = flags.bool('quiet');
    if (all && reference.tag) throw new Error("tag can't be used with --all-tags/-a");
    const platform = platformJson(flags.text('platform'));
    if (platform !== undefined) note(cli, platformNote);
    if (!all && !reference.tag && !quiet) cli.out('Using default tag: latest\n');
    const client = await cli.client();
    const response = await client.request('POST', `/images/${imagePath(reference.name)}/push`, {
      query: { tag: all ? undefined : reference.tag || 'latest', platform },
      headers: { 'X-Registry-Auth': await imageAuth(cli, name) },
    });
    const notes: string[] = [];
    await displayProgress(cli, response.values<ProgressMessage>(), {
      fd: 1,
      quiet,
      onAux: (aux) => notes.push(...substitutionNote(aux)),
    });
    if (quiet) cli.out(`${familiar(reference)}\n`);
    for (const text of notes) note(cli, text);
  },
};

export const bootstrap: Command = {
  synopsis: 'NAME',
  description:
    "Make a base image on this machine, without a registry\n\nNAME is busybox (from Debian's busybox-static) or debian:SUITE (by mmdebstrap).",
  flags: [],
  arity: exactArgs(1),
  run: async (cli, { args }) => {
    const client = await cli.client();
    const response = await client.request('POST', '/coracle/images/bootstrap', { query: { name: args[0] } });
    await displayProgress(cli, response.values<ProgressMessage>(), { fd: 1 });
  },
};
