import { minArgs, type Command } from '../../command.ts';
import { StatusError } from '../../errors.ts';
import { createBody } from '../../opts/container-config.ts';
import { containerFlags } from '../../opts/container-flags.ts';
import { program } from '../../program.ts';
import { checkPull, createContainer } from './create-container.ts';

export const create: Command = {
  synopsis: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  flags: containerFlags,
  interspersed: false,
  arity: minArgs(1),
  run: async (cli, flags) => {
    let body;
    try {
      checkPull(flags.text('pull'));
      body = createBody(flags, flags.args[0] ?? '', flags.args.slice(1));
    } catch (error) {
      throw new StatusError(
        125,
        `${program}: ${(error as Error).message}\n\nRun '${program} create --help' for more information`,
      );
    }
    cli.out(`${await createContainer(cli, body, flags)}\n`);
  },
};
