import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import type { Endpoint } from '../client/index.ts';
import { anyArgs, type Command } from './command.ts';

/** How to start the daemon: next to the bundle of this client, or from source. */
function daemonCommand(): string[] {
  const here = dirname(process.argv[1] ?? '');
  for (const entry of [join(here, 'daemon.mjs'), join(here, '../daemon/entry.ts')]) {
    if (existsSync(entry))
      return [
        process.execPath,
        ...process.execArgv.filter((flag) => !flag.startsWith('--snapshot-blob')),
        entry,
      ];
  }
  throw new Error(`cannot find the daemon beside ${here}`);
}

/** `coracle daemon …`: this process becomes the daemon. */
export function execDaemon(argv: readonly string[]): never {
  const command = daemonCommand();
  if (process.execve === undefined) throw new Error('cannot start the daemon: this Node.js has no execve');
  return process.execve(command[0] as string, [...command, ...argv], process.env as Record<string, string>);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/**
 * Starts a daemon in the background for an endpoint that nobody answers at, and waits until it does. Only for the default
 * socket, when nobody asked for another; `CORACLE_AUTOSTART=1` allows it for any unix socket, `=0` forbids it.
 * @returns False when this endpoint is none to start a daemon for.
 */
export async function startDaemon(
  endpoint: Endpoint,
  env: Readonly<Record<string, string | undefined>>,
): Promise<boolean> {
  const { address } = endpoint;
  const choice = env['CORACLE_AUTOSTART'];
  if (address.kind !== 'unix' || choice === '0') return false;
  if (endpoint.source !== 'default' && choice !== '1') return false;
  const { spawn } = await import('node:child_process');
  const execRoot = dirname(address.path);
  mkdirSync(execRoot, { recursive: true, mode: 0o711 });
  const logPath = join(execRoot, 'daemon.log');
  const log = openSync(logPath, 'a', 0o600);
  const [file = '', ...args] = daemonCommand();
  const extra = endpoint.source === 'default' ? [] : ['--host', endpoint.url];
  const child = spawn(file, [...args, ...extra], { detached: true, stdio: ['ignore', log, log], cwd: '/' });
  closeSync(log);
  const exit = { reason: '' };
  child.on('error', (error) => (exit.reason = error.message));
  child.on('exit', (code, signal) => (exit.reason = signal ?? `exit code ${code}`));
  // Its end is seen at once; a slow machine with many containers to restore is waited for.
  const deadline = Date.now() + 120_000;
  while (Date.now() < deadline) {
    if (await answers(address.path)) {
      child.unref();
      return true;
    }
    if (exit.reason !== '')
      throw new Error(`cannot start the coracle daemon: ${exit.reason}; see ${logPath}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`the coracle daemon does not answer at ${endpoint.url}; see ${logPath}`);
}

/** Listed in help; `main` hands the command line over unparsed before this could run. */
export const daemon: Command = {
  synopsis: '[OPTIONS]',
  description: 'Run the engine in the foreground; `coracle daemon --help` tells its options',
  flags: [],
  arity: anyArgs,
  run: async (_cli, { args }) => execDaemon(args),
};
