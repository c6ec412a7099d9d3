import type { Cli } from './cli.ts';
import { parseReference } from './opts/reference.ts';

/** The value of `X-Registry-Auth` for a registry: what docker's configuration file holds for it, in base64url. */
export async function registryAuth(cli: Cli, domain: string): Promise<string> {
  const { auths } = await cli.config();
  const server = domain === 'docker.io' ? 'https://index.docker.io/v1/' : domain;
  const entry = auths?.[server];
  if (entry === undefined) return Buffer.from('{}').toString('base64url');
  const [username = '', ...password] = Buffer.from(entry.auth ?? '', 'base64')
    .toString()
    .split(':');
  const config = {
    ...(username && { username, password: password.join(':').replace(/\0+$/, '') }),
    ...(entry.identitytoken && { identitytoken: entry.identitytoken }),
    serveraddress: server,
  };
  return Buffer.from(JSON.stringify(config)).toString('base64url');
}

/** The same for the registry that an image comes from. */
export async function imageAuth(cli: Cli, image: string): Promise<string> {
  return registryAuth(cli, parseReference(image)?.domain ?? 'docker.io');
}
