import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Cli } from '../../cli.ts';
import { maxArgs, type Command } from '../../command.ts';
import { bool, text } from '../../flags/flags.ts';

const hub = 'https://index.docker.io/v1/';

function readConfig(path: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** Changes docker's configuration file; nobody ever sees half of it. */
function changeAuths(cli: Cli, change: (auths: Record<string, unknown>) => void): void {
  const path = `${cli.configDir}/config.json`;
  const config = readConfig(path);
  const auths = { ...(config['auths'] as Record<string, unknown> | undefined) };
  change(auths);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify({ ...config, auths }, null, '\t')}\n`, { mode: 0o600 });
  renameSync(temporary, path);
}

async function readAll(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin) text += String(chunk);
  return text.replace(/\r?\n$/, '');
}

export const login: Command = {
  synopsis: '[OPTIONS] [SERVER]',
  flags: [
    text('password', 'Password or token', { short: 'p' }),
    bool('password-stdin', 'Read the password from standard input'),
    text('username', 'User name', { short: 'u' }),
  ],
  arity: maxArgs(1),
  run: async (cli, flags) => {
    const username = flags.text('username');
    let password = flags.text('password');
    if (flags.bool('password-stdin')) {
      if (password !== '')
        throw new Error('conflicting options: cannot specify both --password and --password-stdin');
      if (username === '') throw new Error('the --password-stdin option requires --username to be set');
      password = await readAll();
    } else if (password !== '')
      cli.err('WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n');
    if (username === '' || password === '')
      throw new Error('Error: Cannot perform an interactive login: give --username and --password-stdin');
    const given = flags.args[0]?.replace(/^https?:\/\//, '').split('/')[0];
    const server = given === undefined || given === 'docker.io' || given === 'index.docker.io' ? hub : given;
    const client = await cli.client();
    const answer = await client.post<{ Status: string; IdentityToken?: string }>('/auth', {
      json: { username, password, serveraddress: server },
    });
    changeAuths(cli, (auths) => {
      auths[server] = answer.IdentityToken
        ? { auth: Buffer.from(`${username}:`).toString('base64'), identitytoken: answer.IdentityToken }
        : { auth: Buffer.from(`${username}:${password}`).toString('base64') };
    });
    cli.out(`${answer.Status}\n`);
  },
};

export const logout: Command = {
  synopsis: '[SERVER]',
  flags: [],
  arity: maxArgs(1),
  run: async (cli, { args }) => {
    const given = args[0]?.replace(/^https?:\/\//, '').split('/')[0];
    const server = given === undefined || given === 'docker.io' || given === 'index.docker.io' ? hub : given;
    cli.out(`Removing login credentials for ${server}\n`);
    changeAuths(cli, (auths) => delete auths[server]);
  },
};
