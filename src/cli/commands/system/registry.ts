import { ApiError } from '../../../client/index.ts';
import type { Cli } from '../../cli.ts';
import { maxArgs, type Command } from '../../command.ts';
import {
  credentialsKey,
  eraseCredentials,
  findCredentials,
  hostOf,
  storeCredentials,
  type Credentials,
} from '../../credentials.ts';
import type { Parsed } from '../../flags/flags.ts';
import { bool, text } from '../../flags/flags.ts';
import { ask, askSecret } from '../../prompt.ts';

async function readAll(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin) text += String(chunk);
  return text.replace(/(\r\n|\n|\r)$/, '');
}

/** @throws docker's texts for flags that do not go together */
async function givenPassword(cli: Cli, flags: Parsed): Promise<string> {
  const password = flags.text('password');
  const fromInput = flags.changed('password-stdin') || password === '-';
  if (fromInput && flags.changed('password') && password !== '-')
    throw new Error('conflicting options: cannot specify both --password and --password-stdin');
  if (fromInput && !flags.changed('username'))
    throw new Error('the --password-stdin option requires --username to be set');
  if (flags.changed('username') && flags.text('username') === '') throw new Error('username is empty');
  if (flags.changed('password') && password === '') throw new Error('password is empty');
  if (fromInput) {
    const read = await readAll();
    if (read.trim() === '') throw new Error('password is empty');
    return read;
  }
  if (password !== '') cli.err('WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n');
  return password;
}

function warnOfEnvironment(cli: Cli): void {
  if ((cli.env['DOCKER_AUTH_CONFIG'] ?? '') !== '')
    cli.err('WARNING! DOCKER_AUTH_CONFIG is set and comes before what is stored.\n');
}

/** Tries the credentials, and keeps them when they are good, or the token that stands for them. */
async function authenticate(cli: Cli, credentials: Credentials): Promise<void> {
  const client = await cli.client();
  const { Status, IdentityToken = '' } = await client.post<{ Status: string; IdentityToken?: string }>(
    '/auth',
    { json: credentials },
  );
  const kept =
    IdentityToken === '' ? credentials : { ...credentials, password: '', identitytoken: IdentityToken };
  const clear = await storeCredentials(cli, kept);
  if (clear !== '') {
    cli.err(
      `WARNING! The password is stored unencrypted in '${clear}'; a credential helper can keep it safe.\n`,
    );
  }
  cli.out(`${Status}\n`);
}

/** @returns false when they are refused */
async function authenticateAgain(cli: Cli, stored: Credentials): Promise<boolean> {
  cli.err(`Authenticating with existing credentials... [Username: ${stored.username}]\n`);
  try {
    await authenticate(cli, stored);
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    cli.err(
      error.status === 401
        ? 'Stored credentials invalid or expired\n'
        : `Login did not succeed, error: ${error.message}\n`,
    );
    return false;
  }
}

export const login: Command = {
  synopsis: '[OPTIONS] [SERVER]',
  flags: [
    text('password', 'Password or token, or "-" to read it from standard input', { short: 'p' }),
    bool('password-stdin', 'Read the password from standard input'),
    text('username', 'User name', { short: 'u' }),
  ],
  arity: maxArgs(1),
  run: async (cli, flags) => {
    let password = await givenPassword(cli, flags);
    let username = flags.text('username').trim();
    warnOfEnvironment(cli);
    const key = credentialsKey(flags.args[0] ?? '');
    let usual = '';
    if (username === '' && password === '') {
      const stored = await findCredentials(cli, key).catch(() => undefined);
      if (stored?.username && stored.password && (await authenticateAgain(cli, stored))) return;
      usual = stored?.username ?? '';
    }
    if ((username === '' || password === '') && !cli.isTerminal(0))
      throw new Error('Error: Cannot perform an interactive login from a non TTY device');
    if (username === '') {
      username = (await ask(cli, usual === '' ? 'Username: ' : `Username (${usual}): `)).trim() || usual;
      if (username === '') throw new Error('error: username is required');
    }
    if (password === '') {
      password = await askSecret(cli, 'Password: ');
      if (password === '') throw new Error('error: password is required');
    }
    const asked = { username, password, identitytoken: '', registrytoken: '', serveraddress: key };
    await authenticate(cli, asked);
  },
};

export const logout: Command = {
  synopsis: '[SERVER]',
  flags: [],
  arity: maxArgs(1),
  run: async (cli, { args }) => {
    warnOfEnvironment(cli);
    const key = credentialsKey(args[0] ?? '');
    cli.out(`Removing login credentials for ${key}\n`);
    const host = hostOf(key);
    // Old clients kept them under whole addresses.
    const names =
      args[0] === undefined ? [key] : new Set([key, args[0], host, `http://${host}`, `https://${host}`]);
    const failures: string[] = [];
    let erased = 0;
    for (const name of names) {
      try {
        await eraseCredentials(cli, name);
        erased += 1;
      } catch (error) {
        failures.push(`${name}: ${(error as Error).message}\n`);
      }
    }
    if (erased === 0) cli.err(`WARNING: could not erase credentials:\n${failures.join('')}`);
  },
};
