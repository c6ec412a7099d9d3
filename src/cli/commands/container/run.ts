import type { Cli } from '../../cli.ts';
import { minArgs, type Command } from '../../command.ts';
import { StatusError } from '../../errors.ts';
import { bool, text, type Parsed } from '../../flags/flags.ts';
import { forwardSignals } from '../../interactive/signals.ts';
import { streamHijacked } from '../../interactive/stream.ts';
import { checkTty, followTerminalSize } from '../../interactive/terminal.ts';
import { waitForExit } from '../../interactive/wait.ts';
import { createBody, type CreateBody } from '../../opts/container-config.ts';
import { containerFlags } from '../../opts/container-flags.ts';
import { program } from '../../program.ts';
import { checkPull, createContainer } from './create-container.ts';

/** The exit code for a container that could not be started says why: 127 no such file, 126 not executable, else 125. */
function startError(error: unknown): StatusError {
  if (error instanceof StatusError && error.message === '') return error;
  const message = error instanceof Error ? error.message : String(error);
  let code = 125;
  if (
    /executable file not found|no such file or directory|system cannot find the file specified/.test(message)
  )
    code = 127;
  else if (/permission denied|is a directory/.test(message)) code = 126;
  return new StatusError(code, withHelp(message));
}

function withHelp(message: string): string {
  return `${program}: ${message}\n\nRun '${program} run --help' for more information`;
}

function parseRun(flags: Parsed, image: string): CreateBody {
  try {
    checkPull(flags.text('pull'));
    return createBody(flags, image, flags.args.slice(1));
  } catch (error) {
    throw new StatusError(125, withHelp((error as Error).message));
  }
}

async function imageOf(cli: Cli, argument: string): Promise<string> {
  if (!/^(\.{0,2}\/|\.{1,2}$)/.test(argument)) return argument;
  const { buildAndTag, isBuildContext } = await import('../../build.ts');
  return isBuildContext(argument) ? buildAndTag(cli, argument) : argument;
}

async function runDetached(cli: Cli, id: string): Promise<number> {
  const client = await cli.client();
  cli.out(`${id}\n`);
  try {
    await client.post(`/containers/${id}/start`);
  } catch (error) {
    throw startError(error);
  }
  return 0;
}

async function runAttached(cli: Cli, flags: Parsed, id: string, body: CreateBody): Promise<number> {
  const client = await cli.client();
  const detachKeys = flags.text('detach-keys') || (await cli.config()).detachKeys || '';
  const path = `/containers/${id}`;
  const [connection, exit] = await Promise.all([
    client.hijack(`${path}/attach`, {
      query: {
        stream: 1,
        stdin: body.AttachStdin ? 1 : undefined,
        stdout: body.AttachStdout ? 1 : undefined,
        stderr: body.AttachStderr ? 1 : undefined,
        detachKeys: detachKeys || undefined,
      },
    }),
    waitForExit(cli, client, id, body.HostConfig.AutoRemove),
  ]);
  const streamed = streamHijacked(cli, {
    connection,
    stdin: body.AttachStdin,
    stdout: body.AttachStdout,
    stderr: body.AttachStderr,
    tty: body.Tty,
    detachKeys,
  });
  try {
    await client.post(`${path}/start`);
  } catch (error) {
    connection.socket.destroy();
    await streamed.catch(() => {});
    if (body.HostConfig.AutoRemove) await exit();
    throw startError(error);
  }
  if (body.Tty && cli.isTerminal(1)) void followTerminalSize(cli, client, path);
  if ((await streamed) === 'detached') return 0;
  return exit();
}

export const run: Command = {
  synopsis: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  flags: [
    ...containerFlags,
    bool('detach', 'Run the container in the background and print its ID', { short: 'd' }),
    text('detach-keys', 'Keys that detach from the container'),
    bool('sig-proxy', 'Send the signals we get on to the container', { initial: true }),
  ],
  interspersed: false,
  arity: minArgs(1),
  run: async (cli, flags) => {
    const image = await imageOf(cli, flags.args[0] ?? '');
    const body = parseRun(flags, image);
    const detach = flags.bool('detach');
    if (detach) {
      if (flags.list('attach').length > 0) {
        throw new Error('conflicting options: cannot specify both --attach and --detach');
      }
      Object.assign(body, { AttachStdin: false, AttachStdout: false, AttachStderr: false, StdinOnce: false });
    } else checkTty(cli, body.AttachStdin, body.Tty);
    let id: string;
    try {
      id = await createContainer(cli, body, flags);
    } catch (error) {
      throw startError(error);
    }
    if (flags.bool('sig-proxy')) forwardSignals(await cli.client(), id);
    return detach ? runDetached(cli, id) : runAttached(cli, flags, id, body);
  },
};
