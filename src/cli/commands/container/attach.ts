import type { ApiClient } from '../../../client/index.ts';
import { exactArgs, minArgs, type Command } from '../../command.ts';
import { StatusError } from '../../errors.ts';
import { bool, text, type Parsed } from '../../flags/flags.ts';
import { forwardSignals } from '../../interactive/signals.ts';
import { escapeMessage, streamHijacked } from '../../interactive/stream.ts';
import { checkTty, followTerminalSize, terminalSize } from '../../interactive/terminal.ts';
import { waitForExit } from '../../interactive/wait.ts';
import { segment } from '../each.ts';
import type { Cli } from '../../cli.ts';

interface Inspected {
  Id: string;
  State: { Running: boolean; Paused: boolean; Restarting: boolean };
  Config: { Tty: boolean; OpenStdin: boolean };
  HostConfig: { AutoRemove: boolean };
}

async function runningContainer(client: ApiClient, name: string): Promise<Inspected> {
  const container = await client.get<Inspected>(`/containers/${segment(name)}/json`);
  const { Running, Paused, Restarting } = container.State;
  if (!Running) throw new Error('You cannot attach to a stopped container, start it first');
  if (Paused) throw new Error('You cannot attach to a paused container, unpause it first');
  if (Restarting) throw new Error('You cannot attach to a restarting container, wait until it is running');
  return container;
}

async function detachKeysOf(cli: Cli, flags: Parsed): Promise<string> {
  return flags.text('detach-keys') || (await cli.config()).detachKeys || '';
}

function attachQuery(stdin: boolean, detachKeys: string): Record<string, string | number | undefined> {
  return {
    stream: 1,
    stdin: stdin ? 1 : undefined,
    stdout: 1,
    stderr: 1,
    detachKeys: detachKeys || undefined,
  };
}

export const attach: Command = {
  synopsis: '[OPTIONS] CONTAINER',
  flags: [
    text('detach-keys', 'Keys that detach from the container'),
    bool('no-stdin', 'Do not attach standard input'),
    bool('sig-proxy', 'Send the signals we get on to the container', { initial: true }),
  ],
  arity: exactArgs(1),
  run: async (cli, flags) => {
    const client = await cli.client();
    const container = await runningContainer(client, flags.args[0] ?? '');
    const path = `/containers/${container.Id}`;
    const tty = container.Config.Tty;
    checkTty(cli, !flags.bool('no-stdin'), tty);
    const detachKeys = await detachKeysOf(cli, flags);
    const stdin = !flags.bool('no-stdin') && container.Config.OpenStdin;
    if (flags.bool('sig-proxy') && !tty) forwardSignals(client, container.Id);
    const waiting = client.request('POST', `${path}/wait`);
    const connection = await client.hijack(`${path}/attach`, { query: attachQuery(stdin, detachKeys) });
    // It may have ended between the look and the attach; then nothing would ever come.
    await runningContainer(client, container.Id);
    if (tty && cli.isTerminal(1)) {
      const [h, w] = terminalSize(cli);
      // A change of size makes the shell draw its prompt again.
      await client.post(`${path}/resize`, { query: { h: h + 1, w: w + 1 } }).catch(() => {});
      void followTerminalSize(cli, client, path);
    }
    const streamed = await streamHijacked(cli, {
      connection,
      stdin,
      stdout: true,
      stderr: true,
      tty,
      detachKeys,
    });
    if (streamed === 'detached') throw new Error(escapeMessage);
    const result = await (await waiting).json<{ StatusCode: number; Error?: { Message: string } | null }>();
    if (result.Error?.Message) throw new Error(result.Error.Message);
    return result.StatusCode;
  },
};

async function startAttached(cli: Cli, flags: Parsed): Promise<number> {
  const client = await cli.client();
  const container = await client.get<Inspected>(`/containers/${segment(flags.args[0] ?? '')}/json`);
  const path = `/containers/${container.Id}`;
  const tty = container.Config.Tty;
  if (!tty) forwardSignals(client, container.Id);
  const detachKeys = await detachKeysOf(cli, flags);
  const stdin = flags.bool('interactive') && container.Config.OpenStdin;
  const [connection, exit] = await Promise.all([
    client.hijack(`${path}/attach`, { query: attachQuery(stdin, detachKeys) }),
    waitForExit(cli, client, container.Id, container.HostConfig.AutoRemove),
  ]);
  const streamed = streamHijacked(cli, { connection, stdin, stdout: true, stderr: true, tty, detachKeys });
  try {
    await client.post(`${path}/start`);
  } catch (error) {
    connection.socket.destroy();
    await streamed.catch(() => {});
    if (container.HostConfig.AutoRemove) await exit();
    throw error;
  }
  if (tty && cli.isTerminal(1)) void followTerminalSize(cli, client, path);
  return (await streamed) === 'detached' ? 0 : exit();
}

export const start: Command = {
  synopsis: '[OPTIONS] CONTAINER [CONTAINER...]',
  flags: [
    bool('attach', 'Attach standard output and error, and send signals on', { short: 'a' }),
    text('detach-keys', 'Keys that detach from the container'),
    bool('interactive', 'Attach standard input', { short: 'i' }),
  ],
  arity: minArgs(1),
  run: async (cli, flags) => {
    if (flags.bool('attach') || flags.bool('interactive')) {
      if (flags.args.length > 1) throw new Error('you cannot start and attach multiple containers at once');
      return startAttached(cli, flags);
    }
    const client = await cli.client();
    const failed: string[] = [];
    for (const name of flags.args) {
      try {
        await client.post(`/containers/${segment(name)}/start`);
        cli.out(`${name}\n`);
      } catch (error) {
        cli.err(`${(error as Error).message}\n`);
        failed.push(name);
      }
    }
    if (failed.length > 0)
      throw new StatusError(1, `Error: failed to start containers: ${failed.join(', ')}`);
    return 0;
  },
};
