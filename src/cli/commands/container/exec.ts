import { minArgs, type Command } from '../../command.ts';
import { bool, list, text } from '../../flags/flags.ts';
import { escapeMessage, streamHijacked } from '../../interactive/stream.ts';
import { checkTty, followTerminalSize, terminalSize } from '../../interactive/terminal.ts';
import { parseEnv, readKeyValueFile } from '../../opts/env.ts';
import { segment } from '../each.ts';

export const exec: Command = {
  synopsis: '[OPTIONS] CONTAINER COMMAND [ARG...]',
  flags: [
    bool('detach', 'Run the command in the background', { short: 'd' }),
    text('detach-keys', 'Keys that detach from the command'),
    list('env', 'Set an environment variable', { short: 'e', parse: parseEnv }),
    list('env-file', 'Read environment variables from a file'),
    bool('interactive', 'Keep standard input open even if not attached', { short: 'i' }),
    bool('privileged', 'Give the command all capabilities'),
    bool('tty', 'Give the command a terminal', { short: 't' }),
    text('user', 'User to run as: <name|uid>[:<group|gid>]', { short: 'u' }),
    text('workdir', 'Working directory inside the container', { short: 'w' }),
  ],
  interspersed: false,
  arity: minArgs(2),
  run: async (cli, flags) => {
    const [container = '', ...command] = flags.args;
    const env = [
      ...flags.list('env-file').flatMap((file) => readKeyValueFile(file, (name) => process.env[name])),
      ...flags.list('env'),
    ];
    const detach = flags.bool('detach');
    const tty = flags.bool('tty');
    const stdin = flags.bool('interactive') && !detach;
    const detachKeys = flags.text('detach-keys') || (await cli.config()).detachKeys || '';
    const client = await cli.client();
    if (tty && stdin && !cli.isTerminal(0)) {
      // A container that does not exist is the more useful complaint.
      await client.get(`/containers/${segment(container)}/json`);
      checkTty(cli, stdin, tty);
    }
    const size = tty ? { ConsoleSize: terminalSize(cli) } : {};
    const { Id } = await client.post<{ Id: string }>(`/containers/${segment(container)}/exec`, {
      json: {
        User: flags.text('user'),
        Privileged: flags.bool('privileged'),
        Tty: tty,
        AttachStdin: stdin,
        AttachStdout: !detach,
        AttachStderr: !detach,
        Detach: detach,
        DetachKeys: detachKeys,
        Env: env,
        WorkingDir: flags.text('workdir'),
        Cmd: command,
        ...size,
      },
    });
    const path = `/exec/${Id}`;
    if (detach) {
      await client.post(`${path}/start`, { json: { Detach: true, Tty: tty, ...size } });
      return 0;
    }
    const connection = await client.hijack(`${path}/start`, { json: { Detach: false, Tty: tty, ...size } });
    const streamed = streamHijacked(cli, { connection, stdin, stdout: true, stderr: true, tty, detachKeys });
    if (tty && cli.isTerminal(0)) void followTerminalSize(cli, client, path);
    if ((await streamed) === 'detached') throw new Error(escapeMessage);
    const { ExitCode } = await client.get<{ ExitCode: number | null }>(`${path}/json`);
    return ExitCode ?? 0;
  },
};
