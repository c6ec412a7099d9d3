import type { Cli, ConfigFile, StoredAuth } from './cli.ts';

const defaultKey = 'https://index.docker.io/v1/';
/** A helper's user name for a secret that is an identity token. */
const tokenUser = '<token>';

/** What a client shows a registry; members that are not there are ''. */
export interface Credentials {
  username: string;
  password: string;
  identitytoken: string;
  registrytoken: string;
  serveraddress: string;
}

/** Under which name docker keeps a registry's credentials: its host, and for the default registry an old address of it. */
export function credentialsKey(server: string): string {
  const host = hostOf(server);
  return ['', 'docker.io', 'index.docker.io'].includes(host) ? defaultKey : host;
}

/** `https://example.org:5000/v1/` and `example.org:5000` alike. */
export function hostOf(server: string): string {
  return server.replace(/^[a-z]+:\/\//i, '').split('/', 1)[0] ?? '';
}

/**
 * What there is for a registry: in DOCKER_AUTH_CONFIG, with the credential helper that docker's configuration file names for
 * it, or in that file. All members are '' when there is nothing.
 * @throws when the helper fails
 */
export async function findCredentials(cli: Cli, server: string): Promise<Credentials> {
  const key = credentialsKey(server);
  const given = environmentAuths(cli)[key];
  if (given !== undefined) return decode(given, key);
  const config = await cli.config();
  const helper = await helperOf(cli, config, key);
  return helper === '' ? fromFile(config, key) : helperGet(cli, helper, key);
}

/** Those of all registries, by name: for builds, which may need any of them. */
export async function allCredentials(cli: Cli): Promise<Record<string, Credentials>> {
  const config = await cli.config();
  const keys = new Set([
    ...Object.keys(config.auths ?? {}),
    ...Object.keys(config.credHelpers ?? {}),
    ...Object.keys(environmentAuths(cli)),
  ]);
  const helper = config.credsStore ?? '';
  if (helper !== '') {
    const listed = JSON.parse((await runHelper(cli, helper, 'list', '')) || '{}') as Record<string, string>;
    for (const key of Object.keys(listed)) keys.add(key);
  }
  const found: Record<string, Credentials> = {};
  for (const key of keys) {
    // A helper that fails for one registry is no reason not to build with the others.
    const one = await findCredentials(cli, key).catch(() => undefined);
    if (one !== undefined && (one.username !== '' || one.identitytoken !== '')) found[key] = one;
  }
  return found;
}

/** @returns the file that has the password in clear from now on, or '' */
export async function storeCredentials(cli: Cli, credentials: Credentials): Promise<string> {
  const { username, password, identitytoken, serveraddress: key } = credentials;
  const config = await cli.config();
  const helper = await helperOf(cli, config, key);
  if (helper !== '') {
    const secret =
      identitytoken === ''
        ? { Username: username, Secret: password }
        : { Username: tokenUser, Secret: identitytoken };
    await runHelper(cli, helper, 'store', JSON.stringify({ ServerURL: key, ...secret }));
  }
  const auth = Buffer.from(`${username}:${password}`).toString('base64');
  const kept: StoredAuth = helper !== '' ? {} : identitytoken === '' ? { auth } : { auth, identitytoken };
  if (JSON.stringify(config.auths?.[key]) === JSON.stringify(kept)) return '';
  const isDefault = helper !== '' && config.credHelpers?.[key] === undefined;
  const path = await cli.changeConfig((file) => ({
    ...file,
    auths: { ...file.auths, [key]: kept },
    ...(isDefault ? { credsStore: helper } : {}),
  }));
  return helper === '' && identitytoken === '' ? path : '';
}

/** Forgets what is kept under exactly this name. @throws when a helper fails */
export async function eraseCredentials(cli: Cli, key: string): Promise<void> {
  const config = await cli.config();
  const helper = await helperOf(cli, config, key);
  if (helper !== '') await runHelper(cli, helper, 'erase', key);
  if (config.auths?.[key] === undefined) return;
  await cli.changeConfig((file) => {
    const { [key]: _, ...auths } = file.auths ?? {};
    return { ...file, auths };
  });
}

function environmentAuths(cli: Cli): Readonly<Record<string, StoredAuth>> {
  const text = cli.env['DOCKER_AUTH_CONFIG'] ?? '';
  if (text === '') return {};
  try {
    return (JSON.parse(text) as { auths?: Record<string, StoredAuth> }).auths ?? {};
  } catch (error) {
    cli.err(`Cannot read DOCKER_AUTH_CONFIG: ${(error as Error).message}\n`);
    return {};
  }
}

function fromFile({ auths = {} }: ConfigFile, key: string): Credentials {
  // Old files have whole addresses as names.
  const name = key in auths ? key : Object.keys(auths).find((other) => hostOf(other) === key);
  return decode(name === undefined ? {} : auths[name], key);
}

function decode(stored: StoredAuth = {}, key: string): Credentials {
  const [name = '', ...rest] = Buffer.from(stored.auth ?? '', 'base64')
    .toString()
    .split(':');
  return {
    username: name === '' ? (stored.username ?? '') : name,
    password: name === '' ? (stored.password ?? '') : rest.join(':').replace(/\0+$/, ''),
    identitytoken: stored.identitytoken ?? '',
    registrytoken: stored.registrytoken ?? '',
    serveraddress: key,
  };
}

/** The helper for a registry; for somebody without any credentials yet, the one that this machine has. */
async function helperOf(cli: Cli, config: ConfigFile, key: string): Promise<string> {
  const { auths = {}, credHelpers = {}, credsStore = '' } = config;
  const named = credHelpers[key] ?? credsStore;
  if (named !== '' || Object.keys(auths).length > 0 || Object.keys(credHelpers).length > 0) return named;
  const { existsSync } = await import('node:fs');
  const directories = (cli.env['PATH'] ?? '').split(':');
  const has = (program: string): boolean => directories.some((one) => existsSync(`${one}/${program}`));
  const usual = has('pass') ? 'pass' : 'secretservice';
  return has(`docker-credential-${usual}`) ? usual : '';
}

async function helperGet(cli: Cli, helper: string, key: string): Promise<Credentials> {
  const text = await runHelper(cli, helper, 'get', key);
  if (text === '') return decode({}, key);
  const { Username = '', Secret = '' } = JSON.parse(text) as { Username?: string; Secret?: string };
  return Username === tokenUser
    ? decode({ identitytoken: Secret }, key)
    : decode({ username: Username, password: Secret }, key);
}

const verbs = { get: 'getting', store: 'storing', erase: 'erasing', list: 'listing' } as const;

/** Asks `docker-credential-<helper>`, by the protocol of docker-credential-helpers. '' when it has nothing. */
async function runHelper(
  cli: Cli,
  helper: string,
  action: keyof typeof verbs,
  input: string,
): Promise<string> {
  const { spawnSync } = await import('node:child_process');
  const program = `docker-credential-${helper}`;
  const { status, stdout, error } = spawnSync(program, [action], {
    input,
    encoding: 'utf8',
    env: { ...cli.env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const output = (stdout ?? '').trim();
  if (status === 0) return output;
  if (output === 'credentials not found in native keychain') return '';
  const why =
    error === undefined
      ? `exit status ${status}`
      : `exec: ${JSON.stringify(program)}: executable file not found in $PATH`;
  throw new Error(`error ${verbs[action]} credentials - err: ${why}, out: \`${output}\``);
}
