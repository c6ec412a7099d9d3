import type { Cli } from './cli.ts';
import { allCredentials, findCredentials } from './credentials.ts';
import { parseReference } from './opts/reference.ts';

/** The value of `X-Registry-Auth` for a registry. */
export async function registryAuth(cli: Cli, domain: string): Promise<string> {
  return encode(await findCredentials(cli, domain));
}

/** The same for the registry that an image comes from. */
export async function imageAuth(cli: Cli, image: string): Promise<string> {
  return registryAuth(cli, parseReference(image)?.domain ?? '');
}

/** The same for the registry that is searched: the one before a slash, when it looks like one. */
export async function searchAuth(cli: Cli, term: string): Promise<string> {
  const [, host = ''] = /^([^/]*)\//.exec(term) ?? [];
  return registryAuth(cli, host === 'localhost' || /[.:]/.test(host) ? host : '');
}

/** The value of `X-Registry-Config`: the credentials of all registries. */
export async function registryConfig(cli: Cli): Promise<string> {
  return encode(await allCredentials(cli));
}

/** With its padding, which dockerd wants. */
function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64').replaceAll('+', '-').replaceAll('/', '_');
}
