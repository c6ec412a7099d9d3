import { exactArgs, type Command } from '../../command.ts';
import { bool, list, text } from '../../flags/flags.ts';
import { segment } from '../each.ts';
import { checkOutput, writeOutput } from '../image/transfer.ts';

export const exportContainer: Command = {
  synopsis: '[OPTIONS] CONTAINER',
  flags: [text('output', 'Write to this file instead of standard output', { short: 'o' })],
  arity: exactArgs(1),
  run: async (cli, flags) => {
    const path = flags.text('output');
    if (path === '' && cli.isTerminal(1))
      throw new Error('cowardly refusing to save to a terminal. Use the -o flag or redirect');
    checkOutput(path, 'export container');
    const client = await cli.client();
    const response = await client.request('GET', `/containers/${segment(flags.args[0] ?? '')}/export`);
    await writeOutput(cli, path, response.body, 'export');
  },
};

export const commit: Command = {
  synopsis: '[OPTIONS] CONTAINER [REPOSITORY[:TAG]]',
  flags: [
    text('author', 'Author of the image', { short: 'a' }),
    list('change', 'Apply a Dockerfile instruction to the image', { short: 'c' }),
    text('message', 'Comment of the image', { short: 'm' }),
    bool('pause', 'Freeze the container meanwhile', { short: 'p', initial: true }),
  ],
  interspersed: false,
  arity: { min: 1, max: 2 },
  run: async (cli, flags) => {
    const [container = '', reference = ''] = flags.args;
    let repo = reference;
    let tag = '';
    if (reference !== '') {
      const { parseReference } = await import('../../opts/reference.ts');
      const parsed = parseReference(reference);
      if (parsed?.digest) throw new Error('refusing to create a tag with a digest reference');
      repo = parsed?.name ?? reference;
      tag = parsed?.tag || 'latest';
    }
    const client = await cli.client();
    const { Id } = await client.post<{ Id: string }>('/commit', {
      query: {
        container,
        repo: repo || undefined,
        tag: tag || undefined,
        comment: flags.text('message') || undefined,
        author: flags.text('author') || undefined,
        changes: flags.list('change'),
        pause: flags.bool('pause') ? undefined : 0,
      },
    });
    cli.out(`${Id}\n`);
  },
};
